"""Lets supervisord's loop turn at once when a child has died, and again after each change of a process's state.

supervisord polls for up to a second before it reaps a dead child, and for another before it restarts the child or
tells the warden. A byte in a socket that it polls (a self-pipe) ends the poll. This runs in supervisord's own
process, so it must stay small.
"""

import contextlib
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from supervisor import events
from supervisor.states import SupervisorStates

# a program that died sooner after its start is restarted at supervisord's own pace, once a second
_SHORT_LIFE_SECONDS = 1.0


class SelfPipe:
    """A socket that supervisord polls as one of its dispatchers; signals and changes of state write to it."""

    def __init__(self, supervisord: Any, on_turn: Callable[[], None]) -> None:
        self._options = supervisord.options
        self._on_turn = on_turn
        self._polled, self._written = socket.socketpair()
        for end in (self._polled, self._written):
            end.setblocking(False)
        self._options.get_socket_map()[self._polled.fileno()] = self
        signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        events.subscribe(events.ProcessStateEvent, self._changed)
        events.subscribe(events.SupervisorStoppingEvent, self._stopping)

    def end_poll(self) -> None:
        """Let the loop turn once more without waiting."""
        with contextlib.suppress(OSError):  # a full socket ends the poll already
            self._written.send(b"\0")

    def _changed(self, event: Any) -> None:
        has_died = isinstance(event, events.ProcessStateExitedEvent)
        if has_died and time.time() - event.process.laststart < _SHORT_LIFE_SECONDS:
            self.handle_read_event()  # drop the byte of this death's signal as well, so that the restart waits
        else:
            self.end_poll()

    def _stopping(self, _event: Any) -> None:
        """Close our sockets before a reload, which closes every file; the next supervisord makes a new self-pipe."""
        if self._options.mood != SupervisorStates.RESTARTING:
            return
        signal.set_wakeup_fd(-1)
        del self._options.get_socket_map()[self._polled.fileno()]
        with contextlib.suppress(KeyError):  # supervisord was told to stop before its loop polled the socket
            self._options.poller.unregister_readable(self._polled.fileno())
        self._polled.close()
        self._written.close()

    # --- what supervisord asks of a dispatcher

    def readable(self) -> bool:
        """Return whether to poll our socket; supervisord asks in each turn of its loop, at least once a second."""
        self._on_turn()
        return self._polled.fileno() >= 0

    def writable(self) -> bool:
        """Return False: there is never anything to write."""
        return False

    def handle_read_event(self) -> None:
        """Drop the bytes that ended the poll."""
        with contextlib.suppress(BlockingIOError):
            while self._polled.recv(4096):
                pass

    def handle_write_event(self) -> None:
        """Do nothing: it is not called, because `writable` is False."""

    def handle_error(self) -> None:
        """Do nothing: if our own socket fails, supervisord goes on at its own pace."""

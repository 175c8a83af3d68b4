"""Wakes supervisord's loop at once: when a child dies, and again while states change.

By itself supervisord sleeps for up to a second before it reaps a child that died, and again before it restarts it or
tells the warden. This runs in supervisord's own process: it must stay small.
"""

import contextlib
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from supervisor import events
from supervisor.states import SupervisorStates

# a program that lived for less is started again at supervisord's own pace, once a second
_SHORT_LIFE_SECONDS = 1.0


class Waker:
    """A socket that supervisord polls; signals and changes of state write to it. Looks like a dispatcher to it."""

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

    def wake(self) -> None:
        """Let the loop turn once more without sleeping."""
        with contextlib.suppress(OSError):  # full: it is awake already
            self._written.send(b"\0")

    def _changed(self, event: Any) -> None:
        has_died = isinstance(event, events.ProcessStateExitedEvent)
        if has_died and time.time() - event.process.laststart < _SHORT_LIFE_SECONDS:
            self.handle_read_event()  # forget the signal of this death too: the loop is to sleep before the next life
        else:
            self.wake()

    def _stopping(self, _event: Any) -> None:
        """Close our sockets before a reload, which closes every file itself; the next supervisord makes its own."""
        if self._options.mood != SupervisorStates.RESTARTING:
            return
        signal.set_wakeup_fd(-1)
        del self._options.get_socket_map()[self._polled.fileno()]
        with contextlib.suppress(KeyError):  # it was told to stop before its loop turned
            self._options.poller.unregister_readable(self._polled.fileno())
        self._polled.close()
        self._written.close()

    # --- what supervisord asks of a dispatcher

    def readable(self) -> bool:
        """Tell that we are to be polled, until our sockets are closed; asked in each turn, at least once a second."""
        self._on_turn()
        return self._polled.fileno() >= 0

    def writable(self) -> bool:
        """Have nothing to write."""
        return False

    def handle_read_event(self) -> None:
        """Forget what woke us."""
        with contextlib.suppress(BlockingIOError):
            while self._polled.recv(4096):
                pass

    def handle_write_event(self) -> None:
        """Do nothing: never asked for."""

    def handle_error(self) -> None:
        """Do nothing: reading our own socket cannot be mended."""

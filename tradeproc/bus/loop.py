"""The poll loop: sockets, timers and what other threads post, all run by one thread."""

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import zmq

from tradeproc.bus.timers import Timer, Timers
from tradeproc.clock import SECOND, monotonic_ns

Action: TypeAlias = Callable[[], None]

_LONGEST_SLEEP_MS = 1_000


class Loop:
    """Sleeps until something is readable or due. Only `post`, `stop` and `is_here` may be used from other threads."""

    def __init__(self) -> None:
        self.turns = 0
        self._poller = zmq.Poller()
        self._readers: dict[Any, Action] = {}
        self._timers = Timers()
        self._posted: deque[Action] = deque()
        self._is_stopping = False
        self._thread = threading.get_ident()
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self.add(self._ear, self._hear_bell)

    def add(self, source: Any, on_readable: Action) -> None:
        """Call `on_readable` whenever `source` (ZeroMQ socket, file descriptor or file) can be read."""
        key = _key(source)
        self._poller.register(key, zmq.POLLIN)
        self._readers[key] = on_readable

    def remove(self, source: Any) -> None:
        """Stop watching `source`, before it is closed; unknown ones are ignored."""
        key = _key(source)
        if self._readers.pop(key, None) is not None:
            self._poller.unregister(key)

    def every(self, seconds: float, action: Action) -> Timer:
        """Run `action` each `seconds`; a late one runs once, not once for each time it missed."""
        interval = int(seconds * SECOND)
        return self._timers.add(monotonic_ns() + interval, action, interval)

    def after(self, seconds: float, action: Action) -> Timer:
        """Run `action` once."""
        return self._timers.add(monotonic_ns() + int(seconds * SECOND), action)

    def post(self, action: Action) -> None:
        """Run `action` on the loop's thread soon; from any thread."""
        self._posted.append(action)
        self._ring()

    def stop(self) -> None:
        """Make `run` return after its present turn; from any thread and from signal handlers."""
        self._is_stopping = True
        self._ring()

    def is_here(self) -> bool:
        """Tell whether the caller is on the loop's thread."""
        return threading.get_ident() == self._thread

    def run(self) -> None:
        """Turn until `stop`."""
        self._thread = threading.get_ident()
        poll, readers, timers = self._poller.poll, self._readers, self._timers
        while not self._is_stopping:
            for source, _ in poll(timers.wait_ms(monotonic_ns(), _LONGEST_SLEEP_MS)):
                reader = readers.get(source)
                if reader is not None:
                    reader()
            timers.run_due(monotonic_ns())
            self.turns += 1

    def close(self) -> None:
        """Give the file descriptors back; idempotent."""
        self._is_stopping = True
        self._ear.close()
        self._bell.close()

    def _ring(self) -> None:
        # full means that a wake-up is under way already; closed means that nobody is left to hear it
        with contextlib.suppress(OSError):
            self._bell.send(b"\0")

    def _hear_bell(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._ear.recv(4096)
        # what an action posts rings again and waits for the next turn
        for _ in range(len(self._posted)):
            self._posted.popleft()()


def _key(source: Any) -> Any:
    return source if isinstance(source, zmq.Socket | int) else source.fileno()

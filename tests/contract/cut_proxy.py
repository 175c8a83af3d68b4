"""A TCP proxy that cuts one connection after a chosen byte, on the way to the server or on the way back.

It knows no protocol, so it stands before any broker's server. It is armed for one operation: the first connection on
which the client sends something after that is cut, all others are passed on whole. A cut resets the client's
connection, and ends the server's as the loss of a client does.
"""

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

_RESET = struct.pack("ii", 1, 0)
_BLOCK = 65_536
_SECONDS = 10.0


class Way(Enum):
    """Which of the two directions is cut."""

    REQUEST = "request"
    ANSWER = "answer"


@dataclass
class Cut:
    """A cut that is armed: `after` bytes of its direction are passed on. Both counts are of the bytes passed on."""

    way: Way
    after: int
    sent: int = 0
    answered: int = 0
    is_taken: bool = False
    is_done: bool = False


class CutProxy:
    """Stands before a server on loopback; `port` is where clients connect."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._lock = threading.Lock()
        self._armed: Cut | None = None
        self._is_closed = threading.Event()
        self._open: set[socket.socket] = set()
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def arm(self, way: Way, after: int) -> Cut:
        """Cut the next connection on which a client sends something."""
        with self._lock:
            self._armed = Cut(way, after)
            return self._armed

    def disarm(self) -> None:
        """Cut nothing more."""
        with self._lock:
            self._armed = None

    def end_connections(self) -> None:
        """End all connections politely, as a server does with those that are idle for long."""
        with self._lock:
            ends = list(self._open)
        for each in ends:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it, and closes it

    def close(self) -> None:
        """End all connections and threads."""
        self._is_closed.set()
        self.end_connections()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_SECONDS)
        self._listener.close()

    def _accept(self) -> None:
        while not self._is_closed.is_set():
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port), _SECONDS)
            except OSError:
                continue
            with self._lock:
                self._open |= {client, server}
            thread = threading.Thread(target=self._carry, args=(client, server), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on what comes until one side ends or the cut is made."""
        cut: Cut | None = None
        with selectors.DefaultSelector() as waiting, contextlib.suppress(OSError, ValueError):
            waiting.register(client, selectors.EVENT_READ)
            waiting.register(server, selectors.EVENT_READ)
            while cut is None or not cut.is_done:
                for key, _ in waiting.select():
                    came = key.fileobj
                    if came is client:
                        cut = self._take() or cut
                    if cut is not None and cut.way is Way.REQUEST and cut.sent == cut.after:
                        cut.is_done = True  # before it is read
                        break
                    block = client.recv(_BLOCK) if came is client else server.recv(_BLOCK)
                    if not block or not self._pass_on(block, server if came is client else client, cut, client):
                        break
                else:
                    continue
                break
        self._end(client, server, is_reset=cut is not None and cut.is_done)

    def _take(self) -> Cut | None:
        with self._lock:
            cut, self._armed = self._armed, None
        if cut is not None:
            cut.is_taken = True
        return cut

    def _pass_on(self, block: bytes, to: socket.socket, cut: Cut | None, client: socket.socket) -> bool:
        """Pass on as much as the cut allows, and tell whether the connection still stands."""
        if cut is None:
            to.sendall(block)
            return True
        is_answer = to is client
        if is_answer != (cut.way is Way.ANSWER):
            # counted before, because the client may act on it at once
            cut.sent += 0 if is_answer else len(block)
            cut.answered += len(block) if is_answer else 0
            to.sendall(block)
            return True
        passed = cut.answered if is_answer else cut.sent
        part = block[: cut.after - passed]
        if is_answer:
            cut.answered += len(part)
        else:
            cut.sent += len(part)
        cut.is_done = len(part) < len(block)
        to.sendall(part)
        return not cut.is_done

    def _end(self, client: socket.socket, server: socket.socket, *, is_reset: bool) -> None:
        if is_reset:
            with contextlib.suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        client.close()
        server.close()
        with self._lock:
            self._open -= {client, server}


@contextmanager
def cut_proxy(server_port: int) -> Iterator[CutProxy]:
    """Run a proxy before a server for the length of the block."""
    proxy = CutProxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()

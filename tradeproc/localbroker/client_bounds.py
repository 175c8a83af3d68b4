"""Limits of what a client can use before it has shown a token: bytes, time and connections.

A client that sends little, or much, uses one connection for some seconds and at most a megabyte of memory. It never
keeps others out: when there are too many connections, the oldest that has no request under way, or whose client does
not read its answer, is closed for a new one. A client that sends its next request before it has its answer is
disconnected, because such requests could pile up without a limit.
"""

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_CONNECTIONS = 256
LARGEST_BODY, LARGEST_HEAD = 1024 * 1024, 64 * 1024
# time from the connection, or from the first byte of a later request, until the whole request has arrived
REQUEST_SECONDS = 10.0

_TOO_LARGE = {413: b"Payload Too Large", 431: b"Request Header Fields Too Large"}

log = logging.getLogger(__name__)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. It is put into the scope's state, so that an answer can reset it."""

    request_seconds = REQUEST_SECONDS
    _deadline: asyncio.TimerHandle | None = None
    _size = 0
    _unheard = 0
    _is_refused = False
    number = 0
    _made = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a new connection; where there are too many, close an old one for it."""
        if len(self.connections) >= MOST_CONNECTIONS:
            _make_room(self.connections)
        super().connection_made(transport)
        BoundedProtocol._made += 1
        self.number = BoundedProtocol._made
        self._expect_request()
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()  # no other could be closed, because all are at work

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the request was refused."""
        if self._is_refused:
            return
        self._unheard += len(data)
        super().data_received(data)
        # the parser has no limit of its own for a header without an end, nor for the extensions of a chunk
        if self._unheard > LARGEST_HEAD:
            self._refuse(431)

    def on_message_begin(self) -> None:
        """Begin a request, unless the one before is not answered yet."""
        if self._is_refused or (self.cycle is not None and not self.cycle.response_complete):
            self._is_refused = True
            self.transport.abort()
            return
        super().on_message_begin()
        self._size = self._unheard = 0
        self.scope["state"]["transport"] = self.transport
        if self._deadline is None:
            self._expect_request()

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._count(len(url), LARGEST_HEAD, 431)
        if not self._is_refused:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._count(len(name) + len(value) + 2, LARGEST_HEAD, 431)
        if not self._is_refused:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the request was refused."""
        if not self._is_refused:
            self._size = self._unheard = 0
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._count(len(body), LARGEST_BODY, 413)
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Let the request be answered."""
        self._expect_nothing()
        if not self._is_refused:
            super().on_message_complete()

    @property
    def is_ending(self) -> bool:
        """Tell whether the connection was closed or aborted; it stays listed until `connection_lost` is called."""
        return self._is_refused or self.transport.is_closing()

    @property
    def is_at_work(self) -> bool:
        """Tell whether a complete request is being answered and its client reads the answer."""
        if self.is_ending:
            return False
        is_asked = self._deadline is None and self.cycle is not None and not self.cycle.response_complete
        return is_asked and not self.flow.write_paused

    def _count(self, size: int, most: int, status: int) -> None:
        self._size, self._unheard = self._size + size, 0
        if self._size > most:
            self._refuse(status)

    def _refuse(self, status: int) -> None:
        if self._is_refused:
            return
        self._is_refused = True
        head = b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        self.transport.write(head % (status, _TOO_LARGE[status]))
        self.transport.close()

    def _expect_request(self) -> None:
        self._deadline = self.loop.call_later(self.request_seconds, self._too_late)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._is_refused = True
        self.transport.abort()


def _make_room(connections: set[Any]) -> None:
    """Abort a connection that is not at work: one that ends anyway, else the oldest."""
    idle = [each for each in connections if isinstance(each, BoundedProtocol) and not each.is_at_work]
    if idle:
        chosen = min(idle, key=lambda each: (not each.is_ending, each.number))
        chosen.transport.abort()
        connections.discard(chosen)

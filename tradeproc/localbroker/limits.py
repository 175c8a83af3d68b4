"""What a client may take of the server before it has shown a token: bytes, time and connections, each bounded.

Whoever connects and says little, or much, costs one connection for some seconds and some hundred kilobytes, and never
keeps others out: the oldest connection without a request under way makes room for a new one.
"""

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_CONNECTIONS = 256
LARGEST_BODY, LARGEST_HEAD = 1024 * 1024, 64 * 1024
# from the connection, or the first byte of a later request, until the request is here as a whole
REQUEST_SECONDS = 10.0

_TOO_LARGE = {413: b"Payload Too Large", 431: b"Request Header Fields Too Large"}

log = logging.getLogger(__name__)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. An answer finds its connection in the scope's state, so that it can be reset."""

    request_seconds = REQUEST_SECONDS
    _deadline: asyncio.TimerHandle | None = None
    _size = 0
    _is_refused = False
    number = 0
    _made = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection, in the place of an old one where there are too many."""
        if len(self.connections) >= MOST_CONNECTIONS:
            _make_room(self.connections)
        super().connection_made(transport)
        BoundedProtocol._made += 1
        self.number = BoundedProtocol._made
        self._expect_request()
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()  # all others are at work

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the request was refused."""
        if not self._is_refused:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._size = 0
        self.scope["state"]["transport"] = self.transport
        if self._deadline is None:
            self._expect_request()

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._count(len(url), LARGEST_HEAD, 431)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._count(len(name) + len(value) + 2, LARGEST_HEAD, 431)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the request was refused."""
        if not self._is_refused:
            self._size = 0
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
    def is_at_work(self) -> bool:
        """Tell whether a request that came as a whole is being answered."""
        return self._deadline is None and self.cycle is not None and not self.cycle.response_complete

    def _count(self, size: int, most: int, status: int) -> None:
        self._size += size
        if self._size > most and not self._is_refused:
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
    """Abort the oldest connection that is not at work."""
    idle = [each for each in connections if isinstance(each, BoundedProtocol) and not each.is_at_work]
    if idle:
        oldest = min(idle, key=lambda each: each.number)
        oldest.transport.abort()
        connections.discard(oldest)

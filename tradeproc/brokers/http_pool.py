"""Connections to one server that are kept open between requests; for several threads."""

import threading

from tradeproc.brokers.http_answer import HttpAnswer
from tradeproc.brokers.http_connection import HttpConnection
from tradeproc.brokers.http_origin import NoConnection, Origin
from tradeproc.clock import SECOND, monotonic_ns

# servers close what is silent for a minute: a connection is not used again when it may be closed just now
_KEPT_SECONDS = 50.0
_MOST_KEPT = 8


class HttpPool:
    """Hands out connections to one origin, the one used last first."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._origin: Origin | None = None
        self._lock = threading.Lock()
        self._idle: list[HttpConnection] = []
        self._in_use: set[HttpConnection] = set()
        self._is_closed = False

    @property
    def origin(self) -> Origin:
        """Return where the connections go.

        Raises:
            NoConnection: the address is none that can be reached.
        """
        if self._origin is None:
            self._origin = Origin.of(self._url)
        return self._origin

    def idle(self) -> HttpConnection | None:
        """Return an open connection that waits for a request, or None; never waits.

        One on which the server has hung up meanwhile, or said something unasked, is closed and not returned.
        """
        oldest = monotonic_ns() - int(_KEPT_SECONDS * SECOND)
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
                self._in_use.add(connection)
            if connection.used_at >= oldest and not connection.is_stale():
                return connection
            self.discard(connection)

    def take(self, seconds: float) -> HttpConnection:
        """Return an open connection or make one, each step of which may take so long.

        Raises:
            NoConnection: none can be had.
        """
        connection = self.idle() or HttpConnection(self.origin, seconds)
        with self._lock:
            self._in_use.add(connection)
            is_closed = self._is_closed
        if is_closed:
            self.discard(connection)
            raise NoConnection("the client was closed")
        return connection

    def put_back(self, connection: HttpConnection, answer: HttpAnswer) -> None:
        """Keep a connection after a complete answer, if another request may follow on it."""
        connection.used_at = monotonic_ns()
        with self._lock:
            if answer.may_follow_another and not self._is_closed and len(self._idle) < _MOST_KEPT:
                self._in_use.discard(connection)
                self._idle.append(connection)
                return
        self.discard(connection)

    def discard(self, connection: HttpConnection) -> None:
        """Close a connection whose request did not end well, or that is not wanted any more."""
        with self._lock:
            self._in_use.discard(connection)
        connection.close()

    def close(self) -> None:
        """Close what is idle, wake who waits for an answer, and hand out nothing more; idempotent."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            in_use = list(self._in_use)
        for connection in in_use:
            connection.hang_up()
        for connection in idle:
            connection.close()

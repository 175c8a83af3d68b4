"""The HTTP client of a login: it asks questions, sends orders and notes the broker's clock; it decides nothing.

Questions wait for the budget and are repeated once after a 401. Order operations do not wait. They are sent once, and
a second time only after a 401, which means that nothing was done. An order may be begun by a loop that must not stand
still: it writes what the system takes at once, and a thread waits for the answer.

Source: TradeStation API v3, "HTTP Requests" (status codes, error body), "Rate Limiting" (429 and its headers).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from tradeproc.brokers.contract import HasReadyToken, TokenSource
from tradeproc.brokers.http_answer import BadAnswer, HttpAnswer, Inflater
from tradeproc.brokers.http_connection import ConnectionLost, HttpConnection, NothingCame
from tradeproc.brokers.http_origin import NoConnection
from tradeproc.brokers.http_pool import HttpPool
from tradeproc.brokers.tradestation.budget import Budget, Resource
from tradeproc.brokers.tradestation.fields import Json, parse_object
from tradeproc.brokers.tradestation.http import USER_AGENT, request_bytes
from tradeproc.brokers.tradestation.orders import refusal_text
from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.errors import Outage

QUESTION_SECONDS = 10.0
_CONNECT_SECONDS = 4.0
_LARGEST_ANSWER = 64 << 20
_LONGEST_REASON = 200
_HOLD_SECONDS = 5.0
_LONGEST_HOLD = 300.0
_ACCEPT = f"User-Agent: {USER_AGENT}\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the broker: its status, its JSON object if it is one, and the seconds it asks us to wait.

    `plain` is the beginning of an answer that is plain text, which older parts of the API use for reasons.
    """

    status: int
    body: Json | None
    retry_after: float | None = None
    plain: str = ""

    @property
    def text(self) -> str:
        """Return status and reason as one line."""
        return refusal_text({"Message": self.plain} if self.body is None else self.body, self.status)


@dataclass(frozen=True, slots=True)
class HttpFailure:
    """No answer came; `was_sent` is False when the request was certainly not sent."""

    reason: str
    was_sent: bool


class RestClient:
    """Thread-safe; keeps connections open between requests."""

    def __init__(self, base_url: str, tokens: TokenSource, question_seconds: float = QUESTION_SECONDS) -> None:
        self._base_url, self._tokens, self._question_seconds = base_url, tokens, question_seconds
        # asked once: for each order it would cost more than the token itself
        self._ready_token = tokens.ready_token if isinstance(tokens, HasReadyToken) else str
        self._budget = Budget()
        self._closed = threading.Event()
        self._date: tuple[str, int] | None = None
        self._pool = HttpPool(base_url)
        self._path = urlsplit(base_url).path

    def ask(self, resource: Resource, path: str, params: dict[str, str] | None = None) -> Answer[Json]:
        """Ask a question; any answer but a 200 with a JSON object is unknown."""
        deadline = monotonic_ns() + int(self._question_seconds * SECOND)
        waited = self._wait_for_budget(resource, deadline)
        if waited is not None:
            return waited
        reply = self._attempt(_Question("GET", f"{path}?{urlencode(params)}" if params else path), deadline)
        match reply:
            case HttpFailure(reason):
                return Unknown(reason)
            case Reply(status=429):
                asked = _HOLD_SECONDS if reply.retry_after is None else reply.retry_after
                self._budget.hold(resource, min(asked, _LONGEST_HOLD))
                return Unknown(reply.text)
            case Reply(status=200, body=body) if body is not None:
                return Known(body)
            case Reply(status=200):
                return Unknown("the answer is no JSON object")
            case _:
                return Unknown(reply.text)

    def send_order(self, method: str, path: str, body: dict[str, Any] | None, timeout: float) -> Reply | HttpFailure:
        """Send an order operation at once and wait for its answer until the timeout, in seconds."""
        return self._attempt(_Question(method, path, _content(body)), monotonic_ns() + int(timeout * SECOND))

    def begin_order(
        self, method: str, path: str, body: dict[str, Any] | None, timeout: float
    ) -> Callable[[], Reply | HttpFailure] | None:
        """Write an order operation as far as it goes without waiting for anything.

        Returns:
            What writes the rest and waits for the answer until the timeout, in seconds; to be called once, in a
            thread. None when nothing was sent, because there is no open connection or no token yet.
        """
        deadline = monotonic_ns() + int(timeout * SECOND)
        token = self._ready_token()
        question = _Question(method, path, _content(body))
        if not token or self._closed.is_set() or (connection := self._pool.idle()) is None:
            return None
        data = self._bytes(question, token)
        if data is None:
            self._pool.discard(connection)
            return None
        asked_at, failure, rest = wall_ns(), None, b""
        try:
            rest = data[connection.send_at_once(data) :]
        except ConnectionLost as lost:
            self._pool.discard(connection)
            failure = HttpFailure(str(lost), was_sent=True)

        def finish() -> Reply | HttpFailure:
            first = failure or self._exchange(connection, rest, deadline, asked_at)
            return self._attempt(question, deadline, (token, first))

        return finish

    def requests_made(self, resource: Resource) -> int:
        """Return how many questions of a group were asked since the start."""
        return self._budget.taken(resource)

    def clock_skew(self) -> float | None:
        """Return the broker's clock minus ours in seconds, to half a second: the Date header has whole ones."""
        if self._date is None:
            return None
        written, at = self._date
        try:
            return parsedate_to_datetime(written).timestamp() + 0.5 - at / SECOND
        except (ValueError, OverflowError):
            return None

    def close(self) -> None:
        """Close all connections and wake those who wait for the budget; idempotent."""
        self._closed.set()
        self._pool.close()

    def _wait_for_budget(self, resource: Resource, deadline: int) -> Unknown | None:
        while (seconds := self._budget.take(resource)) > 0:
            if monotonic_ns() + seconds * SECOND > deadline:
                return Unknown(f"asked for {resource.value[0]} too often; next in {seconds:.1f} s")
            if self._closed.wait(seconds):
                return Unknown("the client was closed")
        return None

    def _attempt(
        self, question: "_Question", deadline: int, first: tuple[str, Reply | HttpFailure] | None = None
    ) -> Reply | HttpFailure:
        """Send a request, and once more with another token when the broker refuses the token.

        `first` is the token and the reply of an attempt that was begun already.
        """
        reply: Reply | HttpFailure = HttpFailure("no attempt was made", was_sent=False)
        for _ in range(2):
            if first is not None:
                (token, reply), first = first, None
            else:
                try:
                    token = self._tokens.token((deadline - monotonic_ns()) / SECOND)
                except Outage as outage:
                    return HttpFailure(f"no access token: {outage}", was_sent=False)
                reply = self._send(question, token, deadline)
            if not isinstance(reply, Reply) or reply.status != 401:
                return reply
            self._tokens.refused(token)
        return reply

    def _send(self, question: "_Question", token: str, deadline: int) -> Reply | HttpFailure:
        left = (deadline - monotonic_ns()) / SECOND
        if self._closed.is_set():
            return HttpFailure("the client was closed", was_sent=False)
        if left <= 0:
            return HttpFailure("no time was left to send it", was_sent=False)
        try:
            data = self._bytes(question, token)
            if data is None:
                return HttpFailure("its path or the token cannot be written into a request", was_sent=False)
            connection = self._pool.take(min(left, _CONNECT_SECONDS))
        except NoConnection as error:
            return HttpFailure(str(error), was_sent=False)
        if monotonic_ns() >= deadline:
            # name, address, proxy and encryption each have had their time
            self._pool.discard(connection)
            return HttpFailure("no time was left to send it when there was a connection", was_sent=False)
        return self._exchange(connection, data, deadline, wall_ns())

    def _bytes(self, question: "_Question", token: str) -> bytes | None:
        """Return a request as it is written; None if something in it would end a line of it."""
        origin, path = self._pool.origin, self._path + question.path
        return request_bytes(origin, question.method, path, _ACCEPT, token, question.content)

    def _exchange(self, connection: HttpConnection, data: bytes, deadline: int, asked_at: int) -> Reply | HttpFailure:
        """Write what is left to write and wait for the answer; from here on nobody can say that nothing was sent."""
        try:
            if data:
                connection.send(data, deadline)
            answer = connection.receive_head(deadline)
            self._note_date(answer, asked_at)
            raw = _read(connection, answer, deadline)
        except (ConnectionLost, NothingCame, BadAnswer) as error:
            self._pool.discard(connection)
            return HttpFailure(str(error), was_sent=True)
        except BaseException:
            self._pool.discard(connection)
            raise
        if raw is None:
            self._pool.discard(connection)
            return HttpFailure("the answer did not end in time, or never", was_sent=True)
        self._pool.put_back(connection, answer)
        body = parse_object(raw)
        return Reply(answer.status, body, _retry_after(answer), _plain(raw) if body is None else "")

    def _note_date(self, answer: HttpAnswer, asked_at: int) -> None:
        date = answer.headers.get("date")
        if date:
            self._date = (date, (asked_at + wall_ns()) // 2)


@dataclass(frozen=True, slots=True)
class _Question:
    method: str
    path: str
    content: bytes | None = None


def _content(body: dict[str, Any] | None) -> bytes | None:
    return orjson.dumps(body) if body is not None else None


def _read(connection: HttpConnection, answer: HttpAnswer, deadline: int) -> bytes | None:
    """Return the body, or None if it is not complete by the deadline or becomes too large."""
    raw, inflater = bytearray(), Inflater(answer.headers.get("content-encoding", ""), _LARGEST_ANSWER)
    while True:
        plain = inflater.feed(answer.taken())
        if plain is None:
            return None
        raw += plain
        if answer.is_complete:
            return None if inflater.is_torn else bytes(raw)
        connection.receive_more(answer, deadline)


def _plain(raw: bytes) -> str:
    """Return the beginning of a text; for an HTML page, which holds no reason, return an empty text."""
    words = raw[:_LONGEST_REASON].decode("utf-8", "replace").strip().strip('"')
    return "" if words.startswith("<") else words


def _retry_after(answer: HttpAnswer) -> float | None:
    """Return the seconds that the broker asks us to wait, by either of its headers, or None."""
    for name in ("retry-after", "x-ratelimit-reset"):
        written = answer.headers.get(name, "")
        if written.isascii() and written.isdigit() and len(written) < 10:
            return float(written)
    return None

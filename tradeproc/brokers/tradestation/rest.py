"""The HTTP client of a login: it asks questions, sends orders and notes the broker's clock; it decides nothing.

Questions wait for the budget and are repeated once after a 401. Order operations do not wait. They are sent once, and
a second time only after a 401, which means that nothing was done.

Source: TradeStation API v3, "HTTP Requests" (status codes, error body), "Rate Limiting" (429 and its headers).
"""

import threading
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import orjson

from tradeproc.brokers.contract import TokenSource
from tradeproc.brokers.tradestation.budget import Budget, Resource
from tradeproc.brokers.tradestation.fields import Json, parse_object
from tradeproc.brokers.tradestation.http import USER_AGENT, error_text, httpx, proxy_for
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
_HEADERS = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


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
        self._budget = Budget()
        self._closed = threading.Event()
        self._date: tuple[str, int] | None = None
        # only the transport, without redirects and cookies: it sends an order in a fraction of the time
        self._transport = httpx.HTTPTransport(
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=8, keepalive_expiry=50.0),
            proxy=proxy_for(base_url),
        )

    def ask(self, resource: Resource, path: str, params: dict[str, str] | None = None) -> Answer[Json]:
        """Ask a question; any answer but a 200 with a JSON object is unknown."""
        deadline = monotonic_ns() + int(self._question_seconds * SECOND)
        waited = self._wait_for_budget(resource, deadline)
        if waited is not None:
            return waited
        reply = self._send_with_token("GET", path, None, params, deadline)
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
        return self._send_with_token(method, path, body, None, monotonic_ns() + int(timeout * SECOND))

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
        self._transport.close()

    def _wait_for_budget(self, resource: Resource, deadline: int) -> Unknown | None:
        while (seconds := self._budget.take(resource)) > 0:
            if monotonic_ns() + seconds * SECOND > deadline:
                return Unknown(f"asked for {resource.value[0]} too often; next in {seconds:.1f} s")
            if self._closed.wait(seconds):
                return Unknown("the client was closed")
        return None

    def _send_with_token(
        self, method: str, path: str, body: dict[str, Any] | None, params: dict[str, str] | None, deadline: int
    ) -> Reply | HttpFailure:
        content = orjson.dumps(body) if body is not None else None
        reply: Reply | HttpFailure = HttpFailure("no attempt was made", was_sent=False)
        for _ in range(2):
            try:
                token = self._tokens.token((deadline - monotonic_ns()) / SECOND)
            except Outage as outage:
                return HttpFailure(f"no access token: {outage}", was_sent=False)
            reply = self._send(method, path, content, params, token, deadline)
            if not isinstance(reply, Reply) or reply.status != 401:
                return reply
            self._tokens.refused(token)
        return reply

    def _send(
        self, method: str, path: str, content: bytes | None, params: dict[str, str] | None, token: str, deadline: int
    ) -> Reply | HttpFailure:
        left = (deadline - monotonic_ns()) / SECOND
        if self._closed.is_set():
            return HttpFailure("the client was closed", was_sent=False)
        if left <= 0:
            return HttpFailure("no time was left to send it", was_sent=False)
        headers = {**_HEADERS, "Authorization": f"Bearer {token}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        timeouts = {"connect": min(left, _CONNECT_SECONDS), "read": left, "write": left, "pool": left}
        url = _url(f"{self._base_url}{path}?{urlencode(params)}" if params else self._base_url + path)
        request = httpx.Request(method, url, headers=headers, content=content, extensions={"timeout": timeouts})
        asked_at = wall_ns()
        try:
            with closing(self._transport.handle_request(request)) as response:
                self._note_date(response, asked_at)
                raw = _read(response, deadline)
        except _UNSENT as error:
            return HttpFailure(error_text(error), was_sent=False)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            return HttpFailure(error_text(error), was_sent=True)
        except RuntimeError as error:  # closed by another thread in between
            return HttpFailure(error_text(error), was_sent=True)
        if raw is None:
            return HttpFailure("the answer did not end in time, or never", was_sent=True)
        body = parse_object(raw)
        return Reply(response.status_code, body, _retry_after(response), _plain(raw) if body is None else "")

    def _note_date(self, response: httpx.Response, asked_at: int) -> None:
        date = response.headers.get("Date")
        if date:
            self._date = (date, (asked_at + wall_ns()) // 2)


@lru_cache(maxsize=256)
def _url(text: str) -> httpx.URL:
    return httpx.URL(text)


def _read(response: httpx.Response, deadline: int) -> bytes | None:
    """Return the body, or None if it is not complete by the deadline or becomes too large."""
    raw = bytearray()
    for chunk in response.iter_bytes():
        raw += chunk
        if len(raw) > _LARGEST_ANSWER or monotonic_ns() > deadline:
            return None
    return bytes(raw)


def _plain(raw: bytes) -> str:
    """Return the beginning of a text; for an HTML page, which holds no reason, return an empty text."""
    words = raw[:_LONGEST_REASON].decode("utf-8", "replace").strip().strip('"')
    return "" if words.startswith("<") else words


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that the broker asks us to wait, by either of its headers, or None."""
    for name in ("Retry-After", "X-RateLimit-Reset"):
        written = response.headers.get(name, "")
        if written.isascii() and written.isdigit() and len(written) < 10:
            return float(written)
    return None

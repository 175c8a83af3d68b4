"""The three streams: bars, orders, positions; each satisfies `contract.Stream`.

A connection yields whole objects (`framing.py`), and a reader makes events of them (`stream_events.py`). Silence is
the time since the last whole object: heartbeats come every five seconds, and bytes that do not complete an object do
not end the silence.

Source: TradeStation API v3, "HTTP Streaming", "Stream Bars", "Stream Orders", "Stream Positions".
"""

import contextlib
import logging
import socket
import threading
from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import quote

from tradeproc.brokers.contract import StreamEnded, StreamEvent, TokenSource
from tradeproc.brokers.tradestation.fields import parse_object
from tradeproc.brokers.tradestation.framing import Framer
from tradeproc.brokers.tradestation.http import USER_AGENT, error_text, httpx
from tradeproc.brokers.tradestation.market import bar_query
from tradeproc.brokers.tradestation.stream_events import (
    BarReader,
    OrderReader,
    PositionReader,
    Reader,
    ended_by_bytes,
    ended_by_status,
)
from tradeproc.brokers.tradestation.symbols import SYMBOLS
from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.domain.hosts import is_loopback
from tradeproc.domain.instruments import Contract
from tradeproc.errors import Outage, Refusal

log = logging.getLogger(__name__)

# heartbeats come every 5 s: after this time two are missing, and a silent stream is reported down within 15 s
SILENCE_SECONDS = 13.0
_CONNECT_SECONDS = 5.0
_LARGEST_ERROR = 65_536

_Events = Generator[StreamEvent, None, StreamEnded]


class TradeStationStream:
    """One connection of one stream; iterate once, close from anywhere.

    `silence_seconds` is the read deadline; only tests change it.
    """

    def __init__(self, url: str, params: dict[str, str], tokens: TokenSource, reader: Reader) -> None:
        self.silence_seconds = SILENCE_SECONDS
        self._url, self._params, self._tokens, self._reader = url, params, tokens, reader
        self._lock = threading.Lock()
        self._network: Any = None  # the network stream of httpcore, from the moment it is connected
        self._closed = False

    @property
    def skipped(self) -> int:
        """Return how many objects were skipped."""
        return self._reader.skipped

    def __iter__(self) -> Iterator[StreamEvent]:
        """Connect and yield until a `StreamEnded`, which is always the last event."""
        try:
            ended = yield from self._run()
        except Outage as outage:
            ended = StreamEnded(f"no access token: {outage}")
        except httpx.ReadTimeout:
            ended = StreamEnded(f"silent for {self.silence_seconds:g} s")
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, ValueError, RuntimeError) as error:
            ended = StreamEnded(f"cut: {error_text(error)}")
        yield StreamEnded("closed by us", is_polite=True) if self._closed else ended

    def close(self) -> None:
        """End the iteration from another thread, soon; idempotent."""
        with self._lock:
            self._closed = True
            _hang_up(self._network)

    def _run(self) -> _Events:
        """Connect, with a second token if the first is refused, and read to the end."""
        with httpx.Client(trust_env=not is_loopback(self._url), follow_redirects=False) as client:
            try:
                for is_last in (False, True):
                    token = self._tokens.token()
                    with self._connect(client, token) as response:
                        if response.status_code == 200:
                            return (yield from self._read(response))
                        ended = _refused(response)
                    if response.status_code != 401 or is_last:
                        break
                    self._tokens.refused(token)
            finally:
                with self._lock:
                    self._network = None
        return ended

    def _connect(self, client: httpx.Client, token: str) -> contextlib.AbstractContextManager[httpx.Response]:
        return client.stream(
            "GET",
            self._url,
            params=self._params,
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.tradestation.streams.v3+json, application/json",
                "Accept-Encoding": "identity",
                "User-Agent": USER_AGENT,
            },
            timeout=httpx.Timeout(self.silence_seconds, connect=_CONNECT_SECONDS),
            extensions={"trace": self._trace},
        )

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Note the connection as soon as there is one, so that `close` can end it before any answer."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._network = info["return_value"]
                if self._closed:
                    _hang_up(self._network)

    def _read(self, response: httpx.Response) -> _Events:
        framer = Framer()
        last_object = monotonic_ns()
        for chunk in response.iter_raw():
            for record in framer.feed(chunk):
                last_object = monotonic_ns()
                skipped = self._reader.skipped
                events = self._reader.read(record, wall_ns())
                if self._reader.skipped != skipped:
                    self._say_skipped()
                for event in events:
                    if isinstance(event, StreamEnded):
                        return event
                    yield event
            if framer.trouble:
                return ended_by_bytes(framer.trouble)
            if monotonic_ns() - last_object > self.silence_seconds * SECOND:
                return StreamEnded(f"bytes but no object for {self.silence_seconds:g} s")
        return StreamEnded("ended in the middle of an object" if framer.has_rest else "ended by the server")

    def _say_skipped(self) -> None:
        """Log the first skipped object, then the second, the fourth, the eighth and so on."""
        count = self._reader.skipped
        if count & (count - 1) == 0:
            log.warning("stream_skipped count=%d url=%s reason=%s", count, self._url, self._reader.why)


class UnservedStream:
    """A stream that cannot be asked for, because the broker has no name for what it should carry."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def __iter__(self) -> Iterator[StreamEvent]:
        """Yield the end."""
        yield StreamEnded(self._reason, is_fatal=True)

    def close(self) -> None:
        """Do nothing: there is no connection."""


def bar_stream(
    host: str, tokens: TokenSource, contract: Contract, minutes: int, count: int
) -> TradeStationStream | UnservedStream:
    """Return the stream of a contract's bars."""
    try:
        symbol = SYMBOLS.to_broker_symbol(contract)
    except Refusal as refusal:
        return UnservedStream(str(refusal))
    url = f"{host}/marketdata/stream/barcharts/{quote(symbol, safe='')}"
    return TradeStationStream(url, bar_query(minutes, count), tokens, BarReader(contract.code, minutes))


def order_stream(host: str, tokens: TokenSource, account: str) -> TradeStationStream:
    """Return the stream of an account's orders."""
    url = f"{host}/brokerage/stream/accounts/{quote(account, safe='')}/orders"
    return TradeStationStream(url, {}, tokens, OrderReader())


def position_stream(host: str, tokens: TokenSource, account: str) -> TradeStationStream:
    """Return the stream of an account's positions, always in full."""
    url = f"{host}/brokerage/stream/accounts/{quote(account, safe='')}/positions"
    return TradeStationStream(url, {"changes": "false"}, tokens, PositionReader())


def _refused(response: httpx.Response) -> StreamEnded:
    raw = bytearray()
    for chunk in response.iter_raw():
        raw += chunk
        if len(raw) > _LARGEST_ERROR:
            break
    return ended_by_status(response.status_code, parse_object(bytes(raw)))


def _hang_up(network: Any) -> None:
    """End the read of another thread: shutting a socket down does that, also under TLS; closing it does not."""
    found = network.get_extra_info("socket") if network is not None else None
    if isinstance(found, socket.socket):
        with contextlib.suppress(OSError):
            socket.socket.shutdown(found, socket.SHUT_RDWR)

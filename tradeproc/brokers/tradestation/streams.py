"""The three streams: bars, orders, positions; each satisfies `contract.Stream`.

A connection yields whole objects (`framing.py`), and a reader makes events of them (`stream_events.py`). Silence is
the time since the last whole object: heartbeats come every five seconds, and bytes that do not complete an object do
not end the silence.

Source: TradeStation API v3, "HTTP Streaming", "Stream Bars", "Stream Orders", "Stream Positions".
"""

import logging
import socket
import threading
from collections.abc import Generator, Iterator
from urllib.parse import quote, urlencode, urlsplit

from tradeproc.brokers.contract import StreamEnded, StreamEvent, TokenSource
from tradeproc.brokers.http_answer import HttpAnswer
from tradeproc.brokers.http_connection import ConnectionLost, HttpConnection, NothingCame, hang_up
from tradeproc.brokers.http_origin import NoConnection, Origin
from tradeproc.brokers.tradestation.fields import parse_object
from tradeproc.brokers.tradestation.framing import Framer
from tradeproc.brokers.tradestation.http import USER_AGENT, request_bytes
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
from tradeproc.domain.instruments import Contract
from tradeproc.errors import Outage, Refusal

log = logging.getLogger(__name__)

# heartbeats come every 5 s: after this time two are missing, and a silent stream is reported down within 15 s
SILENCE_SECONDS = 13.0
_CONNECT_SECONDS = 5.0
_LARGEST_ERROR = 65_536
_HEADERS = (
    "Accept: application/vnd.tradestation.streams.v3+json, application/json\r\n"
    f"Accept-Encoding: identity\r\nUser-Agent: {USER_AGENT}\r\n"
)

_Events = Generator[StreamEvent, None, StreamEnded]


class TradeStationStream:
    """One connection of one stream; iterate once, close from anywhere.

    `silence_seconds` is the read deadline; only tests change it.
    """

    def __init__(self, url: str, params: dict[str, str], tokens: TokenSource, reader: Reader) -> None:
        self.silence_seconds = SILENCE_SECONDS
        self._url, self._params, self._tokens, self._reader = url, params, tokens, reader
        self._lock = threading.Lock()
        self._network: socket.socket | None = None  # from the moment it is connected
        self._closed = False

    @property
    def skipped(self) -> int:
        """Return how many objects were skipped."""
        return self._reader.skipped

    def __iter__(self) -> Iterator[StreamEvent]:
        """Connect and yield until a `StreamEnded`, which is always the last event."""
        try:
            ended = yield from self._run()
        except NothingCame:
            ended = StreamEnded(f"silent for {self.silence_seconds:g} s")
        except (NoConnection, ConnectionLost, ValueError) as error:
            ended = StreamEnded(f"cut: {error}"[:300])
        except Outage as outage:
            ended = StreamEnded(f"no access token: {outage}")
        yield StreamEnded("closed by us", is_polite=True) if self._closed else ended

    def close(self) -> None:
        """End the iteration from another thread, soon; idempotent."""
        with self._lock:
            self._closed = True
            hang_up(self._network)

    def _run(self) -> _Events:
        """Connect, with a second token if the first is refused, and read to the end."""
        try:
            for is_last in (False, True):
                token = self._tokens.token()
                connection = HttpConnection(Origin.of(self._url), _CONNECT_SECONDS, self._note)
                try:
                    answer = self._answer(connection, token)
                    if answer.status == 200:
                        return (yield from self._read(connection, answer))
                    ended = self._refused(connection, answer)
                finally:
                    connection.close()
                if answer.status != 401 or is_last:
                    break
                self._tokens.refused(token)
        finally:
            with self._lock:
                self._network = None
        return ended

    @property
    def _until(self) -> int:
        """Return the moment at which silence has lasted too long if nothing comes from now on."""
        return monotonic_ns() + int(self.silence_seconds * SECOND)

    def _answer(self, connection: HttpConnection, token: str) -> HttpAnswer:
        path, query = urlsplit(self._url).path, urlencode(self._params)
        data = request_bytes(connection.origin, "GET", f"{path}?{query}" if query else path, _HEADERS, token)
        if data is None:
            raise ValueError("its path or the token cannot be written into a request")
        connection.send(data, self._until)
        return connection.receive_head(self._until)

    def _note(self, network: socket.socket) -> None:
        """Note the connection as soon as there is one, so that `close` can end it before any answer."""
        with self._lock:
            self._network = network
            if self._closed:
                hang_up(network)

    def _read(self, connection: HttpConnection, answer: HttpAnswer) -> _Events:
        framer = Framer()
        silent_at = self._until
        while True:
            for record in framer.feed(answer.taken()):
                silent_at = self._until
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
            if answer.is_complete:
                return StreamEnded("ended in the middle of an object" if framer.has_rest else "ended by the server")
            try:
                # bytes that complete no object do not put it off: they could double the time to find a mute stream
                connection.receive_more(answer, silent_at)
            except NothingCame:
                what = ": bytes, but no object" if framer.has_rest else ""
                return StreamEnded(f"silent for {self.silence_seconds:g} s{what}")

    def _refused(self, connection: HttpConnection, answer: HttpAnswer) -> StreamEnded:
        raw = bytearray(answer.taken())
        until = self._until
        while not answer.is_complete and len(raw) <= _LARGEST_ERROR:
            connection.receive_more(answer, until)
            raw += answer.taken()
        return ended_by_status(answer.status, parse_object(bytes(raw)))

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

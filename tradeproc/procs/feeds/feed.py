"""What every feed process does: keep one broker stream connected and hand its events to the bus's thread.

A reader thread owns the connection; the node's thread owns everything else. An event that cannot be written as a
message ends its connection, as a cut would: the process lives and connects again. Each connection is a new epoch of
the node, so that subscribers ask for a snapshot and compare, which is how a reconnect becomes a reconciliation.
"""

import argparse
import logging
import threading
from collections.abc import Callable, Sequence

from tradeproc.brokers.contract import Broker, Login, Stream, StreamEnded, StreamEvent, TokenSource
from tradeproc.brokers.registry import broker
from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Unencodable
from tradeproc.bus.node import Node
from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.config import LoginConfig, load
from tradeproc.domain.backoff import Backoff
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import Contract
from tradeproc.errors import Halt
from tradeproc.home import Home, find_home
from tradeproc.procs.token_source import BusTokenSource
from tradeproc.protocol.feed_messages import STREAM, StreamBody

log = logging.getLogger(__name__)

_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class FeedTiming:
    """When a feed connects again, and when it is stuck; in seconds.

    A connection that lasted for `lasting` was a good one: after it we begin again without a pause, if the end was
    polite. `stuck` is the longest that a reader may be busy with one step: a token, a connection, a silence and a
    pause end earlier.
    """

    pauses: Backoff = Backoff(0.25, 10.0, factor=1.5)
    lasting: float = 3.0
    stuck: float = 60.0


USUAL = FeedTiming()


class StreamIsOver(Halt):
    """The broker says that connecting again cannot help; caught by the entry point."""

    def __init__(self, process: str, reason: str) -> None:
        super().__init__(f"{process}: {reason}; connecting again cannot help")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a feed or link lives: its home, login as configured and as the broker knows it, tokens, addresses."""

    home: Home
    configured: LoginConfig
    broker: Broker
    login: Login
    tokens: TokenSource
    directory: Directory


def read_arguments(kind: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the command line of a feed says: `login`, and `contract` and `minutes` or `account`."""
    parser = argparse.ArgumentParser(prog=f"tradeproc.procs {kind}")
    parser.add_argument("login", help="name of the broker login")
    if kind == "bars":
        parser.add_argument("contract", type=Contract.parse, help="contract code, as ESH24")
        parser.add_argument("minutes", type=int, help="length of a bar")
    else:
        parser.add_argument("account", help="account of the login")
    return parser.parse_args(arguments)


def find_place(login: str) -> Place:
    """Return the place that the configuration gives to a login.

    Raises:
        Halt: the configuration cannot be used.
        Refusal: there is no such login.
    """
    home = find_home()
    configured = load(home).login(login)
    directory = Directory(home.sockets)
    tokens = BusTokenSource(directory, login)
    return Place(home, configured, broker(configured.broker), configured.login(), tokens, directory)


class Feed:
    """One stream, connected again for as long as the process lives.

    `on_event` gets every event but the end, on the node's thread; its owner calls `went_up` when what it has heard is
    complete.
    """

    def __init__(
        self,
        node: Node,
        connect: Callable[[], Stream],
        on_event: Callable[[StreamEvent], None],
        timing: FeedTiming = USUAL,
    ) -> None:
        self.node, self._connect, self._on_event = node, connect, on_event
        self._timing = timing
        self.is_up = False
        self._reason = "not connected yet"
        self._failures = 0
        self._spoilt = ""
        self._connections = 0
        self._stream: Stream | None = None
        self._is_stopping = threading.Event()
        self._turned_at = monotonic_ns()
        self._reader = threading.Thread(target=self._read, name="stream", daemon=True)
        node.on_stop(self._stop)
        node.add_thread("stream", lambda: monotonic_ns() - self._turned_at > timing.stuck * SECOND)
        node.add_statistics(lambda: {"connections": self._connections, "up": self.is_up, "reason": self._reason})

    def start(self) -> None:
        """Begin to connect."""
        self._reader.start()

    def went_up(self) -> None:
        """Tell everybody that the stream is complete and current."""
        if not self.is_up:
            self.is_up, self._reason = True, ""
            self.node.set_state("ready")
            self.node.publish(STREAM, StreamBody("up"))
            log.info("stream_up process=%s connection=%d", self.node.name, self._connections)

    # --- the reader's thread

    def _read(self) -> None:
        while not self._is_stopping.is_set():
            ended, began = StreamEnded("the reader stopped"), monotonic_ns()
            self._turned_at = began
            try:
                self._stream = self._connect()
                self.node.post(self._connected)
                for event in self._stream:
                    self._turned_at = monotonic_ns()
                    if isinstance(event, StreamEnded):
                        ended = event
                        break
                    self.node.post(lambda event=event: self._hear(event))  # type: ignore[misc]
            except Halt as halt:
                ended = StreamEnded(str(halt), is_fatal=True)
            except Exception as error:
                # any error ends the connection alone: without its reader the process would live on and hear nothing
                log.exception("stream_broke process=%s", self.node.name)
                ended = StreamEnded(f"{type(error).__name__}: {error}")
            self.node.post(lambda ended=ended: self._went_down(ended))  # type: ignore[misc]
            if ended.is_fatal:
                return
            is_polite = ended.is_polite and not self._spoilt
            self._rest(is_polite=is_polite, has_lasted=monotonic_ns() - began >= self._timing.lasting * SECOND)

    def _rest(self, *, is_polite: bool, has_lasted: bool) -> None:
        """Pause before connecting again, longer each time; a broker that ends every connection is not hammered."""
        if has_lasted:
            self._failures = 0
        if not (is_polite and has_lasted):
            self._is_stopping.wait(self._timing.pauses.delay(self._failures))
            self._failures += 1

    # --- the node's thread

    def _connected(self) -> None:
        self._spoilt = ""
        self._connections += 1
        if self._connections > 1:
            self.node.renew_epoch()

    def _hear(self, event: StreamEvent) -> None:
        if self._spoilt:
            return  # this event was read before the end of a connection that was given up since
        try:
            self._on_event(event)
        except Unencodable as problem:
            log.warning("stream_spoilt process=%s event=%s reason=%s", self.node.name, type(event).__name__, problem)
            self._spoilt = f"told something that cannot be passed on: {problem}"
            if self._stream is not None:
                self._stream.close()
            return
        if self.is_up:
            self.node.note_work()

    def _went_down(self, ended: StreamEnded) -> None:
        # the broker's text may hold characters that no message can carry
        reason = (self._spoilt or ended.reason).encode("utf-8", "replace").decode()[:_LONGEST_REASON]
        ended = StreamEnded(reason, ended.is_polite and not self._spoilt, ended.is_fatal and not self._spoilt)
        self.is_up, self._reason = False, reason
        if self._is_stopping.is_set():
            return
        level = logging.INFO if ended.is_polite else logging.WARNING
        log.log(level, "stream_down process=%s polite=%s reason=%s", self.node.name, ended.is_polite, ended.reason)
        self.node.publish(STREAM, StreamBody("down", ended.reason))
        self.node.set_state("degraded", ended.reason)
        if ended.is_fatal:
            raise StreamIsOver(self.node.name, ended.reason)

    def _stop(self) -> None:
        self._is_stopping.set()
        if self._stream is not None:
            self._stream.close()

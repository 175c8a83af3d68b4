"""What the feeds of a login publish: candles, orders, positions, and whether their stream is up."""

from typing import Literal

from tradeproc.domain.broker_orders import ListedOrder, ListedPosition
from tradeproc.domain.candles import Candle
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Count, Nanos
from tradeproc.protocol.definitions import FollowedTopic, Topic

UpOrDown = Literal["up", "down"]


@dataclass(slots=True)
class CandleBody:
    """A candle with its contract and interval; `history` when it is told again, after a connection or on request.

    `closed` has no default: a sender that does not say so must not make a partial candle a closed one, because a
    strategy runs on closed candles. It is not frozen, because a frozen one takes three times as long to make, and one
    is made for each change of a candle; nobody changes it.
    """

    opened_at: Nanos
    closed_at: Nanos
    open: float
    high: float
    low: float
    close: float
    volume: Count
    ticks: Count
    closed: bool
    contract: str
    minutes: int
    history: bool = False

    @classmethod
    def of(cls, candle: Candle, contract: str, minutes: int, *, is_history: bool = False) -> "CandleBody":
        """Return a candle of a contract and interval as a body."""
        return cls(
            candle.opened_at,
            candle.closed_at,
            candle.open,
            candle.high,
            candle.low,
            candle.close,
            candle.volume,
            candle.ticks,
            candle.is_closed,
            contract,
            minutes,
            is_history,
        )

    @property
    def candle(self) -> Candle:
        """Return the candle alone."""
        return Candle(
            self.opened_at,
            self.closed_at,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.ticks,
            self.closed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedState:
    """How whole a snapshot is: `up` while the stream runs, `complete` once the broker has told everything."""

    up: bool = False
    complete: bool = True

    @property
    def is_whole(self) -> bool:
        """Tell whether the snapshot is all that there is."""
        return self.up and self.complete


@dataclass(frozen=True, slots=True, kw_only=True)
class Candles(FeedState):
    """The newest candles, oldest first."""

    candles: tuple[CandleBody, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedOrders(FeedState):
    """The orders that the broker has told on the present connection."""

    orders: tuple[ListedOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPositions(FeedState):
    """The positions that the broker has told on the present connection."""

    positions: tuple[ListedPosition, ...]


@dataclass(frozen=True, slots=True)
class StreamBody:
    """Whether a broker's stream is up: complete, connected and current; a feed that does not say so is down."""

    state: UpOrDown = "down"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BeatBody:
    """The broker's own sign of life."""

    at: Nanos


CANDLE: FollowedTopic[CandleBody, Candles] = FollowedTopic("candle", CandleBody, ("bars",), Candles)
ORDER: FollowedTopic[ListedOrder, ListedOrders] = FollowedTopic("order", ListedOrder, ("orders",), ListedOrders)
POSITION: FollowedTopic[ListedPosition, ListedPositions] = FollowedTopic(
    "position", ListedPosition, ("positions",), ListedPositions
)
STREAM: Topic[StreamBody] = Topic("stream", StreamBody, ("bars", "orders", "positions"))
BEAT: Topic[BeatBody] = Topic("beat", BeatBody, ("orders", "positions"))

"""What the account manager of a session publishes, and answers beside what it forwards (`link_messages.py`)."""

from typing import Literal

from tradeproc.domain.book import Balance
from tradeproc.domain.broker_orders import ListedOrder, ListedPosition
from tradeproc.domain.frozen import dataclass
from tradeproc.protocol.definitions import Method, NoBody, Topic
from tradeproc.protocol.feed_messages import UpOrDown

AccountFeed = Literal["orders", "positions"]


@dataclass(frozen=True, slots=True)
class StreamStates:
    """How the streams of the account are, with the reasons of those that are down.

    `as_of` is when that was so, in monotonic nanoseconds of the publisher's machine: messages and answers overtake
    each other.
    """

    orders: UpOrDown
    positions: UpOrDown
    reason: str = ""
    as_of: int | None = None

    def is_up(self, feed: AccountFeed) -> bool:
        """Tell whether a stream is up."""
        return (self.orders if feed == "orders" else self.positions) == "up"


@dataclass(frozen=True, slots=True)
class Resync:
    """All that a feed holds has been told anew; what was not among it is not at the broker any more."""

    feed: AccountFeed


ORDER: Topic[ListedOrder] = Topic("order", ListedOrder, ("account",))
POSITION: Topic[ListedPosition] = Topic("position", ListedPosition, ("account",))
BALANCE: Topic[Balance] = Topic("balance", Balance, ("account",))
STREAM: Topic[StreamStates] = Topic("stream", StreamStates, ("account",))
RESYNC: Topic[Resync] = Topic("resync", Resync, ("account",))

STREAMS: Method[NoBody, StreamStates] = Method("streams", NoBody, StreamStates, ("account",))

"""Orders as tradeproc keeps them: the order, its states and its history.

Prices here are integer ticks of the instrument; adapters of brokers use `BrokerOrder` with Decimal prices.
"""

from dataclasses import field
from enum import StrEnum

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Contracts, Count, Filled, Nanos, Price, Quantity, Ticks


class Side(StrEnum):
    """Direction of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """Return +1 for buy and -1 for sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """Return the side that closes what this one opened."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """How an order executes."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"

    @property
    def has_limit(self) -> bool:
        """Tell whether an order of this type has a limit price."""
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def has_stop(self) -> bool:
        """Tell whether an order of this type has a stop price."""
        return self in (OrderType.STOP, OrderType.STOP_LIMIT)


class TimeInForce(StrEnum):
    """How long an order works."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class OrderRole(StrEnum):
    """What an order is for; only `ENTRY` can be blocked by limits or a halt."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP_LOSS = "stop_loss"
    PROFIT_TARGET = "profit_target"


class OrderState(StrEnum):
    """The seven states of an order and `expired`."""

    PRE_SENT = "pre_sent"
    PENDING = "pending"
    SUBMITTED = "submitted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        """Tell whether nothing but a late fill can follow."""
        return self in _TERMINAL

    @property
    def is_working(self) -> bool:
        """Tell whether the broker holds the order and may fill it."""
        return self in (OrderState.SUBMITTED, OrderState.PARTIALLY_FILLED)


_TERMINAL = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED})


class OrderSource(StrEnum):
    """Who caused a change of an order."""

    STRATEGY = "strategy"
    TRADER = "trader"
    BROKER_REPLY = "broker_reply"
    BROKER_STREAM = "broker_stream"
    RECONCILIATION = "reconciliation"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Order:
    """One order of a session.

    `id` is our client order id: at most 22 characters, unique for ever (installation, session, fence, counter).
    `quantity` and `filled` are positive. `average` is the broker's average fill price (None: unknown). `parent`
    is the entry's id for the legs of a bracket. `in_flight` is "modify" or "cancel" while such a request is not
    answered. `revision` counts how often the broker took back fills that it had reported.
    Times are UTC wall clock; `market_at` is market time of the last market event before the decision.
    """

    id: str
    session: int
    fence: int
    contract: str
    side: Side
    quantity: Quantity
    type: OrderType
    role: OrderRole
    created_at: Nanos
    market_at: Nanos
    limit: Ticks | None = None
    stop: Ticks | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    state: OrderState = OrderState.PRE_SENT
    filled: Filled = Contracts(0)
    average: Price | None = None
    broker_id: str | None = None
    parent: str | None = None
    in_flight: str | None = None
    changed_at: Nanos = Nanos(0)
    reason: str = ""
    revision: Count = 0

    @property
    def remaining(self) -> Contracts:
        """Return how many contracts are not filled yet."""
        return Contracts(self.quantity - self.filled)


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One row of an order's append-only history: a transition, or a change that kept the state."""

    order_id: str
    at: Nanos
    source: OrderSource
    before: OrderState | None
    after: OrderState
    what: str
    filled: Contracts = Contracts(0)
    details: dict[str, str] = field(default_factory=dict)

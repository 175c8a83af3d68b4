"""Values of the exchange: tickets that come in, orders and fills, answers and updates that go out.

Contracts are canonical codes (`ESH24`). Prices are whole ticks of the contract's instrument and may be zero or
negative; a caller that shows them or sends them over a wire converts them into points. Sums of prices are ticks times
contracts, and averages are fractions of a tick, so that nothing is rounded here.
"""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.domain.units import Contracts, Money, Nanos, Ticks


class Moment(NamedTuple):
    """The present on two clocks: `wall` stamps orders and fills, `market` is the time of the trades.

    A backtest gives the same time for both.
    """

    wall: Nanos
    market: Nanos


class MarketTrade(NamedTuple):
    """One trade of the market."""

    contract: str
    price: Ticks
    size: Contracts


class Bar(NamedTuple):
    """The prices of a contract in a bar that has ended; `volume` is the size that all its trades share."""

    contract: str
    open: Ticks
    high: Ticks
    low: Ticks
    close: Ticks
    volume: Contracts


class Clock(NamedTuple):
    """Market time passed, and nothing traded."""


Happening = MarketTrade | Bar | Clock


class GroupKind(StrEnum):
    """What a fill of one order does to the others of its group."""

    INDEPENDENT = "independent"
    """Nothing."""
    ONE_CANCELS_OTHER = "one_cancels_other"
    """Any fill, even a partial one, cancels the siblings."""
    ONE_REDUCES_OTHER = "one_reduces_other"
    """A fill reduces each sibling by as many contracts; a sibling with nothing left is cancelled."""


class OrderStatus(StrEnum):
    """The state of an order; each dialect of the local broker translates it into its own codes."""

    QUEUED = "queued"
    """Accepted, but the contract has not traded yet, so nothing can execute."""
    WAITING = "waiting"
    """A leg whose entry has not filled anything yet."""
    WORKING = "working"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    """A part may have filled before: see `filled`."""
    REJECTED = "rejected"
    """Accepted at first, then refused."""
    EXPIRED = "expired"

    @property
    def is_open(self) -> bool:
        """Tell whether the order can still change."""
        return self in _OPEN

    @property
    def is_working(self) -> bool:
        """Tell whether the order is in the market."""
        return self in _WORKING


_WORKING = frozenset({OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED})
_OPEN = _WORKING | {OrderStatus.QUEUED, OrderStatus.WAITING}


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order as asked for.

    `client_id` is the client's own id of it, which an account can use once ("" for none). `then` are the groups that
    this order sends: their orders wait for its fills. `memo` is kept with the order for the caller and never read
    here.
    """

    contract: str
    side: Side
    quantity: Contracts
    type: OrderType
    limit: Ticks | None = None
    stop: Ticks | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    client_id: str = ""
    then: "tuple[TicketGroup, ...]" = ()
    memo: str = ""


@dataclass(frozen=True, slots=True)
class TicketGroup:
    """Orders that are placed together."""

    kind: GroupKind
    tickets: tuple[Ticket, ...]


@dataclass(frozen=True, slots=True)
class Replacement:
    """The changes asked for of an order; None leaves a field as it is. `to_market` makes it a market order."""

    quantity: Contracts | None = None
    limit: Ticks | None = None
    stop: Ticks | None = None
    to_market: bool = False


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """One order of the book; every change makes a new value.

    `released` is how many contracts may execute so far, filled ones included: all of `quantity`, except for a leg,
    which is released as its entry fills. `value` is the sum of ticks x quantity of its fills. `triggered` is True
    once a stop was hit. `group` names the siblings' group ("" without), `parent` the entry of a leg.
    `opened_at` and `closed_at` are wall time.
    """

    id: str
    account: str
    contract: str
    side: Side
    quantity: Contracts
    type: OrderType
    limit: Ticks | None
    stop: Ticks | None
    time_in_force: TimeInForce
    client_id: str
    status: OrderStatus
    opened_at: Nanos
    released: Contracts
    filled: Contracts = Contracts(0)
    value: Ticks = Ticks(0)
    triggered: bool = False
    group: str = ""
    group_kind: GroupKind = GroupKind.INDEPENDENT
    parent: str | None = None
    closed_at: Nanos | None = None
    reason: str = ""
    memo: str = ""

    @property
    def remaining(self) -> Contracts:
        """Return how many contracts are neither filled nor given up; 0 once closed."""
        return Contracts(self.quantity - self.filled if self.status.is_open else 0)

    @property
    def average(self) -> Fraction | None:
        """Return the average price of the filled part, in ticks."""
        return Fraction(self.value, self.filled) if self.filled else None


@dataclass(frozen=True, slots=True)
class ExchangeFill:
    """One fill. `id` counts all fills; `cumulative` is the order's filled quantity after it."""

    id: int
    order_id: str
    account: str
    contract: str
    side: Side
    quantity: Contracts
    price: Ticks
    cumulative: Contracts
    at: Nanos
    market_at: Nanos


@dataclass(frozen=True, slots=True)
class ExchangePosition:
    """A position. `id` stays the same until it is flat or changes sides; `quantity` is signed.

    `cost` is the sum of ticks x signed quantity of what is held; `opened_at` wall time of its first fill.
    """

    id: str
    account: str
    contract: str
    quantity: Contracts
    cost: Fraction
    opened_at: Nanos

    @property
    def average(self) -> Fraction | None:
        """Return the average price of what is held, in ticks; None when flat."""
        return self.cost / self.quantity if self.quantity else None


@dataclass(frozen=True, slots=True)
class Funds:
    """An account's money: cash = start + realized - commission, equity = cash + unrealized, exactly.

    `margin` is what its positions bind, by the rules' initial margins.
    """

    account: str
    currency: str
    start: Money
    cash: Money
    equity: Money
    realized: Money
    unrealized: Money
    commission: Money
    margin: Money


class DeclineReason(StrEnum):
    """Why a request was declined; nothing was placed or changed."""

    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_CONTRACT = "unknown_contract"
    UNKNOWN_ORDER = "unknown_order"
    BAD_QUANTITY = "bad_quantity"
    OFF_TICK = "off_tick"
    """A price between two ticks. The caller that converts prices into ticks says so; the exchange never does."""
    MISSING_PRICE = "missing_price"
    DUPLICATE = "duplicate"
    NOT_ENOUGH_MARGIN = "not_enough_margin"
    NOT_OPEN = "not_open"
    ALREADY_TRIGGERED = "already_triggered"
    NOTHING_TO_CHANGE = "nothing_to_change"
    BAD_GROUP = "bad_group"


@dataclass(frozen=True, slots=True)
class Declined:
    """A request that was refused as a whole; `text` is one sentence for people.

    A declined placement has an `order_id` too, which belongs to no order.
    """

    why: DeclineReason
    text: str
    order_id: str = ""


class ChangeKind(StrEnum):
    """What happened to an order."""

    PLACED = "placed"
    ACTIVATED = "activated"
    """A leg was released (or released further), or a queued order began to work."""
    TRIGGERED = "triggered"
    FILLED = "filled"
    """Partly or completely: see the status."""
    REPLACED = "replaced"
    REDUCED = "reduced"
    """A sibling's fill, or the end of a half-filled entry, took contracts off it."""
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """An order changed; `fill` is None unless `what` is FILLED."""

    revision: int
    what: ChangeKind
    order: ExchangeOrder
    fill: ExchangeFill | None = None


@dataclass(frozen=True, slots=True)
class PositionUpdate:
    """A position changed by a fill; quantity 0 and the old `id` when it was closed."""

    revision: int
    holding: ExchangePosition


@dataclass(frozen=True, slots=True)
class BalanceUpdate:
    """An account's money changed by a fill."""

    revision: int
    account: str


@dataclass(frozen=True, slots=True)
class DayStart:
    """An account's money when a trading day began: cash, and the open profit of what was held over it."""

    cash: Money
    unrealized: Money


@dataclass(frozen=True, slots=True)
class DayUpdate:
    """A trading day began; `starts` are the accounts' money at that moment."""

    revision: int
    date: date
    starts: dict[str, DayStart]


Update = OrderUpdate | PositionUpdate | BalanceUpdate | DayUpdate


@dataclass(frozen=True, slots=True)
class Placed:
    """The orders of an accepted request as they were taken, each parent before its children, in the sent order.

    What happened to them in the same moment (fills) is in the updates.
    """

    orders: tuple[ExchangeOrder, ...]
    updates: tuple[Update, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Changed:
    """The order after an accepted replace or cancel, and all that changed with it."""

    order: ExchangeOrder
    updates: tuple[Update, ...] = field(default=(), repr=False)

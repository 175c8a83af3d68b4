"""Values of the exchange: tickets that come in, orders and fills, answers and updates that go out.

Contracts are canonical codes (`ESH24`), prices are Decimal points on the exchange's own scale.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.domain.units import Contracts, Money, Nanos, Price


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, twice: `wall` stamps orders and fills, `market` is the time on the tape."""

    wall: Nanos
    market: Nanos


class GroupKind(StrEnum):
    """How the orders of a group look after each other."""

    NORMAL = "NORMAL"
    """Not at all."""
    OCO = "OCO"
    """Any fill, even a partial one, cancels the siblings."""
    BRK = "BRK"
    """A fill takes as many contracts off the siblings; a sibling with nothing left is cancelled."""


class OrderStatus(StrEnum):
    """Where an order stands; the server turns it into its wire's codes."""

    QUEUED = "queued"
    """Accepted, but the contract has not traded yet, so nothing can execute."""
    WAITING = "waiting"
    """A leg whose entry has not filled anything yet."""
    WORKING = "working"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    """Also with a filled part: look at `filled`."""
    REJECTED = "rejected"
    """Accepted at first, then refused."""
    EXPIRED = "expired"

    @property
    def is_open(self) -> bool:
        """Tell whether the order can still change."""
        return self in _OPEN

    @property
    def is_working(self) -> bool:
        """Tell whether a tick can execute the order."""
        return self in (OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED)


_OPEN = frozenset({OrderStatus.QUEUED, OrderStatus.WAITING, OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED})


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order as asked for. `confirm_id` is the client's OrderConfirmID; `groups` are its OSO children.

    `is_extended`: asked for with a duration that includes the extended session, which is only told again.
    """

    contract: str
    side: Side
    quantity: Contracts
    type: OrderType
    limit: Price | None = None
    stop: Price | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    confirm_id: str = ""
    groups: "tuple[TicketGroup, ...]" = ()
    is_extended: bool = False


@dataclass(frozen=True, slots=True)
class TicketGroup:
    """Orders that are placed together."""

    kind: GroupKind
    tickets: tuple[Ticket, ...]


@dataclass(frozen=True, slots=True)
class Replacement:
    """What shall change of an order; None leaves it as it is. `to_market` makes it a market order."""

    quantity: Contracts | None = None
    limit: Price | None = None
    stop: Price | None = None
    to_market: bool = False


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """One order of the book; every change makes a new value.

    `released` is how many contracts may execute so far, filled ones included: all of `quantity`, except for a leg,
    which is released as its entry fills. `value` is the sum of price x quantity of its fills. `triggered` is True
    once a stop was hit. `group` names the siblings' group ("" without), `parent` the entry of a leg.
    `opened_at` and `closed_at` are wall time.
    """

    id: str
    account: str
    contract: str
    side: Side
    quantity: Contracts
    type: OrderType
    limit: Price | None
    stop: Price | None
    time_in_force: TimeInForce
    confirm_id: str
    status: OrderStatus
    opened_at: Nanos
    released: Contracts
    filled: Contracts = Contracts(0)
    value: Price = Price(Decimal(0))
    triggered: bool = False
    group: str = ""
    group_kind: GroupKind = GroupKind.NORMAL
    parent: str | None = None
    closed_at: Nanos | None = None
    reason: str = ""
    is_extended: bool = False

    @property
    def remaining(self) -> Contracts:
        """Return how many contracts are neither filled nor given up; 0 once closed."""
        return Contracts(self.quantity - self.filled if self.status.is_open else 0)

    @property
    def average(self) -> Price | None:
        """Return the average price of the filled part."""
        return Price(self.value / self.filled) if self.filled else None


@dataclass(frozen=True, slots=True)
class ExchangeFill:
    """One fill. `id` counts all fills; `cumulative` is the order's filled quantity after it."""

    id: int
    order_id: str
    account: str
    contract: str
    side: Side
    quantity: Contracts
    price: Price
    cumulative: Contracts
    at: Nanos
    market_at: Nanos


@dataclass(frozen=True, slots=True)
class ExchangePosition:
    """A position. `id` is its number for as long as it is not flat; `quantity` is signed; `average` None when flat.

    `cost` is the sum of price x signed quantity of what is held; `opened_at` wall time of its first fill.
    """

    id: str
    account: str
    contract: str
    quantity: Contracts
    average: Price | None
    cost: Price
    opened_at: Nanos


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


class Why(StrEnum):
    """Why a request was declined; nothing was placed or changed."""

    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_SYMBOL = "unknown_symbol"
    UNKNOWN_ORDER = "unknown_order"
    BAD_QUANTITY = "bad_quantity"
    OFF_TICK = "off_tick"
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

    A placement that failed has an `order_id` all the same, of an order that there never was.
    """

    why: Why
    text: str
    order_id: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """The orders of an accepted request as they were taken, each parent before its children, in the sent order.

    What happened to them in the same moment (fills) is in the updates.
    """

    orders: tuple[ExchangeOrder, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """The order after an accepted replace or cancel."""

    order: ExchangeOrder


class What(StrEnum):
    """What happened to an order."""

    PLACED = "placed"
    ACTIVATED = "activated"
    """A leg was released (or released further), or a queued order began to work."""
    TRIGGERED = "triggered"
    FILLED = "filled"
    """In part or whole: see the status."""
    REPLACED = "replaced"
    REDUCED = "reduced"
    """A sibling's fill, or the end of a half-filled entry, took contracts off it."""
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """An order changed; `fill` is there when `what` is FILLED."""

    revision: int
    what: What
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


Update = OrderUpdate | PositionUpdate | BalanceUpdate

"""What orders lead to: fills, positions, round-trip trades, balances and the divergences between two views."""

from dataclasses import field
from enum import StrEnum

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.orders import Side
from tradeproc.domain.units import Contracts, Count, Filled, Money, Nanos, Price, Quantity


class FillKind(StrEnum):
    """Why a row of the fills exists; position, trades and profit are computed from rows of all kinds."""

    OWN = "own"
    """Contracts that an order of ours traded."""
    EXTERNAL = "external"
    """The position changed, but not by our order: the row is the difference, `broker_id` its order if known."""
    REVERSAL = "reversal"
    """The broker took back a fill that it had reported: the row has the opposite side and the price of that fill."""


@dataclass(frozen=True, slots=True)
class Fill:
    """A change of the position: an increase of an order's cumulative filled quantity, or what `kind` says.

    `cumulative` is the order's filled quantity after it. (order, revision, cumulative) is unique, so a fill that is
    reported twice is booked once. `revision` counts how often the broker took fills of the order back. `price` is the
    price of this increase, derived from the broker's averages: it may lie off the tick grid, and is None if unknown.
    """

    order_id: str
    broker_id: str
    session: int
    contract: str
    side: Side
    quantity: Quantity
    cumulative: Filled
    price: Price | None
    at: Nanos
    market_at: Nanos
    kind: FillKind = FillKind.OWN
    revision: Count = 0


@dataclass(frozen=True, slots=True)
class Position:
    """A signed number of contracts (+ long, - short, 0 flat) at an average price (None when flat or unknown)."""

    account: str
    contract: str
    quantity: Contracts
    average: Price | None


@dataclass(frozen=True, slots=True)
class Trade:
    """A round trip: contracts opened and closed again, with profit in the instrument's currency before fees.

    An unknown price is None, and then the profit is None too.
    """

    session: int
    contract: str
    side: Side
    quantity: Quantity
    entry_price: Price | None
    exit_price: Price | None
    entered_at: Nanos
    exited_at: Nanos
    profit: Money | None
    entry_order: str
    exit_order: str


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's money as the broker last reported it."""

    account: str
    currency: str
    cash: Money
    equity: Money
    realized: Money
    unrealized: Money
    at: Nanos


class DivergenceKind(StrEnum):
    """What two views disagreed about."""

    POSITION = "position"
    ORDER_STATE = "order_state"
    ORDER_FILLED = "order_filled"
    ORDER_MISSING_AT_BROKER = "order_missing_at_broker"
    ORDER_UNKNOWN_TO_US = "order_unknown_to_us"


@dataclass(frozen=True, slots=True)
class Divergence:
    """A difference between our copy and the broker's, found by reconciliation; the broker's was taken over."""

    session: int
    kind: DivergenceKind
    subject: str
    ours: str
    brokers: str
    cause: str
    at: Nanos


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """What a strategy wanted, and why it was not done (empty when it was); `times` in a row, the last one at `at`.

    `limits` are those that the newest was held against: how much of each was used, "of" how much is allowed.
    """

    session: int
    began_at: Nanos
    at: Nanos
    times: int
    market_at: Nanos
    decision: str
    reason: str
    refusal: str
    limits: dict[str, str] = field(default_factory=dict)

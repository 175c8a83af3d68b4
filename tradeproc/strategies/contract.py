"""The strategy contract: what a strategy sees, and the one decision it returns.

A strategy is a class that satisfies `Strategy`, in a file of its own. It is called once for every new closed candle,
synchronously, and returns one `Decision` and its next state. The same call with the same values must give the same
decision, so it uses no clock, random number, file or network. `view.market_at` is the time.

State is not stored. After a restart `start` is called again while the position and the orders are still there,
so derive what you can from `view.candles`, `view.position` and `view.orders`, and keep little else.

Prices are float or Decimal points; the engine puts them on the tick grid, so that no price is worse for you than the
one asked for: a buy limit rounds down and a sell limit up; an entry stop rounds away from the market (a buy stop up,
a sell stop down); a stop loss rounds *towards* the market, so the loss is never larger than the one intended.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, field
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from tradeproc.domain.candles import Candle
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import Instrument
from tradeproc.domain.orders import Order, OrderRole, OrderType, Side, TimeInForce
from tradeproc.domain.units import Contracts, Nanos, Price
from tradeproc.market.candle_series import CandleSeries

A_contra = TypeVar("A_contra", contravariant=True)
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class View:
    """What a strategy may look at when a candle has closed.

    `candles` holds closed candles only, `candle` is the newest of them, the reason for the call. `position` is
    signed (+ long, - short), `average` its price, None when flat. `orders` are this session's orders that can still
    fill, those on their way to the broker included, newest first. `quantity` is the session's configured size.
    `session_opened_at` is when the exchange's current market session opened; None beyond the calendar's horizon.
    """

    candles: CandleSeries
    candle: Candle
    position: Contracts
    average: Price | None
    orders: tuple[Order, ...]
    instrument: Instrument
    market_at: Nanos
    quantity: Contracts
    session_opened_at: Nanos | None = None

    @property
    def is_flat(self) -> bool:
        """Tell whether there is no position; orders may still be working."""
        return self.position == 0

    @property
    def is_idle(self) -> bool:
        """Tell whether there is neither a position nor an order: the moment for an entry."""
        return self.position == 0 and not self.orders

    @property
    def stop_loss(self) -> Order | None:
        """Return the stop loss that protects the position, if one is at the broker and not being changed."""
        for order in self.orders:
            if order.role is OrderRole.STOP_LOSS and order.state.is_working and order.in_flight is None:
                return order
        return None


@dataclass(frozen=True, slots=True)
class Nothing:
    """Do nothing; `NOTHING` is the one to return."""


NOTHING = Nothing()


@dataclass(frozen=True, slots=True)
class SubmitOrder:
    """Send one order.

    Give the prices `limit` and `stop` that `type` needs. Limits and a halt may refuse an `ENTRY`, but never an
    `EXIT`; an `EXIT` is refused only when working exits already cover the whole position. `reason` goes into the
    order's history.
    """

    side: Side
    quantity: Contracts
    _: KW_ONLY
    type: OrderType = OrderType.MARKET
    limit: float | Decimal | None = None
    stop: float | Decimal | None = None
    role: OrderRole = OrderRole.ENTRY
    time_in_force: TimeInForce = TimeInForce.DAY
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SubmitBracket:
    """Send an entry with its stop loss and an optional profit target, in the broker's own native structure.

    The legs start to work as the entry fills, and one cancels the other. `time_in_force` is that of the entry; the
    legs work until cancelled. Enter with a bracket, because a position without a working stop raises an alarm.
    """

    side: Side
    quantity: Contracts
    _: KW_ONLY
    stop_loss: float | Decimal
    profit_target: float | Decimal | None = None
    type: OrderType = OrderType.MARKET
    limit: float | Decimal | None = None
    stop: float | Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OrderChange:
    """New values for one working order; None leaves a value as it is. `order_id` is `Order.id`."""

    order_id: str
    _: KW_ONLY
    quantity: Contracts | None = None
    limit: float | Decimal | None = None
    stop: float | Decimal | None = None


@dataclass(frozen=True, slots=True)
class ModifyOrders:
    """Change working orders, as a trailing stop does."""

    changes: tuple[OrderChange, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CancelOrders:
    """Cancel working orders by `Order.id`."""

    order_ids: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ClosePosition:
    """Leave the market: cancel all working orders of the session and close its position at the market price.

    Never refused, and asking again while the closing order works changes nothing. A later call sees the result: enter
    the other way only when `view.is_idle`.
    """

    reason: str = ""


Decision = Nothing | SubmitOrder | SubmitBracket | ModifyOrders | CancelOrders | ClosePosition


class Strategy(Protocol[A_contra, S]):
    """A trading idea. Its class is made without arguments and holds nothing between calls.

    `name` is its name in logs and the database. `Arguments` is a frozen dataclass whose fields are int, float, bool,
    str or Decimal, each made by `argument(...)` with a default, a help text and a range. Its `__post_init__` may
    check arguments that depend on each other: a ValueError there refuses the session before it is created, and its
    text is shown. `moving_average_cross.py` is an example.
    """

    @property
    def name(self) -> str:
        """Return the strategy's name; a plain class attribute is enough."""

    @property
    def Arguments(self) -> type[Any]:  # noqa: N802
        """Return the type of its arguments; a nested dataclass is enough."""

    def warmup(self, arguments: A_contra) -> int:
        """Return how many closed candles to fetch before the first call.

        The broker may have fewer (a new contract, a short tape), and then calls start with fewer. A strategy that
        needs all of them returns NOTHING while `len(view.candles)` is too small.
        """

    def start(self, arguments: A_contra) -> S:
        """Return the state of a fresh start; also called after every restart."""

    def on_candle(self, view: View, state: S, arguments: A_contra) -> tuple[Decision, S]:
        """Decide on a new closed candle; must be quick, pure and must not keep `view` or its arrays."""


AnyStrategy = Strategy[Any, Any]
"""A loaded strategy; only the strategy itself knows the types of its arguments and state."""


def argument(default: T, *, help: str, min: float | None = None, max: float | None = None) -> T:
    """Declare a strategy argument with its default, one line of help and an inclusive range.

    Source: `dataclasses.field`; typed as the default so that a type checker sees an int field as an int.
    """
    metadata: Mapping[str, Any] = {"help": help, "min": min, "max": max}
    value: T = field(default=default, metadata=metadata)
    return value

"""When and at which price an order executes on a trade. Pure functions of one order and one price."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import OrderType, Side
from tradeproc.domain.units import Contracts, Money, Price, plain
from tradeproc.exchange.orders import ExchangeOrder


@dataclass(frozen=True, slots=True)
class Rules:
    """How the exchange executes.

    `partial_fills`: a resting limit gets at most the size of the tick, and a tick's size is given away once.
    `largest_fill`: no execution is larger, the rest follows with the next ticks (0: no such bound).
    `needs_through`: a resting limit fills only when the tick is beyond its price, not when it touches.
    `slippage_ticks`: how much worse market orders and stops execute. `commission`: per contract and side.
    `margins`: initial margin per root; an order that needs more than the equity is declined (empty: no check).
    """

    partial_fills: bool = True
    largest_fill: int = 0
    needs_through: bool = False
    slippage_ticks: int = 0
    commission: Money = Money(Decimal(0))
    margins: Mapping[str, Money] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Execution:
    """An order can execute at `price`; `is_resting` when it gives the liquidity and the tick's size bounds it."""

    price: Price
    is_resting: bool


def is_hit(order: ExchangeOrder, price: Decimal) -> bool:
    """Tell whether a trade at `price` triggers the order's stop: at it or through it."""
    if order.stop is None or order.triggered:
        return False
    return price >= order.stop if order.side is Side.BUY else price <= order.stop


def wrong_side(order: ExchangeOrder) -> str:
    """Return why a stop that would be hit at once is rejected."""
    return f"Stop Price must be {'above' if order.side is Side.BUY else 'below'} current market"


def takes_market(order: ExchangeOrder) -> bool:
    """Tell whether the order executes at any price now: a market order, or a stop that was hit."""
    return order.type is OrderType.MARKET or (order.type is OrderType.STOP and order.triggered)


def execution(order: ExchangeOrder, price: Price, rules: Rules, *, arriving: bool) -> Execution | None:
    """Return how the order executes on a trade at `price`, or None.

    `arriving` is True when the order (or its activation, or its stop's hit) came after that trade was known: then
    a marketable limit takes the price of the trade; one that rested gives its own.
    """
    if takes_market(order):
        slip = instrument_of(order.contract).tick_size * rules.slippage_ticks * order.side.sign
        return Execution(Price(plain(price + slip)), is_resting=False)
    if order.limit is None or (order.type is OrderType.STOP_LIMIT and not order.triggered):
        return None
    beyond = (order.limit - price) * order.side.sign
    if arriving:
        return Execution(price, is_resting=False) if beyond >= 0 else None
    reached = beyond > 0 if rules.needs_through else beyond >= 0
    return Execution(order.limit, is_resting=True) if reached else None


def fillable(order: ExchangeOrder, how: Execution, size_left: int, rules: Rules) -> Contracts:
    """Return how many contracts execute: what is released, within the rules' bounds and the tick's size."""
    most = order.released - order.filled
    if rules.largest_fill:
        most = min(most, rules.largest_fill)
    if how.is_resting and rules.partial_fills:
        most = min(most, size_left)
    return Contracts(max(0, most))


def priority(order: ExchangeOrder, price: Price) -> tuple[Decimal, int]:
    """Return the place in the queue for the size of a tick at `price`: the best limit first, then the oldest."""
    offer = Decimal(0) if order.limit is None else (order.limit - price) * order.side.sign
    return -offer, int(order.id)

"""When and at which price an order executes on a trade. Pure functions of one order and one price, all in ticks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from tradeproc.domain.orders import OrderType, Side
from tradeproc.domain.units import Contracts, Money, Ticks
from tradeproc.exchange.orders import ExchangeOrder, OrderStatus

_FAR = 1 << 62


@dataclass(frozen=True, slots=True)
class Rules:
    """How the exchange executes.

    `partial_fills`: a resting limit gets at most the size of the trade, and a trade's size is given away once.
    `largest_fill`: no execution is larger, the rest follows with the next trades (0: no such bound).
    `needs_through`: a resting limit fills only when the trade is beyond its price, not when it touches.
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
    """An order can execute at `price`; one that is resting gives the liquidity, so the trade's size bounds it."""

    price: Ticks
    is_resting: bool


class Reach(NamedTuple):
    """A trade strictly between `below` and `above` changes nothing."""

    below: int
    above: int

    def narrowed(self, other: "Reach") -> "Reach":
        """Return the prices at which neither changes anything."""
        return Reach(max(self.below, other.below), min(self.above, other.above))


NOTHING = Reach(-_FAR, _FAR)
"""The reach of no order: whatever trades, nothing changes."""
EVERYTHING = Reach(_FAR, -_FAR)
"""The reach of an order that acts on the next trade at any price."""


def reach(order: ExchangeOrder) -> Reach:
    """Return which trades an order in the market may act on: its stop when it waits for one, else its limit."""
    if order.status is OrderStatus.QUEUED or takes_market(order):
        return EVERYTHING
    waits_for_stop = order.stop is not None and not order.triggered
    level = order.stop if waits_for_stop else order.limit
    if level is None:
        return EVERYTHING
    # a stop to buy and a limit to sell act on a rising price, the others on a falling one
    is_above = (order.side is Side.BUY) == waits_for_stop
    return Reach(-_FAR, level) if is_above else Reach(level, _FAR)


def is_hit(order: ExchangeOrder, price: Ticks) -> bool:
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


def execution(order: ExchangeOrder, price: Ticks, rules: Rules, *, arriving: bool) -> Execution | None:
    """Return how the order executes on a trade at `price`, or None.

    `arriving` is True when the order meets this price for the first time: it is new, changed, activated, or its stop
    was just hit. A marketable limit then executes at the price of the trade; one that rested, at its own.
    """
    if takes_market(order):
        return Execution(Ticks(price + rules.slippage_ticks * order.side.sign), is_resting=False)
    if order.limit is None or (order.type is OrderType.STOP_LIMIT and not order.triggered):
        return None
    beyond = (order.limit - price) * order.side.sign
    if arriving:
        return Execution(price, is_resting=False) if beyond >= 0 else None
    reached = beyond > 0 if rules.needs_through else beyond >= 0
    return Execution(order.limit, is_resting=True) if reached else None


def fillable(order: ExchangeOrder, how: Execution, size_left: int, rules: Rules) -> Contracts:
    """Return how many contracts execute: those released, at most what the rules and the trade's size allow."""
    most = order.released - order.filled
    if rules.largest_fill:
        most = min(most, rules.largest_fill)
    if how.is_resting and rules.partial_fills:
        most = min(most, size_left)
    return Contracts(max(0, most))


def priority(order: ExchangeOrder, price: Ticks) -> tuple[int, int]:
    """Return the place in the queue for the size of a trade at `price`: the best limit first, then the oldest."""
    offer = 0 if order.limit is None else (order.limit - price) * order.side.sign
    return -offer, int(order.id)

"""Working orders that the market has traded through: how far, since when, and what people were told; pure values.

A price counts when it has just traded: a live candle with more volume than was heard before, or a later one. Its
close is that price. Extremes of a candle are not looked at, because they may be older than the order.
"""

from dataclasses import dataclass, field

from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import Order, OrderType
from tradeproc.domain.units import Contracts, Nanos, Ticks
from tradeproc.engine.alarms import AlarmName


@dataclass(slots=True)
class Passed:
    """A working order that the market trades beyond: since when, and when it was last heard to.

    `level` and `filled` are the order's of that time: one that was moved, or fills, is watched anew. `price` is the
    first one heard beyond it, `varied_at` when another one was: a market that is locked at its limit has only one.
    """

    level: Ticks
    filled: Contracts
    since: Nanos
    still_at: Nanos
    price: Ticks
    varied_at: Nanos | None = None


@dataclass(slots=True)
class TradedThrough:
    """What the watch knows: orders that are passed now, those that people were told of, and the newest trade heard.

    `told` holds under which name, by order. `lag` is how much prices lag at most, `bar_at` the opening of the bar
    that told it. `heard_at` is when a trade was heard last. `reached_at` is when a candle first had the price of a
    working order after the last question about orders, `still_reached_at` when one did last.
    """

    passed: dict[str, Passed] = field(default_factory=dict)
    told: dict[str, AlarmName] = field(default_factory=dict)
    newest: tuple[int, int, int] = (0, 0, 0)
    bar_at: Nanos = Nanos(0)
    lag: Nanos = Nanos(0)
    heard_at: Nanos = Nanos(0)
    reached_at: Nanos = Nanos(0)
    still_reached_at: Nanos = Nanos(0)

    def has_traded(self, candle: Candle) -> bool:
        """Tell whether a candle shows a trade after those heard before, and remember it."""
        key = candle.opened_at, candle.volume, candle.ticks
        is_new = key > self.newest
        if is_new:
            self.newest = key
        return is_new

    def note(self, order: Order, price: Ticks, now: Nanos) -> None:
        """Note a trade beyond an order, at a price."""
        level, known = level_of(order), self.passed.get(order.id)
        if level is None:
            return
        if known is None or (known.level, known.filled) != (level, order.filled):
            self.passed[order.id] = Passed(level, order.filled, now, now, price)
        else:
            known.still_at = now
            if known.varied_at is None and price != known.price:
                known.varied_at = now


def level_of(order: Order) -> Ticks | None:
    """Return the price at which an order acts: its stop if it has one, else its limit; None at any price."""
    return order.stop if order.type.has_stop else order.limit


def ticks_beyond(order: Order, price: Ticks) -> int:
    """Return by how many ticks a price is beyond the one at which the order acts; 0 or less where it is not."""
    level = level_of(order)
    if level is None:
        return 0
    distance = (price - level) * order.side.sign
    return -distance if order.type is OrderType.LIMIT else distance

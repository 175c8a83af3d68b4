"""Limits on a single entry: its price against the last trade, its worth, and how many there were in a minute.

They catch what size and position do not: a price typed in another unit, a strategy that enters again and again. Each
is checked for a new entry and, but for the count, for a change of one that works. An order at the market has the last
price; while no price was heard, a limit that needs one refuses.
"""

from decimal import Decimal

from tradeproc.domain.orders import Order, OrderRole
from tradeproc.domain.units import MINUTE, Nanos, to_ticks
from tradeproc.engine.loss_limits import last_price
from tradeproc.engine.state import State


def against_new(state: State, entry: Order, now: Nanos) -> str | None:
    """Return which limit stands against a new entry, None when none does."""
    return _too_many(state, now) or against(state, entry)


def against(state: State, entry: Order) -> str | None:
    """Return which limit stands against the prices and the quantity of an entry, None when none does."""
    return _too_far(state, entry) or _too_much(state, entry)


def made_in_minute(state: State, now: Nanos) -> int:
    """Return how many entries the session made in the minute before now, whatever became of them."""
    made = 0
    for order in reversed(state.engine.orders.values()):
        if order.created_at <= now - MINUTE:
            break
        made += order.role is OrderRole.ENTRY
    return made


def _too_many(state: State, now: Nanos) -> str | None:
    most = state.setup.spec.limits.max_orders_per_minute
    if most is None or made_in_minute(state, now) < most:
        return None
    return f"max_orders_per_minute: {most} entries were made in the last minute"


def _too_far(state: State, entry: Order) -> str | None:
    collar = state.setup.spec.limits.price_collar_ticks
    if collar is None or (entry.limit is None and entry.stop is None):
        return None
    ticks, last = ticks_away(state, entry), last_price(state)
    if ticks is None:
        return "price_collar_ticks: no last price is known"
    if ticks <= collar:
        return None
    return f"price_collar_ticks: the price is {ticks} ticks from the last one, {last:f}; {collar} are allowed"


def _too_much(state: State, entry: Order) -> str | None:
    most = state.setup.spec.limits.max_notional
    if most is None:
        return None
    notional = worth(state, entry)
    if notional is None:
        return "max_notional: no last price is known"
    if notional <= most:
        return None
    return f"max_notional: the order is worth {notional:.2f} {state.setup.instrument.currency}; {most} are allowed"


def ticks_away(state: State, entry: Order) -> int | None:
    """Return how far the farthest price of an entry is from the last one, None where either is missing."""
    prices = [price for price in (entry.limit, entry.stop) if price is not None]
    last = last_price(state)
    if last is None or not prices:
        return None
    ticks = to_ticks(last, state.setup.instrument.tick_size)
    return max(abs(price - ticks) for price in prices)


def worth(state: State, entry: Order) -> Decimal | None:
    """Return what an entry is worth in the instrument's currency, None where no price is known."""
    instrument = state.setup.instrument
    ticks = entry.limit if entry.limit is not None else entry.stop
    price = last_price(state) if ticks is None else instrument.price(ticks)
    return None if price is None else abs(price) * entry.quantity * instrument.point_value

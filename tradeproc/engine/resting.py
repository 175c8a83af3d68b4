"""How often the broker is asked about orders that rest, so that a fill whose frame the stream dropped is found.

A resting order fills when the market trades at its price, and the session hears of those trades. So the last question
need not be young while the prices are:

    the market has reached one     1.5 s later, or 5 s after the last question if that is later: time for the stream
    prices are stale, or an order  every 5 s: without prices nobody sees the market reach an order
    is being changed
    otherwise                      every 22 s; the question may wait 2 s more for those of other sessions

An order counts as reached while the candle that trades has its price anywhere in its range, so that a trade between
two pictures of a candle is not overlooked. Prices are stale 4 s after the last trade that was heard, but not while
the exchange's calendar has the market closed. A position that the broker's stream tells otherwise is asked about
whatever the prices say (`positions.py`).
"""

import math

from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import Order, OrderType
from tradeproc.domain.units import SECOND, Nanos, Ticks
from tradeproc.engine import freshness
from tradeproc.engine.state import State
from tradeproc.engine.traded_through import ticks_beyond

QUICK = 5 * SECOND
SLOW = 22 * SECOND
STALE_AFTER = 4 * SECOND
QUICK_WITHIN, SLOW_WITHIN = 1.0, 2.0
"""How many seconds a question may wait at the link for those of other sessions."""
_TIME_FOR_STREAM = SECOND + SECOND // 2
# a fill follows the trade that causes it, so that a question which leaves sooner may come before it
_FILLS_WITHIN = SECOND


def heard(state: State, candle: Candle, now: Nanos) -> None:
    """Note a trade, and whether the candle that it belongs to has reached a working order."""
    watch = state.engine.traded_through
    watch.heard_at = now
    if not state.engine.open_ids or not math.isfinite(candle.low + candle.high):
        return
    tick = float(state.setup.instrument.tick_size)
    low, high = Ticks(round(candle.low / tick)), Ticks(round(candle.high / tick))
    for order in state.engine.open_orders:
        if order.state.is_working and (ticks_beyond(order, low) >= 0 or ticks_beyond(order, high) >= 0):
            if watch.reached_at <= (state.broker.orders.asked_at or 0):
                watch.reached_at = now
            watch.still_reached_at = now
            return


def due(state: State, now: Nanos) -> tuple[str, int, float] | None:
    """Return why orders that rest are to be asked for, how long after the last question, and how long it may wait.

    None where no order rests.
    """
    resting = [order for order in state.engine.open_orders if _rests(order)]
    if not resting:
        return None
    watch, asked_at = state.engine.traded_through, state.broker.orders.asked_at or Nanos(0)
    if watch.still_reached_at + _FILLS_WITHIN > asked_at and now - watch.reached_at >= _TIME_FOR_STREAM:
        return "the market has reached an order", QUICK, 0.0
    if any(order.in_flight is not None for order in resting) or _is_stale(state, now):
        return "orders rest and no prices tell of them", QUICK, QUICK_WITHIN
    return "orders rest", SLOW, SLOW_WITHIN


def _rests(order: Order) -> bool:
    return order.state.is_working and order.type is not OrderType.MARKET


def _is_stale(state: State, now: Nanos) -> bool:
    return now - state.engine.traded_through.heard_at > STALE_AFTER and not freshness.is_closed(state, now)

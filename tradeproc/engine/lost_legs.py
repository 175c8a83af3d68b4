"""Legs that a broker does not have although it filled their entry: the position waits for them without a stop.

An entry whose reply was lost may still arrive, so it is given up after 30 s only. Its legs are another matter once
the broker lists the entry with contracts filled: an answer that holds the one and lacks the other leaves little
doubt. So the broker is asked every 2 s while such a leg does not work, and the leg is given up by an answer whose
question went out 5 s or more after the fill. Then the policy of the session can act within 10 s (`protection.py`).
A leg that turns up later all the same is seen as an order that was taken for ended and works (`reconcile.py`).
"""

from collections.abc import Container

from tradeproc.domain.orders import Order
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.engine.state import State

ASK_EVERY = 2 * SECOND
LOST_AFTER = 5 * SECOND
_ASK_UNTIL = 12 * SECOND


def is_awaited(state: State, now: Nanos) -> bool:
    """Tell whether a leg should work, since its entry was filled some seconds ago, and does not."""
    for order in state.engine.open_orders:
        entry = _filled_entry(state, order)
        if entry is not None and ASK_EVERY <= now - entry.changed_at < _ASK_UNTIL:
            return True
    return False


def is_lost(state: State, order: Order, since: Nanos, listed: Container[str]) -> bool:
    """Tell whether an answer that lacks a leg suffices to give it up; `since` is when it was missed first.

    `listed` are the broker's ids of the orders that the answer holds; the entry must be one of them.
    """
    entry, asked_at = _filled_entry(state, order), state.broker.orders.asked_at
    if entry is None or entry.broker_id not in listed or asked_at is None:
        return False
    return asked_at - max(since, entry.changed_at) >= LOST_AFTER


def _filled_entry(state: State, order: Order) -> Order | None:
    """Return the entry of a leg that does not work yet, if the entry has brought contracts."""
    if order.parent is None or order.state.is_working or order.in_flight is not None:
        return None
    entry = state.engine.orders.get(order.parent)
    return entry if entry is not None and entry.filled else None

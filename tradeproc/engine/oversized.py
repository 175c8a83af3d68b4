"""Stops and targets that could close more than is held: what is too much of them is cut off at once.

A position becomes smaller than its protection when a part of it is closed by another order, when somebody closes a
part by hand, and when the broker takes fills back; and a broker may enlarge an order by itself. The fill of what is
too much would open a position on the other side. Stops are counted together, and targets together: either may cover
the whole position. The farthest from the market is cut first. A leg is counted for what its entry has filled, and
left alone while the entry works, because the broker sizes it. Two seconds are left to the broker to do it by itself.
"""

from dataclasses import replace

from tradeproc.domain.orders import Order, OrderRole, OrderSource
from tradeproc.domain.units import SECOND, Contracts
from tradeproc.engine import sending
from tradeproc.engine.state import State
from tradeproc.engine.traded_through import level_of
from tradeproc.engine.turn import Turn

_AFTER = 2 * SECOND
_AGAIN = 10 * SECOND
_REASON = "larger than the position"


def on_time(turn: Turn) -> None:
    """Cut what could close more than is held; called when time passes. A closing cancels it all anyway."""
    state, engine = turn.state, turn.state.engine
    is_sure = state.broker.is_reconciled and not engine.has_unanswered and not state.broker.unpriced
    if engine.closing is not None or not engine.holding.quantity or not is_sure:
        return
    if turn.now - engine.last_fill_at < _AFTER or not engine.open_ids:
        return
    for order_id in [each for each in engine.trimmed if each not in engine.open_ids]:
        del engine.trimmed[order_id]
    for orders in (_working(state, is_stop=True), _working(state, is_stop=False)):
        too_many = sum(_closes(state, order) for order in orders) - abs(engine.holding.quantity)
        if too_many > 0 and not any(_is_moving(turn, order) for order in orders):
            _cut(turn, orders, too_many)


def _working(state: State, *, is_stop: bool) -> list[Order]:
    """Return the working stops, or targets, of the position."""
    held = state.engine.holding.quantity
    return [
        order
        for order in state.engine.open_orders
        if order.state.is_working
        and order.side.sign * held < 0
        and order.type.has_stop is is_stop
        and (order.role is not OrderRole.ENTRY if is_stop else order.role is OrderRole.PROFIT_TARGET)
    ]


def _closes(state: State, order: Order) -> int:
    """Return how many contracts an order can close now."""
    entry = state.engine.orders.get(order.parent or "")
    if entry is None or entry.state.is_terminal:
        return order.remaining
    closed = sum(leg.filled for leg in state.engine.orders.values() if leg.parent == entry.id)
    return max(0, min(int(order.remaining), entry.filled - closed))


def _is_moving(turn: Turn, order: Order) -> bool:
    """Tell whether an order was changed just now, or was not although it was to be: that is tried again later."""
    quantity, since = turn.state.engine.trimmed.get(order.id, (None, turn.now))
    is_refused = quantity == order.quantity and turn.now - since < _AGAIN
    return order.in_flight is not None or turn.now - order.changed_at < _AFTER or is_refused


def _cut(turn: Turn, orders: list[Order], too_many: int) -> None:
    # of protecting stops the lowest price to sell at is the farthest, of targets the highest; to buy the reverse
    side = orders[0].side.sign
    is_stop = orders[0].type.has_stop
    orders.sort(key=lambda order: (level_of(order) or 0) * side * (1 if is_stop else -1), reverse=True)
    for order in orders:
        entry = turn.state.engine.orders.get(order.parent or "")
        cut = min(too_many, int(order.remaining))
        if cut <= 0 or (entry is not None and not entry.state.is_terminal):
            continue
        too_many -= cut
        turn.state.engine.trimmed[order.id] = order.quantity, turn.now
        turn.log("warning", "order_oversized", order=order.id, quantity=order.quantity, cut=cut)
        if cut == order.remaining:
            sending.cancel(turn, order, OrderSource.TRADER, _REASON)
        else:
            smaller = replace(order, quantity=Contracts(order.quantity - cut))
            sending.modify(turn, order, smaller, OrderSource.TRADER, _REASON)

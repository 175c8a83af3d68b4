"""Stops of ours that ended by no order of ours while the position they protected is still open.

A stop that the broker ends because its target filled, or together with its entry, does not count. So a stop that ends
without a cancel of ours is only noted at first; once orders and position were asked for after it and agree with us,
what is still open under it is a row that tells both sides. A stop that somebody cancelled closes entries as a
position that somebody changed does (`external_policy`); one that expired or was rejected is an alarm of
`protection.py`.
"""

from typing import Literal

from tradeproc.domain.broker_orders import BrokerOrder
from tradeproc.domain.orders import Order, OrderRole, OrderState
from tradeproc.domain.units import SECOND
from tradeproc.engine.protection import uncovered
from tradeproc.engine.state import State, Vanished
from tradeproc.engine.turn import Turn

_JUDGED_AFTER = 2 * SECOND
_CAUSE = "ended by no order of ours while the position is open"


def note(turn: Turn, order: Order, picture: BrokerOrder) -> None:
    """Note a working stop that a picture shows ended, neither filled nor cancelled by us, and write a line."""
    engine = turn.state.engine
    asked = engine.cancels_wanted | engine.cancels_asked | engine.cancels_refused
    is_ours = order.in_flight == "cancel" or order.id in asked or engine.closing is not None
    is_ended = picture.state.is_terminal and picture.state is not OrderState.FILLED
    is_cancelled = picture.state is OrderState.CANCELLED
    # nobody of us has an order rejected, whatever else was asked about it
    if (
        order.role is not OrderRole.STOP_LOSS
        or not order.state.is_working
        or not is_ended
        or (is_ours and is_cancelled)
    ):
        return
    reason = picture.reason or picture.raw_status
    # brackets end their stops when the target fills, so that a cancelled one may be all right
    level: Literal["info", "warning"] = "info" if is_cancelled else "warning"
    turn.log(level, "stop_ended_by_broker", order=order.id, state=picture.state.value, reason=reason)
    if is_ours:
        return
    # the first pictures after a start are recorded by themselves
    number, is_first = turn.state.broker.orders.number, not turn.state.broker.has_orders
    turn.state.broker.vanished[order.id] = Vanished(order, picture.state, turn.now, number, is_first)
    turn.ask_orders(f"stop {order.id} ended by no order of ours")
    turn.ask_position(f"stop {order.id} ended by no order of ours")


def on_time(turn: Turn) -> None:
    """Judge what was noted as soon as the broker has answered after it; called when time passes."""
    broker, engine = turn.state.broker, turn.state.engine
    for order_id, gone in list(broker.vanished.items()):
        is_asked = broker.orders_known_number > gone.asked_number and (broker.position.known_at or 0) > gone.since
        if not is_asked or not broker.is_reconciled or turn.now - gone.since < _JUDGED_AFTER:
            continue
        del broker.vanished[order_id]
        if engine.closing is not None or not _leaves_open(turn.state, gone.order):
            continue
        if not gone.is_recorded:
            turn.differed(gone.order, gone.state.value, gone.order.filled, _CAUSE)
        if gone.state is OrderState.CANCELLED:
            turn.changed_by_others(f"stop {order_id} was cancelled by no order of ours")


def _leaves_open(state: State, stop: Order) -> bool:
    """Tell whether a stop that ended leaves contracts open: its bracket's own, unless a sibling closed them."""
    orders = state.engine.orders
    if state.engine.holding.quantity * stop.side.sign >= 0 or not uncovered(state):
        return False
    entry = orders.get(stop.parent or "")
    if entry is None:
        return True
    legs = [order for order in orders.values() if order.parent == entry.id]
    # a target that was cut, because another order closed a part, ends the bracket with fewer contracts than entered
    is_over = any(leg.state is OrderState.FILLED or _used_up(stop, leg) for leg in legs)
    return not is_over and entry.filled > sum(leg.filled for leg in legs)


def _used_up(stop: Order, leg: Order) -> bool:
    """Tell whether fills of a leg took a stop's last contracts, as a broker's bracket does.

    A stop that was made smaller than its position ends so while contracts are still open.
    """
    is_since = leg.id != stop.id and leg.changed_at >= stop.changed_at
    return is_since and leg.filled >= stop.quantity - stop.filled

"""What became of a submit, a modify or a cancel: accepted, refused, or nobody knows.

Accepted with the broker's ids: the orders are claimed, and what was told about them before the reply is applied.
Unanswered: the orders are marked for `reconcile.py`, which asks the broker about them; they are never sent again.
"""

from tradeproc.domain.broker_orders import Accepted, Outcome, Refused, Unanswered
from tradeproc.domain.orders import Order, OrderSource
from tradeproc.engine import broker_events, early_close, sending
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.orders import Move, moved, noted
from tradeproc.engine.state import Pending, State, Waiting
from tradeproc.engine.turn import Turn

_REPLY = OrderSource.BROKER_REPLY


def submit_answered(turn: Turn, order_id: str, outcome: Outcome) -> None:
    """Take the reply to a submit; for a bracket it speaks of the entry and its legs."""
    orders = group(turn.state, order_id)
    if not orders:
        turn.log("warning", "reply_unexpected", order=order_id)
        return
    match outcome:
        case Accepted(broker_ids):
            for order in orders:
                _accepted(turn, order, broker_ids.get(order.id))
        case Refused(reason):
            turn.log("warning", "order_refused", order=order_id, reason=reason)
            for order in orders:
                turn.state.engine.pending.pop(order.id, None)
                turn.apply(moved(order, Move.REFUSED, _REPLY, turn.now, reason))
                early_close.rejected(turn, turn.state.engine.orders[order.id])
        case Unanswered(reason, was_sent):
            if was_sent:
                lost(turn, order_id, reason)
            elif orders[0].broker_id is None and not orders[0].state.is_terminal:
                sending.drop(turn, tuple(order.id for order in orders), reason)


def group(state: State, order_id: str) -> list[Order]:
    """Return an order and the legs of its bracket, as far as we have them."""
    orders = state.engine.orders
    if order_id not in orders:
        return []
    return [orders[order_id], *(order for order in orders.values() if order.parent == order_id)]


def _accepted(turn: Turn, order: Order, broker_id: str | None) -> None:
    state = turn.state
    turn.apply(moved(order, Move.ACCEPTED, _REPLY, turn.now))
    order = state.engine.orders[order.id]
    if broker_id is None:
        if order.broker_id is None and not order.state.is_terminal:
            resolve(turn, order)
            turn.ask_orders("the reply did not name every order")
        return
    if order.broker_id not in (None, broker_id):
        turn.log("error", "broker_id_contradicted", order=order.id, ours=order.broker_id, told=broker_id)
        return
    state.engine.pending.pop(order.id, None)
    learn(turn, order, broker_id)


def learn(turn: Turn, order: Order, broker_id: str) -> None:
    """Note an order's broker id, and apply what was told under it before."""
    state = turn.state
    if order.broker_id is None:
        changed = sending.with_broker_id(order, broker_id, turn.now)
        turn.keep(changed, noted(order, changed, _REPLY, turn.now, "told_id"))
        order = changed
    state.broker.ids[broker_id] = order.id
    listed = state.broker.foreign_filled.pop(broker_id, None)
    if listed is not None:
        broker_events.keep_stray(state, listed)  # an answer showed it filled before the reply said whose it is
    picture = state.broker.strays.get(broker_id)
    if picture is not None:
        broker_events.take(turn, order, picture, OrderSource.BROKER_STREAM)
    elif order.id in state.engine.cancels_wanted:
        sending.cancel(turn, order, OrderSource.TRADER, "wanted before the broker's id was known")


def lost(turn: Turn, order_id: str, reason: str) -> None:
    """Mark an order and its legs as unknown, and ask: the one thing to do after a lost reply."""
    first = turn.state.engine.pending.get(order_id)
    if first is None or first.waiting is not Waiting.SUBMIT:
        return
    turn.log("warning", "submit_unanswered", order=order_id, reason=reason)
    del turn.state.engine.pending[order_id]
    for order in group(turn.state, order_id):
        if order.broker_id is None and not order.state.is_terminal:
            resolve(turn, order)
            turn.keep(order, noted(order, order, _REPLY, turn.now, "unanswered", reason))
    turn.alarm(AlarmName.ORDER_UNRESOLVED, f"order {order_id}: {reason}")
    turn.ask_orders(f"order {order_id} was not answered")
    broker_events.claim_strays(turn, OrderSource.BROKER_STREAM)


def resolve(turn: Turn, order: Order) -> None:
    """Begin to count the answers that do not show the order; only questions asked from now on count."""
    number = turn.state.broker.orders.number
    turn.state.engine.pending[order.id] = Pending(Waiting.RESOLVE, turn.now, asked_number=number)


def change_answered(turn: Turn, order_id: str, outcome: Outcome, waiting: Waiting) -> None:
    """Take the reply to a modify or a cancel: requested, refused, or unknown (asked about by the deadlines)."""
    pending = turn.state.engine.pending.get(order_id)
    if pending is None or pending.waiting is not waiting:
        return
    order = turn.state.engine.orders[order_id]
    match outcome:
        case Accepted():
            pass  # requested; the order says when it is done
        case Refused(reason):
            turn.log("warning", f"{waiting.value}_refused", order=order_id, reason=reason)
            if waiting is Waiting.CANCEL:
                # it may have been refused because it is done already: a request can arrive twice
                turn.state.engine.cancels_asked.discard(order_id)
                turn.state.engine.cancels_refused.add(order_id)
            broker_events.changed_not(turn, order, f"{waiting.value}_refused", _REPLY, reason)
            turn.ask_orders(f"{waiting.value} was refused")
        case Unanswered(reason):
            turn.log("warning", f"{waiting.value}_unanswered", order=order_id, reason=reason)
            turn.ask_orders(f"{waiting.value} was not answered")

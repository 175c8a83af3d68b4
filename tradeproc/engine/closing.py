"""Closing the position: cancel all orders, wait until they are over, then one exit for what the broker confirms.

    cancelling   every open order is being cancelled; one whose fate is unknown is waited for (`reconcile.py` asks).
                 The stops of the position stay until the close can be sent: nothing's fate is unknown, and the broker
                 has answered for orders and position since the closing began
    confirming   all are over; the exit is sized by a reading of the broker's that agrees with our count
    exiting      one market order is out; when it is over, confirm again: flat ends it, a rest is closed the same way

Nothing of it is refused by limits, latches, a database that is down or a lost lease. There is one closing at a time
and one exit at a time: asking again changes nothing, and an exit whose reply was lost is asked about, not repeated.
An exit that the broker refused is tried again with a growing pause, a refused cancel after 5 s. If the broker does
not tell the position for 10 s, the exit is sized by our own count, which comes from the broker's fills. Flat is only
what the broker told as flat after the closing began: until then it goes on asking.

A broker that does not answer for orders or position may not take the exit either, so its stops are not cancelled
then. After 10 s the exit is sent all the same, with the stops in place; they are cancelled when it is accepted, and
go on protecting when it is not. Until it is flat, the alarm says that it is not.
"""

from tradeproc.domain.backoff import Backoff
from tradeproc.domain.orders import Order, OrderRole, OrderSource, OrderState, Side
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.engine import sending
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import Finished
from tradeproc.engine.limits import Denied, exit_of, is_dormant
from tradeproc.engine.state import ClosePhase, Closing
from tradeproc.engine.turn import Turn

_TRUST_OURS_AFTER = 10 * SECOND
_STUCK_AFTER = 30 * SECOND
_CANCEL_AGAIN = 5 * SECOND
_PAUSES = Backoff(1.0, 60.0)
# a market that is closed takes no exit, however often it is asked
_PAUSES_CLOSED = Backoff(1.0, 300.0)


def begin(turn: Turn, source: OrderSource, reason: str) -> bool:
    """Start a closing unless one is under way; tell whether it did."""
    engine = turn.state.engine
    if engine.closing is not None:
        return False
    engine.closing = Closing(source, reason, turn.now, changed_at=turn.now)
    turn.log("info", "closing_started", source=source.value, reason=reason)
    if any(_protects(turn, order) for order in engine.open_orders):
        turn.ask_orders("closing")
        turn.ask_position("closing")
    return True


def advance(turn: Turn) -> None:
    """Go as far as what is known allows; called at the end of every turn."""
    engine = turn.state.engine
    while (closing := engine.closing) is not None:
        match closing.phase:
            case ClosePhase.CANCELLING:
                again = _cancel_all(turn, closing)
            case ClosePhase.CONFIRMING:
                again = _confirm(turn, closing)
            case ClosePhase.EXITING:
                again = _watch_exit(turn, closing)
        if not again:
            break
    if engine.is_stopping and engine.closing is None and not engine.is_finished:
        engine.is_finished = True
        turn.do(Finished("stopped; what works at the broker goes on working"))


def on_time(turn: Turn) -> None:
    """Repeat what a closing waits for; called when time passes."""
    closing = turn.state.engine.closing
    if closing is None:
        return
    is_deaf = not _is_answered(turn, closing) and bool(turn.state.engine.holding.quantity)
    if turn.now - closing.since > (_TRUST_OURS_AFTER if is_deaf else _STUCK_AFTER):
        turn.alarm(AlarmName.CLOSE_STUCK, f"not flat yet: {_where(turn, closing)}")
    if closing.phase is ClosePhase.CANCELLING and turn.now - closing.changed_at >= _CANCEL_AGAIN:
        closing.changed_at = turn.now
        turn.ask_orders("cancels are not confirmed")
        if not _is_answered(turn, closing):
            turn.ask_position("closing")
        for order in _to_cancel(turn, closing):
            _cancel(turn, closing, order)
    is_waiting = closing.phase is ClosePhase.CONFIRMING and turn.now >= closing.not_before
    if is_waiting and turn.state.broker.position.is_due(turn.now, SECOND):
        turn.ask_position("closing")


def _cancel_all(turn: Turn, closing: Closing) -> bool:
    for order in _to_cancel(turn, closing):
        is_asked = order.in_flight == "cancel" or order.id in turn.state.engine.cancels_wanted
        # a leg that waits for its entry goes with it; if it does not, it is cancelled 5 s later
        if not is_asked and not is_dormant(turn.state, order) and _may_ask(turn, closing, order):
            _cancel(turn, closing, order)
    left = turn.state.engine.open_orders
    if left and not _may_go_first(turn, closing):
        return False
    _enter(turn, closing, ClosePhase.CONFIRMING)
    return True


def _cancel(turn: Turn, closing: Closing, order: Order) -> None:
    closing.cancelled_at[order.id] = turn.now
    sending.cancel(turn, order, closing.source, closing.reason)


def _may_ask(turn: Turn, closing: Closing, order: Order) -> bool:
    """Tell whether a cancel may be asked for: one that is refused at once must not be repeated in a loop."""
    asked_at = closing.cancelled_at.get(order.id)
    return asked_at is None or turn.now - asked_at >= _CANCEL_AGAIN


def _to_cancel(turn: Turn, closing: Closing) -> list[Order]:
    """Return the open orders to cancel; what protects goes on protecting until the close can be sent."""
    is_sure = not _is_unsure(turn) and (_is_answered(turn, closing) or _is_taken(turn, closing))
    return [order for order in turn.state.engine.open_orders if is_sure or not _protects(turn, order)]


def _protects(turn: Turn, order: Order) -> bool:
    """Tell whether an order is a stop of the position that is to be closed, or of an entry whose fate is unknown."""
    return order.role is OrderRole.STOP_LOSS and bool(turn.state.engine.holding.quantity or _is_unsure(turn))


def _is_unsure(turn: Turn) -> bool:
    return turn.state.engine.has_unanswered or bool(turn.state.broker.unpriced)


def _is_answered(turn: Turn, closing: Closing) -> bool:
    """Tell whether the broker has answered for orders and position since the closing began."""
    questions = turn.state.broker.orders, turn.state.broker.position
    return all((question.known_at or Nanos(0)) > closing.since for question in questions)


def _may_go_first(turn: Turn, closing: Closing) -> bool:
    """Tell whether the exit goes out before what is left of the orders is over: the broker has not answered for 10 s.

    What is left protects, or its cancel is under way; an exit whose fate is unknown is never doubled.
    """
    engine, broker = turn.state.engine, turn.state.broker
    heard_at = max(closing.since, broker.orders.known_at or 0)
    if not _is_answered(turn, closing):
        heard_at = closing.since
    is_early = turn.now - heard_at < _TRUST_OURS_AFTER or turn.now < closing.not_before
    if is_early or not engine.holding.quantity:
        return False
    return all(
        order.role is not OrderRole.EXIT and (_protects(turn, order) or order.in_flight == "cancel")
        for order in engine.open_orders
    )


def _is_taken(turn: Turn, closing: Closing) -> bool:
    """Tell whether the broker has taken the exit: it works or is filled, or the position is gone since."""
    order = turn.state.engine.orders.get(closing.exit_id or "")
    if order is None:
        return False
    reading = turn.state.broker.reading
    is_gone = reading is not None and reading.at > order.created_at and reading.position.quantity == 0
    return order.state.is_working or order.state is OrderState.FILLED or is_gone


def _where(turn: Turn, closing: Closing) -> str:
    """Return for people where a closing stands."""
    stops = [order.id for order in turn.state.engine.open_orders if _protects(turn, order)]
    kept = f"; the broker has not answered, so the stops stay: {', '.join(stops)}" if stops else ""
    if not stops and not _is_told_since(turn, closing):
        return f"{closing.phase.value}: {closing.reason}; the broker has not told the position since"
    return f"{closing.phase.value}: {closing.reason}{kept if not _is_answered(turn, closing) else ''}"


def _confirm(turn: Turn, closing: Closing) -> bool:
    state = turn.state
    left = state.engine.open_orders
    if left and not _may_go_first(turn, closing):
        _enter(turn, closing, ClosePhase.CANCELLING)
        return True
    if not _is_confirmed(turn, closing):
        if state.broker.position.asked_at is None or state.broker.position.asked_at < closing.changed_at:
            turn.ask_position("closing")
        return False
    held = state.engine.holding.quantity
    if held == 0 and not _is_told_since(turn, closing):
        # somebody may have traded since the broker told the position last
        if (state.broker.position.asked_at or Nanos(0)) < closing.since:
            turn.ask_position("closing")
        return False
    if held == 0:
        state.engine.closing = None
        turn.clear(AlarmName.CLOSE_STUCK)
        turn.log("info", "closing_finished", reason=closing.reason)
        return False
    if turn.now < closing.not_before:
        return False
    return _exit(turn, closing, held)


def _is_told_since(turn: Turn, closing: Closing) -> bool:
    """Tell whether the broker has told the position since the closing began."""
    reading = turn.state.broker.reading
    return reading is not None and reading.at >= max(closing.since, turn.state.engine.last_fill_at)


def _exit(turn: Turn, closing: Closing, held: int) -> bool:
    side = Side.SELL if held > 0 else Side.BUY
    order = sending.draft(turn.state, turn.now, side, abs(held), role=OrderRole.EXIT)
    admitted = exit_of(turn.state, order, is_closing=True)
    if isinstance(admitted, Denied):
        return False
    closing.exit_id = order.id
    closing.attempts += 1
    _enter(turn, closing, ClosePhase.EXITING)
    sending.submit_exit(turn, admitted, closing.source, closing.reason)
    return False


def _watch_exit(turn: Turn, closing: Closing) -> bool:
    order = turn.state.engine.orders.get(closing.exit_id or "")
    if order is not None and not order.state.is_terminal:
        if _is_taken(turn, closing):
            _cancel_stops(turn, closing)
        return False
    if order is not None and order.state is not OrderState.FILLED:
        _pause(turn, closing, order)
    _enter(turn, closing, ClosePhase.CONFIRMING)
    return True


def _cancel_stops(turn: Turn, closing: Closing) -> None:
    """Cancel stops that stayed until the exit was taken: its fill would leave them to open a position."""
    for order in turn.state.engine.open_orders:
        if order.role is OrderRole.STOP_LOSS and order.in_flight != "cancel" and _may_ask(turn, closing, order):
            _cancel(turn, closing, order)


def _pause(turn: Turn, closing: Closing, order: Order) -> None:
    is_closed = AlarmName.CLOSED_EARLY.value in turn.state.engine.alarms
    seconds = int((_PAUSES_CLOSED if is_closed else _PAUSES).delay(closing.attempts))
    closing.not_before = Nanos(turn.now + seconds * SECOND)
    turn.alarm(
        AlarmName.CLOSE_STUCK,
        f"not flat yet: exit {order.id} {order.state.value}: {order.reason}; next in {seconds} s",
    )


def _enter(turn: Turn, closing: Closing, phase: ClosePhase) -> None:
    closing.phase, closing.changed_at = phase, turn.now


def _is_confirmed(turn: Turn, closing: Closing) -> bool:
    """Tell whether our count may size the exit: the broker said the same after the last fill, or is silent."""
    broker, engine = turn.state.broker, turn.state.engine
    reading = broker.reading
    if broker.has_orders and reading is not None and broker.suspicion is None:
        is_new = reading.at >= max(engine.last_fill_at, turn.state.started_at)
        if is_new and reading.position.quantity == engine.holding.quantity:
            return True
    told_at = broker.position.known_at or turn.state.started_at
    # a closing that has waited its 10 s already, with the stops in place, does not wait a second time
    since = closing.since if engine.open_orders else closing.changed_at
    is_silent = turn.now - max(told_at, since) >= _TRUST_OURS_AFTER
    if is_silent and broker.has_orders:
        turn.log("warning", "closing_by_our_count", quantity=engine.holding.quantity)
        return True
    return False

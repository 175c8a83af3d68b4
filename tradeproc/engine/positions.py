"""Our count of the position against the broker's; the broker wins, and no order is ever placed to repair anything.

Ours is counted from fills. The broker's comes as readings: told by the stream, and asked for every 30 s, at start,
after a reconnect and after a gap. A reading that differs is not a divergence yet: streams race each other, and a fill
may be on its way. It becomes a suspicion, which closes the gate for entries and makes us ask for orders (whose
filled quantities explain most differences) and for the position again. Only what is asked for counts further, since
the stream may tell what is old. When the position was answered, then the orders, then the position again at least 2 s
later, both times the same while ours is too, and no order of ours is without its reply or its price (its fill may be
the whole difference; for 10 s neither one that must have filled: `late_fills.py`), is it a divergence: the broker's
side becomes ours by rows of the books (`external.py`), and a row tells both. A suspicion ends without a row as soon
as both sides agree. What no order of ours explains closes entries (`external_policy`), but for the position that a
session finds at its very first start.
"""

from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Divergence, DivergenceKind, Position
from tradeproc.domain.units import SECOND
from tradeproc.engine import external, late_fills
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.broker_events import note_unreadable
from tradeproc.engine.events import StreamKind
from tradeproc.engine.state import PositionReading, Suspicion
from tradeproc.engine.turn import ROUTINE_WITHIN, Turn

POSITION_EVERY = 30 * SECOND
UNCONFIRMED_AFTER = 120 * SECOND
_ASK_AFTER = 1 * SECOND
_CONFIRM_AFTER = 2 * SECOND
_FILL_COMES_WITHIN = 10 * SECOND


def position_updated(turn: Turn, position: Position) -> None:
    """Take a reading from the stream."""
    spec = turn.state.setup.spec
    if (position.account, position.contract) == (spec.account, spec.contract):
        _read(turn, position, is_answer=False)


def position_answered(turn: Turn, number: int, answer: Answer[Position]) -> None:
    """Take the answer to the newest question; an older one came too late to mean anything."""
    question = turn.state.broker.position
    if number != question.number:
        return
    question.is_out = False
    match answer:
        case Known(position):
            question.known_at = turn.now
            turn.clear(AlarmName.POSITION_UNCONFIRMED)
            note_unreadable(turn, StreamKind.POSITIONS, ())
            _read(turn, position, is_answer=True)
        case Unknown(reason):
            turn.log("warning", "position_unknown", reason=reason)


def review(turn: Turn) -> None:
    """End a suspicion that what happened in this turn explains; called at the end of every turn."""
    broker = turn.state.broker
    if broker.reading is None or not broker.has_orders:
        return
    agrees = broker.reading.position.quantity == turn.state.engine.holding.quantity
    if agrees and broker.reading.at == turn.now:
        broker.agreed_at = turn.now
    if agrees and broker.suspicion is not None:
        broker.suspicion = None
    if agrees:
        external.price(turn, broker.reading.position)
    if agrees and not broker.has_position and broker.position.known_at is not None:
        broker.has_position = True
        if turn.state.engine.is_first_start:
            turn.state.engine.is_first_start = False
            turn.save_position()  # from now on the session has one, and a change of it is one
        turn.log("info", "position_confirmed", quantity=turn.state.engine.holding.quantity)


def on_time(turn: Turn) -> None:
    """Ask for the position: for a suspicion at once (`polling.py` asks for orders), and every 30 s without one."""
    broker = turn.state.broker
    suspicion, question = broker.suspicion, broker.position
    if suspicion is not None and turn.now - suspicion.since >= _ASK_AFTER:
        if question.is_due(turn.now, _ASK_AFTER):
            turn.ask_position("the position differs")
    elif question.again and question.is_due(turn.now, _ASK_AFTER):
        turn.ask_position(question.again)
    elif question.is_due(turn.now, POSITION_EVERY if broker.has_position else 2 * SECOND):
        within = ROUTINE_WITHIN if broker.has_position else 0.0
        turn.ask_position("every 30 s" if broker.has_position else "start", within=within)
    confirmed_at = question.known_at or turn.state.started_at
    if turn.now - confirmed_at >= UNCONFIRMED_AFTER:
        turn.alarm(AlarmName.POSITION_UNCONFIRMED, "the broker has not told the position for two minutes")


def _read(turn: Turn, position: Position, *, is_answer: bool) -> None:
    broker, ours = turn.state.broker, turn.state.engine.holding.quantity
    broker.reading = PositionReading(position, turn.now)
    if not broker.has_orders:
        return  # fills of the time before the start come first
    if position.quantity == ours:
        broker.suspicion = None
        turn.clear(AlarmName.POSITION_DIVERGED)
        return
    suspicion, number = broker.suspicion, broker.orders.number
    # a slow answer may show the position from before a fill that we have booked meanwhile
    is_current = is_answer and (broker.position.asked_at or turn.now) >= turn.state.engine.last_fill_at
    if suspicion is None or (suspicion.ours, suspicion.brokers) != (ours, position.quantity):
        broker.suspicion = Suspicion(ours, position.quantity, turn.now, number, is_answered=is_current)
        return
    if not is_current:
        return  # the stream too may tell, even twice, what was so before
    if not suspicion.is_answered:
        broker.suspicion = Suspicion(ours, position.quantity, turn.now, number, is_answered=True)
        return
    is_asked = broker.orders_known_number > suspicion.orders_number
    # the fill of an order whose fate or price is unknown belongs to us, and must not be counted twice
    is_complete = not turn.state.engine.has_unanswered and not broker.unpriced
    # a late answer says what was so when it was asked for, which may have been before the last fill
    is_new = (broker.position.asked_at or turn.now) - suspicion.since >= _CONFIRM_AFTER
    missing = position.quantity - ours
    is_coming = turn.now - suspicion.since < _FILL_COMES_WITHIN and late_fills.explain(turn.state, missing)
    if is_asked and is_complete and is_new and not is_coming:
        _adopt(turn, position)


def _adopt(turn: Turn, position: Position) -> None:
    state = turn.state
    ours, broker = state.engine.holding, state.broker
    when = "" if broker.has_position else "changed while the trader was not running: "
    if state.engine.is_first_start:
        when = "held before the session's first start: "
    causes, changed = external.book(turn, position)
    divergence = Divergence(
        session=state.setup.session,
        kind=DivergenceKind.POSITION,
        subject=position.contract,
        ours=f"{ours.quantity} at {ours.average}",
        brokers=f"{position.quantity} at {position.average}",
        cause=when + "; ".join(causes),
        at=turn.now,
    )
    told = f"ours {ours.quantity}, the broker's {position.quantity}: {divergence.cause}"
    turn.diverged(divergence)
    turn.alarm(AlarmName.POSITION_DIVERGED, told)
    turn.log("error", "position_diverged", ours=ours.quantity, brokers=position.quantity)
    broker.suspicion = None
    if changed and not state.engine.is_first_start:
        turn.changed_by_others(told)

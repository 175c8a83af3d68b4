"""Our orders against the broker's: at start, after a reconnect, a gap or a lost reply, and as `polling.py` asks.

An answer is applied picture by picture, as the stream's are. What it then shows to be different is a row with both
sides and a cause, once it is clear that neither side was merely a moment ahead:

    an order further along than the stream told   a row if the stream has not told it 5 s later
    an open order of ours that is not listed,     two answers at least 10 s apart: it ends as the broker sees it
    and that the broker, asked by its id, lacks
    an order of ours with other prices, or more   a row, an alarm, no entries (`amended_orders.py`)
    an open order that is not ours                two answers 2 s apart, nothing of ours on its way: a row, an alarm
    an order we took for ended, working           two answers 2 s apart: a row, an alarm, no entries; it is cancelled,
                                                  but a protecting order only once it covers no bare contracts
    an order with fewer filled than were booked   two answers 10 s apart: the fill is reversed by a row once the
                                                  position says so too
    an order whose reply was lost                 found by looks: it is ours. In none of three answers over 30 s: it
                                                  never arrived. Either way it is not sent again. A leg whose entry is
                                                  listed as filled is given up sooner (`lost_legs.py`)

The broker wins each time, and no order is placed to repair anything. An unknown answer changes nothing.
"""

from collections.abc import Iterable

from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Divergence, DivergenceKind
from tradeproc.domain.broker_orders import BrokerOrder, ListedOrder, UnreadableRecord
from tradeproc.domain.orders import Order, OrderRole, OrderSource, OrderState
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.engine import (
    amended_orders,
    external,
    loss_marks,
    lost_legs,
    outcomes,
    recognition,
    strategy,
)
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.broker_events import (
    GIVEN_UP,
    claim_strays,
    difference,
    note_unreadable,
    take,
    take_first,
    unresolved,
)
from tradeproc.engine.effects import Cancel
from tradeproc.engine.events import Started, StreamKind
from tradeproc.engine.limits import is_dormant
from tradeproc.engine.orders import Move, moved
from tradeproc.engine.polling import DISPUTED_AFTER
from tradeproc.engine.protection import uncovered
from tradeproc.engine.state import Holding, Pending, Shrunk, State, UnconfirmedDifference, Waiting
from tradeproc.engine.turn import Turn, after_fill

ABSENCES = 3
GRACE = 30 * SECOND
_DOUBT_AFTER = 5 * SECOND
_MISSING_AFTER = 10 * SECOND
_TWICE_AFTER = 2 * SECOND
_ASKING = OrderSource.RECONCILIATION


def started(turn: Turn, event: Started) -> None:
    """Load what the database knew and ask the broker: the one path of recovery.

    An order of an earlier life that may have been sent, and whose broker id was never written down, is treated as
    one whose reply was lost.
    """
    state = turn.state
    state.started_at = turn.now
    state.broker.ids.update(event.claimed)
    for order in event.orders:
        state.engine.put(order)
        if order.broker_id is not None:
            state.broker.ids[order.broker_id] = order.id
    _take_over_pending(turn)
    if event.position is not None:
        state.engine.holding = Holding(event.position.quantity, event.position.average)
    for fill in event.fills:
        state.engine.holding = after_fill(state.engine.holding, fill)
    state.engine.is_first_start = event.position is None and not (event.fills or event.orders)
    state.broker.agreed_at = event.saved_at
    for fill in event.externals:
        external.remember(turn, fill)
    state.engine.is_adopted = event.is_adopted
    if event.latched:
        turn.changed_by_others(event.latched)
    loss_marks.begin(turn, event.losses)
    state.engine.roll.open = event.roll
    strategy.begin(turn, event.strategy_off)
    turn.ask_orders("start")
    turn.ask_position("start")


def _take_over_pending(turn: Turn) -> None:
    """Wait for what an earlier life had sent and not seen done; it may still be under way."""
    engine = turn.state.engine
    for order in engine.open_orders:
        if order.broker_id is None:
            engine.pending[order.id] = Pending(Waiting.RESOLVE, turn.now)
        elif order.in_flight is not None:
            kind = Waiting.CANCEL if order.in_flight == "cancel" else Waiting.MODIFY
            engine.pending[order.id] = Pending(kind, turn.now)
            if kind is Waiting.CANCEL:
                engine.cancels_asked.add(order.id)  # done late, it is no stranger's
            amended_orders.asked(turn.state, order, None)  # a cancel may have followed a change


def orders_answered(turn: Turn, number: int, answer: Answer[tuple[ListedOrder, ...]]) -> None:
    """Apply the answer to the newest question; an older one came too late to mean anything."""
    question = turn.state.broker.orders
    if number != question.number:
        return
    question.is_out = False
    match answer:
        case Known(pictures):
            question.known_at = turn.now
            ours = [picture for picture in pictures if recognition.is_of_session(turn.state, picture)]
            note_unreadable(turn, StreamKind.ORDERS, list(filter(None, map(_trouble, ours))))
            _compare(turn, ours, number)
        case Unknown(reason):
            turn.log("warning", "orders_unknown", reason=reason)


def _trouble(listed: ListedOrder) -> str:
    if isinstance(listed, UnreadableRecord):
        return listed.reason
    return f"order {listed.broker_id}: {listed.doubt}" if listed.doubt else ""


def _compare(turn: Turn, listed_orders: list[ListedOrder], number: int) -> None:
    broker = turn.state.broker
    pictures = [picture for picture in listed_orders if isinstance(picture, BrokerOrder)]
    unknown: list[BrokerOrder] = []
    broker.foreign_filled = {}
    for picture in pictures:
        order = recognition.claimed(turn.state, picture)
        if order is None:
            unknown.append(picture)
            if picture.filled and picture.broker_id not in broker.ids:
                broker.foreign_filled[picture.broker_id] = picture
        elif broker.has_orders:
            _take_and_doubt(turn, order, picture)
        else:
            take_first(turn, order, picture)
    claim_strays(turn, _ASKING, unknown)
    broker.orders_known_number = number
    _look_for_shrunk(turn, pictures)
    _count_absences(turn, number, listed_orders)
    _look_for_missing(turn, {each.broker_id for each in listed_orders})
    strange = _look_for_foreign(turn, pictures) | _look_for_reappeared(turn, pictures)
    for broker_id in broker.foreign.keys() - strange:
        del broker.foreign[broker_id]
    if not broker.has_orders:
        broker.has_orders = True
        turn.log("info", "orders_confirmed", open=len(turn.state.engine.open_orders))


def _look_for_shrunk(turn: Turn, pictures: Iterable[BrokerOrder]) -> None:
    """Note orders of which fewer contracts are filled than were booked; reverse those booked out already."""
    broker = turn.state.broker
    known, broker.shrunk = broker.shrunk, {}
    for picture in pictures:
        order = recognition.claimed(turn.state, picture)
        if order is None or picture.filled >= order.filled:
            continue
        since = known[order.id].since if order.id in known else turn.now
        broker.shrunk[order.id] = Shrunk(picture, since)
        is_agreed = (
            broker.reading is not None and broker.reading.position.quantity == turn.state.engine.holding.quantity
        )
        if is_agreed and broker.is_reconciled and turn.now - since >= _MISSING_AFTER:
            cause = external.take_back(turn, order, picture)
            if cause is not None:
                turn.differed(order, picture.state.value, picture.filled, cause)
            elif turn.now - since >= DISPUTED_AFTER:
                _dispute(turn, order, picture)


def _dispute(turn: Turn, order: Order, picture: BrokerOrder) -> None:
    """Record, once, that the broker contradicts itself.

    Its list shows fewer contracts filled, its position shows all.
    """
    contradiction = (order.id, "shrunk")
    if contradiction not in turn.state.engine.contradictions:
        turn.state.engine.contradictions.add(contradiction)
        turn.differed(
            order,
            picture.state.value,
            picture.filled,
            "the broker's position shows contracts that its list of orders does not show as filled",
        )


def _take_and_doubt(turn: Turn, order: Order, picture: BrokerOrder) -> None:
    """Apply a picture; remember what it changed, in case the stream was only a moment behind."""
    take(turn, order, picture, _ASKING)
    after = turn.state.engine.orders[order.id]
    if order.broker_id is None or (after.state, after.filled) == (order.state, order.filled):
        return
    reason = turn.state.broker.orders.reason
    cause = f"the order stream had not told it ({reason})"
    row = difference(turn, order, after.state.value, after.filled, cause)
    turn.state.broker.doubts.setdefault(order.id, UnconfirmedDifference(row, turn.now))


def settle_doubts(turn: Turn) -> None:
    """Record differences that the stream has not told in time; called when time passes."""
    doubts = turn.state.broker.doubts
    for order_id, doubt in list(doubts.items()):
        if turn.now - doubt.since >= _DOUBT_AFTER:
            del doubts[order_id]
            turn.diverged(doubt.row)


def _count_absences(turn: Turn, number: int, listed: list[ListedOrder]) -> None:
    """Give up orders that the broker does not have: asked three times over the grace, or the entry never came.

    An answer does not count when it holds an order that may be one of them and cannot be told from it.
    """
    engine, lost = turn.state.engine, unresolved(turn.state)
    known = {each.broker_id for each in listed}
    if any(recognition.may_be_one_of(turn.state, lost, picture) for picture in listed):
        return
    for order_id, pending in list(engine.pending.items()):
        if pending.waiting is not Waiting.RESOLVE or number <= pending.asked_number:
            continue
        pending.absences += 1
        order = engine.orders[order_id]
        is_over = turn.now - pending.since >= GRACE or lost_legs.is_lost(turn.state, order, pending.since, known)
        if pending.absences >= ABSENCES and is_over:
            del engine.pending[order_id]
            turn.apply(moved(order, Move.ABSENT, _ASKING, turn.now, GIVEN_UP))
            engine.cancels_wanted.discard(order_id)
            turn.state.broker.given_up_at = turn.now
            turn.log("warning", "order_never_arrived", order=order_id)


def _look_for_missing(turn: Turn, listed: set[str]) -> None:
    """End orders that two answers lacked; those on their way are not looked for.

    Only an order that the question asked for by its id counts as lacking: a list may be cut.
    """
    missing, engine = turn.state.broker.missing, turn.state.engine
    lacking = set(turn.state.broker.orders.ids) - listed
    gone = {order.id: order for order in engine.open_orders if order.broker_id in lacking}
    for order_id in [known for known in missing if known not in gone]:
        del missing[order_id]
    for order_id, order in gone.items():
        since = missing.setdefault(order_id, turn.now)
        asked_at = turn.state.broker.orders.asked_at or turn.now
        is_late = turn.now - since >= _MISSING_AFTER
        is_lost = since < asked_at and lost_legs.is_lost(turn.state, order, order.changed_at, listed)
        if asked_at < order.changed_at or not (is_late or is_lost):
            continue
        del missing[order_id]
        _record(turn, DivergenceKind.ORDER_MISSING_AT_BROKER, order_id, order.state.value, "not listed")
        turn.apply(moved(order, Move.ABSENT, _ASKING, turn.now, "no longer at the broker"))
        engine.pending.pop(order_id, None)
        turn.state.broker.given_up_at = turn.now


def _look_for_foreign(turn: Turn, pictures: Iterable[BrokerOrder]) -> set[str]:
    """Record open orders on our contract that are not ours, once; never while something of ours is on its way."""
    broker, engine = turn.state.broker, turn.state.engine
    is_busy = engine.has_unanswered
    strange = {
        picture.broker_id: picture
        for picture in pictures
        # an order of ours that ended so long ago that we forgot it must not work either, so it is recorded as foreign
        if not picture.state.is_terminal and broker.ids.get(picture.broker_id) not in engine.orders
    }
    for broker_id, picture in strange.items():
        is_old = _seen_twice(turn, broker_id)
        if is_old and not is_busy and broker_id not in broker.told_foreign:
            broker.told_foreign.add(broker_id)
            _record(turn, DivergenceKind.ORDER_UNKNOWN_TO_US, broker_id, "not ours", picture.state.value)
    standing = broker.told_foreign & strange.keys()
    if standing:
        turn.alarm(AlarmName.ORDER_UNKNOWN, f"not ours: {', '.join(sorted(standing))}")
    else:
        turn.clear(AlarmName.ORDER_UNKNOWN)
    return set(strange)


def _look_for_reappeared(turn: Turn, pictures: Iterable[BrokerOrder]) -> set[str]:
    """Find orders that we took for ended and that still work; entries stop until they are over."""
    broker = turn.state.broker
    working: set[str] = set()
    seen: set[str] = set()
    for picture in pictures:
        order = recognition.claimed(turn.state, picture)
        if order is None or not order.state.is_terminal or picture.state.is_terminal:
            continue
        working.add(order.id)
        seen.add(picture.broker_id)
        if not _seen_twice(turn, picture.broker_id):
            continue
        if order.id not in broker.reappeared:
            broker.reappeared.add(order.id)
            _record(turn, DivergenceKind.ORDER_STATE, order.id, order.state.value, picture.state.value)
        if not picture.has_cancel_pending and not _is_needed(turn.state, order):
            turn.send(Cancel(order.id, picture.broker_id))
    broker.reappeared &= working
    if broker.reappeared:
        turn.alarm(AlarmName.ORDER_REAPPEARED, f"works though it was taken for ended: {min(broker.reappeared)}")
    else:
        turn.clear(AlarmName.ORDER_REAPPEARED)
    return seen


def _is_needed(state: State, order: Order) -> bool:
    """Tell whether an order that was taken for ended protects what nothing else does.

    A stop that was placed in its stead covers the same contracts: both together would close more than is held.
    """
    if order.role in (OrderRole.ENTRY, OrderRole.EXIT):
        return False
    entry = state.engine.orders.get(order.parent or "")
    if (entry is not None and not entry.state.is_terminal) or not state.broker.is_reconciled:
        return True
    return state.engine.holding.quantity * order.side.sign < 0 and uncovered(state) > 0


def _seen_twice(turn: Turn, broker_id: str) -> bool:
    since = turn.state.broker.foreign.setdefault(broker_id, turn.now)
    return turn.now - since >= _TWICE_AFTER


def _record(turn: Turn, kind: DivergenceKind, subject: str, ours: str, brokers: str) -> None:
    cause = f"found by asking ({turn.state.broker.orders.reason})"
    turn.diverged(Divergence(turn.state.setup.session, kind, subject, ours, brokers, cause, turn.now))


def pending_on_time(turn: Turn) -> None:
    """Treat a reply that is long overdue as lost, and raise the alarm for orders whose fate stays unknown."""
    engine = turn.state.engine
    for order_id, pending in list(engine.pending.items()):
        if pending.waiting is Waiting.SUBMIT and turn.now - pending.since > GRACE:
            outcomes.lost(turn, order_id, "no reply came")
    stuck = [order.id for order in engine.open_orders if _is_stuck(turn, order, turn.now)]
    if stuck:
        turn.alarm(AlarmName.ORDER_UNRESOLVED, f"asked about for more than 5 s: {', '.join(stuck)}")
    else:
        turn.clear(AlarmName.ORDER_UNRESOLVED)


def _is_stuck(turn: Turn, order: Order, now: Nanos) -> bool:
    pending = turn.state.engine.pending.get(order.id)
    if pending is not None and pending.waiting is Waiting.RESOLVE:
        return True
    is_early = order.state in (OrderState.PRE_SENT, OrderState.PENDING)
    return is_early and now - order.changed_at > 5 * SECOND and not is_dormant(turn.state, order)

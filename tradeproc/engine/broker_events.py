"""What the broker tells by itself: pictures of orders, streams that come and go, money.

A picture of an order of ours is applied by `orders.told`. A picture of an unknown one waits as a stray: it may be
ours, told before the reply to its submit; the reply, or later `reconcile.py`, says so.
"""

from collections.abc import Sequence
from dataclasses import replace

from tradeproc.domain.book import Balance, Divergence, DivergenceKind
from tradeproc.domain.broker_orders import BrokerOrder, UnreadableRecord
from tradeproc.domain.orders import Order, OrderSource, OrderState
from tradeproc.domain.units import SECOND
from tradeproc.engine import amended_orders, early_close, external, recognition, sending, unpriced, vanished
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import SaveBalance
from tradeproc.engine.events import RecordUnreadable, StreamChanged, StreamKind
from tradeproc.engine.orders import lacks_price, noted, told
from tradeproc.engine.state import Pending, State, Waiting
from tradeproc.engine.turn import Turn

KEPT_STRAYS = 200
_KEPT_SEEN = 2000
GIVEN_UP = "the broker does not have it"
# a change that the broker was asked for and does not show after this long was not done
CHANGE_EXPECTED = 5 * SECOND


def order_updated(turn: Turn, picture: BrokerOrder) -> None:
    """Apply what the stream says about one order."""
    state = turn.state
    if not recognition.is_of_session(state, picture):
        return
    if picture.doubt:
        reason = f"order {picture.broker_id}: {picture.doubt}"
        broken = UnreadableRecord(picture.broker_id, picture.account, picture.contract, reason)
        record_unreadable(turn, RecordUnreadable(StreamKind.ORDERS, broken))
    order = recognition.claimed(state, picture)
    if order is None and picture.broker_id in state.broker.ids:
        return  # of ours, ended long ago and forgotten
    if order is None:
        keep_stray(state, picture)
        claim_strays(turn, OrderSource.BROKER_STREAM)
        if not state.engine.has_unanswered:
            _ask_about(turn, picture, "nobody knows works")
        return
    if state.broker.has_orders:
        take(turn, order, picture, OrderSource.BROKER_STREAM)
        state.broker.doubts.pop(order.id, None)
    else:
        take_first(turn, order, picture)
    if order.state.is_terminal:
        _ask_about(turn, picture, "was taken for ended and works")


def _ask_about(turn: Turn, picture: BrokerOrder, trouble: str) -> None:
    """Ask whether an order works that should not; once, because `reconcile.py` goes on as long as answers show it."""
    if not picture.state.is_terminal and picture.broker_id not in turn.state.broker.foreign:
        turn.ask_orders(f"order {picture.broker_id} {trouble}")


def take(turn: Turn, order: Order, picture: BrokerOrder, source: OrderSource) -> None:
    """Apply a picture to an order of ours, and settle what was pending on it."""
    state, known = turn.state, order
    if _is_old_news(state, order, picture):
        return
    state.broker.ids[picture.broker_id] = order.id
    state.broker.strays.pop(picture.broker_id, None)
    state.broker.first_told.pop(picture.broker_id, None)
    if lacks_price(order, picture):
        picture = unpriced.hold(turn, order, picture, source)
    elif not unpriced.is_late(turn, order.id, picture, source):
        unpriced.settle(turn, order.id)
        order = unpriced.price_later(turn, order, picture, source)
    vanished.note(turn, order, picture)
    turn.apply(told(order, picture, state.setup.instrument, source, turn.times))
    amended_orders.judge(turn, known, state.engine.orders[order.id])
    external.arrived_late(turn, known, picture)
    _settle(turn, order.id, picture, source)
    early_close.rejected(turn, state.engine.orders[order.id])
    if picture.state.is_terminal:
        state.broker.reappeared.discard(order.id)
        if not state.broker.reappeared:
            turn.clear(AlarmName.ORDER_REAPPEARED)
        state.broker.foreign.pop(picture.broker_id, None)
    order = state.engine.orders[order.id]
    if order.id in state.engine.cancels_wanted:
        sending.cancel(turn, order, OrderSource.TRADER, "wanted before the broker's id was known")


def _is_old_news(state: State, order: Order, picture: BrokerOrder) -> bool:
    """Tell whether a picture shows an ended order as we know it, with nothing left to settle.

    The broker goes on listing what ended today, so that most pictures of an answer are of this kind.
    """
    engine, broker = state.engine, state.broker
    return (
        order.state.is_terminal
        and picture.state is order.state
        and picture.filled == order.filled
        # what is filled whole is filled, whatever the broker calls its end
        and (order.state is OrderState.FILLED or picture.filled < picture.quantity or not picture.quantity)
        and order.broker_id == picture.broker_id
        and (not order.filled or order.average is not None)
        and order.in_flight is None
        and order.id not in engine.pending
        and order.id not in engine.cancels_wanted
        and order.id not in engine.cancels_asked
        and order.id not in engine.cancels_refused
        and broker.ids.get(picture.broker_id) == order.id
        and order.id not in broker.unpriced
        and order.id not in broker.reappeared
        and order.id not in broker.terms
        and picture.broker_id not in broker.strays
        and picture.broker_id not in broker.foreign
        and AlarmName.ORDER_REAPPEARED.value not in engine.alarms
    )


def take_first(turn: Turn, order: Order, picture: BrokerOrder) -> None:
    """Apply the first pictures after a start: what changed meanwhile is a difference between database and broker."""
    take(turn, order, picture, OrderSource.RECONCILIATION)
    after = turn.state.engine.orders[order.id]
    if after.filled != order.filled or (after.state is not order.state and order.created_at < turn.state.started_at):
        cause = "the trader was not running"
        turn.diverged(difference(turn, order, after.state.value, after.filled, cause))


def difference(turn: Turn, ours: Order, state: str, filled: int, cause: str) -> Divergence:
    """Return the row about an order that the broker sees otherwise."""
    kind = DivergenceKind.ORDER_FILLED if filled != ours.filled else DivergenceKind.ORDER_STATE
    sides = f"{ours.state.value} filled {ours.filled}", f"{state} filled {filled}"
    return Divergence(ours.session, kind, ours.id, *sides, cause, turn.now)


def keep_stray(state: State, picture: BrokerOrder) -> None:
    """Keep the furthest picture of an order not known as ours, for they may come in any order; a bounded number."""
    strays = state.broker.strays
    known = strays.pop(picture.broker_id, None)
    if known is not None and _progress(known) > _progress(picture):
        picture = known
    strays[picture.broker_id] = picture
    while len(strays) > KEPT_STRAYS:
        del strays[next(iter(strays))]


def _progress(picture: BrokerOrder) -> tuple[bool, int, bool]:
    return picture.state.is_terminal, picture.filled, picture.state.is_working


def claim_strays(turn: Turn, source: OrderSource, listed: Sequence[BrokerOrder] = ()) -> None:
    """Match strays by their looks with orders whose reply was lost.

    A stray is left alone while a submit that looks the same is unanswered.

    `listed` are pictures that an answer holds beside them.
    """
    state = turn.state
    pictures = (*listed, *state.broker.strays.values())
    _note_seen(turn, pictures)
    candidates = unresolved(state)
    if not candidates:
        return
    submits = [
        state.engine.orders[order_id]
        for order_id, pending in state.engine.pending.items()
        if pending.waiting is Waiting.SUBMIT
    ]
    with_legs = {each.parent for each in pictures}
    # legs are known by their entry, so entries first, and those with legs before what only has the same terms; of
    # these the one that was opened closest to when an order of ours was made, not a stranger's older one
    distance = {each.broker_id: recognition.distance(state, each, candidates) for each in pictures}

    def by_likeness(picture: BrokerOrder) -> tuple[bool, bool, int]:
        return picture.parent is not None, picture.broker_id not in with_legs, distance[picture.broker_id]

    for picture in sorted(pictures, key=by_likeness):
        order = recognition.owner(state, picture, candidates)
        if order is None or any(recognition.looks_like(state, submit, picture) for submit in submits):
            continue
        is_bracket = any(each.parent == order.id for each in candidates)
        if is_bracket and picture.broker_id not in with_legs and not listed:
            continue  # somebody else's of the same terms has no legs; the list of all orders decides
        candidates.remove(order)
        turn.log("info", "order_matched", order=order.id, broker_id=picture.broker_id)
        if state.broker.has_orders:
            take(turn, order, picture, source)
        else:
            take_first(turn, order, picture)


def _note_seen(turn: Turn, pictures: Sequence[BrokerOrder]) -> None:
    """Note the first picture of orders not known as ours, when, and after how many of ours; the first orders only.

    None is dropped for a newer one: told again it would count as new, and a stranger's old order as ours. Of one that
    is not noted only the broker's own time counts.
    """
    broker, made = turn.state.broker, turn.state.engine.counter
    for picture in pictures:
        if len(broker.first_told) >= _KEPT_SEEN:
            return
        if picture.broker_id not in broker.ids:
            broker.first_told.setdefault(picture.broker_id, (turn.now, made, picture))


def unresolved(state: State) -> list[Order]:
    """Return orders without a broker id whose reply was lost, given-up ones included, oldest first."""
    engine = state.engine
    found = []
    for order in engine.orders.values():
        pending = engine.pending.get(order.id)
        is_lost = pending is not None and pending.waiting is Waiting.RESOLVE
        is_given_up = order.state.is_terminal and order.reason == GIVEN_UP
        if order.broker_id is None and (is_lost or is_given_up):
            found.append(order)
    return found


def _settle(turn: Turn, order_id: str, picture: BrokerOrder, source: OrderSource) -> None:
    state, engine = turn.state, turn.state.engine
    order, pending = engine.orders[order_id], engine.pending.get(order_id)
    if order.state.is_terminal:
        engine.cancels_wanted.discard(order_id)
        engine.cancels_asked.discard(order_id)
        engine.cancels_refused.discard(order_id)
    elif source is OrderSource.RECONCILIATION and (state.broker.orders.asked_at or 0) >= order.changed_at:
        engine.cancels_refused.discard(order_id)
    if pending is None or pending.waiting is Waiting.SUBMIT:
        return  # the reply to a submit speaks of the legs as well, and is still to come
    if order.state.is_terminal:
        del engine.pending[order_id]
        return
    match pending.waiting:
        case Waiting.RESOLVE | Waiting.STORE:
            del engine.pending[order_id]
        case Waiting.CANCEL:
            if not picture.has_cancel_pending and _is_overdue(turn, pending, source):
                changed_not(turn, order, "cancel_not_done", source)
        case Waiting.MODIFY:
            _settle_modify(turn, order, pending, picture, source)


def _settle_modify(turn: Turn, order: Order, pending: Pending, picture: BrokerOrder, source: OrderSource) -> None:
    """Take the new terms when the picture shows them; believe the broker when it still shows others much later."""
    wanted = pending.wanted
    if wanted is not None and _shows(turn.state, order, wanted, picture):
        changed = replace(
            order,
            quantity=picture.quantity,
            limit=wanted.limit,
            stop=wanted.stop,
            in_flight=None,
            changed_at=turn.now,
        )
        turn.keep(changed, noted(order, changed, source, turn.now, "modified"))
        del turn.state.engine.pending[order.id]
    elif _is_overdue(turn, pending, source):
        changed_not(turn, order, "modify_not_done", source)
        before = turn.state.engine.orders[order.id]
        # what the broker shows counts from now on: it may have done what an earlier life had asked for
        turn.apply(told(before, picture, turn.state.setup.instrument, source, turn.times))
        amended_orders.judge(turn, before, turn.state.engine.orders[order.id])


def _shows(state: State, order: Order, wanted: Order, picture: BrokerOrder) -> bool:
    """Tell whether a picture has the wanted terms; a quantity that was not to change may be shrunk by a sibling."""
    price = state.setup.instrument.price
    return (
        (wanted.limit is None or picture.limit == price(wanted.limit))
        and (wanted.stop is None or picture.stop == price(wanted.stop))
        and (picture.quantity == wanted.quantity or wanted.quantity == order.quantity)
    )


def _is_overdue(turn: Turn, pending: Pending, source: OrderSource) -> bool:
    """Tell whether this picture answers a question that was asked well after the change."""
    asked_at = turn.state.broker.orders.asked_at
    if source is not OrderSource.RECONCILIATION or asked_at is None:
        return False
    return asked_at - pending.since >= CHANGE_EXPECTED


def changed_not(turn: Turn, order: Order, what: str, source: OrderSource, reason: str = "") -> None:
    """Forget a change in flight: it was refused, or was not done."""
    turn.state.engine.pending.pop(order.id, None)
    changed = replace(order, in_flight=None, changed_at=turn.now)
    turn.keep(changed, noted(order, changed, source, turn.now, what, reason))


def stream_changed(turn: Turn, event: StreamChanged) -> None:
    """Close or open the freshness gate; after a stream came back or missed something, ask."""
    streams = turn.state.broker.streams
    was_down = streams[event.stream]
    streams[event.stream] = "" if event.is_up else event.reason or "no reason given"
    if was_down != streams[event.stream]:
        turn.log("info", "stream_changed", stream=event.stream.value, up=event.is_up, reason=event.reason)
    if event.stream is StreamKind.MARKET:
        turn.state.broker.market_heard_at = turn.now
        if was_down or not event.is_up:
            turn.state.broker.market_up_since = turn.now if event.is_up else None
        return
    if not event.is_up or not turn.state.broker.has_orders:
        return
    if was_down or event.has_gap:
        reason = "gap" if event.has_gap else "reconnect"
        turn.ask_orders(reason)
        turn.ask_position(reason)


def record_unreadable(turn: Turn, event: RecordUnreadable) -> None:
    """Ask for what the stream told and nobody could read; told again and again, it is asked for once."""
    record = event.record
    if not recognition.is_of_session(turn.state, record) or event.stream in turn.state.broker.unreadable:
        return
    turn.log("warning", "record_unreadable", stream=event.stream.value, reason=record.reason)
    note_unreadable(turn, event.stream, [record.reason])
    ask = turn.ask_orders if event.stream is StreamKind.ORDERS else turn.ask_position
    ask("a record cannot be read")


def note_unreadable(turn: Turn, stream: StreamKind, reasons: Sequence[str]) -> None:
    """Raise, or take back, the alarm about orders or positions of the broker that cannot be read."""
    unreadable = turn.state.broker.unreadable
    unreadable.pop(stream, None)
    if reasons:
        unreadable[stream] = "; ".join(reasons)[:500]
    if unreadable:
        turn.alarm(AlarmName.BROKER_UNREADABLE, "; ".join(unreadable.values()))
    else:
        turn.clear(AlarmName.BROKER_UNREADABLE)


def balance_updated(turn: Turn, balance: Balance) -> None:
    """Keep and save the account's money."""
    if balance.account == turn.state.setup.spec.account:
        turn.state.engine.losses.account_heard_at = turn.now
    if balance.account == turn.state.setup.spec.account and balance != turn.state.broker.balance:
        turn.state.broker.balance = balance
        turn.do(SaveBalance(balance))

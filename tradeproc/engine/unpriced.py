"""Contracts that the broker tells as filled without telling their price: unknown until read again, never guessed.

Some brokers tell an ended order with a filled quantity and no fill price. It may be filled or not, so neither is
believed: the order stays as we knew it, is asked for every 2 s, entries wait, and nothing is taken over from the
broker's position meanwhile. A picture with a price, or one without the fill, settles it. Without either, three
answers over 6 s and the position decide:

    the position shows the contracts    booked, at what the broker's average of the position says, else price unknown
    it does not, and the order is over  not filled: the order ends, and a row tells both sides
    it does not, though told as filled  booked without a price after 30 s; the position question sees to the rest

A price that comes later replaces an unknown one: the row without a price is reversed, and one with it is booked.
"""

from dataclasses import replace

from tradeproc.domain.broker_orders import BrokerOrder
from tradeproc.domain.orders import Order, OrderSource, OrderState
from tradeproc.domain.units import SECOND, Price, plain
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.orders import average_of, taken_back, told
from tradeproc.engine.state import Unpriced
from tradeproc.engine.turn import Turn

ASK_EVERY = 2 * SECOND
_ANSWERS, _DECIDED_AFTER, _BELIEVED_AFTER = 3, 6 * SECOND, 30 * SECOND


def hold(turn: Turn, order: Order, picture: BrokerOrder, source: OrderSource) -> BrokerOrder:
    """Keep a picture without a price aside, and return the part of it that may be applied.

    That part is the fact that the broker has the order.
    """
    unpriced = turn.state.broker.unpriced
    known = unpriced.get(order.id)
    if known is None:
        known = unpriced[order.id] = Unpriced(picture, turn.now)
        turn.log("warning", "fill_without_price", order=order.id, filled=picture.filled, status=picture.raw_status)
        turn.ask_orders(f"order {order.id} is told as filled without a price")
        turn.ask_position(f"order {order.id} is told as filled without a price")
    known.picture = picture
    if source is OrderSource.RECONCILIATION:
        known.answers += 1
        turn.alarm(
            AlarmName.FILL_UNPRICED,
            f"order {order.id}: {picture.filled} told as filled ({picture.raw_status}) without a price",
        )
    state = OrderState.PARTIALLY_FILLED if order.filled else OrderState.SUBMITTED
    return replace(picture, filled=order.filled, average=order.average, state=state, reason="")


def is_late(turn: Turn, order_id: str, picture: BrokerOrder, source: OrderSource) -> bool:
    """Tell whether a picture is from before the fill that is held: it says nothing of its price.

    A fill that the broker took back is shown by answers, which are asked for every 2 s; at first they may be old.
    """
    held = turn.state.broker.unpriced.get(order_id)
    if held is None or picture.filled >= held.picture.filled or picture.state.is_terminal:
        return False
    return source is OrderSource.BROKER_STREAM or turn.now - held.since < _DECIDED_AFTER


def settle(turn: Turn, order_id: str) -> None:
    """Forget what was held: a picture with a price, or without the fill, has come."""
    unpriced = turn.state.broker.unpriced
    if unpriced.pop(order_id, None) is not None and not unpriced:
        turn.clear(AlarmName.FILL_UNPRICED)


def price_later(turn: Turn, order: Order, picture: BrokerOrder, source: OrderSource) -> Order:
    """Reverse what was booked without a price when a picture tells one, so that it is booked with it."""
    if not order.filled or order.average is not None or average_of(picture) is None:
        return order
    if picture.filled < order.filled:
        return order
    undone = replace(picture, filled=type(order.filled)(0), average=None, state=OrderState.SUBMITTED)
    turn.apply(taken_back(order, replace(undone, reason="its price is known now"), source, turn.times))
    return turn.state.engine.orders[order.id]


def on_time(turn: Turn) -> None:
    """Ask again, and decide what stays without a price; called when time passes."""
    broker = turn.state.broker
    for order_id, held in list(broker.unpriced.items()):
        order = turn.state.engine.orders.get(order_id)
        if order is None:
            settle(turn, order_id)  # ended long ago and forgotten
            continue
        if broker.position.is_due(turn.now, ASK_EVERY):
            turn.ask_position(f"order {order_id} has no fill price")
        if held.answers >= _ANSWERS and turn.now - held.since >= _DECIDED_AFTER:
            _decide(turn, order, held)


def _decide(turn: Turn, order: Order, held: Unpriced) -> None:
    broker, picture = turn.state.broker, held.picture
    if broker.reading is None or (broker.position.known_at or 0) < held.since + ASK_EVERY:
        return  # the position has not been told since
    quantity = (picture.filled - order.filled) * order.side.sign
    missing = broker.reading.position.quantity - turn.state.engine.holding.quantity
    if missing * quantity > 0:
        average = _average_by_position(turn, order, picture) if missing == quantity else None
        _apply(turn, order, replace(picture, average=average))
    elif picture.state.is_terminal and picture.state is not OrderState.FILLED:
        turn.differed(order, picture.state.value, picture.filled, "filled without a price, not in the position")
        _apply(turn, order, replace(picture, filled=order.filled, average=order.average))
    elif turn.now - held.since >= _BELIEVED_AFTER:
        _apply(turn, order, replace(picture, average=None))


def _apply(turn: Turn, order: Order, picture: BrokerOrder) -> None:
    settle(turn, order.id)
    turn.apply(told(order, picture, turn.state.setup.instrument, OrderSource.RECONCILIATION, turn.times))
    after = turn.state.engine.orders[order.id]
    if after.state.is_terminal:
        turn.state.engine.pending.pop(order.id, None)
        turn.state.engine.cancels_wanted.discard(order.id)


def _average_by_position(turn: Turn, order: Order, picture: BrokerOrder) -> Price | None:
    """Return the order's average that the broker's average of the position implies, None where it implies none."""
    reading = turn.state.broker.reading
    if reading is None or reading.position.average is None:
        return None
    if turn.state.engine.holding.quantity or order.filled or abs(reading.position.quantity) != picture.filled:
        return None
    return Price(plain(reading.position.average))

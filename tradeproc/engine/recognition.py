"""Which order at the broker is ours: by its id, by our id where it echoes one, else by what it looks like.

What an order looks like decides only after a reply was lost, and only among orders that nobody has claimed: same
contract, side and type, and either under the right entry, or of the same quantity and prices and opened about when
ours was made, or told first soon after that. The broker's clock may be off and may have whole seconds only, hence the
width of the window; where one clock is quite wrong, only when it was told counts. Before the reply nothing is
guessed: pictures of unknown orders wait as strays until it says which they are. An order that was seen before ours
was made is not ours, however much it looks like it. Quantity and prices may be those of now or those that were told
first, because somebody may have changed an order of ours before we knew which it is; of an entry whose prices were
changed even before that, a leg tells it.
"""

from collections.abc import Iterable
from dataclasses import replace

from tradeproc.domain.broker_orders import BrokerOrder, ListedOrder, UnreadableRecord
from tradeproc.domain.orders import Order
from tradeproc.domain.units import SECOND
from tradeproc.engine.state import State

OPENED_BEFORE = 15 * SECOND
OPENED_AFTER = 120 * SECOND


def is_of_session(state: State, picture: ListedOrder) -> bool:
    """Tell whether a picture is of the session's account and contract.

    One that names neither may be, and counts.
    """
    spec = state.setup.spec
    if isinstance(picture, UnreadableRecord):
        return picture.account in ("", spec.account) and picture.contract in ("", spec.contract)
    return picture.account == spec.account and picture.contract == spec.contract


def claimed(state: State, picture: BrokerOrder) -> Order | None:
    """Return our order of a picture: known by the broker's id, or by ours when the broker echoes it."""
    order_id = state.broker.ids.get(picture.broker_id)
    if order_id is None and picture.client_id is not None and picture.client_id in state.engine.orders:
        order = state.engine.orders[picture.client_id]
        order_id = order.id if order.broker_id in (None, picture.broker_id) else None
    return state.engine.orders.get(order_id) if order_id is not None else None


def owner(state: State, picture: BrokerOrder, orders: Iterable[Order]) -> Order | None:
    """Return which of `orders` an unclaimed picture must be.

    Of equal ones the one made closest to its opening time.
    """
    if picture.broker_id in state.broker.ids:
        return None
    fitting = [order for order in orders if looks_like(state, order, picture)]
    return min(
        fitting,
        key=lambda order: (order.state.is_terminal, abs((picture.opened_at or 0) - order.created_at), order.id),
        default=None,
    )


def distance(state: State, picture: BrokerOrder, orders: Iterable[Order]) -> int:
    """Return how many nanoseconds lie between a picture's opening and the making of the order it resembles most."""
    order = owner(state, picture, orders)
    return 0 if order is None else abs((picture.opened_at or 0) - order.created_at)


def looks_like(state: State, order: Order, picture: BrokerOrder) -> bool:
    """Tell whether a picture could be `order`, by everything but the broker's id."""
    if (picture.client_id is not None and picture.client_id != order.id) or _is_older(state, order, picture):
        return False
    if not is_of_session(state, picture) or (picture.side, picture.type) != (order.side, order.type):
        return False
    if picture.parent is not None:
        # under the right entry neither time, quantity nor prices matter: some brokers stamp legs when they wake up, a
        # sibling's fill may have shrunk this one, and somebody may have moved it
        parent = state.engine.orders.get(order.parent or "")
        return parent is not None and parent.broker_id == picture.parent
    _, _, first = state.broker.first_told.get(picture.broker_id, (None, None, picture))
    has_terms = _has_terms(state, order, picture) or _has_terms(state, order, first)
    if picture.opened_at is None or not (has_terms or _has_our_leg(state, order, picture)):
        return False
    is_about_then = order.created_at - OPENED_BEFORE <= picture.opened_at <= order.created_at + OPENED_AFTER
    return is_about_then or _is_new_since(state, order, picture)


def _has_terms(state: State, order: Order, picture: BrokerOrder) -> bool:
    price = state.setup.instrument.price
    return (
        picture.quantity == order.quantity
        and (order.limit is None or picture.limit == price(order.limit))
        and (order.stop is None or picture.stop == price(order.stop))
    )


def _has_our_leg(state: State, entry: Order, picture: BrokerOrder) -> bool:
    """Tell whether the broker told an order under this one that has the terms of a leg of ours."""
    if picture.quantity != entry.quantity:
        return False
    legs = [each for each in state.engine.orders.values() if each.parent == entry.id]
    return any(
        told.parent == picture.broker_id
        and (told.side, told.type) == (leg.side, leg.type)
        and _has_terms(state, leg, told)
        for leg in legs
        for _, _, told in state.broker.first_told.values()
    )


def _is_older(state: State, order: Order, picture: BrokerOrder) -> bool:
    """Tell whether the broker had told a picture's order before ours was made in this life: then it is not ours.

    Orders are counted, because the clock may be set back by a second between the making and the telling.
    """
    seen = state.broker.first_told.get(picture.broker_id)
    return seen is not None and order.fence == state.setup.fence and seen[1] < _number(order)


def _is_new_since(state: State, order: Order, picture: BrokerOrder) -> bool:
    """Tell whether the broker told an order first soon after ours was made in this life, by one clock, which is ours.

    An entry is made only after the broker has told all its orders, so what it did not tell then is new, however far
    its clock and ours are apart.
    """
    seen = state.broker.first_told.get(picture.broker_id)
    is_of_now = order.fence == state.setup.fence and state.broker.has_orders
    return is_of_now and seen is not None and seen[1] >= _number(order) and seen[0] - order.created_at <= OPENED_AFTER


def _number(order: Order) -> int:
    """Return which order of its life this is; `sending.client_id` writes the number last."""
    number = order.id.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def may_be_one_of(state: State, orders: Iterable[Order], picture: ListedOrder) -> bool:
    """Tell whether this may be one of `orders`: it cannot be read, or is like one and tells no time it was opened."""
    if isinstance(picture, UnreadableRecord):
        return picture.broker_id not in state.broker.ids and is_of_session(state, picture)
    if picture.opened_at is not None or picture.broker_id in state.broker.ids:
        return False
    return any(looks_like(state, order, replace(picture, opened_at=order.created_at)) for order in orders)

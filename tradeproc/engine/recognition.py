"""Which order at the broker is ours: by its id, by our id where it echoes one, else by what it looks like.

What an order looks like decides only after a reply was lost, and only among orders that nobody has claimed: same
contract, side and type, and either under the right entry, or of the same quantity and prices and opened about when
ours was made. The broker's clock may be off and may have whole seconds only, hence the width of the window. Before
the reply nothing is guessed: pictures of unknown orders wait as strays until it says which they are.
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


def looks_like(state: State, order: Order, picture: BrokerOrder) -> bool:
    """Tell whether a picture could be `order`, by everything but the broker's id."""
    if picture.client_id is not None and picture.client_id != order.id:
        return False
    if not is_of_session(state, picture) or (picture.side, picture.type) != (order.side, order.type):
        return False
    if picture.parent is not None:
        # under the right entry neither time, quantity nor prices matter: some brokers stamp legs when they wake up, a
        # sibling's fill may have shrunk this one, and somebody may have moved it
        parent = state.engine.orders.get(order.parent or "")
        return parent is not None and parent.broker_id == picture.parent
    price = state.setup.instrument.price
    if order.limit is not None and picture.limit != price(order.limit):
        return False
    if order.stop is not None and picture.stop != price(order.stop):
        return False
    if picture.opened_at is None or picture.quantity != order.quantity:
        return False
    return order.created_at - OPENED_BEFORE <= picture.opened_at <= order.created_at + OPENED_AFTER


def may_be_one_of(state: State, orders: Iterable[Order], picture: ListedOrder) -> bool:
    """Tell whether this may be one of `orders`: it cannot be read, or is like one and tells no time it was opened."""
    if isinstance(picture, UnreadableRecord):
        return picture.broker_id not in state.broker.ids and is_of_session(state, picture)
    if picture.opened_at is not None or picture.broker_id in state.broker.ids:
        return False
    return any(looks_like(state, order, replace(picture, opened_at=order.created_at)) for order in orders)

"""Values of the broker contract as the exchange's, and the exchange's orders as pictures of the broker contract.

Who plays a broker over the exchange without a wire between uses these: the simulated venue, and the broker of the
engine's tests.
"""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from tradeproc.domain.broker_orders import BracketRequest, BrokerOrder, OrderRequest
from tradeproc.domain.instruments import Instrument
from tradeproc.domain.orders import OrderState
from tradeproc.domain.units import SECOND, Nanos, Price, Ticks
from tradeproc.exchange.orders import ExchangeOrder, GroupKind, OrderStatus, Replacement, Ticket, TicketGroup

STATES = {
    OrderStatus.QUEUED: OrderState.PENDING,
    OrderStatus.WAITING: OrderState.PENDING,
    OrderStatus.WORKING: OrderState.SUBMITTED,
    OrderStatus.PARTIALLY_FILLED: OrderState.PARTIALLY_FILLED,
    OrderStatus.FILLED: OrderState.FILLED,
    OrderStatus.CANCELLED: OrderState.CANCELLED,
    OrderStatus.REJECTED: OrderState.REJECTED,
    OrderStatus.EXPIRED: OrderState.EXPIRED,
}

Points = Callable[[Fraction | int | None], Price | None]
"""What turns a number of ticks into a price in points; None stays None."""


def ticket_of(request: OrderRequest | BracketRequest, product: Instrument, *, has_legs: bool = True) -> Ticket:
    """Return the ticket of an order, or of a bracket's entry with its legs; without them where `has_legs` is False.

    Raises:
        OffGrid: a price lies between two ticks.
    """
    if isinstance(request, BracketRequest):
        legs = [each for each in (request.stop_loss, request.profit_target) if each is not None]
        entry = ticket_of(request.entry, product)
        if not has_legs:
            return entry
        tickets = tuple(ticket_of(leg, product) for leg in legs)
        return replace(entry, then=(TicketGroup(GroupKind.ONE_REDUCES_OTHER, tickets),))
    return Ticket(
        request.contract.code,
        request.side,
        request.quantity,
        request.type,
        _ticks(request.limit, product),
        _ticks(request.stop, product),
        request.time_in_force,
        client_id=request.id,
    )


def replacement_of(change: OrderRequest, product: Instrument) -> Replacement:
    """Return what a changed order is to have.

    Raises:
        OffGrid: a price lies between two ticks.
    """
    return Replacement(change.quantity, _ticks(change.limit, product), _ticks(change.stop, product))


def picture_of(order: ExchangeOrder, points: Points, *, echoes: bool) -> BrokerOrder:
    """Return an order as a broker tells it, under the exchange's ids; with our id if the broker `echoes` it.

    The time of opening has whole seconds only, as some brokers tell it.
    """
    return BrokerOrder(
        broker_id=order.id,
        account=order.account,
        contract=order.contract,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        filled=order.filled,
        state=STATES[order.status],
        raw_status=order.status.value,
        opened_at=Nanos(order.opened_at // SECOND * SECOND),
        closed_at=order.closed_at,
        limit=points(order.limit),
        stop=points(order.stop),
        average=points(order.average),
        client_id=(order.client_id or None) if echoes else None,
        parent=order.parent,
        reason=order.reason if order.status in (OrderStatus.REJECTED, OrderStatus.EXPIRED) else "",
    )


def _ticks(price: Price | None, product: Instrument) -> Ticks | None:
    return None if price is None else product.ticks(price)

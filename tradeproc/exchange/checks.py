"""What the exchange declines, and why: pure checks of tickets and changes before anything is placed or changed."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal

from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import OrderType
from tradeproc.domain.units import Money
from tradeproc.exchange.orders import (
    Declined,
    DeclineReason,
    ExchangeOrder,
    ExchangePosition,
    Funds,
    GroupKind,
    Replacement,
    Ticket,
    TicketGroup,
)

UNKNOWN_ORDER = Declined(DeclineReason.UNKNOWN_ORDER, "There is no such order.")


def flattened(group: TicketGroup) -> Iterator[Ticket]:
    """Yield all tickets of a group, each parent before its children, in the sent order."""
    for ticket in group.tickets:
        yield ticket
        for children in ticket.then:
            yield from flattened(children)


def check_group(group: TicketGroup, contracts: Collection[str], used_ids: Collection[str]) -> Declined | None:
    """Return why a group cannot be placed, or None. `used_ids` are the client ids of the account so far."""
    seen: set[str] = set()
    for ticket in flattened(group):
        problem = _check_ticket(ticket, contracts)
        if problem is not None:
            return problem
        if ticket.client_id and (ticket.client_id in used_ids or ticket.client_id in seen):
            return Declined(
                DeclineReason.DUPLICATE, f"An order with the client's id {ticket.client_id} was placed before."
            )
        seen.add(ticket.client_id)
    return _check_members(group)


def _check_members(group: TicketGroup) -> Declined | None:
    if not group.tickets:
        return Declined(DeclineReason.BAD_GROUP, "A group needs at least one order.")
    if (
        group.kind is GroupKind.ONE_REDUCES_OTHER
        and len({(ticket.contract, ticket.side) for ticket in group.tickets}) > 1
    ):
        return Declined(
            DeclineReason.BAD_GROUP, "Orders that reduce each other must have the same contract and side."
        )
    for children in (children for ticket in group.tickets for children in ticket.then):
        problem = _check_members(children)
        if problem is not None:
            return problem
    return None


def _check_ticket(ticket: Ticket, contracts: Collection[str]) -> Declined | None:
    if ticket.contract not in contracts:
        return Declined(DeclineReason.UNKNOWN_CONTRACT, f"Unknown contract {ticket.contract}.")
    if ticket.quantity <= 0:
        return Declined(DeclineReason.BAD_QUANTITY, f"Quantity must be above 0, not {ticket.quantity}.")
    if ticket.type.has_limit and ticket.limit is None:
        return Declined(DeclineReason.MISSING_PRICE, "A limit price is needed.")
    if ticket.type.has_stop and ticket.stop is None:
        return Declined(DeclineReason.MISSING_PRICE, "A stop price is needed.")
    return None


def check_margin(
    group: TicketGroup,
    orders: Sequence[ExchangeOrder],
    holdings: Sequence[ExchangePosition],
    funds: Funds,
    margins: Mapping[str, Money],
) -> Declined | None:
    """Return why the equity is too small for the orders, or None. What only makes a position smaller always passes.

    The exposure of an order is the position plus all working orders of its side; legs of brackets are left out.
    """
    for ticket in group.tickets:
        held = sum(holding.quantity for holding in holdings if holding.contract == ticket.contract)
        working = sum(
            order.remaining
            for order in orders
            if order.contract == ticket.contract and order.side is ticket.side and order.parent is None
        )
        exposure = abs(held + ticket.side.sign * (working + ticket.quantity))
        needed = margins.get(instrument_of(ticket.contract).root, Decimal(0)) * exposure
        if exposure > abs(held) and needed > funds.equity:
            return Declined(
                DeclineReason.NOT_ENOUGH_MARGIN, f"Not enough margin: {needed} needed, equity {funds.equity}."
            )
    return None


def check_change(order: ExchangeOrder | None, change: Replacement) -> Declined | None:
    """Return why this change of the order is declined, or None."""
    problem = check_open(order)
    if problem is not None or order is None:
        return problem
    if change == Replacement():
        return Declined(DeclineReason.NOTHING_TO_CHANGE, "Name a quantity, a price or the order type to change.")
    if order.triggered and (change.stop is not None or order.type is OrderType.STOP):
        return Declined(
            DeclineReason.ALREADY_TRIGGERED, "The stop was hit already; only the limit and the quantity can change."
        )
    if change.quantity is not None and change.quantity <= order.filled:
        return Declined(
            DeclineReason.BAD_QUANTITY, f"Quantity must be above the {order.filled} filled, not {change.quantity}."
        )
    if change.limit is not None and not order.type.has_limit:
        return Declined(DeclineReason.NOTHING_TO_CHANGE, f"A {order.type.value} order has no limit price.")
    if change.stop is not None and not order.type.has_stop:
        return Declined(DeclineReason.NOTHING_TO_CHANGE, f"A {order.type.value} order has no stop price.")
    return None


def check_open(order: ExchangeOrder | None) -> Declined | None:
    """Return why an order can be neither changed nor cancelled, or None."""
    if order is None:
        return UNKNOWN_ORDER
    if not order.status.is_open:
        return Declined(DeclineReason.NOT_OPEN, "The order is not open.")
    return None

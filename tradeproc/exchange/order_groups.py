"""What an event of one order does to its siblings in the group, and to the legs that wait for it. Pure functions.

Each returns the order after the event and what happened to it, or None when it stays as it is. For the legs of a
bracket this always holds: a leg may execute what its entry filled, less what its siblings executed.
"""

from dataclasses import replace

from tradeproc.domain.units import Contracts, Nanos
from tradeproc.exchange.orders import ChangeKind, ExchangeOrder, GroupKind, OrderStatus

Result = tuple[ExchangeOrder, ChangeKind] | None


def closed(order: ExchangeOrder, status: OrderStatus, at: Nanos, reason: str) -> ExchangeOrder:
    """Return the order with a terminal status."""
    return replace(order, status=status, closed_at=at, reason=reason)


def after_sibling_fill(order: ExchangeOrder, sibling: ExchangeOrder, quantity: int, at: Nanos) -> Result:
    """Return what a fill of a sibling does to an open order."""
    if order.group_kind is GroupKind.INDEPENDENT:
        return None
    left = order.quantity - quantity
    if order.group_kind is GroupKind.ONE_CANCELS_OTHER or left <= order.filled:
        return closed(order, OrderStatus.CANCELLED, at, f"sibling {sibling.id} filled"), ChangeKind.CANCELLED
    released = Contracts(max(order.filled, order.released - quantity))
    return replace(order, quantity=Contracts(left), released=released), ChangeKind.REDUCED


def changed(order: ExchangeOrder, quantity: Contracts, entry: ExchangeOrder | None, taken: int) -> ExchangeOrder:
    """Return the order after its client asked for a quantity; `taken` is what its siblings' fills took off it.

    A client that has not heard yet of a sibling's fill, or of the end of a half-filled entry, asks for contracts that
    are closed already or never came. They are taken off, as an exchange takes off an order's own fills that cross a
    change of it: otherwise the leg would turn the position round. Where nothing was taken off, a leg may grow.
    """
    if entry is None:
        kept = min(quantity, order.quantity) if taken else quantity
        return replace(order, quantity=kept, released=kept)
    is_open = entry.status.is_open
    if taken or (not is_open and entry.filled < entry.quantity):
        total = entry.quantity if is_open else entry.filled
        quantity = Contracts(min(quantity, max(order.quantity, total - taken)))
    released = max(order.filled, min(quantity, entry.filled - taken)) if is_open else quantity
    return replace(order, quantity=quantity, released=Contracts(released))


def after_entry_fill(leg: ExchangeOrder, entry: ExchangeOrder, quantity: int) -> Result:
    """Return the leg after a fill of its entry: released by as much, and wholly once the entry is filled."""
    is_whole = entry.filled == entry.quantity
    released = leg.quantity if is_whole else Contracts(min(leg.quantity, leg.released + quantity))
    if released == leg.released:
        return None
    status = OrderStatus.WORKING if leg.status is OrderStatus.WAITING else leg.status
    return replace(leg, released=released, status=status), ChangeKind.ACTIVATED


def after_entry_end(leg: ExchangeOrder, entry: ExchangeOrder, at: Nanos) -> Result:
    """Return the leg after its entry was cancelled, rejected or expired: cut to what was released, or cancelled."""
    if leg.released <= leg.filled:
        return closed(leg, OrderStatus.CANCELLED, at, f"entry {entry.id} {entry.status.value}"), ChangeKind.CANCELLED
    if leg.released == leg.quantity:
        return None
    return replace(leg, quantity=leg.released), ChangeKind.REDUCED

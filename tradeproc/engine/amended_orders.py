"""Prices and quantities of our orders that changed by no order of ours: a stop that somebody moved.

Every price and quantity that an order of ours has had, or that we asked for, is known; so a change of ours that we
gave up and the broker did all the same, and a picture that comes late, are not taken for somebody else's. The broker
may shrink a leg or an exit with what else closes the position. Any other change was made by somebody else: a row
tells both sides, and entries are closed as after a position that somebody changed (`external_policy`). After a start
only the row is written and entries stay open, because an earlier life may have died before it heard of its own
change.
"""

from tradeproc.domain.book import Divergence, DivergenceKind
from tradeproc.domain.orders import Order, OrderRole
from tradeproc.domain.units import Contracts
from tradeproc.engine.state import State, Terms
from tradeproc.engine.turn import Turn


def asked(state: State, order: Order, wanted: Order | None) -> None:
    """Remember the terms that we ask for; None when an earlier life asked and did not leave them."""
    known = state.broker.terms.setdefault(order.id, [_terms(order)])
    known.append(None if wanted is None else _terms(wanted))


def judge(turn: Turn, before: Order, after: Order) -> None:
    """Tell people about terms that a picture changed and that were never ours."""
    terms = turn.state.broker.terms
    if after.state.is_terminal:
        terms.pop(after.id, None)
        return
    if _terms(before) == _terms(after):
        return
    known = terms.setdefault(before.id, [])
    known.append(_terms(before))
    is_known = _is_known(known, _terms(after, _judged_quantity(turn.state, before, after)))
    if not is_known and None in known:
        known.remove(None)
        is_known = True
    if _terms(after) not in known:
        known.append(_terms(after))
    if not is_known:
        _tell(turn, before, after)


def _terms(order: Order, quantity: Contracts | None = None) -> Terms:
    return order.limit, order.stop, order.quantity if quantity is None else quantity


def _is_known(known: list[Terms | None], terms: Terms) -> bool:
    """Tell whether each of the terms was ours; a broker may show those of one change one after the other."""
    return all(any(each is not None and each[n] == value for each in known) for n, value in enumerate(terms))


def _judged_quantity(state: State, before: Order, after: Order) -> Contracts:
    """Return the new quantity, or the old one where the broker itself may have changed it."""
    entry = state.engine.orders.get(before.parent or "")
    is_shrunk = after.quantity < before.quantity and before.role is not OrderRole.ENTRY
    is_sized = entry is not None and after.quantity <= entry.quantity
    return before.quantity if is_shrunk or is_sized else after.quantity


def _tell(turn: Turn, before: Order, after: Order) -> None:
    ours, brokers = _words(turn.state, before), _words(turn.state, after)
    cause, is_first = "changed by no order of ours", not turn.state.broker.has_orders
    if is_first:
        cause += " while the trader was not running"
    turn.diverged(Divergence(before.session, DivergenceKind.ORDER_STATE, before.id, ours, brokers, cause, turn.now))
    if is_first:
        return
    role = before.role.value.replace("_", " ")
    turn.changed_by_others(f"{role} {before.id} {cause}: from {ours} to {brokers}")


def _words(state: State, order: Order) -> str:
    price = state.setup.instrument.price
    prices = (("limit", order.limit), ("stop", order.stop))
    told = [f"{name} {price(ticks):f}" for name, ticks in prices if ticks is not None]
    return ", ".join([*told, f"quantity {order.quantity}"])

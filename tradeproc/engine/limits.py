"""What may stop an entry, and why nothing stops an exit.

Only this module makes `Admitted`, and an entry is sent only as one. An entry is refused when

    the session is stopping or closing its position          a latch says reducing or halted
    the lease is lost, or the database is down               broker and engine are not reconciled
    an order's fate is unknown                               a stream is down, or market data is old
    it is larger than `max_order`                            with all working entries it could pass `max_position`
    the session has lost too much (`loss_limits.py`)         it is odd or one too many (`order_limits.py`)
    another login tells other prices (`witness.py`)

An exit goes through `exit_of`, which checks none of these. It ensures one thing: that the order can only reduce the
position. The quantity that would open a position on the other side is cut off, because an order that opens is an
entry, whatever it is called.
"""

from dataclasses import replace

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.orders import Order, Side
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import SECOND, Contracts, Nanos
from tradeproc.engine import loss_limits, order_limits, witness
from tradeproc.engine.events import StreamKind, TradingState
from tradeproc.engine.freshness import not_fresh
from tradeproc.engine.state import State, Waiting
from tradeproc.protocol import scopes

# a reply takes this long only when something is wrong
REPLY_EXPECTED = 5 * SECOND


@dataclass(frozen=True, slots=True)
class Admitted:
    """An entry, with the legs of its bracket, that may be sent; made by `admit` and nothing else."""

    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Exit:
    """An order that can only reduce the position, or protect what an entry opens; made by `exit_of`."""

    order: Order


@dataclass(frozen=True, slots=True)
class Denied:
    """Why an order is not sent, in one line for people."""

    reason: str


def admit(state: State, orders: tuple[Order, ...], now: Nanos, *, is_late: bool) -> Admitted | Denied:
    """Return the entry (first of `orders`, its legs after it) as admitted, or what stands against it.

    `is_late` tells that the candle it was decided on came as history.
    """
    entry = orders[0]
    size = entry.quantity
    reason = (
        closed_gate(state, now)
        or _late(is_late)
        or _too_large(state, entry.side, size, size)
        or order_limits.against_new(state, entry, now)
    )
    return Admitted(orders) if reason is None else Denied(reason)


def admit_reopening(state: State, orders: tuple[Order, ...], now: Nanos) -> Admitted | Denied:
    """Return the entry of a roll as admitted, or what stands against it.

    Its size is not checked: it is no new risk, because the same contracts with the same stop were just closed.
    """
    reason = reopening_gate(state, now)
    return Admitted(orders) if reason is None else Denied(reason)


def admit_change(state: State, order: Order, changed: Order, now: Nanos) -> Denied | None:
    """Return what stands against changing a working entry, None when nothing does; a decrease always passes."""
    more = changed.quantity - order.quantity
    if more < 0 and (changed.limit, changed.stop) == (order.limit, order.stop):
        return None
    reason = closed_gate(state, now)
    if reason is None and more > 0:
        reason = _too_large(state, order.side, changed.quantity, more)
    reason = reason or order_limits.against(state, changed)
    return None if reason is None else Denied(reason)


def exit_of(state: State, order: Order, *, is_closing: bool = False) -> Exit | Denied:
    """Return an order of any role but entry as an exit, cut to what it can close.

    Orders of the same role that work already count: two exits never close one contract twice. A stop loss and a
    target may both cover all of it, but all of them filled may not lead beyond `max_position` on the other side. That
    does not count for the exit of a closing: what else works is being cancelled.
    """
    held = state.engine.holding.quantity
    if held * order.side.sign >= 0:
        return Denied("there is nothing that it could close")
    working = sum(
        covers(state, other)
        for other in state.engine.open_orders
        if other.role is order.role and other.side is order.side and not is_dormant(state, other)
    )
    beyond = state.setup.spec.limits.max_position - worst_position(state, order.side)
    left = abs(held) - working if is_closing else min(abs(held) - working, max(beyond, 0))
    if left <= 0:
        return Denied("working exits already cover the whole position; use ClosePosition to force an exit")
    return Exit(replace(order, quantity=Contracts(min(order.quantity, left))))


def closed_gate(state: State, now: Nanos) -> str | None:
    """Return why no entry may go out now, None when the gate is open."""
    if state.engine.roll.open is not None:
        return "the session is rolling"
    return reopening_gate(state, now) or state.engine.heat.unread or loss_limits.against_entry(state, now)


def gate_of(state: State, order_id: str, now: Nanos) -> str | None:
    """Return why an entry that was admitted may not go out now, None when it may."""
    roll = state.engine.roll.open
    is_of_roll = roll is not None and order_id in roll.entry_orders.split()
    return reopening_gate(state, now) if is_of_roll else closed_gate(state, now)


def reopening_gate(state: State, now: Nanos) -> str | None:
    """Return why the entry of a roll may not go out now, None when it may: it is no new risk to be limited."""
    return _desk_closed(state) or _unknown(state, now) or _not_heard(state, now)


def _desk_closed(state: State) -> str | None:
    engine = state.engine
    if engine.is_stopping:
        return "the session is stopping"
    if engine.closing is not None:
        return "the position is being closed"
    if engine.trading is not TradingState.ACTIVE:
        closing = sorted(scope for scope, latch in engine.latches.items() if latch is engine.trading)
        said = (_scope_in_reason(scope, state.setup.spec) for scope in closing)
        return f"trading is {engine.trading.value} by {', '.join(said)}"
    if not engine.is_database_up:
        # the lease is lost with the database, so the database is named as the cause
        return "the database is down"
    if not engine.is_lease_held:
        return "the lease is lost"
    return None


def _scope_in_reason(scope: str, spec: SessionSpec) -> str:
    """Return a latch's scope; that of the data login is told apart, because orders do not go through it."""
    is_data = spec.login != spec.login_of_data and scope == scopes.of_login(spec.login_of_data)
    return f"{scope}, the session's data login" if is_data else scope


def _unknown(state: State, now: Nanos) -> str | None:
    broker = state.broker
    if not (broker.has_orders and broker.has_position):
        return "orders and position are not confirmed since the start"
    if broker.suspicion is not None:
        return "the position is not reconciled"
    if broker.unpriced:
        return f"order {min(broker.unpriced)} is told as filled without a price"
    if broker.reappeared:
        return f"order {min(broker.reappeared)} works at the broker though we took it for ended"
    for order_id, pending in state.engine.pending.items():
        is_lost = pending.waiting is Waiting.SUBMIT and now - pending.since > REPLY_EXPECTED
        if is_lost or pending.waiting is Waiting.RESOLVE:
            return f"the fate of order {order_id} is unknown"
    return None


def _not_heard(state: State, now: Nanos) -> str | None:
    for kind in StreamKind:
        if problem := state.broker.streams[kind]:
            return f"the {kind.value} stream is down: {problem}"
    return not_fresh(state, now) or witness.against_entry(state)


def _late(is_late: bool) -> str | None:
    return "the candle came late, as history" if is_late else None


def _too_large(state: State, side: Side, quantity: int, more: int) -> str | None:
    """Return which limit an order of `quantity` breaks that adds `more` to what works already."""
    limits = state.setup.spec.limits
    if quantity > limits.max_order:
        return f"{quantity} contracts are more than max_order {limits.max_order}"
    worst = worst_position(state, side) + more
    if worst > limits.max_position:
        return f"the position could become {worst}, more than max_position {limits.max_position}"
    return None


def worst_position(state: State, side: Side) -> int:
    """Return how far the position could go to one side if all that works on it were filled, and nothing else.

    Of the legs of one bracket only one fills; a leg that waits for its entry counts for what the entry has filled.
    """
    worst = state.engine.holding.quantity * side.sign
    legs: dict[str, int] = {}
    for order in state.engine.open_orders:
        if order.side is not side:
            continue
        if order.parent is None:
            worst += order.remaining
        else:
            quantity = int(order.remaining)
            if is_dormant(state, order):
                quantity = min(quantity, state.engine.orders[order.parent].filled)
            legs[order.parent] = max(legs.get(order.parent, 0), quantity)
    return worst + sum(legs.values())


def is_dormant(state: State, order: Order) -> bool:
    """Tell whether an order is a bracket's leg that waits for its entry to fill."""
    parent = state.engine.orders.get(order.parent or "")
    return parent is not None and not parent.state.is_terminal and not order.state.is_working


def covers(state: State, stop: Order) -> int:
    """Return how many contracts a working stop closes now: while its entry fills, no more than that has brought."""
    entry = state.engine.orders.get(stop.parent or "")
    if entry is None or entry.state.is_terminal:
        return stop.remaining
    closed = sum(leg.filled for leg in state.engine.orders.values() if leg.parent == entry.id)
    return min(stop.remaining, max(0, entry.filled - closed))

"""What a session tells of itself for the limits of its portfolio and its account: profit, contracts, worth; pure."""

from decimal import Decimal

from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.orders import Order, OrderRole, Side
from tradeproc.domain.units import Money, plain
from tradeproc.engine import loss_limits
from tradeproc.engine.limits import worst_position
from tradeproc.engine.state import State

_NONE = Money(Decimal(0))


def profit_of(state: State) -> Answer[Money]:
    """Return the session's whole profit, realized and open; unknown until the broker has confirmed what it holds."""
    if state.engine.losses.tally.unpriced:
        return Unknown(loss_limits.unknown(state))
    if not state.broker.is_reconciled:
        return Unknown("orders and position are not confirmed")
    profit = loss_limits.profit_now(state)
    return Unknown("no price was heard") if profit is None else Known(profit)


def reach(state: State, side: Side) -> int:
    """Return how far the position could go to one side with all that works; what waits for a grant does not count."""
    found, asks = worst_position(state, side), state.engine.heat.asks
    for order in state.engine.open_orders:
        if order.side is not side or order.role is not OrderRole.ENTRY:
            continue
        ask, pending = asks.get(order.id), state.engine.pending.get(order.id)
        if ask is not None and not ask.is_granted and ask.wanted is None:
            found -= order.remaining
        elif pending is not None and pending.wanted is not None:
            found += max(pending.wanted.quantity - order.quantity, 0)
    return found


def notional_of(state: State, contracts: int) -> Money | None:
    """Return what so many contracts are worth at the last price, None while no price is known."""
    if contracts <= 0:
        return _NONE
    price = loss_limits.last_price(state)
    return None if price is None else Money(plain(abs(price) * contracts * state.setup.instrument.point_value))


def size_of(state: State, order: Order, contracts: int) -> tuple[int, Money | None]:
    """Return how many contracts an entry adds, signed, and what they are worth at its price, else at the last one."""
    ticks = order.limit if order.limit is not None else order.stop
    if ticks is None or contracts <= 0:
        return contracts * order.side.sign, notional_of(state, contracts)
    instrument = state.setup.instrument
    return contracts * order.side.sign, Money(
        plain(abs(instrument.price(ticks)) * contracts * instrument.point_value)
    )

"""Which limits were asked about a decision, and how much of each was used with it, for people who ask why later.

It is computed when the decision is carried out or refused, because nothing of it can be computed afterwards. Exits
and cancels ask no limit, so nothing is told of them.
"""

from tradeproc.domain.orders import Order, OrderRole, Side
from tradeproc.domain.units import Nanos
from tradeproc.engine import order_limits
from tradeproc.engine.limits import worst_position
from tradeproc.engine.loss_limits import used as used_losses
from tradeproc.engine.state import State
from tradeproc.protocol.trader_messages import LimitUse
from tradeproc.strategies.contract import Decision, ModifyOrders, SubmitBracket, SubmitOrder


def asked(state: State, decision: Decision, made: tuple[str, ...], now: Nanos) -> tuple[LimitUse, ...]:
    """Return the limits that a decision was held against, those that are set only, and the heat it asked for.

    `made` are the orders that were made of it, none where it was refused.
    """
    match decision:
        case SubmitBracket() | SubmitOrder(role=OrderRole.ENTRY):
            entry = state.engine.orders.get(made[0]) if made else None
            found = _of_size(state, decision.side, decision.quantity, entry, now)
            found += [] if entry is None else _of_price(state, entry)
        case ModifyOrders(changes):
            entries = [state.engine.orders.get(change.order_id) for change in changes]
            if not any(order is not None and order.role is OrderRole.ENTRY for order in entries):
                return ()
            found = [_position(state, order.side, 0) for order in entries[:1] if order is not None]
            made = tuple(change.order_id for change in changes)
        case _:
            return ()
    limits = state.setup.spec.limits
    found += [LimitUse(name, str(getattr(limits, name)), used) for name, used in used_losses(state).items()]
    return (*found, *_heat(state, made))


def _of_size(state: State, side: Side, quantity: int, entry: Order | None, now: Nanos) -> list[LimitUse]:
    limits = state.setup.spec.limits
    found = [
        LimitUse("max_order", str(limits.max_order), str(quantity)),
        _position(state, side, 0 if entry is not None else quantity),
    ]
    if limits.max_orders_per_minute is not None:
        count = order_limits.made_in_minute(state, now) + (entry is None)
        found.append(LimitUse("max_orders_per_minute", str(limits.max_orders_per_minute), str(count)))
    return found


def _position(state: State, side: Side, more: int) -> LimitUse:
    """Return the position that could come of everything that works and of `more` contracts."""
    return LimitUse(
        "max_position", str(state.setup.spec.limits.max_position), str(worst_position(state, side) + more)
    )


def _of_price(state: State, entry: Order) -> list[LimitUse]:
    limits, found = state.setup.spec.limits, []
    if limits.price_collar_ticks is not None and (ticks := order_limits.ticks_away(state, entry)) is not None:
        found.append(LimitUse("price_collar_ticks", str(limits.price_collar_ticks), str(ticks)))
    if limits.max_notional is not None and (worth := order_limits.worth(state, entry)) is not None:
        found.append(LimitUse("max_notional", str(limits.max_notional), f"{worth:.2f}"))
    return found


def _heat(state: State, made: tuple[str, ...]) -> list[LimitUse]:
    """Return the heat that was asked for; what the portfolio answered comes later and is told by itself."""
    book, currency = state.engine.heat, state.setup.instrument.currency
    asks = [book.asks[order_id] for order_id in made if order_id in book.asks]
    if book.terms is None:
        return []
    return [LimitUse("heat", f"portfolio {book.terms.portfolio}", f"{ask.heat:f} {currency} asked") for ask in asks]

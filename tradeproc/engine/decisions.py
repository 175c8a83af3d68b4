"""A strategy's decision into effects: prices to ticks, limits for entries, nothing in the way of exits.

A decision that cannot be carried out (a price that is not a number, an order that does not exist, closed entries) is
refused with one line that people see; the strategy sees it in its next view, and nothing else happens.
"""

from dataclasses import replace
from decimal import Decimal
from typing import assert_never

from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import Order, OrderRole, OrderSource, OrderType, Side, TimeInForce
from tradeproc.domain.texts import one_line
from tradeproc.domain.units import Contracts, Ticks
from tradeproc.engine import closing, decision_limits, reservations, sending
from tradeproc.engine.effects import DecisionNoted
from tradeproc.engine.limits import Denied, Exit, admit, admit_change, exit_of
from tradeproc.engine.rounding import limit_ticks, stop_ticks
from tradeproc.engine.turn import Turn
from tradeproc.errors import Refusal
from tradeproc.strategies.contract import (
    CancelOrders,
    ClosePosition,
    Decision,
    ModifyOrders,
    Nothing,
    OrderChange,
    SubmitBracket,
    SubmitOrder,
)

_STRATEGY = OrderSource.STRATEGY


class BadDecision(Refusal):
    """A decision that makes no sense, whatever the limits say; caught in `decide`."""


def decide(turn: Turn, decision: Decision, candle: Candle, *, is_late: bool) -> None:
    """Carry out a decision, or tell why not."""
    own = turn.state.strategy
    if isinstance(decision, Nothing):
        own.quiet += 1
        return
    own.quiet = 0
    own.noted += 1
    engine, setup = turn.state.engine, turn.state.setup
    before = engine.counter
    try:
        # a decision may hold many changes, and each is refused by itself
        refusal = one_line(_carry_out(turn, decision, is_late=is_late))
    except Refusal as problem:
        refusal = str(problem)
    drafted = (sending.client_id(setup, counter + 1) for counter in range(before, engine.counter))
    made = tuple(order_id for order_id in drafted if order_id in engine.orders)
    name = type(decision).__name__
    limits = decision_limits.asked(turn.state, decision, made, turn.now)
    noted = DecisionNoted(name, decision.reason, refusal, candle.opened_at, own.market_at, turn.now, made, limits)
    turn.note(noted)
    if refusal:
        own.refused += 1
        own.refusals.append(noted)
        turn.log("warning", "decision_refused", decision=name, refusal=refusal)


def _carry_out(turn: Turn, decision: Decision, *, is_late: bool) -> str:
    """Return why the decision was not (wholly) carried out, empty when it was."""
    match decision:
        case SubmitOrder():
            return _submit(turn, decision, is_late=is_late)
        case SubmitBracket():
            return _submit_bracket(turn, decision, is_late=is_late)
        case ModifyOrders(changes, reason):
            return "; ".join(filter(None, [_modify(turn, change, reason) for change in changes]))
        case CancelOrders(order_ids, reason):
            return "; ".join(filter(None, [_cancel(turn, order_id, reason) for order_id in order_ids]))
        case ClosePosition(reason):
            engine = turn.state.engine
            if engine.closing is None and (engine.holding.quantity or engine.open_orders):
                closing.begin(turn, _STRATEGY, reason)
            return ""
        case Nothing():
            return ""
    assert_never(decision)


def _submit(turn: Turn, decision: SubmitOrder, *, is_late: bool) -> str:
    order = _draft(turn, decision, decision.role)
    if decision.role is OrderRole.ENTRY:
        return _enter(turn, (order,), decision.reason, is_late=is_late)
    if turn.state.engine.closing is not None:
        return "the position is being closed"
    verdict = exit_of(turn.state, order)
    match verdict:
        case Exit():
            sending.submit_exit(turn, verdict, _STRATEGY, decision.reason)
            return ""
        case Denied(reason):
            return reason


def _submit_bracket(turn: Turn, decision: SubmitBracket, *, is_late: bool) -> str:
    entry = _draft(turn, decision, OrderRole.ENTRY)
    side, tick_size = decision.side.opposite, turn.state.setup.instrument.tick_size
    stop = stop_ticks(decision.stop_loss, side, OrderRole.STOP_LOSS, tick_size)
    legs = [_leg(turn, entry, OrderRole.STOP_LOSS, stop=stop)]
    if decision.profit_target is not None:
        limit = limit_ticks(decision.profit_target, side, tick_size)
        if (limit - stop) * decision.side.sign <= 0:
            raise BadDecision("the profit target is on the wrong side of the stop loss")
        legs.append(_leg(turn, entry, OrderRole.PROFIT_TARGET, limit=limit))
    return _enter(turn, (entry, *legs), decision.reason, is_late=is_late)


def _leg(turn: Turn, entry: Order, role: OrderRole, stop: Ticks | None = None, limit: Ticks | None = None) -> Order:
    return sending.draft(
        turn.state,
        turn.now,
        entry.side.opposite,
        entry.quantity,
        role=role,
        type=OrderType.STOP if stop is not None else OrderType.LIMIT,
        limit=limit,
        stop=stop,
        time_in_force=TimeInForce.GTC,
        parent=entry.id,
    )


def _enter(turn: Turn, orders: tuple[Order, ...], reason: str, *, is_late: bool) -> str:
    verdict = admit(turn.state, orders, turn.now, is_late=is_late)
    if isinstance(verdict, Denied):
        return verdict.reason
    if refusal := reservations.ask_for_entry(turn, verdict.orders):
        return refusal
    sending.submit_entry(turn, verdict, _STRATEGY, reason)
    return ""


def _draft(turn: Turn, decision: SubmitOrder | SubmitBracket, role: OrderRole) -> Order:
    _check_quantity(decision.quantity)
    limit, stop = _prices(turn, decision.side, role, decision.type, decision.limit, decision.stop)
    return sending.draft(
        turn.state,
        turn.now,
        decision.side,
        decision.quantity,
        role=role,
        type=decision.type,
        limit=limit,
        stop=stop,
        time_in_force=decision.time_in_force,
    )


def _check_quantity(quantity: object) -> None:
    if not isinstance(quantity, int) or quantity < 1:
        raise BadDecision(f"quantity {quantity} is not a positive number of contracts")


Given = float | Decimal | None


def _prices(
    turn: Turn, side: Side, role: OrderRole, kind: OrderType, limit: Given, stop: Given
) -> tuple[Ticks | None, Ticks | None]:
    tick_size = turn.state.setup.instrument.tick_size
    found_limit = found_stop = None
    if kind.has_limit:
        if limit is None:
            raise BadDecision(f"a {kind.value} order needs a limit price")
        found_limit = limit_ticks(limit, side, tick_size)
    if kind.has_stop:
        if stop is None:
            raise BadDecision(f"a {kind.value} order needs a stop price")
        found_stop = stop_ticks(stop, side, role, tick_size)
    return found_limit, found_stop


def _modify(turn: Turn, change: OrderChange, reason: str) -> str:
    state = turn.state
    order = state.engine.orders.get(change.order_id)
    if order is None or order.state.is_terminal:
        return f"{change.order_id} is no open order"
    if state.engine.closing is not None:
        return "the position is being closed"
    if order.broker_id is None or order.in_flight is not None:
        return f"{order.id} cannot be changed now"
    wanted = _wanted(turn, order, change)
    if wanted == order:
        return ""
    if order.role is OrderRole.ENTRY and (denied := admit_change(state, order, wanted, turn.now)) is not None:
        return denied.reason
    waiting = reservations.ask_for_change(turn, order, wanted, reason)
    if waiting is not None:
        return waiting
    sending.modify(turn, order, wanted, _STRATEGY, reason)
    return ""


def _wanted(turn: Turn, order: Order, change: OrderChange) -> Order:
    """Return the order as the change wants it; one that closes never grows beyond what it can close."""
    tick_size = turn.state.setup.instrument.tick_size
    quantity = order.quantity if change.quantity is None else change.quantity
    _check_quantity(quantity)
    if order.role is not OrderRole.ENTRY:
        closable = max(0, -order.side.sign * turn.state.engine.holding.quantity) + order.filled
        quantity = Contracts(min(quantity, max(closable, order.quantity)))
    if quantity <= order.filled:
        raise BadDecision(f"{order.id} cannot shrink to {quantity}: {order.filled} are filled")
    limit, stop = order.limit, order.stop
    if change.limit is not None and limit is not None:
        limit = limit_ticks(change.limit, order.side, tick_size)
    if change.stop is not None and stop is not None:
        stop = stop_ticks(change.stop, order.side, order.role, tick_size)
    return replace(order, quantity=quantity, limit=limit, stop=stop)


def _cancel(turn: Turn, order_id: str, reason: str) -> str:
    order = turn.state.engine.orders.get(order_id)
    if order is None or order.state.is_terminal:
        return f"{order_id} is no open order"
    if order.in_flight != "cancel":
        sending.cancel(turn, order, _STRATEGY, reason)
    return ""

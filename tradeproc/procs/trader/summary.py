"""What a trader says about itself, in its topic `state` and when it is asked."""

from collections.abc import Mapping
from typing import Any

from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.roll_rules import RollMode
from tradeproc.domain.units import Nanos
from tradeproc.engine import witness
from tradeproc.engine.heat import of_session
from tradeproc.engine.idle import why_no_entry
from tradeproc.engine.limits import closed_gate
from tradeproc.engine.loss_limits import used as used_losses
from tradeproc.engine.order_limits import made_in_minute
from tradeproc.engine.state import State
from tradeproc.procs.trader.audit_trail import AuditTrail
from tradeproc.procs.trader.session_profit import SessionProfit
from tradeproc.protocol.trader_messages import DecisionCounts, LimitUse, RefusedDecision, SessionState, order_bodies


def position_of(state: State) -> Position:
    """Return the session's position by our own count."""
    spec, holding = state.setup.spec, state.engine.holding
    return Position(spec.account, spec.contract, holding.quantity, holding.average)


def last_price(state: State) -> float | None:
    """Return the newest price heard, None before the first candle."""
    candles = state.strategy.candles
    newest = candles.partial or candles.newest
    return None if newest is None else newest.close


def _decisions(state: State) -> DecisionCounts:
    own = state.strategy
    return DecisionCounts(
        bars=own.decided,
        failed=own.failed,
        failure=own.failure,
        off=own.off,
        wanted=own.noted,
        refused=own.refused,
        newest=tuple(RefusedDecision(each.at, each.market_at, each.decision, each.refusal) for each in own.refusals),
    )


def _limits(state: State, now: Nanos) -> tuple[LimitUse, ...]:
    """Return the limits of the session that can be used up, and how much of each is."""
    limits, held = state.setup.spec.limits, abs(state.engine.holding.quantity)
    found = [LimitUse("max_position", str(limits.max_position), str(held))]
    if limits.max_orders_per_minute is not None:
        made = made_in_minute(state, now)
        found.append(LimitUse("max_orders_per_minute", str(limits.max_orders_per_minute), str(made)))
    found += [LimitUse(name, str(getattr(limits, name)), used) for name, used in used_losses(state).items()]
    return tuple(found)


def rolling(state: State) -> dict[str, Any]:
    """Return what the state tells of rolls."""
    desk = state.engine.roll
    if desk.open is None:
        if desk.wish is not None:
            return {"roll": desk.waits or "wanted"}
        plan = desk.plan
        if plan is None or state.setup.spec.roll.mode is RollMode.OFF:
            return {}
        why = f"; {plan.why}" if plan.why else ""
        return {"roll": f"into {plan.next_contract} on {plan.roll_on} ({plan.basis} {plan.last_day}{why})"}
    roll = desk.open
    newest = next(iter(roll.close_orders.split()[::-1]), None)
    order = state.engine.orders.get(newest or "")
    # a life in the next contract does not have the order any more, but the row has what the exits have closed
    closed = None if newest is None else abs(roll.reopen)
    return {
        "rolling": True,
        "rolling_close_order": newest,
        "rolling_close_quantity": closed if order is None else order.quantity,
        "roll": f"{roll.contract} into {roll.next_contract}: {desk.waits or roll.step.value}",
    }


def summary(state: State, profit: SessionProfit, alarms: Mapping[str, str], audit: AuditTrail) -> SessionState:
    """Return session, position, profit, orders that can still fill, alarms and what is known of the world."""
    setup, spec = state.setup, state.setup.spec
    position, last = position_of(state), last_price(state)
    heat, known = state.engine.heat, of_session(state)
    return SessionState(
        session=setup.session,
        name=spec.name,
        login=spec.login,
        data_login=spec.login_of_data,
        account=spec.account,
        contract=spec.contract,
        minutes=spec.minutes,
        strategy=setup.strategy.name,
        fence=audit.fence,
        trading_state=state.engine.trading.value,
        entries=closed_gate(state, audit.clock.now()) or "allowed",
        why=why_no_entry(state, audit.clock.now()),
        decisions=_decisions(state),
        position=position.quantity,
        average=profit.held.average,
        realized=profit.realized,
        unrealized=None if last is None else profit.unrealized(last),
        currency=setup.instrument.currency,
        fills=profit.fills,
        orders=order_bodies(state.engine.open_orders),
        last=last,
        market_at=state.strategy.market_at or None,
        bars=len(state.strategy.candles),
        warm=state.strategy.is_warm,
        reconciled=state.broker.is_reconciled,
        closing=state.engine.closing is not None,
        lease=audit.is_lease_held,
        database="up" if audit.is_up else "down",
        streams={kind.value: reason or "up" for kind, reason in state.broker.streams.items()},
        alarms=dict(alarms),
        limits=_limits(state, audit.clock.now()),
        witness=witness.said(state),
        portfolio="" if heat.terms is None else heat.terms.portfolio,
        heat=known.value if isinstance(known, Known) else None,
        heat_unknown=known.reason if isinstance(known, Unknown) else "",
        heat_warned=heat.is_warned,
        heat_blocked=heat.blocked,
        **rolling(state),
    )

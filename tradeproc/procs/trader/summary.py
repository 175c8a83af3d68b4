"""What a trader says about itself: the body of its topic `state` and of the method of the same name."""

from collections.abc import Mapping
from decimal import Decimal

from tradeproc.bus.codec import Body
from tradeproc.domain.book import Position
from tradeproc.engine.idle import why_no_entry
from tradeproc.engine.limits import closed_gate
from tradeproc.engine.state import State
from tradeproc.procs.bodies import order_body
from tradeproc.procs.trader.audit_trail import AuditTrail
from tradeproc.procs.trader.session_profit import SessionProfit


def position_of(state: State) -> Position:
    """Return the session's position by our own count."""
    spec, holding = state.setup.spec, state.engine.holding
    return Position(spec.account, spec.contract, holding.quantity, holding.average)


def last_price(state: State) -> float | None:
    """Return the newest price heard, None before the first candle."""
    candles = state.strategy.candles
    newest = candles.partial or candles.newest
    return None if newest is None else newest.close


def _decisions(state: State) -> Body:
    """Return how many bars were decided or failed, how many wishes were refused, and the newest refusals."""
    own = state.strategy
    return {
        "bars": own.decided,
        "failed": own.failed,
        "failure": own.failure,
        "off": own.off,
        "wanted": own.noted,
        "refused": own.refused,
        "newest": [
            {"at": each.at, "market_at": each.market_at, "decision": each.decision, "refusal": each.refusal}
            for each in own.refusals
        ],
    }


def summary(state: State, profit: SessionProfit, alarms: Mapping[str, str], audit: AuditTrail) -> Body:
    """Return session, position, profit, orders that can still fill, alarms and what is known of the world."""
    setup, spec = state.setup, state.setup.spec
    position, last = position_of(state), last_price(state)
    return {
        "session": setup.session,
        "name": spec.name,
        "login": spec.login,
        "data_login": spec.login_of_data,
        "account": spec.account,
        "contract": spec.contract,
        "minutes": spec.minutes,
        "strategy": setup.strategy.name,
        "fence": audit.fence,
        "trading_state": state.engine.trading.value,
        "entries": closed_gate(state, audit.clock.now()) or "allowed",
        "why": why_no_entry(state, audit.clock.now()),
        "decisions": _decisions(state),
        "position": position.quantity,
        "average": _text(profit.held.average),
        "realized": _text(profit.realized),
        "unrealized": None if last is None else _text(profit.unrealized(last)),
        "currency": setup.instrument.currency,
        "fills": profit.fills,
        "orders": [order_body(order) for order in state.engine.open_orders],
        "last": last,
        "market_at": state.strategy.market_at or None,
        "bars": len(state.strategy.candles),
        "warm": state.strategy.is_warm,
        "reconciled": state.broker.is_reconciled,
        "closing": state.engine.closing is not None,
        "lease": audit.is_lease_held,
        "database": "up" if audit.is_up else "down",
        "streams": {kind.value: reason or "up" for kind, reason in state.broker.streams.items()},
        "alarms": dict(alarms),
    }


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")

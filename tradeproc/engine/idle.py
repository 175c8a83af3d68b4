"""Why a session does not enter now, in one line: the strategy, the gate, the warm-up, or no wish at all."""

from tradeproc.domain.units import Nanos
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.limits import closed_gate
from tradeproc.engine.state import State


def why_no_entry(state: State, now: Nanos) -> str:
    """Return the first thing that stands against an entry, or what the strategy does instead of one."""
    return (
        _strategy_trouble(state)
        or state.engine.alarms.get(AlarmName.EXTERNAL_CHANGE.value)
        or state.engine.alarms.get(AlarmName.LOSS_LIMIT_REACHED.value)
        or closed_gate(state, now)
        or _not_warm(state)
        or _in_the_market(state)
        or state.engine.heat.blocked
        or _no_wish(state)
    )


def _strategy_trouble(state: State) -> str:
    own = state.strategy
    if own.off:
        return f"the strategy is not called any more: {own.off}"
    if own.failures:
        bars = "the newest bar" if own.failures == 1 else f"{own.failures} bars in a row"
        return f"the strategy failed on {bars}: {own.failure}"
    return ""


def _not_warm(state: State) -> str:
    own = state.strategy
    if not own.is_warm:
        return "warm-up: the history is not there yet"
    if len(own.candles) < own.wanted:
        return f"warm-up: {len(own.candles)} of the {own.wanted} bars that the strategy asked for"
    return ""


def _in_the_market(state: State) -> str:
    held, working = state.engine.holding.quantity, len(state.engine.open_orders)
    if held:
        return f"it is in the market: position {held:+d}"
    return f"orders of its own are working: {working}" if working else ""


def _no_wish(state: State) -> str:
    own = state.strategy
    if not (own.decided or own.noted):
        return "no bar has closed since the start"
    if own.quiet:
        return f"the strategy wants nothing: {own.quiet} {'bar' if own.quiet == 1 else 'bars'} in a row"
    if own.refusals and own.refusals[-1].market_at == own.market_at:
        return f"the newest decision was refused: {own.refusals[-1].refusal}"
    return ""

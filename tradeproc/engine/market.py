"""Candles in, strategy calls out: a strategy runs on a new closed candle and on nothing else.

History only fills the series. A candle that was told before, one that comes again with other values, one that comes
late between known ones and a forming one never run a strategy. A new one that comes as history (a feed came back)
does, so that the strategy misses nothing, but it may not enter on it.
"""

from tradeproc.domain.candles import Candle
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.engine import decisions, early_close, inert_stops, strategy
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import Publish
from tradeproc.engine.events import CandleReceived
from tradeproc.engine.state import State, StrategyOwned
from tradeproc.engine.turn import Turn
from tradeproc.market.candle_series import Placement, merge
from tradeproc.strategies.contract import View


def warmed_up(turn: Turn, history: tuple[Candle, ...]) -> None:
    """Merge the history with what the subscription brought meanwhile; later calls fill holes the same way."""
    own = turn.state.strategy
    for candle in merge(history, own.early):
        own.candles.add_or_replace(candle)
        _tell_time(turn.state, candle)
    own.early.clear()
    own.is_warm = True
    turn.log("info", "warmed_up", candles=len(own.candles))


def candle_received(turn: Turn, event: CandleReceived) -> None:
    """Put a candle in its place; run the strategy when it is new and closed."""
    own, candle = turn.state.strategy, event.candle
    turn.state.broker.market_heard_at = turn.now
    if not own.is_warm:
        _keep_early(own, candle)
        return
    placement = own.candles.add_or_replace(candle)
    _tell_time(turn.state, candle)
    if placement is Placement.ADDED:
        _run(turn, candle, is_late=event.is_history)
    if placement not in (Placement.SAME, Placement.TOO_OLD):
        turn.do(Publish("candle", candle))
        if not event.is_history:
            early_close.heard(turn)
    if placement in (Placement.ADDED, Placement.FORMING):
        inert_stops.heard(turn, candle, is_history=event.is_history)


def bar_timed(turn: Turn, duration: Nanos) -> None:
    """Report a strategy that overran its budget, and that it keeps to it again."""
    if duration <= turn.state.setup.timing.bar_budget:
        turn.clear(AlarmName.STRATEGY_OVERRAN)
        return
    name, took = turn.state.setup.strategy.name, f"{duration / SECOND:.1f} s"
    budget = f"{turn.state.setup.timing.bar_budget / SECOND:g} s"
    turn.log("warning", "strategy_overran", strategy=name, took=took)
    turn.alarm(AlarmName.STRATEGY_OVERRAN, f"strategy {name} took {took} for one bar; its budget is {budget}")


def _keep_early(own: StrategyOwned, candle: Candle) -> None:
    """Keep a candle until the history comes, which may take days: of a forming one only the last word."""
    if own.early and own.early[-1].opened_at == candle.opened_at and not own.early[-1].is_closed:
        own.early.pop()
    own.early.append(candle)
    if len(own.early) > 2 * own.candles.maximum:
        del own.early[: own.candles.maximum]


def _tell_time(state: State, candle: Candle) -> None:
    """Market time only grows: the end of the newest closed candle, the start of a forming one."""
    at = candle.closed_at if candle.is_closed else candle.opened_at
    if at > state.strategy.market_at:
        state.strategy.market_at = at


def _run(turn: Turn, candle: Candle, *, is_late: bool) -> None:
    state = turn.state
    if state.engine.roll.open is not None:
        turn.log("info", "strategy_skipped", reason="the session is rolling")
        return
    if not (state.broker.has_orders and state.broker.has_position):
        turn.log("warning", "strategy_skipped", reason="orders and position are not confirmed since the start")
        return
    decision = strategy.call(turn, view(state, candle))
    if decision is not None:
        decisions.decide(turn, decision, candle, is_late=is_late)


def view(state: State, candle: Candle) -> View:
    """Return what the strategy may look at."""
    holding, setup = state.engine.holding, state.setup
    return View(
        candles=state.strategy.candles,
        candle=candle,
        position=holding.quantity,
        average=holding.average,
        orders=tuple(reversed(state.engine.open_orders)) if state.engine.open_ids else (),
        instrument=setup.instrument,
        market_at=state.strategy.market_at,
        quantity=setup.spec.quantity,
        session_opened_at=setup.session_opened_at(candle.opened_at, candle.closed_at),
    )


def on_time(turn: Turn) -> None:
    """Say that the strategy still does not run long after the start; called when time passes."""
    state = turn.state
    if state.strategy.is_warm and state.broker.has_orders and state.broker.has_position:
        turn.clear(AlarmName.NOT_READY)
        return
    waits = {
        "history": state.strategy.is_warm,
        "orders": state.broker.has_orders,
        "position": state.broker.has_position,
    }
    if turn.now - state.started_at >= state.setup.timing.not_ready_after:
        missing = [name for name, is_there in waits.items() if not is_there]
        turn.alarm(AlarmName.NOT_READY, f"for a minute nobody has told the {', '.join(missing)}; the strategy waits")

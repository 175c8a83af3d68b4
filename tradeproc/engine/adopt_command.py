"""A person takes the position into the session with a stop of their choice: `tradectl adopt SESSION --stop PRICE`.

It works under every `external_policy`, and covers the contracts that no working stop of ours covers. It lifts no
latch: entries stay closed until a person resumes.
"""

from tradeproc.domain.orders import OrderRole, OrderSource
from tradeproc.domain.units import OffGrid, Price, to_ticks
from tradeproc.engine import adoption
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.events import AdoptCommanded
from tradeproc.engine.loss_limits import last_price
from tradeproc.engine.protection import uncovered
from tradeproc.engine.state import State
from tradeproc.engine.turn import Turn


def refusal(state: State, stop: Price) -> str:
    """Return why a person's stop cannot be placed, empty when it can."""
    engine = state.engine
    if not state.broker.is_reconciled:
        return "the position is not confirmed by the broker; try again in a moment"
    if engine.holding.quantity == 0:
        return "there is no position"
    if engine.closing is not None:
        return "the position is being closed"
    if uncovered(state) == 0:
        return "working stops cover the whole position already"
    if any(order.role is OrderRole.STOP_LOSS and not order.state.is_working for order in engine.open_orders):
        return "a stop is on its way already; look again in a moment"
    return _bad_price(state, stop)


def _bad_price(state: State, stop: Price) -> str:
    held, tick_size, last = state.engine.holding.quantity, state.setup.instrument.tick_size, last_price(state)
    try:
        ticks = to_ticks(stop, tick_size)
    except OffGrid as off_grid:
        return str(off_grid)
    if last is None:
        return "no price was heard yet, so nobody knows whether the stop would fill at once"
    if (to_ticks(last, tick_size) - ticks) * held <= 0:
        side = "below" if held > 0 else "above"
        return f"a stop at {stop:f} would fill at once: it must be {side} the last price, {last:f}"
    return ""


def commanded(turn: Turn, command: AdoptCommanded) -> None:
    """Place the stop that a person wants; where it cannot be placed, a line says why."""
    state = turn.state
    why = refusal(state, command.stop)
    if not why:
        ticks, reason = to_ticks(command.stop, state.setup.instrument.tick_size), f": {command.reason}"
        told = f"adopted by {command.by}{reason if command.reason else ''}"
        why = adoption.place(turn, ticks, uncovered(state), OrderSource.OPERATOR, told)
    if why:
        turn.log("warning", "adopt_refused", by=command.by, stop=command.stop, reason=why)
    else:
        turn.log("warning", "position_adopted", by=command.by, stop=command.stop, reason=command.reason)


def on_time(turn: Turn) -> None:
    """Take the alarm of an adopted position back once it is covered, or gone; called when time passes."""
    state = turn.state
    if AlarmName.EXTERNAL_ADOPTED.value not in state.engine.alarms or not state.broker.is_reconciled:
        return
    if uncovered(state) == 0:
        turn.clear(AlarmName.EXTERNAL_ADOPTED)

"""A position that somebody else opened or changed, taken into the session: booked, managed, and given its stop.

With `external_policy = "adopt"` a change by no order of ours closes no entries: the strategy sees the position and
may exit it. Contracts of it that no working stop of ours covers get one, `adopt_stop_ticks` from the last price.
Without that distance, or while orders that are not ours work on the contract (they may be its bracket: two stops
would turn the position over), there is only the alarm, and a person places the stop (`adopt_command.py`). With
`stop_policy = "flatten"` what has no stop is closed, also here.
"""

from tradeproc.domain.orders import OrderRole, OrderSource, OrderType, Side, TimeInForce
from tradeproc.domain.session import ExternalPolicy, StopPolicy
from tradeproc.domain.units import Ticks, to_ticks
from tradeproc.engine import sending
from tradeproc.engine.limits import Denied, Exit, exit_of
from tradeproc.engine.loss_limits import last_price
from tradeproc.engine.state import State
from tradeproc.engine.turn import Turn


def is_in_charge(state: State) -> bool:
    """Tell whether contracts without a stop are dealt with here, and not by the session's stop policy."""
    spec = state.setup.spec
    is_adopted = state.engine.is_adopted and spec.external_policy is ExternalPolicy.ADOPT
    return is_adopted and spec.stop_policy is not StopPolicy.FLATTEN


def protect(turn: Turn, bare: int) -> None:
    """Place the stop of adopted contracts, `bare` of which are uncovered, where its distance is configured."""
    state = turn.state
    ticks, last = state.setup.spec.adopt_stop_ticks, last_price(state)
    if ticks is None or last is None or foreign_orders(state):
        return
    beyond = -ticks if state.engine.holding.quantity > 0 else ticks
    stop = Ticks(to_ticks(last, state.setup.instrument.tick_size) + beyond)
    place(turn, stop, bare, OrderSource.TRADER, "stop of an adopted position")


def place(turn: Turn, stop: Ticks, quantity: int, source: OrderSource, reason: str) -> str:
    """Send a stop for so many contracts, good till cancelled; return why not, empty when it was sent."""
    side = Side.SELL if turn.state.engine.holding.quantity > 0 else Side.BUY
    order = sending.draft(
        turn.state,
        turn.now,
        side,
        quantity,
        role=OrderRole.STOP_LOSS,
        type=OrderType.STOP,
        stop=stop,
        time_in_force=TimeInForce.GTC,
    )
    match exit_of(turn.state, order):
        case Exit() as protecting:
            sending.submit_exit(turn, protecting, source, reason)
            return ""
        case Denied(why):
            return why


def foreign_orders(state: State) -> set[str]:
    """Return the broker's ids of open orders on the contract that are not ours."""
    return state.broker.told_foreign & state.broker.foreign.keys()

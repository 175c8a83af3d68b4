"""The live-stop invariant: every open contract is covered by a stop that works at the broker.

Counted is what works there now, against the filled quantity; a stop on its way does not count yet, and a stop-limit
order that the market has left behind (`inert_stops.py`) does not until the price is back. A position that
stays uncovered for 8 s, counted from when the broker told it, raises the alarm (so that it stands within 10 s), and
the session's policy says what more: nothing, place a stop again where the last one was, or flatten. Where no last
stop is known, or the price is through it already, replacing turns into flattening: a stop beyond the market protects
nothing. So it does where other working orders leave no room within `max_position` for a stop of all that is open.

The reverse is watched as well: exits, stops and targets that still work 2 s after the position is gone are cancelled.
"""

from tradeproc.domain.orders import Order, OrderRole, OrderSource, OrderType, Side
from tradeproc.domain.session import StopPolicy
from tradeproc.domain.units import SECOND, Nanos, Ticks
from tradeproc.engine import adoption, closing, sending
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.limits import Exit, covers, exit_of
from tradeproc.engine.state import State
from tradeproc.engine.turn import Turn

UNCOVERED_AFTER = 8 * SECOND
_ACT_AGAIN = 10 * SECOND
_ORPHANED_AFTER = 2 * SECOND


def uncovered(state: State) -> int:
    """Return how many open contracts no working stop covers."""
    return _bare(state, state.engine.holding.quantity)


def _bare(state: State, held: int) -> int:
    """Return how many of so many signed contracts no working stop covers."""
    if not held:
        return 0
    stops = [order for order in _stops(state, held) if order.state.is_working and not _is_left_behind(state, order)]
    return max(0, abs(held) - sum(covers(state, order) for order in stops))


def _is_left_behind(state: State, stop: Order) -> bool:
    """Tell whether the market has passed the limit of a stop-limit order, so that it closes nothing at this price."""
    return state.engine.traded_through.told.get(stop.id) is AlarmName.STOP_LIMIT_LEFT_BEHIND


def on_time(turn: Turn) -> None:
    """Watch the invariant; called when time passes."""
    engine = turn.state.engine
    if engine.closing is not None:
        _watch_closing(turn)
        return
    if not turn.state.broker.is_reconciled:
        _suspect(turn)
        return
    _cancel_orphans(turn)
    bare = uncovered(turn.state)
    if bare == 0:
        engine.uncovered_since = None
        turn.clear(AlarmName.POSITION_UNCOVERED)
        return
    if engine.uncovered_since is None:
        engine.uncovered_since = _bare_since(turn)
    if turn.now - engine.uncovered_since < UNCOVERED_AFTER:
        return
    policy = turn.state.setup.spec.stop_policy
    turn.alarm(AlarmName.POSITION_UNCOVERED, f"{bare} contracts have no working stop; policy {policy.value}")
    _act(turn, policy, bare)


def _watch_closing(turn: Turn) -> None:
    """Raise the alarm when a closing has left contracts bare for long; it gets them flat itself, so the policy waits.

    A closing cancels the stops before it sends its exit. An exit that works at the broker is protection enough. One
    whose reply was lost is asked about for half a minute before another may go out, and closes nothing meanwhile.
    """
    engine = turn.state.engine
    bare = uncovered(turn.state)
    if bare and not any(order.role is OrderRole.EXIT and order.state.is_working for order in engine.open_orders):
        if engine.uncovered_since is None:
            engine.uncovered_since = turn.now
        if turn.now - engine.uncovered_since >= UNCOVERED_AFTER:
            turn.alarm(
                AlarmName.POSITION_UNCOVERED,
                f"{bare} contracts have no working stop, and the exit that is to close them does not work yet",
            )
        return
    engine.uncovered_since = None
    turn.clear(AlarmName.POSITION_UNCOVERED)


def _bare_since(turn: Turn) -> Nanos:
    """Return since when the position is bare: a stop-limit order protects nothing from when the market passed it."""
    passed = turn.state.engine.traded_through.passed
    since = [each.since for order_id, each in passed.items() if _is_behind(turn.state, order_id)]
    return min([turn.now, *since])


def _is_behind(state: State, order_id: str) -> bool:
    order = state.engine.orders.get(order_id)
    return order is not None and order.role is not OrderRole.ENTRY and _is_left_behind(state, order)


def _suspect(turn: Turn) -> None:
    """Let the time run from when the broker told a position that is bare, though it is not ours until it is asked."""
    suspicion = turn.state.broker.suspicion
    if suspicion is None or turn.state.engine.uncovered_since is not None:
        return
    if _bare(turn.state, suspicion.brokers):
        turn.state.engine.uncovered_since = turn.now


def _cancel_orphans(turn: Turn) -> None:
    """Cancel what protected a position that is gone: its fill would open one the other way."""
    engine = turn.state.engine
    if engine.holding.quantity or turn.now - engine.last_fill_at < _ORPHANED_AFTER:
        return
    for order in engine.open_orders:
        parent = engine.orders.get(order.parent or "")
        is_awaited = parent is not None and not parent.state.is_terminal
        if order.role is not OrderRole.ENTRY and order.in_flight != "cancel" and not is_awaited:
            sending.cancel(turn, order, OrderSource.TRADER, "there is no position left")


def _act(turn: Turn, policy: StopPolicy, bare: int) -> None:
    engine = turn.state.engine
    is_coming = any(_is_coming(turn.state, order) for order in _stops(turn.state, engine.holding.quantity))
    is_adopted = adoption.is_in_charge(turn.state)
    has_nothing_to_do = policy is StopPolicy.ALARM and not is_adopted
    if has_nothing_to_do or is_coming or turn.now - engine.protected_at < _ACT_AGAIN:
        return
    engine.protected_at = turn.now
    if is_adopted:
        adoption.protect(turn, bare)
        return
    stop = _last_stop(turn.state) if policy is StopPolicy.REPLACE else None
    if stop is None or _is_through(turn.state, stop):
        closing.begin(turn, OrderSource.TRADER, "the position has no stop")
        return
    side = Side.SELL if engine.holding.quantity > 0 else Side.BUY
    order = sending.draft(turn.state, turn.now, side, bare, role=OrderRole.STOP_LOSS, type=OrderType.STOP, stop=stop)
    protecting = exit_of(turn.state, order)
    if isinstance(protecting, Exit) and protecting.order.quantity == bare:
        sending.submit_exit(turn, protecting, OrderSource.TRADER, "stop replaced")
    else:
        closing.begin(turn, OrderSource.TRADER, "the limits leave no room for a stop of the whole position")


def _is_coming(state: State, stop: Order) -> bool:
    """Tell whether a stop is on its way to protect: not the leg of another entry that has not filled anything."""
    entry = state.engine.orders.get(stop.parent or "")
    return not stop.state.is_working and (entry is None or entry.filled > 0)


def _stops(state: State, held: int) -> list[Order]:
    """Return the open stop orders on the closing side of so many signed contracts."""
    return [
        order
        for order in state.engine.open_orders
        if order.type.has_stop and order.role is not OrderRole.ENTRY and order.side.sign * held < 0
    ]


def _last_stop(state: State) -> Ticks | None:
    """Return the price of the newest stop loss that protected this side."""
    held = state.engine.holding.quantity
    for order in reversed(state.engine.orders.values()):
        if order.role is OrderRole.STOP_LOSS and order.side.sign * held < 0 and order.stop is not None:
            return order.stop
    return None


def _is_through(state: State, stop: Ticks) -> bool:
    candle = state.strategy.candles.partial or state.strategy.candles.newest
    if candle is None:
        return True
    return (state.setup.instrument.nearest(candle.close) - stop) * state.engine.holding.quantity <= 0

"""Orders that the market has traded through and that still work: the prices are a witness that no broker can bribe.

The session's own prices are compared with its working orders. A stop that the market trades through by
`inert_stop_ticks`, and still does `inert_stop_seconds` later, should have closed the position. A second before that
the broker is asked for orders and position. When both answers show the stop working and the position open,

    a stop of the position     critical alarm `stop_inert`; the login is halted for all its sessions until a person
                               resumes it; then the session's `inert_stop_policy`: nothing more, or flatten
    a stop-limit order         alarm `stop_limit_left_behind`: the market has passed its limit, as it may
    a limit, a target, or a    alarm `order_passed`: it is beyond its price by more than a tick and not filled
    stop that enters

What is no evidence: candles of history and corrections; a price from before the order worked or was moved, or before
its newest fill; one print far away, because the next trade is back; a market that stands still (a halt, a feed that
is down), because nothing trades for so long; a market that is locked at its limit, where a stop waits in a long line
while others trade at that one price; a leg that has closed all that its entry has brought, and waits for the rest of
it. In a market that seldom trades the verdict waits for the next trade, and about a stop for a second price beyond
it. So a stop that does nothing is not found while the market prints one single price: volume does not tell it from a
locked market, since there too others trade; quotes would, but no session hears them.

Prices may lag behind the orders: what was traded before a stop was placed or moved may be heard after it. How much
they lag at most is known when a bar begins: by the time from its opening to its first picture. A price that is heard
sooner than that after an order last changed says nothing about it. So a stop that was just placed or moved is
watched a little later, by about a second in a market that trades often. The lag of a tape, whose time is its own,
counts as 0.
"""

import math

from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import Order, OrderRole, OrderSource, OrderType
from tradeproc.domain.session import InertStopPolicy
from tradeproc.domain.units import MINUTE, SECOND, Nanos, Ticks
from tradeproc.engine import closing, resting, sending
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.events import TradingState
from tradeproc.engine.latched_by import INERT_STOP
from tradeproc.engine.limits import covers
from tradeproc.engine.state import Question, State
from tradeproc.engine.traded_through import Passed, ticks_beyond
from tradeproc.engine.turn import Turn
from tradeproc.protocol import scopes

_MORE_THAN_A_TICK = 2
_ASK_BEFORE = 1 * SECOND
# no live feed lags so much: what is older was recorded
_OF_A_TAPE = 60 * MINUTE
_ALARMS = (AlarmName.STOP_INERT, AlarmName.STOP_LIMIT_LEFT_BEHIND, AlarmName.ORDER_PASSED)


def heard(turn: Turn, candle: Candle, *, is_history: bool) -> None:
    """Compare the price of a candle with the working orders if it has just traded."""
    engine = turn.state.engine
    watch = engine.traded_through
    if not watch.has_traded(candle) or is_history:
        return
    if candle.opened_at != watch.bar_at:
        watch.bar_at, watch.lag = candle.opened_at, _lag(turn.now - candle.opened_at)
    resting.heard(turn.state, candle, turn.now)
    if not engine.open_ids or not math.isfinite(candle.close):
        return
    # a price has traded, so it is on the grid: exact decimals would cost seven times as much
    price = Ticks(round(candle.close / float(turn.state.setup.instrument.tick_size)))
    for order in engine.open_orders:
        is_watched = order.state.is_working and order.in_flight is None
        is_after = turn.now - watch.lag >= order.changed_at
        is_passed = is_watched and is_after and ticks_beyond(order, price) >= _ticks_needed(turn.state, order)
        if is_passed and covers(turn.state, order):
            watch.note(order, price, turn.now)
        else:
            watch.passed.pop(order.id, None)


def _lag(age: int) -> Nanos:
    """Return how much prices lag at most, by the age of a bar at its first picture."""
    return Nanos(max(0, age)) if age < _OF_A_TAPE else Nanos(0)


def on_time(turn: Turn) -> None:
    """Ask about the orders that are passed, judge them, and take back what is over; called when time passes."""
    watch = turn.state.engine.traded_through
    if not watch.passed and not watch.told:
        return
    for order_id, passed in list(watch.passed.items()):
        order = turn.state.engine.orders.get(order_id)
        if order is None or not order.state.is_working or order.in_flight is not None:
            del watch.passed[order_id]
        elif (
            order_id not in watch.told
            and _may_tell(order, passed)
            and _is_asked(turn, passed)
            and _is_evident(turn.state, order, passed)
        ):
            _tell(turn, order)
    _take_back(turn)


def _ticks_needed(state: State, order: Order) -> int:
    return state.setup.spec.inert_stop_ticks if order.type.has_stop else _MORE_THAN_A_TICK


def _seconds(state: State) -> int:
    return state.setup.spec.inert_stop_seconds * SECOND


def _may_tell(order: Order, passed: Passed) -> bool:
    """Tell whether the market could fill an order: a stop of the position only at more than one price."""
    is_protecting = order.type is OrderType.STOP and order.role is not OrderRole.ENTRY
    return passed.varied_at is not None or not is_protecting


def _is_asked(turn: Turn, passed: Passed) -> bool:
    """Tell whether the broker has answered for orders and position since shortly before the verdict; ask if not.

    A stop may fill as soon as the market is not locked any more, so that only a question after that counts.
    """
    ask_from = Nanos(passed.since + max(0, _seconds(turn.state) - _ASK_BEFORE))
    ask_from = max(ask_from, Nanos((passed.varied_at or passed.since) + _ASK_BEFORE))
    if turn.now < ask_from:
        return False
    broker, is_complete = turn.state.broker, True
    for question, ask in ((broker.orders, turn.ask_orders), (broker.position, turn.ask_position)):
        if not _is_answered(question, ask_from):
            is_complete = False
            if question.is_due(turn.now, SECOND):
                ask("the market has traded through an order")
    return is_complete


def _is_answered(question: Question, ask_from: Nanos) -> bool:
    asked_at, known_at = question.asked_at or Nanos(0), question.known_at or Nanos(0)
    return not question.is_out and ask_from <= asked_at <= known_at


def _is_evident(state: State, order: Order, passed: Passed) -> bool:
    """Tell whether the market traded beyond the order for long enough, and the broker still has it working."""
    broker = state.broker
    if passed.still_at - passed.since < _seconds(state) or not broker.is_reconciled:
        return False
    is_doubtful = order.id in broker.unpriced or order.id in broker.missing or order.id in broker.reappeared
    return not is_doubtful and passed.filled == order.filled and covers(state, order) > 0


def _tell(turn: Turn, order: Order) -> None:
    setup, held = turn.state.setup, turn.state.engine.holding.quantity
    price = setup.instrument.price
    working = f"{order.role.value.replace('_', ' ')} {order.id} ({_at(turn.state, order)}) still works at the broker"
    traded = f"the market has traded through it for {setup.spec.inert_stop_seconds} s"
    if order.type is OrderType.STOP_LIMIT:
        _raise(turn, order, AlarmName.STOP_LIMIT_LEFT_BEHIND, f"{working}; {traded}: the market has left it behind")
    elif order.type is OrderType.STOP and order.role is not OrderRole.ENTRY and held * order.side.sign < 0:
        detail = f"{working}, though {traded} and {abs(held)} contracts are still open"
        _halt(turn, order, detail)
    elif order.type.has_limit or order.type.has_stop:
        _raise(turn, order, AlarmName.ORDER_PASSED, f"{working}, though {traded}")
    turn.log("warning", "order_passed", order=order.id, last=price(_last(turn.state)))


def _halt(turn: Turn, order: Order, detail: str) -> None:
    """Halt the login, because a broker whose stop does nothing may have others; then what the session wants."""
    spec = turn.state.setup.spec
    policy = spec.inert_stop_policy
    remedy = f"scripts/tradectl resume --login {spec.login} --reason WHY opens it again"
    _raise(turn, order, AlarmName.STOP_INERT, f"{detail}; login {spec.login} is halted; policy {policy}; {remedy}")
    turn.latch(INERT_STOP, detail, scope=scopes.of_login(spec.login), state=TradingState.HALTED)
    sending.cancel_entries(turn, OrderSource.TRADER, "a stop does nothing at the broker")
    if policy is InertStopPolicy.FLATTEN:
        closing.begin(turn, OrderSource.TRADER, f"stop {order.id} does nothing at the broker")


def _raise(turn: Turn, order: Order, name: AlarmName, detail: str) -> None:
    turn.state.engine.traded_through.told[order.id] = name
    turn.alarm(name, detail)


def _take_back(turn: Turn) -> None:
    """Take alarms back: when the order is over, its position closed, or the price no longer beyond a mere limit."""
    engine = turn.state.engine
    watch = engine.traded_through
    for order_id, name in list(watch.told.items()):
        order = engine.orders.get(order_id)
        is_over = order is None or order.state.is_terminal
        is_harmless = (
            order_id not in watch.passed if name is not AlarmName.STOP_INERT else not engine.holding.quantity
        )
        if is_over or is_harmless:
            del watch.told[order_id]
    for name in _ALARMS:
        if name not in watch.told.values():
            turn.clear(name)


def _at(state: State, order: Order) -> str:
    price = state.setup.instrument.price
    prices = (("stop", order.stop), ("limit", order.limit))
    return ", ".join(f"{name} {price(ticks):f}" for name, ticks in prices if ticks is not None)


def _last(state: State) -> int:
    candle = state.strategy.candles.partial or state.strategy.candles.newest
    return 0 if candle is None else state.setup.instrument.nearest(candle.close)

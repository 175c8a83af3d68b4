"""A stop that the market trades through and the broker does not execute is found; nothing else is taken for one."""

import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.desk import Desk, Faults, Scripted
from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.session import InertStopPolicy, StopPolicy
from tradeproc.domain.units import MINUTE, SECOND, Contracts
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import StreamKind, TradingState
from tradeproc.engine.protection import uncovered
from tradeproc.strategies.contract import (
    NOTHING,
    CancelOrders,
    Decision,
    ModifyOrders,
    OrderChange,
    SubmitBracket,
    SubmitOrder,
    View,
)
from tradeproc.testing import candles

LONG = SubmitBracket(Side.BUY, Contracts(2), stop_loss=4790.0, profit_target=4810.0)
SHORT = SubmitBracket(Side.SELL, Contracts(2), stop_loss=4810.0, profit_target=4790.0)
WATCHED = {"stop_inert", "stop_limit_left_behind", "order_passed"}
LATCH = "login:paper"


class Tape:
    """Trades that the exchange executes on and the session hears of, as the forming candle of a minute."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.volume = desk, 0
        self.minute = 1_600_000_020 // 60 + desk.candles + 1

    def trade(self, price: float, seconds: float = 1.0, *, is_heard: bool = True) -> None:
        self.desk.broker.now = self.desk.now
        self.desk.broker.trade(Decimal(str(price)))
        if is_heard:
            self.hear(price)
        self.desk.run(seconds, beat=0.25)

    def hear(self, price: float, *, is_history: bool = False, size: int = 1) -> None:
        self.volume += size
        self.desk.tell(events.CandleReceived(self.forming(price), is_history=is_history))

    def forming(self, price: float) -> Candle:
        made = candles.candle(self.minute, price, volume=self.volume, ticks=self.volume)
        return replace(made, is_closed=False)


def desk_with(
    first: Decision | Callable[[View], Decision] = LONG, *more: object, **changes: object
) -> tuple[Desk, Tape]:
    """Return a desk whose strategy has done its first thing, at a broker whose resting orders do nothing."""
    faults = changes.pop("faults", None)
    desk = Desk(Scripted(first, *more), faults=faults, **changes).start()  # type: ignore[arg-type]
    desk.bar()
    desk.broker.exchange.is_inert = lambda _: True
    return desk, Tape(desk)


def of(desk: Desk, role: OrderRole) -> str:
    (found,) = [order.id for order in desk.state.engine.open_orders if order.role is role]
    return found


def raised(desk: Desk) -> list[str]:
    return [effect.name for effect in desk.all_of(do.RaiseAlarm) if effect.name in WATCHED]


def latched(desk: Desk) -> TradingState:
    return desk.state.engine.latches.get(LATCH, TradingState.ACTIVE)


# --- what is found


@pytest.mark.parametrize(("bracket", "prices"), [(LONG, (4789.5, 4789.0)), (SHORT, (4810.5, 4811.0))])
def test_an_inert_stop_is_found_within_five_seconds_and_halts_the_login(
    bracket: SubmitBracket, prices: tuple[float, float]
) -> None:
    desk, tape = desk_with(bracket)
    began = desk.now

    while not raised(desk):
        assert desk.now - began < 10 * SECOND
        tape.trade(prices[(desk.now // SECOND) % 2], seconds=0.5)

    assert raised(desk) == ["stop_inert"]
    assert desk.now - began <= 5 * SECOND
    (latch,) = desk.all_of(do.KeepLatch)
    assert (latch.scope, latch.state, latch.by) == (LATCH, TradingState.HALTED, "inert_stop_watch")
    assert latched(desk) is TradingState.HALTED
    assert desk.state.engine.alarms["stop_inert"].startswith(
        f"stop loss {of(desk, OrderRole.STOP_LOSS)} (stop 47"
    ) or (bracket is SHORT)
    assert abs(desk.broker.position) == 2, "the policy is to tell"


def test_it_was_asked_about_after_the_market_traded_through() -> None:
    desk, tape = desk_with()
    asked = len(desk.all_of(do.AskOrders)), len(desk.all_of(do.AskPosition))

    for number in range(5):
        tape.trade(4789.0 - number % 2 / 4)

    assert raised(desk) == ["stop_inert"]
    assert len(desk.all_of(do.AskOrders)) > asked[0]
    assert len(desk.all_of(do.AskPosition)) > asked[1]


def test_a_stop_that_has_closed_all_that_its_entry_brought_and_waits_for_the_rest_is_not_accused() -> None:
    held = SubmitOrder(Side.BUY, Contracts(1))
    resting = SubmitBracket(Side.BUY, Contracts(2), type=OrderType.LIMIT, limit=4800.0, stop_loss=4790.0)

    def away(view: View) -> Decision:
        (entry,) = [order.id for order in view.orders if order.type is OrderType.LIMIT]
        return ModifyOrders((OrderChange(entry, limit=4700.0),))

    desk = Desk(Scripted(held, resting, away)).start()
    desk.broker.price = Decimal(4801)
    desk.bar(close=4801.0)
    desk.broker.fill_by(1)
    desk.bar(close=4801.0)
    tape = Tape(desk)
    tape.trade(4800.0)
    desk.bar(close=4800.0)
    tape = Tape(desk)
    for number in range(12):
        tape.trade(4789.0 - number % 2 / 4)

    entry, stop = desk.orders[1], desk.orders[2]
    assert (entry.filled, stop.filled, stop.state.is_working, desk.position) == (1, 1, True, 1)
    assert raised(desk) == []
    assert latched(desk) is TradingState.ACTIVE


def test_while_the_broker_does_not_answer_nothing_is_said_and_then_it_is() -> None:
    desk, tape = desk_with(faults=Faults())
    desk.faults.unknown = 1.0

    for number in range(8):
        tape.trade(4789.0 - number % 2 / 4)
    assert raised(desk) == []
    desk.faults.unknown = 0.0
    for number in range(3):
        tape.trade(4789.0 - number % 2 / 4)

    assert raised(desk) == ["stop_inert"]


def test_the_policy_to_flatten_closes_by_a_market_order_and_the_login_stays_halted() -> None:
    desk, tape = desk_with(inert_stop_policy=InertStopPolicy.FLATTEN)

    for number in range(8):
        tape.trade(4789.0 - number % 2 / 4)

    assert desk.broker.position == desk.position == 0
    assert desk.broker.open() == []
    exits = [order for order in desk.orders if order.role is OrderRole.EXIT]
    assert [(order.type, order.quantity) for order in exits] == [(OrderType.MARKET, 2)]
    assert desk.alarms & WATCHED == set(), "it is over with the position"
    assert latched(desk) is TradingState.HALTED


def test_entries_that_work_are_cancelled_and_none_follows_until_a_person_resumes_the_login() -> None:
    below = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4700.0)
    desk, tape = desk_with(LONG, below, below)
    desk.bar()
    assert of(desk, OrderRole.ENTRY)

    for number in range(5):
        tape.trade(4789.0 - number % 2 / 4)
    assert [order.role for order in desk.state.engine.open_orders if order.role is OrderRole.ENTRY] == []
    desk.bar()
    assert desk.refusals[-1] == "trading is halted by login:paper"

    desk.tell(events.TradingStateSet(LATCH, TradingState.ACTIVE))
    assert desk.state.engine.trading is TradingState.ACTIVE


def test_told_once_however_long_it_lasts_and_taken_back_with_the_order() -> None:
    desk, tape = desk_with()
    for number in range(20):
        tape.trade(4789.0 - number % 2 / 4)
    assert raised(desk) == ["stop_inert"]
    assert len(desk.all_of(do.KeepLatch)) == 1
    tape.trade(4800.0)
    assert "stop_inert" in desk.alarms, "the price is back, and the stop is as useless as before"

    desk.broker.exchange.is_inert = lambda _: False
    tape.trade(4789.0)

    assert desk.position == 0
    assert desk.alarms & WATCHED == set()


def test_a_new_life_finds_it_again() -> None:
    first, tape = desk_with()
    for number in range(2):
        tape.trade(4789.0 - number % 2 / 4)
    second = Desk(Scripted(), broker=first.broker, database=first.database, fence=2, now=first.now).start()
    tape = Tape(second)

    for number in range(5):
        tape.trade(4789.0 - number % 2 / 4)

    assert raised(first) == []
    assert raised(second) == ["stop_inert"]


# --- what is said otherwise


def test_a_target_traded_through_by_more_than_a_tick_is_a_warning() -> None:
    desk, tape = desk_with()

    for _ in range(5):
        tape.trade(4810.25)
    assert raised(desk) == []
    for _ in range(5):
        tape.trade(4810.5)

    assert raised(desk) == ["order_passed"]
    assert desk.all_of(do.KeepLatch) == []
    tape.trade(4800.0)
    assert desk.alarms & WATCHED == set()


def test_an_entry_at_a_limit_or_a_stop_that_is_passed_is_a_warning() -> None:
    at_limit = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4795.0)
    at_stop = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.STOP, stop=4805.0)
    for wish, price in ((at_limit, 4794.0), (at_stop, 4806.0)):
        desk, tape = desk_with(wish)
        for _ in range(5):
            tape.trade(price)
        assert raised(desk) == ["order_passed"]
        assert desk.all_of(do.KeepLatch) == []


def test_a_stop_limit_order_left_behind_has_its_own_message() -> None:
    behind = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.STOP_LIMIT, stop=4805.0, limit=4805.25)
    desk = Desk(Scripted(behind)).start()
    desk.bar()
    tape = Tape(desk)

    for number in range(5):
        tape.trade(4810.0 - number % 2 / 4)

    assert desk.broker.position == 0
    assert raised(desk) == ["stop_limit_left_behind"]
    assert desk.all_of(do.KeepLatch) == []


def protect_by_stop_limit(view: View) -> Decision:
    side = Side.SELL if view.position > 0 else Side.BUY
    away = -10.0 if view.position > 0 else 10.0
    close = view.candle.close + away
    return SubmitOrder(
        *(side, Contracts(1)),
        type=OrderType.STOP_LIMIT,
        stop=close,
        limit=close + away / 40,
        role=OrderRole.STOP_LOSS,
    )


@pytest.mark.parametrize("policy", StopPolicy)
@pytest.mark.parametrize("side", Side)
def test_a_stop_limit_order_left_behind_covers_nothing_until_the_price_is_back(
    side: Side, policy: StopPolicy
) -> None:
    enter = SubmitOrder(side, Contracts(1))
    desk = Desk(Scripted(enter, protect_by_stop_limit), stop_policy=policy).start()
    desk.bar()
    desk.bar()
    assert uncovered(desk.state) == 0
    tape, began = Tape(desk), desk.now

    while desk.now - began < 12 * SECOND:
        tape.trade(4800.0 - side.sign * 15.0)

    alarms = {each.name: each.at for each in desk.all_of(do.RaiseAlarm)}
    assert "stop_inert" not in alarms
    assert alarms["stop_limit_left_behind"] - began <= 5 * SECOND
    assert alarms["position_uncovered"] - began <= 10 * SECOND
    if policy is StopPolicy.ALARM:
        assert uncovered(desk.state) == 1
        tape.trade(4800.0)
        assert uncovered(desk.state) == 0
    else:
        assert (desk.position, desk.broker.open()) == (0, []), "a stop beyond the market protects nothing"
    assert desk.alarms & {"position_uncovered", "stop_limit_left_behind"} == set()


# --- what is no evidence


def slow_fill(tape: Tape) -> None:
    """The stop fills, and the stream tells it two seconds later."""
    tape.desk.broker.exchange.is_inert = lambda _: False
    tape.desk.faults.slowest = 2.0
    for number in range(6):
        tape.trade(4789.0 - number % 2 / 4)


def one_print_far_away(tape: Tape) -> None:
    for price in (4800.0, 2400.0, 4800.0, 4799.0, 4800.0):
        tape.trade(price, seconds=2)


def less_than_the_ticks(tape: Tape) -> None:
    for number in range(10):
        tape.trade(4789.75 - number % 2 / 4)


def back_before_the_seconds(tape: Tape) -> None:
    for number in range(5):
        tape.trade(4789.0 - number % 2 / 4)
        tape.trade(4789.0)
        tape.trade(4791.0)


def a_halt(tape: Tape) -> None:
    """The last trade is beyond the stop, and nothing trades for minutes; candles end without a trade."""
    tape.trade(4780.0)
    for _ in range(120):
        tape.desk.tell(events.CandleReceived(tape.forming(4780.0)))
        tape.desk.run(1)


def a_market_locked_at_its_limit(tape: Tape) -> None:
    """Others trade at the limit all along, and the stop that was triggered waits in the line until the lock ends."""
    for _ in range(120):
        tape.trade(4780.0)
    tape.desk.faults.slowest = 0.5
    tape.desk.broker.exchange.is_inert = lambda _: False
    tape.trade(4780.25)
    for number in range(10):
        tape.trade(4780.25 + number % 3 / 4)


def data_that_stands_still(tape: Tape) -> None:
    tape.trade(4780.0)
    tape.desk.tell(events.StreamChanged(StreamKind.MARKET, is_up=False, reason="silent"))
    tape.desk.run(60)
    tape.desk.tell(events.StreamChanged(StreamKind.MARKET, is_up=True))
    tape.trade(4800.0, seconds=5)


def candles_of_history(tape: Tape) -> None:
    for _ in range(10):
        tape.hear(4780.0, is_history=True)
        tape.desk.run(1)


def corrected_candles(tape: Tape) -> None:
    number = tape.desk.candles - 1
    for each in range(10):
        tape.desk.tell(events.CandleReceived(candles.candle(1_600_000_020 // 60 + number, 4780.0 - each)))
        tape.desk.run(1)


def extremes_of_before(tape: Tape) -> None:
    for _ in range(10):
        tape.volume += 1
        tape.desk.tell(events.CandleReceived(replace(tape.forming(4800.0), low=4700.0, high=4900.0)))
        tape.desk.run(1)


def stop_gone_while_asking(tape: Tape) -> None:
    """The stream loses the fill; the broker, asked, tells it."""
    tape.desk.broker.exchange.is_inert = lambda _: False
    tape.desk.faults.lost_picture = 1.0
    for number in range(6):
        tape.trade(4789.0 - number % 2 / 4)


def partial_fills(tape: Tape) -> None:
    tape.desk.broker.exchange.is_inert = lambda _: False
    tape.desk.broker.fill_by(1)
    tape.trade(4789.0, seconds=4)
    tape.trade(4789.0, seconds=4)


QUIET = {
    each.__name__: each
    for each in (
        slow_fill,
        one_print_far_away,
        less_than_the_ticks,
        back_before_the_seconds,
        a_halt,
        a_market_locked_at_its_limit,
        data_that_stands_still,
        candles_of_history,
        corrected_candles,
        extremes_of_before,
        stop_gone_while_asking,
        partial_fills,
    )
}


@pytest.mark.parametrize("scene", QUIET.values(), ids=list(QUIET))
def test_nothing_is_said_of_what_is_no_evidence(scene: Callable[[Tape], None]) -> None:
    desk, tape = desk_with(faults=Faults())

    scene(tape)

    assert raised(desk) == []
    assert desk.all_of(do.KeepLatch) == []


def move_stop(view: View) -> Decision:
    assert view.stop_loss is not None
    return ModifyOrders((OrderChange(view.stop_loss.id, stop=4795.0),))


def test_only_prices_after_a_move_count() -> None:
    desk, tape = desk_with(LONG, move_stop)
    for number in range(3):
        tape.trade(4794.5 - number % 2 / 4)
    desk.broker.price = Decimal("4800")
    desk.bar(4800.0, seconds=0.5)
    (stop,) = [order for order in desk.orders if order.role is OrderRole.STOP_LOSS]
    assert desk.setup.instrument.price(stop.stop or 0) == 4795
    tape.minute += 1

    tape.trade(4794.5, seconds=2.5)
    assert raised(desk) == []
    tape.trade(4794.25)
    tape.trade(4794.5)

    assert raised(desk) == ["stop_inert"]


def test_a_stop_that_is_being_cancelled_is_none() -> None:
    def drop(view: View) -> Decision:
        assert view.stop_loss is not None
        return CancelOrders((view.stop_loss.id,))

    desk, tape = desk_with(LONG, drop, faults=Faults())
    desk.faults.lost_request = 1.0
    desk.bar(4800.0, seconds=0.5)
    tape.minute += 1

    for number in range(4):
        tape.trade(4789.0 - number % 2 / 4)

    assert raised(desk) == []


def test_a_gap_at_the_open_fills_the_stop_at_the_open_and_nothing_is_said() -> None:
    desk, tape = desk_with(faults=Faults())
    desk.broker.exchange.is_inert = lambda _: False
    desk.run(3600, beat=30)
    tape.minute += 60

    for number in range(6):
        tape.trade(4700.0 - number % 2 / 4)

    assert desk.position == 0
    assert desk.broker.realized == Decimal("-200.00")
    assert raised(desk) == []


# --- whatever the market and the network do


steps = st.lists(st.tuples(st.integers(-8, 8), st.sampled_from([0.25, 0.5, 1.0, 3.0])), min_size=10, max_size=40)


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from([0.0, 1.0, 1.5]), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 999))
def test_an_honest_broker_is_never_accused_whatever_is_slow_or_lost(
    walk: list[tuple[int, float]], slowest: float, lost_picture: float, seed: int
) -> None:
    faults = Faults(random.Random(seed), lost_picture=lost_picture, doubled=0.1, unknown=0.1, slowest=slowest)
    desk, tape = desk_with(faults=faults)
    desk.broker.exchange.is_inert = lambda _: False
    price = 4800.0

    for ticks, seconds in walk:
        price += ticks * 0.25
        tape.trade(price, seconds=seconds)

    assert "stop_inert" not in raised(desk)
    assert desk.all_of(do.KeepLatch) == []


@settings(max_examples=60, deadline=None)
@given(steps)
def test_an_inert_stop_is_accused_when_and_only_when_the_market_stays_beyond_it_at_several_prices(
    walk: list[tuple[int, float]],
) -> None:
    desk, tape = desk_with(SubmitBracket(Side.BUY, Contracts(2), stop_loss=4798.0))
    price, beyond, varied_at = 4800.0, list[tuple[int, float]](), 0
    may_be_due = is_due = False

    for ticks, seconds in walk:
        price += ticks * 0.25
        at = desk.now
        beyond = [*beyond, (at, price)] if price <= 4798.0 - 2 * 0.25 else []
        if len({each for _, each in beyond}) > 1:
            varied_at = varied_at or at
            may_be_due = may_be_due or at - beyond[0][0] >= 3 * SECOND
            is_due = is_due or (at - beyond[0][0] >= 3 * SECOND and at - varied_at >= 2 * SECOND)
        else:
            varied_at = 0
        tape.trade(price, seconds=seconds)

    desk.run(1, beat=0.25)
    assert is_due <= ("stop_inert" in raised(desk)) <= may_be_due


# --- prices that lag behind the orders


class LaggingFeed:
    """Trades each half second at which the exchange executes, told to the session some seconds later."""

    def __init__(self, desk: Desk, lag: float) -> None:
        self.desk, self.lag, self.volume = desk, int(lag * SECOND), 0
        self.on_the_way: list[tuple[int, float]] = []
        self.bar: Candle | None = None

    def trade(self, price: float, seconds: float = 0.5) -> None:
        self.desk.broker.now = self.desk.now
        self.desk.broker.trade(Decimal(str(price)))
        self.on_the_way.append((self.desk.now, price))
        while self.on_the_way and self.on_the_way[0][0] + self.lag <= self.desk.now:
            self.hear(*self.on_the_way.pop(0))
        self.desk.run(seconds, beat=0.25)

    def hear(self, at: int, price: float) -> None:
        """Tell a trade as a feed does: the first one of a minute closes the bar before."""
        self.volume += 1
        made = candles.candle(at // MINUTE, price, volume=self.volume, ticks=self.volume)
        if self.bar is not None and made.opened_at > self.bar.opened_at:
            self.desk.tell(events.CandleReceived(self.bar))
        self.bar = made
        self.desk.tell(events.CandleReceived(replace(made, is_closed=False)))


def lagging(lag: float, stop: float = 4797.0) -> tuple[Desk, LaggingFeed]:
    """Return a desk at the end of a minute; when it hears of that end, its strategy enters with a stop."""
    desk = Desk(Scripted(NOTHING, NOTHING, SubmitBracket(Side.BUY, Contracts(2), stop_loss=stop))).start(history=0)
    feed, began = LaggingFeed(desk, lag), desk.now
    while desk.now < (began // MINUTE + 3) * MINUTE:
        feed.trade(4800.0)
    return desk, feed


@pytest.mark.parametrize("lag", [0.0, 2.0, 4.0, 8.0, 20.0])
def test_a_price_of_before_the_stop_that_is_heard_after_it_accuses_nobody(lag: float) -> None:
    """The market dips and is back before the entry; the session hears of the dip after its stop works."""
    desk, feed = lagging(lag)
    for number in range(int(lag * 2) - 1):
        feed.trade(4795.0 - number % 2 / 4)
    assert desk.position == 0

    for number in range(120):
        feed.trade(4800.0 - number % 2 / 4)

    assert desk.position == 2
    assert raised(desk) == []


@pytest.mark.parametrize("lag", [0.0, 2.0, 8.0])
def test_a_stop_that_does_nothing_is_found_however_much_prices_lag(lag: float) -> None:
    desk, feed = lagging(lag)
    for number in range(80):
        feed.trade(4800.0 - number % 2 / 4)
    assert desk.position == 2
    desk.broker.exchange.is_inert = lambda _: True
    began = desk.now

    while not raised(desk):
        assert desk.now - began < 60 * SECOND
        feed.trade(4795.0 - desk.now // SECOND % 2 / 4)

    assert raised(desk) == ["stop_inert"]
    assert (desk.now - began) / SECOND <= 5 + lag


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-6, 6), min_size=20, max_size=80), st.sampled_from([0.0, 1.5, 4.0, 7.5]))
def test_an_honest_broker_is_never_accused_by_prices_that_lag(walk: list[int], lag: float) -> None:
    desk, feed = lagging(lag, stop=4797.0)
    price = 4800.0

    for ticks in walk:
        price += ticks * 0.25
        feed.trade(price)

    for _ in range(40):
        feed.trade(price)
    assert "stop_inert" not in raised(desk)

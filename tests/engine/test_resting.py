"""A fill whose frame the stream drops is asked about in time, whatever else is dropped, and seldom for nothing.

The engine asks through the pool of a link, at a broker that answers in up to a second; the clock is turned by hand.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.desk import Desk, Faults, Scripted
from tests.engine.test_freshness import at
from tests.engine.test_inert_stops import Tape
from tradeproc.brokers.contract import QuestionKind
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import Accepted, BrokerOrder
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.orders import OrderState, Side
from tradeproc.domain.units import MINUTE, SECOND, Contracts
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.resting import SLOW
from tradeproc.procs.link.question_pool import QuestionPool
from tradeproc.strategies.contract import ModifyOrders, OrderChange, SubmitBracket
from tradeproc.testing import candles

LONG = SubmitBracket(Side.BUY, Contracts(2), stop_loss=4790.0, profit_target=4810.0)
SHORT = SubmitBracket(Side.SELL, Contracts(2), stop_loss=4810.0, profit_target=4790.0)
BOUND = 6.5
"""Seconds until a dropped fill is known at the latest, beside the time that the broker takes to answer."""
PATIENCE = 12.0


class Linked(Desk):
    """A desk whose questions go through the pool of a link; what its streams drop can be said for each of them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pool, self.waiting = QuestionPool(), dict[int, do.AskOrders | do.AskPosition]()
        self.drops_orders = self.drops_positions = False
        self.begun: list[int] = []

    def _perform(self, effect: do.Effect) -> None:
        if not isinstance(effect, do.AskOrders | do.AskPosition):
            super()._perform(effect)
            return
        kind = QuestionKind.ORDERS if isinstance(effect, do.AskOrders) else QuestionKind.POSITIONS
        self.waiting[self.pool.add((kind, "SIM1"), self.now, effect.within, PATIENCE)] = effect
        self.turn_pool()

    def turn_pool(self) -> None:
        """Put to the broker what the link asks by now, and count its questions about orders."""
        for flight in self.pool.begin(self.now):
            if flight.kind is QuestionKind.ORDERS:
                self.begun.append(self.now)
            for number in flight.numbers:
                super()._perform(self.waiting.pop(number))
            self.pool.ended(flight, self.now)

    def _drain(self) -> None:
        told = self.broker.told
        self.broker.told = [
            each
            for each in told
            if not (self.drops_orders and isinstance(each, BrokerOrder))
            and not (self.drops_positions and isinstance(each, Position))
        ]
        super()._drain()

    def live(self, seconds: float) -> None:
        """Let time pass in quarters of a second, as a trader does."""
        for _ in range(int(seconds * 4)):
            self.run(0.25, beat=0.25)
            self.turn_pool()


def protected(bracket: SubmitBracket = LONG, *more: object, **options: Any) -> tuple[Linked, Tape]:
    """Return a desk that holds a protected position and has heard the price some ticks away from every order."""
    desk = Linked(Scripted(bracket, *more), **options)
    desk.start()
    desk.bar()
    desk.live(2)
    assert {order.state for order in desk.state.engine.open_orders} == {OrderState.SUBMITTED}
    return desk, Tape(desk)


def trade(tape: Tape, price: float, *, is_heard: bool = True) -> None:
    tape.trade(price, seconds=0.0, is_heard=is_heard)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from([LONG, SHORT]),
    st.booleans(),
    st.sampled_from([(True, False), (False, True), (True, True)]),
    st.booleans(),
    st.integers(0, 100),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([0.25, 1.0, 3.0, 7.0]),
)
def test_a_fill_that_was_dropped_is_known_in_time_in_every_combination(
    bracket: SubmitBracket,
    is_stop: bool,
    dropped: tuple[bool, bool],
    is_heard: bool,
    quarters: int,
    slowest: float,
    pace: float,
) -> None:
    """Stop or target; frames of orders, positions or both are dropped; prices come or have stopped; at any moment."""
    desk, tape = protected(bracket, faults=Faults(slowest=slowest))
    for number in range(int(quarters / 4 / pace) + 1):
        trade(tape, 4800.0 + number % 3)
        desk.live(pace)
    desk.drops_orders, desk.drops_positions = dropped

    beyond = -11.0 if is_stop else 11.0
    trade(tape, 4800.0 + beyond * (1 if bracket.side is Side.BUY else -1), is_heard=is_heard)
    assert desk.broker.position == 0
    filled_at = desk.now
    while desk.position and desk.now - filled_at <= 60 * SECOND:
        desk.live(0.25)

    assert (desk.now - filled_at) / SECOND <= BOUND + slowest
    assert desk.alarms == set()


@pytest.mark.parametrize("late", [0.5, 2.0, 4.75])
def test_a_fill_is_found_though_the_price_was_there_and_back_between_two_pictures_of_a_candle(late: float) -> None:
    desk, tape = protected()
    trade(tape, 4800.0)
    desk.live(late)
    desk.drops_orders = desk.drops_positions = True
    trade(tape, 4789.0, is_heard=False)
    trade(tape, 4800.0, is_heard=False)
    tape.volume += 2
    desk.tell(events.CandleReceived(replace(tape.forming(4800.0), low=4789.0)))
    filled_at = desk.now

    while desk.position and desk.now - filled_at <= 60 * SECOND:
        trade(tape, 4800.0)
        desk.live(0.5)

    assert (desk.now - filled_at) / SECOND <= BOUND


def asked_in(desk: Linked, seconds: float, each_second: Any = None) -> int:
    """Return how often orders were asked for while the time passed."""
    before = len(desk.begun)
    for number in range(int(seconds)):
        if each_second is not None:
            each_second(number)
        desk.live(1)
    return len(desk.begun) - before


def test_orders_that_rest_are_asked_for_seldom_while_prices_come_and_are_far() -> None:
    desk, tape = protected()
    trade(tape, 4800.0)
    desk.live(10)

    asked = asked_in(desk, 300, lambda number: trade(tape, 4800.0 + number % 3))

    assert 300 * SECOND // (SLOW + 6 * SECOND) <= asked <= 300 * SECOND // SLOW + 1


def test_orders_that_rest_are_asked_for_every_five_seconds_while_no_prices_come() -> None:
    desk, _ = protected()
    desk.live(10)

    assert 40 <= asked_in(desk, 300) <= 60


def test_a_price_that_stays_at_an_order_is_no_reason_to_ask_all_the_time() -> None:
    desk, tape = protected()
    desk.broker.exchange.is_inert = lambda _: True
    desk.live(10)

    assert asked_in(desk, 300, lambda _: trade(tape, 4810.0)) <= 60


def test_a_fill_that_the_stream_tells_is_not_asked_about() -> None:
    desk, tape = protected()
    for _ in range(30):
        trade(tape, 4800.0)
        desk.live(0.5)
    before = len(desk.begun)

    trade(tape, 4789.0)
    desk.live(1)

    assert desk.position == 0
    assert len(desk.begun) == before


def test_an_order_that_is_being_changed_is_asked_for_soon() -> None:
    def move(view: Any) -> ModifyOrders:
        return ModifyOrders((OrderChange(view.stop_loss.id, stop=4791.0),))

    desk, tape = protected(LONG, move)
    for _ in range(14):
        trade(tape, 4800.0)
        desk.live(0.5)
    desk.broker.modify = lambda *_: Accepted()  # type: ignore[method-assign]
    tape.minute += 1
    desk.bar(4800.0)

    assert asked_in(desk, 7, lambda _: trade(tape, 4800.0)) >= 1


def test_a_market_that_the_calendar_has_closed_makes_nobody_ask_soon() -> None:
    desk = Linked(Scripted(LONG), hours=market_hours("cme_equity"), now=at("2026-01-16T21:50:00"))
    desk.start(history=0)
    desk.tell(events.CandleReceived(candles.candle(desk.now // MINUTE - 1, 4800.0)))
    desk.live(10)
    assert desk.position == 2

    desk.now = at("2026-01-17T12:00:00")
    desk.live(30)
    closed = asked_in(desk, 300)
    desk.now = at("2026-01-18T23:00:00")
    desk.live(30)
    opened = asked_in(desk, 300)

    assert closed <= 300 * SECOND // SLOW + 1
    assert opened >= 40

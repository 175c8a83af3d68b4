"""A strategy that fails is told, called again with a fresh state, and after three bars in a row not any more."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.engine.desk import Desk, Plan, Scripted
from tradeproc.domain.orders import Side
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import TradingState
from tradeproc.engine.idle import why_no_entry
from tradeproc.engine.state import State
from tradeproc.strategies.contract import (
    NOTHING,
    Decision,
    ModifyOrders,
    OrderChange,
    SubmitBracket,
    SubmitOrder,
    View,
)

BRACKET = SubmitBracket(Side.BUY, 1, stop_loss=4790.0, reason="why not")  # type: ignore[arg-type]


def divide(view: View) -> Decision:
    raise ZeroDivisionError("x")


def leave(view: View) -> Decision:
    sys.exit(1)


def interrupt(view: View) -> Decision:
    raise KeyboardInterrupt


def recurse(view: View) -> Decision:
    return recurse(view)


def alarms(desk: Desk) -> list[tuple[str, str]]:
    return [(effect.name, effect.detail) for effect in desk.all_of(do.RaiseAlarm)]


def latches(desk: Desk) -> list[do.KeepLatch]:
    return desk.all_of(do.KeepLatch)


def resume(desk: Desk) -> None:
    desk.tell(events.TradingStateSet("session:7", TradingState.ACTIVE, "me", "mended"))


FAULTS: list[tuple[Plan | Decision, str]] = [
    (divide, "ZeroDivisionError: x"),
    (leave, "SystemExit: 1"),
    (recurse, "RecursionError"),
    (interrupt, "KeyboardInterrupt: without a text"),
    (SubmitOrder("buy", 1), "side must be Side.BUY or Side.SELL, not 'buy'"),  # type: ignore[arg-type]
    ("buy", "'buy' is no decision"),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_a_failed_bar_is_an_alarm_that_says_what_and_where(fault: Any, reason: str) -> None:
    desk = Desk(Scripted(fault)).start()

    desk.bar()

    ((name, detail),) = alarms(desk)
    assert name == "strategy_failed"
    assert reason in detail
    assert "desk.py, line" in detail
    assert latches(desk) == []


def test_the_next_bar_is_decided_with_a_fresh_state_and_the_alarm_stays_until_a_person_resumes() -> None:
    desk = Desk(Scripted(NOTHING, divide, BRACKET)).start()
    desk.bar()
    assert desk.state.strategy.memory == 1

    desk.bar()
    assert desk.state.strategy.memory == 0
    desk.bar()

    assert len(desk.orders) == 2
    assert "strategy_failed" in desk.state.engine.alarms
    resume(desk)
    assert "strategy_failed" not in desk.state.engine.alarms


def test_three_failed_bars_in_a_row_switch_it_off_and_latch_the_session_once() -> None:
    desk = Desk(Scripted(BRACKET, *[divide] * 3, BRACKET)).start()
    for _ in range(5):
        desk.bar()

    (latch,) = latches(desk)
    assert (latch.scope, latch.state, latch.by) == ("session:7", "reducing", "strategy")
    assert "it failed on 3 bars in a row: ZeroDivisionError: x (desk.py, line" in latch.reason
    assert "raised in test_strategy.py, line" in latch.reason
    assert [name for name, _ in alarms(desk)] == ["strategy_failed", "strategy_off"]
    assert desk.state.engine.trading is TradingState.REDUCING
    assert len(desk.strategy.plans) == 1, "it is not called any more"
    assert why_no_entry(desk.state, desk.now).startswith("the strategy is not called any more: it failed on 3 bars")


def test_the_position_of_a_strategy_that_is_off_stays_protected_and_can_be_closed() -> None:
    desk = Desk(Scripted(BRACKET, *[divide] * 3)).start()
    for _ in range(4):
        desk.bar()
    desk.run(1)
    assert desk.position == 1
    assert len(desk.broker.open()) == 1, "its stop works"

    desk.tell(events.FlattenCommanded("me", ""))
    desk.run(5)

    assert desk.position == 0
    assert desk.broker.open() == []


def test_a_good_bar_between_begins_the_count_anew() -> None:
    desk = Desk(Scripted(divide, divide, NOTHING, divide, divide, NOTHING)).start()

    for _ in range(6):
        desk.bar()

    assert latches(desk) == []
    assert desk.state.strategy.failed == 4


def test_a_resume_calls_it_again() -> None:
    desk = Desk(Scripted(*[divide] * 3, BRACKET)).start()
    for _ in range(3):
        desk.bar()

    resume(desk)
    desk.bar()

    assert len(desk.orders) == 2
    assert desk.state.engine.alarms == {}


def test_a_halt_is_not_weakened_by_it() -> None:
    desk = Desk(Scripted(*[divide] * 3)).start()
    desk.tell(events.TradingStateSet("session:7", TradingState.HALTED, "me", "no"))

    for _ in range(3):
        desk.bar()

    assert desk.state.engine.trading is TradingState.HALTED
    assert latches(desk) == []
    assert desk.state.strategy.off


def test_a_later_life_does_not_call_it_before_a_person_resumed() -> None:
    desk = Desk(Scripted(BRACKET, BRACKET))
    desk.state.engine.latches["session:7"] = TradingState.REDUCING
    began = desk.state.setup
    desk.tell(events.Started(strategy_off="it failed on 3 bars in a row: x"))
    desk.start()

    desk.bar()
    assert desk.strategy.seen == []
    resume(desk)
    desk.bar()

    assert len(desk.strategy.seen) == 1
    assert desk.state.setup == began


@pytest.mark.parametrize("method", ["start", "warmup"])
def test_a_start_or_warmup_that_raises_leaves_a_trader_that_protects(method: str) -> None:
    class Broken(Scripted):
        pass

    def fail(*_: Any) -> Any:
        raise KeyError("length")

    setattr(Broken, method, fail)
    desk = Desk(Broken(BRACKET)).start()

    desk.bar()

    is_off = bool(desk.state.strategy.off)
    assert is_off == (method == "start")
    assert desk.state.broker.is_reconciled


def test_what_postgres_cannot_hold_in_a_reason_is_marked() -> None:
    desk = Desk(Scripted(replace(BRACKET, reason="a\0b\ud800"))).start()

    desk.bar()

    told = "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    assert desk.database.events[0].details["reason"] == told


def test_numpy_quantities_and_prices_are_sent_as_plain_numbers() -> None:
    quantity: Any = np.int64(1)
    desk = Desk(Scripted(SubmitBracket(Side.BUY, quantity, stop_loss=np.float32(4790.25)))).start()

    desk.bar()

    assert desk.refusals == []
    assert {type(order.quantity) for order in desk.orders} == {int}


ENDLESS: Any = 10**5000
MANY = tuple(OrderChange(f"{number:0>400}", stop=1.0) for number in range(1000))


@pytest.mark.parametrize(
    ("decision", "refusal"),
    [
        (SubmitOrder(Side.BUY, ENDLESS), "E+5000 is not a positive number of contracts"),
        (SubmitOrder(Side.BUY, -ENDLESS), "E+5000 is not a positive number of contracts"),
        (SubmitBracket(Side.BUY, BRACKET.quantity, stop_loss=-ENDLESS), "E+5000 is no price"),
        (ModifyOrders(MANY), "is no open order; 0000"),
    ],
)
def test_a_decision_too_long_to_be_written_is_refused_in_one_short_line(decision: Decision, refusal: str) -> None:
    desk = Desk(Scripted(decision)).start()

    desk.bar()

    (told,) = desk.refusals
    assert refusal in told
    assert len(told) <= 500


def off(state: State) -> None:
    state.strategy.off = "it failed"


def cold(state: State) -> None:
    state.strategy.is_warm = False


def hungry(state: State) -> None:
    state.strategy.wanted = 100


def wordless(state: State) -> None:
    state.strategy.decided = state.strategy.quiet = 0


WHYS: list[tuple[Callable[[State], None], str]] = [
    (off, "the strategy is not called any more: it failed"),
    (cold, "warm-up: the history is not there yet"),
    (hungry, "warm-up: 4 of the 100 bars that the strategy asked for"),
    (wordless, "no bar has closed since the start"),
    (lambda state: None, "the strategy wants nothing: 1 bar in a row"),
]


@pytest.mark.parametrize(("change", "why"), WHYS)
def test_why_nothing_is_entered_is_one_line(change: Callable[[State], None], why: str) -> None:
    desk = Desk(Scripted(NOTHING)).start()
    desk.bar()
    change(desk.state)

    assert why_no_entry(desk.state, desk.now) == why


def test_a_refused_decision_is_why_until_the_next_bar() -> None:
    too_many: Any = 9
    desk = Desk(Scripted(SubmitOrder(Side.BUY, too_many))).start()

    desk.bar()

    assert (
        why_no_entry(desk.state, desk.now) == "the newest decision was refused: 9 contracts are more than max_order 3"
    )
    assert desk.state.strategy.refused == 1

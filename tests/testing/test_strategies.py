"""A run of a strategy calls it as a trader does: on each new closed bar, with the state that it returned."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from tradeproc.domain.orders import Side
from tradeproc.strategies.contract import NOTHING, ClosePosition, View
from tradeproc.strategies.loading import BadStrategy
from tradeproc.strategies.moving_average_cross import MovingAverageCross
from tradeproc.strategies.returned import BadReturn
from tradeproc.testing.candles import candles, write_tape
from tradeproc.testing.strategies import StrategyRun, stop_loss


class Counting:
    """Counts its calls in its state and shows what it saw."""

    name = "counting"

    @dataclass(frozen=True)
    class Arguments:
        """None."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, View]] = []

    def warmup(self, arguments: Any) -> int:
        return 0

    def start(self, arguments: Any) -> int:
        return 0

    def on_candle(self, view: View, state: int, arguments: Any) -> Any:
        self.seen.append((state, len(view.candles), view))
        return (NOTHING, state + 1) if view.candle.close < 200 else "no decision"


def test_it_is_called_on_closed_bars_that_are_new_and_on_no_other() -> None:
    strategy = Counting()
    run = StrategyRun(strategy)
    first, second = candles([100, 101])

    run.over([first, replace(second, is_closed=False), second, second, first])

    assert [(state, count, view.candle.close) for state, count, view in strategy.seen] == [(0, 1, 100), (1, 2, 101)]


def test_bars_of_the_past_are_seen_and_not_decided_on_and_a_restart_forgets_the_state() -> None:
    strategy = Counting()
    run = StrategyRun(strategy)

    run.warm_up(candles([100, 101]))
    run.over(candles([102], first=2))
    run.restart()
    run.over(candles([103], first=3))

    assert [(state, count) for state, count, _ in strategy.seen] == [(0, 3), (0, 4)]


def test_the_next_call_sees_what_the_test_says_came_of_a_decision() -> None:
    strategy = Counting()
    run = StrategyRun(strategy, root="NQ", quantity=5)
    run.position, run.average, run.orders, run.opened_at = -5, Decimal("99.25"), (stop_loss(Side.BUY, 420),), 60

    run.over(candles([100]))

    [(_, _, view)] = strategy.seen
    assert (view.position, view.average, view.orders) == (-5, Decimal("99.25"), run.orders)
    assert (view.instrument.root, view.quantity, view.session_opened_at) == ("NQ", 5, 60)


def test_what_a_trader_would_count_as_a_failed_bar_fails_the_test() -> None:
    with pytest.raises(BadReturn, match=r"must return \(decision, state\)"):
        StrategyRun(Counting()).over(candles([200]))


def test_an_argument_that_a_session_would_be_refused_for_is_refused() -> None:
    with pytest.raises(BadStrategy, match="fast must be below slow"):
        StrategyRun(MovingAverageCross(), fast=9, slow=5)


def test_a_whole_turn_of_an_example_is_played_with_its_state() -> None:
    run = StrategyRun(MovingAverageCross(), fast=2, slow=3, stop_ticks=8)
    run.warm_up(candles([10.0, 9.0, 8.0, 7.0]))
    run.position = -2

    closing = run.over(candles([10.0], first=4))
    run.position = 0
    entering = run.over(candles([9.0], first=5))

    assert closing == [ClosePosition("cross to buy")]
    assert [type(each).__name__ for each in entering] == ["SubmitBracket"]
    assert run.decisions == closing + entering


def test_a_tape_says_what_it_was_given(tmp_path: Any) -> None:
    path = write_tape(tmp_path / "ESH24_two.csv", [(7, Decimal("4800.25"), 3), (9, "-0.50", 1)])

    assert path.read_text() == "ts_event_ns,price,size\n7,4800.25,3\n9,-0.50,1\n"

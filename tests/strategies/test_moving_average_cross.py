"""The moving-average cross: enters once a cross, protects itself, and turns round by way of flat."""

import numpy as np
import pytest

from tradeproc.domain.orders import Side
from tradeproc.domain.units import Contracts
from tradeproc.strategies.contract import NOTHING, ClosePosition, SubmitBracket
from tradeproc.strategies.loading import BadStrategy, build_arguments
from tradeproc.strategies.moving_average_cross import MovingAverageCross, crossed
from tradeproc.testing.candles import candles
from tradeproc.testing.strategies import stop_loss, view

ARGUMENTS = MovingAverageCross.Arguments(fast=2, slow=3, stop_ticks=8)
RISING = [10.0, 9.0, 8.0, 7.0, 10.0]
FALLING = [7.0, 8.0, 9.0, 10.0, 7.0]


@pytest.mark.parametrize(
    ("closes", "side"),
    [(RISING, Side.BUY), (FALLING, Side.SELL), ([5.0, 5.0, 5.0, 5.0], None), ([1.0, 2.0, 3.0, 4.0], None)],
)
def test_a_cross_is_where_the_averages_change_places(closes: list[float], side: Side | None) -> None:
    assert crossed(np.array(closes), 2, 3) is side


@pytest.mark.parametrize(("closes", "side", "stop"), [(RISING, Side.BUY, 8.0), (FALLING, Side.SELL, 9.0)])
def test_it_enters_with_a_cross_and_a_stop_loss(closes: list[float], side: Side, stop: float) -> None:
    decision, state = MovingAverageCross().on_candle(view(candles(closes)), None, ARGUMENTS)

    assert decision == SubmitBracket(side, Contracts(2), stop_loss=stop, reason=f"cross to {side}")
    assert state is None


def test_it_closes_what_is_against_the_cross_and_enters_once_flat() -> None:
    strategy = MovingAverageCross()

    closing, wanted = strategy.on_candle(view(candles(RISING), position=-2), None, ARGUMENTS)
    entering, after = strategy.on_candle(view(candles([*RISING, 9.0])), wanted, ARGUMENTS)

    assert (closing, wanted) == (ClosePosition("cross to buy"), Side.BUY)
    assert isinstance(entering, SubmitBracket)
    assert (entering.side, after) == (Side.BUY, None)


def test_it_clears_a_working_order_before_it_enters() -> None:
    seen = view(candles(RISING), orders=(stop_loss(Side.SELL, 20),))

    assert MovingAverageCross().on_candle(seen, None, ARGUMENTS) == (ClosePosition("cross to buy"), Side.BUY)


def test_it_keeps_a_position_that_is_with_the_cross() -> None:
    assert MovingAverageCross().on_candle(view(candles(RISING), position=2), None, ARGUMENTS) == (NOTHING, None)


def test_it_waits_until_there_are_enough_candles() -> None:
    assert MovingAverageCross().on_candle(view(candles([9.0, 8.0, 9.0])), None, ARGUMENTS) == (NOTHING, None)
    assert MovingAverageCross().warmup(ARGUMENTS) == 4
    assert MovingAverageCross().start(ARGUMENTS) is None


@pytest.mark.parametrize("given", [{"fast": 5, "slow": 5}, {"fast": 9, "slow": 5}, {"fast": 30}])
def test_a_fast_average_that_is_not_the_faster_one_is_refused(given: dict[str, int]) -> None:
    with pytest.raises(BadStrategy, match=r"'moving_average_cross': .*: fast must be below slow, not"):
        build_arguments(MovingAverageCross(), given)

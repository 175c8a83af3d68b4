"""The opening-range breakout: one trade a session, the same after a restart, and flat before the end."""

import pytest

from tradeproc.domain.orders import Side
from tradeproc.domain.units import MINUTE, Contracts
from tradeproc.strategies.contract import NOTHING, ClosePosition, Decision, SubmitBracket
from tradeproc.strategies.loading import BadStrategy, build_arguments
from tradeproc.strategies.opening_range_breakout import OpeningRangeBreakout
from tradeproc.testing.candles import candles
from tradeproc.testing.strategies import stop_loss, view

ARGUMENTS = OpeningRangeBreakout.Arguments(range_minutes=3, reward=2.0, exit_minutes=60)
OPEN = 100
BEFORE = candles([50.0, 50.0], first=OPEN - 2)
RANGE = [10.0, 11.0, 9.0]


def decide(closes: list[float], **seen: object) -> Decision:
    bars = [*BEFORE, *candles(closes, first=OPEN, reach=1.0)]
    decision, _ = OpeningRangeBreakout().on_candle(
        view(bars, opened_at=OPEN * MINUTE, **seen),  # type: ignore[arg-type]
        None,
        ARGUMENTS,
    )
    return decision


@pytest.mark.parametrize(
    ("close", "side", "stop", "target"), [(12.25, Side.BUY, 8.0, 20.25), (7.75, Side.SELL, 12.0, -0.25)]
)
def test_the_first_close_outside_the_range_enters(close: float, side: Side, stop: float, target: float) -> None:
    assert decide([*RANGE, 10.0, close]) == SubmitBracket(
        side, Contracts(2), stop_loss=stop, profit_target=target, reason=f"close {close} outside 8.0 to 12.0"
    )


@pytest.mark.parametrize("closes", [RANGE, [*RANGE, 12.0], [*RANGE, 13.0, 14.0], [*RANGE, 13.0, 10.0, 7.0]])
def test_nothing_else_does(closes: list[float]) -> None:
    assert decide(closes) == NOTHING


def test_it_does_nothing_while_it_has_an_order_or_a_position() -> None:
    assert decide([*RANGE, 13.0], position=2) == NOTHING
    assert decide([*RANGE, 13.0], orders=(stop_loss(Side.SELL, 1),)) == NOTHING


def test_it_is_flat_before_the_end() -> None:
    late = [*RANGE, *[10.0] * 57]

    assert decide(late, position=2) == ClosePosition("end of the day")
    assert decide(late) == NOTHING


def test_without_the_open_among_its_candles_there_is_no_range() -> None:
    bars = candles([10.0, 11.0, 9.0, 13.0], first=OPEN + 1)

    decision, _ = OpeningRangeBreakout().on_candle(view(bars, opened_at=OPEN * MINUTE), None, ARGUMENTS)

    assert decision == NOTHING


def test_without_market_hours_it_does_not_trade() -> None:
    bars = [*BEFORE, *candles([*RANGE, 13.0], first=OPEN)]

    assert OpeningRangeBreakout().on_candle(view(bars), None, ARGUMENTS) == (NOTHING, None)
    assert OpeningRangeBreakout().warmup(ARGUMENTS) == 1440


def test_a_day_that_ends_before_its_range_is_known_is_refused() -> None:
    with pytest.raises(BadStrategy, match="range_minutes must be below exit_minutes, not 60 and 57"):
        build_arguments(OpeningRangeBreakout(), {"range_minutes": 60, "exit_minutes": 57})

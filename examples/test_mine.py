# test_mine.py
from mine import ThreeInARow

from tradeproc.domain.orders import Side
from tradeproc.strategies.contract import NOTHING, SubmitBracket
from tradeproc.testing.candles import candles
from tradeproc.testing.strategies import StrategyRun


def test_it_buys_after_two_rising_closes_and_waits_while_it_holds_a_position() -> None:
    run = StrategyRun(ThreeInARow(), count=2)

    assert run.over(candles([100, 101])) == [NOTHING, NOTHING]
    assert run.over(candles([102], first=2)) == [SubmitBracket(Side.BUY, 2, stop_loss=99.0, profit_target=104.0)]
    run.position = 2
    assert run.over(candles([103, 104], first=3)) == [NOTHING, NOTHING]

# mine.py
from dataclasses import dataclass

import numpy as np

from tradeproc.domain.orders import Side
from tradeproc.strategies.contract import NOTHING, Decision, SubmitBracket, View, argument


class ThreeInARow:
    """Buy after a few rising closes in a row, sell after as many falling ones."""

    name = "three_in_a_row"

    @dataclass(frozen=True, slots=True)
    class Arguments:
        count: int = argument(3, help="closes in a row", min=1, max=50)
        stop_ticks: int = argument(12, help="distance of the stop loss, in ticks", min=1, max=1000)
        target_ticks: int = argument(8, help="distance of the target, in ticks", min=1, max=1000)

    def warmup(self, arguments: Arguments) -> int:
        """Tell how many candles of history are needed before the first decision."""
        return arguments.count + 1

    def start(self, arguments: Arguments) -> None:
        """Return the first state; this strategy needs none."""

    def on_candle(self, view: View, state: None, arguments: Arguments) -> tuple[Decision, None]:
        """Decide once for each new closed candle."""
        steps = np.diff(view.candles.closes[-arguments.count - 1 :])
        if not view.is_idle or len(steps) < arguments.count:
            return NOTHING, None
        if (steps > 0).all():
            side = Side.BUY
        elif (steps < 0).all():
            side = Side.SELL
        else:
            return NOTHING, None
        close, tick = view.candle.close, float(view.instrument.tick_size) * side.sign
        stop_loss, target = close - arguments.stop_ticks * tick, close + arguments.target_ticks * tick
        return SubmitBracket(side, view.quantity, stop_loss=stop_loss, profit_target=target), None

"""A strategy that buys once it is flat and idle, and then only holds: drills of rolls need a position that stays."""

from dataclasses import dataclass

from tradeproc.domain.orders import Side
from tradeproc.strategies.contract import NOTHING, Decision, SubmitBracket, View


class Holder:
    """Buy with a stop loss 25 points below and a target 50 above; then hold."""

    name = "holder"

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """None."""

    def warmup(self, arguments: Arguments) -> int:
        """Ask for more than the next contract may have at a roll."""
        return 5

    def start(self, arguments: Arguments) -> int:
        """Count the candles."""
        return 0

    def on_candle(self, view: View, state: int, arguments: Arguments) -> tuple[Decision, int]:
        """Buy where there is nothing."""
        if not view.is_idle:
            return NOTHING, state + 1
        close = view.candle.close
        return SubmitBracket(Side.BUY, view.quantity, stop_loss=close - 25, profit_target=close + 50), state + 1

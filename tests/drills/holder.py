"""A strategy that buys once it is flat and idle, and then only holds: drills of rolls need a position that stays."""

from dataclasses import dataclass

from tradeproc.domain.orders import Side
from tradeproc.strategies.contract import NOTHING, Decision, SubmitBracket, View

AWAY = 400
"""Points; a random walk of a whole day moves 60 (one standard deviation), and the shipped tape less."""


class Holder:
    """Buy with a stop loss and a target that no tape of the drills reaches in its longest time; then hold."""

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
        return SubmitBracket(Side.BUY, view.quantity, stop_loss=close - AWAY, profit_target=close + AWAY), state + 1

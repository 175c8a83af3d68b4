"""A strategy for the benchmark: always long, behind a stop a fixed way below the price that it entered at."""

from dataclasses import dataclass

from tradeproc.domain.orders import Side
from tradeproc.strategies.contract import NOTHING, Decision, SubmitBracket, View, argument


class LongOnly:
    """Buy with each idle candle, and leave everything else to the stop."""

    name = "long_only"

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """How far away the stop is."""

        stop_ticks: int = argument(6, help="distance of the stop loss, in ticks", min=1)

    def warmup(self, arguments: Arguments) -> int:
        """Need nothing."""
        return 1

    def start(self, arguments: Arguments) -> None:
        """Keep nothing."""

    def on_candle(self, view: View, state: None, arguments: Arguments) -> tuple[Decision, None]:
        """Enter when there is neither a position nor an order."""
        if not view.is_idle:
            return NOTHING, None
        stop = view.candle.close - arguments.stop_ticks * float(view.instrument.tick_size)
        return SubmitBracket(Side.BUY, view.quantity, stop_loss=stop), None

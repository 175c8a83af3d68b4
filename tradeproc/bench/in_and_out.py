"""A strategy for the recovery benchmark: always in the market or on its way there, and it hangs when told to."""

import os
from dataclasses import dataclass
from pathlib import Path

from tradeproc.domain.orders import Side
from tradeproc.strategies.contract import NOTHING, ClosePosition, Decision, SubmitBracket, View

MINUTE = 60_000_000_000
FAR_TICKS = 200
# with a file of the first name in the home, the strategy hangs at its next candle, and first renames the file
HANG, HANGS = "hang", "hangs"


class InAndOut:
    """Enter with a bracket when idle, alternately long and short; leave with the next candle."""

    name = "in_and_out"

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """Nothing can be set."""

    def warmup(self, arguments: Arguments) -> int:
        """Need little."""
        return 3

    def start(self, arguments: Arguments) -> None:
        """Keep nothing."""

    def on_candle(self, view: View, state: None, arguments: Arguments) -> tuple[Decision, None]:
        """Enter or leave."""
        _hang_if_told(Path(os.environ.get("TRADEPROC_HOME", "")))
        if view.is_idle:
            side = Side.BUY if view.candle.opened_at // MINUTE % 2 else Side.SELL
            far = side.sign * FAR_TICKS * float(view.instrument.tick_size)
            close = view.candle.close
            return SubmitBracket(side, view.quantity, stop_loss=close - far, profit_target=close + far), None
        return (NOTHING if view.is_flat else ClosePosition("one candle is long enough")), None


def _hang_if_told(home: Path) -> None:
    if (home / HANG).exists():
        (home / HANG).rename(home / HANGS)
        while True:  # a strategy's bug: computes for ever
            pass

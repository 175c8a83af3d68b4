"""Opening-range breakout: take the first close outside the range of the session's first minutes, with a bracket.

It shows a strategy without state: it reads all it needs from the candles since the exchange opened, so that it
decides the same after a restart in the middle of the day, and never trades a breakout twice.
"""

from dataclasses import dataclass

import numpy as np

from tradeproc.domain.orders import Side
from tradeproc.domain.units import MINUTE
from tradeproc.strategies.contract import NOTHING, ClosePosition, Decision, SubmitBracket, View, argument


class OpeningRangeBreakout:
    """One trade a session: stop loss at the other end of the range, profit target a multiple of its height."""

    name = "opening_range_breakout"

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """What can be set for each session."""

        range_minutes: int = argument(30, help="length of the opening range", min=1, max=600)
        reward: float = argument(1.5, help="profit target, in heights of the range", min=0.1, max=20)
        exit_minutes: int = argument(1320, help="minutes after the open at which to be flat", min=2, max=1440)

        def __post_init__(self) -> None:
            """Refuse an exit before the range is complete."""
            if self.range_minutes >= self.exit_minutes:
                told = f"{self.range_minutes} and {self.exit_minutes}"
                raise ValueError(f"range_minutes must be below exit_minutes, not {told}")

    def warmup(self, arguments: Arguments) -> int:
        """Ask for a whole day of one-minute candles, so that a start at any hour still sees the open."""
        return 1440

    def start(self, arguments: Arguments) -> None:
        """Keep nothing between calls."""

    def on_candle(self, view: View, state: None, arguments: Arguments) -> tuple[Decision, None]:
        """Close the position `exit_minutes` after the open; before, enter on the first close outside the range."""
        if view.session_opened_at is None:
            return NOTHING, None
        if view.candle.closed_at >= view.session_opened_at + arguments.exit_minutes * MINUTE:
            return (NOTHING if view.is_idle else ClosePosition("end of the day")), None
        if view.is_idle:
            return entry(view, view.session_opened_at, arguments), None
        return NOTHING, None


def entry(view: View, opened_at: int, arguments: OpeningRangeBreakout.Arguments) -> Decision:
    """Return a bracket when the newest candle is the first to close outside the opening range."""
    bars = view.candles
    if bars.times[0] > opened_at:  # our candles begin after the open, so the range is not known
        return NOTHING
    first, end = np.searchsorted(bars.times, [opened_at, opened_at + arguments.range_minutes * MINUTE])
    if first == end or end == len(bars):
        return NOTHING
    high, low = float(bars.highs[first:end].max()), float(bars.lows[first:end].min())
    outside = (bars.closes[end:] > high) | (bars.closes[end:] < low)
    if not outside[-1] or outside[:-1].any():
        return NOTHING
    close = view.candle.close
    side, stop_loss = (Side.BUY, low) if close > high else (Side.SELL, high)
    target = close + side.sign * arguments.reward * (high - low)
    reason = f"close {close} outside {low} to {high}"
    return SubmitBracket(side, view.quantity, stop_loss=stop_loss, profit_target=target, reason=reason)

"""Donchian channel with an ATR stop: follow a close beyond the highest high or lowest low, and trail the stop.

It shows how to change a working order: the bracket's stop loss is only ever moved towards the price. After a restart
it finds the position and the stop in the view and goes on trailing.
"""

from dataclasses import dataclass

from tradeproc.domain.orders import Side
from tradeproc.strategies.contract import NOTHING, Decision, ModifyOrders, OrderChange, SubmitBracket, View, argument
from tradeproc.strategies.indicators import atr


class DonchianAtr:
    """Enter at the market on a breakout with the stop a few average true ranges away; the stop is the only exit."""

    name = "donchian_atr"

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """What can be set for each session."""

        channel: int = argument(20, help="candles in the channel", min=2, max=1000)
        atr: int = argument(14, help="candles in the average true range", min=1, max=500)
        stop_atrs: float = argument(2.5, help="distance of the stop, in average true ranges", min=0.1, max=50)

    def warmup(self, arguments: Arguments) -> int:
        """Ask for the channel before the newest candle, and five lengths for Wilder's smoothing to settle."""
        return max(arguments.channel + 1, 5 * arguments.atr)

    def start(self, arguments: Arguments) -> None:
        """Keep nothing between calls."""

    def on_candle(self, view: View, state: None, arguments: Arguments) -> tuple[Decision, None]:
        """Trail the stop of a position; without a position and orders, look for a breakout."""
        if len(view.candles) < self.warmup(arguments):
            return NOTHING, None
        # always over the same number of candles, so that a restart computes the same
        newest = slice(-5 * arguments.atr, None)
        bars = view.candles
        average = float(atr(bars.highs[newest], bars.lows[newest], bars.closes[newest], arguments.atr)[-1])
        distance = arguments.stop_atrs * average
        if not view.is_flat:
            return trail(view, distance), None
        return (entry(view, arguments.channel, distance) if view.is_idle else NOTHING), None


def entry(view: View, channel: int, distance: float) -> Decision:
    """Return a bracket when the newest candle closed outside the channel of those before it."""
    close, before = view.candle.close, slice(-channel - 1, -1)
    if close > view.candles.highs[before].max():
        return SubmitBracket(Side.BUY, view.quantity, stop_loss=close - distance, reason=f"{channel} candle high")
    if close < view.candles.lows[before].min():
        return SubmitBracket(Side.SELL, view.quantity, stop_loss=close + distance, reason=f"{channel} candle low")
    return NOTHING


def trail(view: View, distance: float) -> Decision:
    """Return a change that moves the stop loss nearer; NOTHING if it is near enough or no stop can be changed."""
    order, sign = view.stop_loss, 1 if view.position > 0 else -1
    if order is None or order.stop is None:
        return NOTHING
    wanted = view.candle.close - sign * distance
    if (view.instrument.nearest(wanted) - order.stop) * sign <= 0:
        return NOTHING
    return ModifyOrders((OrderChange(order.id, stop=wanted),), reason="trail")

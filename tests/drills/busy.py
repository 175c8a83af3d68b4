"""A strategy that is never idle for long: it enters, trails its stop, leaves; drills need orders to lose."""

from dataclasses import dataclass

from tradeproc.domain.orders import Side
from tradeproc.strategies.contract import (
    NOTHING,
    ClosePosition,
    Decision,
    ModifyOrders,
    OrderChange,
    SubmitBracket,
    View,
    argument,
)


class Busy:
    """Enter on each idle candle, alternately long and short; trail the stop; leave after `hold` candles."""

    name = "busy"

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """What a drill may set."""

        stop_ticks: int = argument(60, help="distance of the stop loss, in ticks", min=1)
        target_ticks: int = argument(60, help="distance of the profit target, in ticks", min=1)
        hold: int = argument(2, help="candles until it leaves", min=1)

    def warmup(self, arguments: Arguments) -> int:
        """Ask for little."""
        return 3

    def start(self, arguments: Arguments) -> int:
        """Count the candles."""
        return 0

    def on_candle(self, view: View, state: int, arguments: Arguments) -> tuple[Decision, int]:
        """Do something whenever something can be done."""
        tick = float(view.instrument.tick_size)
        close = view.candle.close
        if view.is_idle:
            side = Side.BUY if (view.candle.opened_at // 60_000_000_000) % 2 else Side.SELL
            return (
                SubmitBracket(
                    side,
                    view.quantity,
                    stop_loss=close - side.sign * arguments.stop_ticks * tick,
                    profit_target=close + side.sign * arguments.target_ticks * tick,
                ),
                0,
            )
        if view.is_flat:
            return NOTHING, 0
        if state + 1 >= arguments.hold:
            return ClosePosition("held long enough"), 0
        stop = view.stop_loss
        if stop is None:
            return NOTHING, state + 1
        sign = 1 if view.position > 0 else -1
        return ModifyOrders(
            (OrderChange(stop.id, stop=close - sign * (arguments.stop_ticks - 10) * tick),)
        ), state + 1

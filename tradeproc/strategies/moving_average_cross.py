"""Moving-average cross: buy when a fast average of the closes rises through a slow one, sell when it falls.

The simplest complete strategy; read it as a tutorial. It shows arguments, warm-up, state, a bracket, and how to treat
a position that is left from before a restart.
"""

from dataclasses import dataclass

from tradeproc.domain.orders import Side
from tradeproc.strategies.contract import NOTHING, ClosePosition, Decision, SubmitBracket, View, argument
from tradeproc.strategies.indicators import Floats, sma


class MovingAverageCross:
    """Enter with a stop loss; on the opposite cross close the position first, and enter the other way once flat."""

    name = "moving_average_cross"

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """What can be set for each session."""

        fast: int = argument(9, help="candles in the fast average", min=1, max=1000)
        slow: int = argument(21, help="candles in the slow average", min=2, max=5000)
        stop_ticks: int = argument(40, help="distance of the stop loss from the close, in ticks", min=1, max=10_000)

        def __post_init__(self) -> None:
            """Refuse a fast average that is not shorter than the slow one: buying and selling would be exchanged."""
            if self.fast >= self.slow:
                raise ValueError(f"fast must be below slow, not {self.fast} and {self.slow}")

    # The state is the side to take once flat. A restart forgets it, and that is fine: the next cross sets it again.
    State = Side | None

    def warmup(self, arguments: Arguments) -> int:
        """Ask for one candle more than the slow average has, because a cross needs its value before."""
        return arguments.slow + 1

    def start(self, arguments: Arguments) -> State:
        """Begin without a side to take."""
        return None

    def on_candle(self, view: View, state: State, arguments: Arguments) -> tuple[Decision, State]:
        """Close a position against the newest cross, then enter in its direction."""
        closes = view.candles.closes
        if len(closes) <= arguments.slow:
            return NOTHING, state
        wanted = crossed(closes, arguments.fast, arguments.slow) or state
        if wanted is None:
            return NOTHING, None
        if view.position * wanted.sign > 0:  # already there, perhaps since before a restart
            return NOTHING, None
        if not view.is_idle:  # a position the other way, or an order still working: get flat first
            return ClosePosition(f"cross to {wanted}"), wanted
        distance = arguments.stop_ticks * float(view.instrument.tick_size)
        stop_loss = view.candle.close - wanted.sign * distance
        return SubmitBracket(wanted, view.quantity, stop_loss=stop_loss, reason=f"cross to {wanted}"), None


def crossed(closes: Floats, fast: int, slow: int) -> Side | None:
    """Return the side of a cross between the last two candles, None when there was none."""
    gap = sma(closes[-slow - 1 :], fast) - sma(closes[-slow - 1 :], slow)
    if gap[-2] <= 0 < gap[-1]:
        return Side.BUY
    if gap[-2] >= 0 > gap[-1]:
        return Side.SELL
    return None

"""Bars of two contracts joined into one history, and the spread between them.

At a roll the bars of the old contract end and those of the next one go on. The older bars are moved by the spread, or
stretched by the quotient of both prices, so that no jump is left between them that nobody could have traded.
"""

from collections.abc import Sequence
from dataclasses import replace

from tradeproc.domain.candles import Candle
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.roll_rules import BackAdjust
from tradeproc.domain.units import MINUTE, Nanos

_NEWEST = 15 * MINUTE
"""How old, in market time, the newest bar may be in which both contracts traded."""


@dataclass(frozen=True, slots=True)
class Join:
    """Where one contract ends and the next begins: the market time, and both prices then, in points."""

    at: Nanos
    old: float
    new: float


def compared(old: Sequence[Candle], new: Sequence[Candle]) -> tuple[Candle, Candle] | None:
    """Return the newest closed bar that both contracts have, or None when that is too long ago."""
    closed = {bar.opened_at: bar for bar in new if bar.is_closed}
    newest = max((bar.closed_at for bar in old), default=Nanos(0))
    for bar in reversed(old):
        if bar.is_closed and bar.opened_at in closed and newest - bar.closed_at <= _NEWEST:
            return bar, closed[bar.opened_at]
    return None


def joined(old: Sequence[Candle], new: Sequence[Candle], join: Join, how: BackAdjust) -> list[Candle]:
    """Return the old contract's bars, adjusted, up to the join, and the next one's from there on, oldest first.

    A bar in the midst of which the roll lies is the old contract's.
    """
    before = [adjusted(bar, join, how) for bar in old if bar.opened_at < join.at and bar.is_closed]
    reached = before[-1].opened_at if before else Nanos(-1)
    return [*before, *(bar for bar in new if bar.opened_at >= join.at and bar.opened_at > reached)]


def adjusted(bar: Candle, join: Join, how: BackAdjust) -> Candle:
    """Return a bar of the old contract in the prices of the next one; prices that are not positive have no ratio."""
    factor, shift = 1.0, join.new - join.old
    if how is BackAdjust.RATIO and join.old > 0 and join.new > 0:
        factor, shift = join.new / join.old, 0.0
    moved = {name: getattr(bar, name) * factor + shift for name in ("open", "high", "low", "close")}
    return replace(bar, **moved)

"""Minute bars made of ticks, aligned to the trading day that begins at 17:00 in Chicago."""

from dataclasses import dataclass

from tradeproc.domain.units import Nanos


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar. Times are market time, `closed_at` its scheduled end; prices float points.

    A tick counts as up when it is above the last different price before it, or the first; else as down.
    """

    opened_at: Nanos
    closed_at: Nanos
    open: float
    high: float
    low: float
    close: float
    volume: int
    up_ticks: int
    down_ticks: int
    up_volume: int
    down_volume: int
    is_closed: bool

    @property
    def ticks(self) -> int:
        """Return the number of trades."""
        return self.up_ticks + self.down_ticks

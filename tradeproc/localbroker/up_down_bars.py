"""Minute bars as brokers report them: the bars of `market/bars.py`, each with how much of it traded up and down."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeproc.domain.candles import Candle, Tick
from tradeproc.domain.market_hours import MarketHours
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.market.bars import TickArrays, TimeBars, bars_of
from tradeproc.market.bars_live import BarBuilder

DAY_MINUTES = 1440


class MarketBar(NamedTuple):
    """A candle with its ticks and volume that count as up; the rest counts as down. Times are market time.

    A tick counts as up when its price is higher than the one before (or it is the first), as down when it is lower;
    a tick at an unchanged price counts like the tick before it.
    """

    candle: Candle
    up_ticks: int
    up_volume: int


class Bars:
    """All bars of one contract and interval, aligned to its market hours; a daily bar spans the session's breaks."""

    def __init__(self, ticks: TickArrays, minutes: int, hours: MarketHours) -> None:
        self.ticks, self.hours = ticks, hours
        self.rule = TimeBars(minutes * 60, over_breaks=minutes == DAY_MINUTES)
        up = rising(ticks.prices)
        self._up_ticks = np.append(0, np.cumsum(up))
        self._up_volume = np.append(0, np.cumsum(ticks.sizes * up))
        self._firsts = np.append(0, np.cumsum(bars_of(ticks, self.rule, hours).ticks))[:-1]

    def known(self, market: int) -> int:
        """Return how many ticks are at or before `market`."""
        return int(np.searchsorted(self.ticks.at, market, side="right"))

    def until(self, market: int, count: int) -> list[MarketBar]:
        """Return the newest `count` bars as they stood at `market`, oldest first; the last may be open."""
        known = self.known(market)
        first = end = self._first_of_newest(known, count)
        found = []
        for candle in bars_of(self.ticks[first:known], self.rule, self.hours, Nanos(market)).candles():
            end += candle.ticks
            found.append(self.bar(candle, end))
        return found

    def live(self, market: int) -> "LiveBars":
        """Return the bars from `market` on."""
        return LiveBars(self, self._first_of_newest(self.known(market), 1), market)

    def bar(self, candle: Candle, end: int) -> MarketBar:
        """Return the bar of a candle whose last tick is the one before index `end`."""
        start = end - candle.ticks
        up_ticks, up_volume = self._up_ticks, self._up_volume
        return MarketBar(candle, int(up_ticks[end] - up_ticks[start]), int(up_volume[end] - up_volume[start]))

    def _first_of_newest(self, known: int, count: int) -> int:
        newest = int(np.searchsorted(self._firsts, known))
        return int(self._firsts[max(0, newest - count)]) if newest else 0


class LiveBars:
    """The forming bar of a stream and the bars after it; each change is returned once, as market time passes."""

    def __init__(self, bars: Bars, first_tick: int, market: int) -> None:
        self._bars, self._next = bars, bars.known(market)
        self._builder = BarBuilder(bars.rule, bars.hours)
        self._catch_up(bars.ticks[first_tick : self._next])
        self.until(market)

    def _catch_up(self, ticks: TickArrays) -> None:
        """Give the builder all ticks of the forming bar at once, because they may be those of a whole day."""
        for tick in _ticks(ticks[:1]):
            self._builder.add(tick)
        forming = self._builder.live
        if forming is None:
            return
        forming.high, forming.low = float(ticks.prices.max()), float(ticks.prices.min())
        forming.close = float(ticks.prices[-1])
        forming.volume, forming.ticks = int(ticks.sizes.sum()), len(ticks)
        self._builder.advance(Nanos(int(ticks.at[-1])))

    def until(self, market: int) -> list[MarketBar]:
        """Return the bars that changed since the last call, oldest first, as they stand at `market`."""
        bars, builder = self._bars, self._builder
        start, self._next = self._next, bars.known(market)
        found = []
        for index, tick in enumerate(_ticks(bars.ticks[start : self._next]), start):
            *closed, _ = builder.add(tick)
            found += [bars.bar(candle, index) for candle in closed]
        changed = builder.advance(Nanos(market))
        if builder.live is not None and self._next > start:
            changed.append(builder.live)
        return found + [bars.bar(candle, self._next) for candle in changed]


def rising(prices: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return for each tick whether the last change of the price up to it was upwards; True before any change."""
    moves = np.sign(np.diff(prices, prepend=prices[:1]))
    newest_change = np.maximum.accumulate(np.where(moves != 0, np.arange(len(prices)), 0))
    return np.asarray(moves[newest_change] >= 0, dtype=np.bool_)


def _ticks(columns: TickArrays) -> list[Tick]:
    rows = zip(columns.at.tolist(), columns.prices.tolist(), columns.sizes.tolist(), strict=True)
    return [Tick(Nanos(at), price, Contracts(size)) for at, price, size in rows]

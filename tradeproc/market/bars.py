"""Ticks into bars, many at once: numpy arrays in, numpy arrays out. `bars_live.py` does the same tick by tick.

Every tick belongs to exactly one bar, and no bar spans an open or close of the exchange. Trades outside market hours
(late prints, a wrong calendar) make bars of their own, aligned to the close before them. Intervals without a trade
have no bar.

- `TimeBars`: aligned to the open of the stretch of trading, not to the clock; the last of a stretch may be cut short
  by the close. With `over_breaks`, a stretch is the whole session of the exchange, as daily bars need it.
- `TickBars`: a fixed number of trades; the count begins again at each open and close.
- `VolumeBars`: a fixed number of contracts since the open. A trade is never split: all of it belongs to the bar in
  which its first contract falls. A bar may so exceed its number, and the next bar gets that much less.

Ticks are taken in the order in which they arrived. A tick with an earlier stamp than a tick before it counts at the
later time, so it never changes a bar that has closed.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tradeproc.domain.candles import Candle
from tradeproc.domain.market_hours import MarketHours
from tradeproc.domain.units import SECOND, Nanos

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NEVER = Nanos(2**63 - 1)


@dataclass(frozen=True, slots=True)
class TimeBars:
    """A bar every `seconds`; with `over_breaks`, a break within the session does not end it."""

    seconds: int
    over_breaks: bool = False

    def __post_init__(self) -> None:
        _check(self.seconds, "second")


@dataclass(frozen=True, slots=True)
class TickBars:
    """A bar every `count` trades."""

    count: int

    def __post_init__(self) -> None:
        _check(self.count, "trade")


@dataclass(frozen=True, slots=True)
class VolumeBars:
    """A bar every `contracts` contracts."""

    contracts: int

    def __post_init__(self) -> None:
        _check(self.contracts, "contract")


BarRule = TimeBars | TickBars | VolumeBars


@dataclass(frozen=True, slots=True)
class TickArrays:
    """Trades as columns of one length, in the order in which they arrived."""

    at: Integers
    prices: Floats
    sizes: Integers

    def __post_init__(self) -> None:
        """Check that the columns belong together.

        Raises:
            ValueError: a column has another type, or another length than the others.
        """
        if not len(self.at) == len(self.prices) == len(self.sizes):
            raise ValueError("columns of ticks differ in length")
        if (self.at.dtype.char, self.prices.dtype.char, self.sizes.dtype.char) != ("l", "d", "l"):
            raise ValueError("columns of ticks are int64, float64 and int64")

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, part: slice) -> "TickArrays":
        return TickArrays(self.at[part], self.prices[part], self.sizes[part])


@dataclass(frozen=True, slots=True)
class BarArrays:
    """Bars as columns, oldest first; all are closed, except the last when `is_last_closed` is False."""

    opened_at: Integers
    closed_at: Integers
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    volumes: Integers
    ticks: Integers
    is_last_closed: bool

    def __len__(self) -> int:
        return len(self.opened_at)

    def candles(self) -> list[Candle]:
        """Return the bars as candles."""
        times = (self.opened_at, self.closed_at)
        rest = (self.opens, self.highs, self.lows, self.closes, self.volumes, self.ticks)
        made = [Candle(*row) for row in zip(*(column.tolist() for column in times + rest), strict=True)]
        if made:
            made[-1].is_closed = self.is_last_closed
        return made


def bars_of(ticks: TickArrays, rule: BarRule, hours: MarketHours, until: Nanos | None = None) -> BarArrays:
    """Return the bars of ticks.

    `until` is the moment up to which the ticks are complete (None: up to the last tick). It decides whether the last
    bar is closed.
    """
    if not len(ticks):
        none, no_prices = np.empty(0, np.int64), np.empty(0, np.float64)
        return BarArrays(none, none, no_prices, no_prices, no_prices, no_prices, none, none, True)
    at = _in_order(ticks.at)
    known_until = max(int(at[-1]), until or 0)
    edges = np.array(edges_of(rule, hours, Nanos(int(at[0])), Nanos(int(at[-1]))), dtype=np.int64)
    firsts, stretches = _first_ticks(at, ticks.sizes, rule, edges)
    begins, ends = edges[stretches], edges[stretches + 1]
    last_ticks = np.append(firsts[1:], len(at)) - 1
    counts = last_ticks - firsts + 1
    volumes = np.add.reduceat(ticks.sizes, firsts)
    if isinstance(rule, TimeBars):
        length = rule.seconds * SECOND
        opened_at = begins + (at[firsts] - begins) // length * length
        closed_at = np.minimum(opened_at + length, ends)
        is_full = known_until >= closed_at[-1]
    else:
        opened_at = _strictly_rising(at[firsts])
        closed_at = np.maximum(at[last_ticks], opened_at)
        is_full = _is_last_full(rule, volumes[stretches == stretches[-1]], int(counts[-1]))
    return BarArrays(
        opened_at,
        closed_at,
        ticks.prices[firsts],
        np.maximum.reduceat(ticks.prices, firsts),
        np.minimum.reduceat(ticks.prices, firsts),
        ticks.prices[last_ticks],
        volumes,
        counts,
        bool(is_full or known_until >= ends[-1]),
    )


def edges_of(rule: BarRule, hours: MarketHours, first: Nanos, last: Nanos) -> list[Nanos]:
    """Return the moments from `first` to `last` that no bar spans, with the one before and the one after them."""
    breaks = not (isinstance(rule, TimeBars) and rule.over_breaks)
    return [*hours.edges(first, last, breaks=breaks), NEVER]


def _first_ticks(at: Integers, sizes: Integers, rule: BarRule, edges: Integers) -> tuple[Integers, Integers]:
    """Return the index of each bar's first tick, and the index of the edge before it."""
    bounds = np.searchsorted(at, edges[:-1]).tolist()
    bounds = [0, *bounds[1:], len(at)]
    found, stretches = [], []
    for stretch, (low, high) in enumerate(pairwise(bounds)):
        if low == high:
            continue
        if isinstance(rule, TimeBars):
            firsts = _crossings(at[low:high], int(edges[stretch]), rule.seconds * SECOND)
        elif isinstance(rule, TickBars):
            firsts = np.arange(0, high - low, rule.count)
        else:
            before = np.cumsum(sizes[low:high]) - sizes[low:high]
            firsts = _crossings(before, 0, rule.contracts)
        found.append(firsts + low)
        stretches.append(np.full(len(firsts), stretch))
    return np.concatenate(found), np.concatenate(stretches)


def _crossings(rising: Integers, start: int, step: int) -> Integers:
    """Return where a rising array enters a new interval of the grid `start`, `start + step` and so on.

    A coarse grid is looked up in the array, because it has fewer points; else each element is divided by the step.
    """
    first, last = (int(rising[0]) - start) // step, (int(rising[-1]) - start) // step
    if last - first < len(rising) // 8:
        found = np.searchsorted(rising, start + np.arange(first + 1, last + 1) * step)
        return np.concatenate(([0], found[np.diff(found, prepend=0) > 0]))
    cells = (rising - start) // step
    return np.concatenate(([0], np.flatnonzero(cells[1:] != cells[:-1]) + 1))


def _is_last_full(rule: TickBars | VolumeBars, volumes: Integers, count: int) -> bool:
    """Tell whether the newest bar is complete; `volumes` are those of all bars of its stretch."""
    if isinstance(rule, TickBars):
        return count == rule.count
    return int(volumes.sum()) // rule.contracts > int(volumes[:-1].sum()) // rule.contracts


def _in_order(at: Integers) -> Integers:
    """Return times that never fall back."""
    return at if bool((at[1:] >= at[:-1]).all()) else np.maximum.accumulate(at)


def _strictly_rising(times: Integers) -> Integers:
    """Return times at least 1 ns apart: they are the keys of candles, and a burst of ticks may have one stamp."""
    steps = np.arange(len(times))
    return np.asarray(np.maximum.accumulate(times - steps) + steps)


def _check(number: int, what: str) -> None:
    if number < 1:
        raise ValueError(f"a bar holds at least one {what}, not {number}")

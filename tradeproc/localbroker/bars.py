"""Minute bars made of ticks, aligned to the trading day that begins at 17:00 in Chicago."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from tradeproc.domain.units import Nanos

MINUTE = 60_000_000_000
DAY = timedelta(days=1)
_CHICAGO = ZoneInfo("America/Chicago")
_DAY_BEGINS = time(17)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar. Times are market time, `closed_at` its scheduled end; prices float points.

    A tick counts as up when the price came from below (or is the first), as down when it came from above; a tick
    at an unchanged price counts as the one before it.
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


class Bars:
    """All bars of one contract and interval; the arrays it is made of have one entry a tick, ordered by time."""

    def __init__(
        self,
        times: npt.NDArray[np.int64],
        prices: npt.NDArray[np.float64],
        sizes: npt.NDArray[np.int64],
        minutes: int,
    ) -> None:
        self._times, self._prices, self._sizes = times, prices, sizes
        self._opened, self._closes = bar_times(times, minutes)
        changed = np.flatnonzero(np.diff(self._opened)) + 1
        self._first = np.concatenate(([0], changed)) if len(times) else changed
        self._up = rising(prices)

    def until(self, market: int, count: int, since: int = 0) -> list[Bar]:
        """Return the newest `count` bars as they stood at `market`, of those that close after `since`."""
        known = int(np.searchsorted(self._times, market, side="right"))
        newest = int(np.searchsorted(self._first, known, side="left"))
        oldest = max(0, newest - count)
        return [bar for index in range(oldest, newest) if (bar := self._bar(index, known, market)).closed_at > since]

    def _bar(self, index: int, known: int, market: int) -> Bar:
        start = int(self._first[index])
        end = int(self._first[index + 1]) if index + 1 < len(self._first) else len(self._times)
        span = slice(start, min(end, known))
        prices, sizes, up = self._prices[span], self._sizes[span], self._up[span]
        volume, up_volume = int(sizes.sum()), int(sizes[up].sum())
        up_ticks = int(up.sum())
        return Bar(
            Nanos(int(self._opened[start])),
            Nanos(int(self._closes[start])),
            float(prices[0]),
            float(prices.max()),
            float(prices.min()),
            float(prices[-1]),
            volume,
            up_ticks,
            len(prices) - up_ticks,
            up_volume,
            volume - up_volume,
            bool(self._closes[start] <= market),
        )


def rising(prices: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return for each tick whether the last change of the price up to it was upwards; True before any change."""
    moves = np.sign(np.diff(prices, prepend=prices[:1]))
    newest_change = np.maximum.accumulate(np.where(moves != 0, np.arange(len(prices)), 0))
    return np.asarray(moves[newest_change] >= 0, dtype=np.bool_)


def bar_times(times: npt.NDArray[np.int64], minutes: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return for each tick when its bar opens and when it closes, at the latest with the trading day."""
    if not len(times):
        return times, times
    days = _day_starts(int(times[0]), int(times[-1]))
    day = np.searchsorted(days, times, side="right") - 1
    begins, ends = days[day], days[day + 1]
    opened = begins + (times - begins) // (minutes * MINUTE) * (minutes * MINUTE)
    return opened, np.minimum(opened + minutes * MINUTE, ends)


def _day_starts(first: int, last: int) -> npt.NDArray[np.int64]:
    """Return the starts of the trading days from that of `first` to the one after that of `last`."""
    date = datetime.fromtimestamp(first // 1_000_000_000, UTC).astimezone(_CHICAGO).date() - DAY
    starts: list[int] = []
    while not starts or starts[-1] <= last:
        starts.append(int(datetime.combine(date, _DAY_BEGINS, _CHICAGO).timestamp()) * 1_000_000_000)
        date += DAY
    return np.array(starts, dtype=np.int64)

"""`CandleSeries`: the closed candles of one contract and interval as numpy arrays, and the forming one.

It belongs to one trader and is updated in place. A candle is identified by its `opened_at`, so one that comes again
is recognised (feeds repeat their newest two after every reconnect). Only an `ADDED` candle may run a strategy.
"""

from collections.abc import Iterable, Sequence
from enum import Enum

import numpy as np
import numpy.typing as npt

from tradeproc.domain.candles import Candle
from tradeproc.domain.units import Nanos

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

MAXIMUM = 10_000
_FIRST_CAPACITY = 256


class Placement(Enum):
    """What `add_or_replace` did with a candle; a strategy runs on `ADDED` and on nothing else."""

    ADDED = "added"
    """A new closed candle, later than all others."""
    REPLACED = "replaced"
    """A known candle came with other values, which replaced the old ones."""
    INSERTED = "inserted"
    """A late closed candle, put between known ones; no strategy runs for it."""
    SAME = "same"
    """A known candle with the values we have."""
    FORMING = "forming"
    """An open candle; it is `partial` now."""
    TOO_OLD = "too_old"
    """Left out: it is older than the window, or it is an open candle of a time that has closed."""


class CandleSeries:
    """Closed candles, oldest first, in arrays that grow by amortised copies up to a bound.

    The arrays are read-only views without NaN, all of `len(series)`: `times` (int64, the `opened_at`), `opens`,
    `highs`, `lows`, `closes`, `volumes` (float64). A view keeps its length, but a later `REPLACED` may change values
    in it: copy what you keep. `maximum` is how many candles are kept; the oldest are dropped first.
    """

    __slots__ = ("_buffer", "_end", "_keys", "_shown", "_shown_keys", "_start", "maximum", "partial")

    def __init__(self, candles: Iterable[Candle] = (), *, maximum: int = MAXIMUM) -> None:
        if maximum < 1:
            raise ValueError(f"a series keeps at least one candle, not {maximum}")
        self.maximum = maximum
        self.partial: Candle | None = None
        self._start = self._end = 0
        self._allocate(min(_FIRST_CAPACITY, 2 * maximum))
        for candle in candles:
            self.add_or_replace(candle)

    def __len__(self) -> int:
        return self._end - self._start

    def __getitem__(self, index: int) -> Candle:
        """Return one closed candle as a value; negative indices count from the newest."""
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"candle {index} of {length}")
        at = (self._start if index >= 0 else self._end) + index
        opening, high, low, close, volume = self._buffer[:, at].tolist()
        opened_at, closed_at, ticks = self._keys[:, at].tolist()
        return Candle(Nanos(opened_at), Nanos(closed_at), opening, high, low, close, int(volume), ticks)

    @property
    def times(self) -> Times:
        """Return `opened_at` of each candle, int64 UTC nanoseconds."""
        return self._shown_keys[0, self._start : self._end]

    @property
    def opens(self) -> Floats:
        """Return the opening prices in points."""
        return self._shown[0, self._start : self._end]

    @property
    def highs(self) -> Floats:
        """Return the highest prices in points."""
        return self._shown[1, self._start : self._end]

    @property
    def lows(self) -> Floats:
        """Return the lowest prices in points."""
        return self._shown[2, self._start : self._end]

    @property
    def closes(self) -> Floats:
        """Return the closing prices in points."""
        return self._shown[3, self._start : self._end]

    @property
    def volumes(self) -> Floats:
        """Return the traded contracts."""
        return self._shown[4, self._start : self._end]

    @property
    def newest(self) -> Candle | None:
        """Return the newest closed candle, or None before the first."""
        return self[-1] if len(self) else None

    def add_or_replace(self, candle: Candle, window: int = 5) -> Placement:
        """Put a candle in its place and tell whether it is new.

        Only the newest `window` closed candles can be replaced or have one inserted among them.
        """
        last = int(self._keys[0, self._end - 1]) if self._end > self._start else None
        if not candle.is_closed:
            return self._form(candle, last)
        if last is None or candle.opened_at > last:
            self._append(candle)
            return Placement.ADDED
        oldest = max(self._start, self._end - window)
        at = oldest + int(np.searchsorted(self._keys[0, oldest : self._end], candle.opened_at))
        if at < self._end and self._keys[0, at] == candle.opened_at:
            return self._replace(at, candle)
        if at == oldest and (oldest > self._start or len(self) == self.maximum):
            return Placement.TOO_OLD
        self._insert(at, candle)
        return Placement.INSERTED

    def _form(self, candle: Candle, last: int | None) -> Placement:
        if last is not None and candle.opened_at <= last:
            return Placement.TOO_OLD
        if self.partial is not None and candle.opened_at < self.partial.opened_at:
            return Placement.TOO_OLD
        self.partial = candle
        return Placement.FORMING

    def _append(self, candle: Candle) -> None:
        if self._end == self._buffer.shape[1]:
            self._move()
        self._write(self._end, candle)
        self._end += 1
        self._start = max(self._start, self._end - self.maximum)
        if self.partial is not None and self.partial.opened_at <= candle.opened_at:
            self.partial = None

    def _replace(self, at: int, candle: Candle) -> Placement:
        before = self._buffer[:, at].copy(), self._keys[:, at].copy()
        self._write(at, candle)
        same = np.array_equal(before[0], self._buffer[:, at]) and np.array_equal(before[1], self._keys[:, at])
        return Placement.SAME if same else Placement.REPLACED

    def _insert(self, at: int, candle: Candle) -> None:
        offset = at - self._start
        self._move()  # into fresh arrays, so that views handed out earlier keep their values and order
        at = self._start + offset
        for array in (self._buffer, self._keys):
            array[:, at + 1 : self._end + 1] = array[:, at : self._end].copy()
        self._write(at, candle)
        self._end += 1
        self._start = max(self._start, self._end - self.maximum)

    def _write(self, at: int, candle: Candle) -> None:
        # number by number: numpy needs twice as long to take a tuple
        values, keys = self._buffer, self._keys
        values[0, at], values[1, at], values[2, at] = candle.open, candle.high, candle.low
        values[3, at], values[4, at] = candle.close, candle.volume
        keys[0, at], keys[1, at], keys[2, at] = candle.opened_at, candle.closed_at, candle.ticks

    def _allocate(self, capacity: int) -> None:
        self._buffer = np.empty((5, capacity), dtype=np.float64)
        self._keys = np.empty((3, capacity), dtype=np.int64)
        self._shown, self._shown_keys = self._buffer.view(), self._keys.view()
        self._shown.flags.writeable = self._shown_keys.flags.writeable = False

    def _move(self) -> None:
        """Copy the kept candles to the front of fresh arrays of twice their number, at most twice the bound."""
        length, kept = len(self), slice(self._start, self._end)
        buffer, keys = self._buffer, self._keys
        self._allocate(max(min(_FIRST_CAPACITY, 2 * self.maximum), min(2 * length, 2 * self.maximum), length + 1))
        self._buffer[:, :length], self._keys[:, :length] = buffer[:, kept], keys[:, kept]
        self._start, self._end = 0, length


def merge(history: Sequence[Candle], live: Sequence[Candle]) -> list[Candle]:
    """Return one list, oldest first, from fetched history and the candles that a subscription brought meanwhile.

    Subscribe first, then fetch, then merge, so that no candle is missed. Of two candles of the same time a closed one
    wins over an open one; else the live one wins, because it is newer; of several live ones the last. Only the newest
    candle may be open: an older open one is incomplete, and is left out rather than used.
    """
    found: dict[Nanos, Candle] = {}
    for candle in (*history, *live):
        known = found.get(candle.opened_at)
        if known is None or candle.is_closed or not known.is_closed:
            found[candle.opened_at] = candle
    ordered = sorted(found.values(), key=lambda candle: candle.opened_at)
    return [candle for candle in ordered[:-1] if candle.is_closed] + ordered[-1:]

"""Candles and tapes out of a few numbers: one valid thing, of which the caller overrides what matters."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

from tradeproc.domain.candles import Candle
from tradeproc.domain.units import MINUTE, Nanos

Trade = tuple[int, Decimal | float | str, int]
"""A trade of a tape: UTC nanoseconds, the price in points, contracts."""


def candles(closes: Sequence[float], *, first: int = 0, reach: float = 0.0) -> list[Candle]:
    """Return one closed candle a minute, oldest first; each opens and closes at its close, in points.

    `first` is the minute of the epoch at which the first one opens; each reaches `reach` points above and below its
    close.
    """
    return [
        Candle(
            Nanos((first + index) * MINUTE),
            Nanos((first + index + 1) * MINUTE),
            close,
            close + reach,
            close - reach,
            close,
            1,
            1,
        )
        for index, close in enumerate(closes)
    ]


def write_tape(path: Path, trades: Iterable[Trade]) -> Path:
    """Write trades, oldest first, as a tape that the local broker plays, and return its path.

    The name of the file must begin with the contract (`ESH24_mine.csv`), because nothing in the file says it.
    """
    lines = ["ts_event_ns,price,size", *(f"{at},{price},{size}" for at, price, size in trades)]
    path.write_text("\n".join(lines) + "\n")
    return path

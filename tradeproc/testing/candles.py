"""Candles and tapes from a few numbers: each builder makes a valid value, and the caller overrides what matters."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tradeproc.domain.candles import Candle
from tradeproc.domain.units import MINUTE, Nanos

Trade = tuple[int, Decimal | float | str, int]
"""A trade of a tape: UTC nanoseconds, the price in points, contracts."""


def candle(minute: int, close: float, **changes: Any) -> Candle:
    """Return the closed candle of a minute of the epoch, which trades once, at `close` points.

    `changes` override any field of a `Candle`.
    """
    values: dict[str, Any] = {"open": close, "high": close, "low": close, "close": close, "volume": 1, "ticks": 1}
    opened_at = minute * MINUTE
    return Candle(Nanos(opened_at), Nanos(opened_at + MINUTE), **values | changes)


def candles(closes: Sequence[float], *, first: int = 0, reach: float = 0.0) -> list[Candle]:
    """Return one closed candle a minute, oldest first; each opens and closes at its close, in points.

    `first` is the minute of the epoch at which the first one opens; each reaches `reach` points above and below its
    close.
    """
    return [
        candle(minute, close, high=close + reach, low=close - reach) for minute, close in enumerate(closes, first)
    ]


def write_tape(path: Path, trades: Iterable[Trade]) -> Path:
    """Write trades, oldest first, as a tape that the local broker plays, and return its path.

    The name of the file must begin with the contract (`ESH24_mine.csv`), because nothing in the file says it.
    """
    lines = ["ts_event_ns,price,size", *(f"{at},{price},{size}" for at, price, size in trades)]
    path.write_text("\n".join(lines) + "\n")
    return path

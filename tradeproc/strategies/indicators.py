"""Indicators over arrays: oldest first in, an array of the same length out, NaN until enough candles are there.

Pure numpy on float64. `values` must be free of NaN (the arrays of a `CandleSeries` are). To know only the newest
value, pass only the newest candles: `sma(closes[-20:], 20)[-1]`.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def sma(values: Floats, length: int) -> Floats:
    """Return the simple moving average: the mean of the last `length` values.

    Source: John J. Murphy, "Technical Analysis of the Financial Markets", chapter 9.
    """
    result = np.full(len(values), np.nan)
    if len(values) >= _checked(length):
        result[length - 1 :] = _windows(values, length).mean(axis=1)
    return result


def ema(values: Floats, length: int) -> Floats:
    """Return the exponential moving average of weight 2 / (length + 1), begun with the mean of the first `length`.

    Source: John J. Murphy, "Technical Analysis of the Financial Markets", chapter 9; the usual seeding with an SMA.
    """
    return _smoothed(values, length, 2.0 / (_checked(length) + 1))


def true_range(highs: Floats, lows: Floats, closes: Floats) -> Floats:
    """Return the greatest of high - low, |high - close before| and |low - close before|; at first high - low.

    Source: J. Welles Wilder, "New Concepts in Technical Trading Systems" (1978), "The Volatility Index".
    """
    ranges = highs - lows
    before = closes[:-1]
    ranges[1:] = np.maximum(ranges[1:], np.maximum(np.abs(highs[1:] - before), np.abs(lows[1:] - before)))
    return ranges


def atr(highs: Floats, lows: Floats, closes: Floats, length: int) -> Floats:
    """Return the average true range with Wilder's smoothing: (before x (length - 1) + true range) / length.

    It starts with the mean of the first `length` true ranges, so it depends on where the array starts. After five
    times `length` candles that mean still has a weight of less than 2 %.

    Source: J. Welles Wilder, "New Concepts in Technical Trading Systems" (1978), "The Volatility Index".
    """
    return _smoothed(true_range(highs, lows, closes), length, 1.0 / _checked(length))


def highest(values: Floats, length: int) -> Floats:
    """Return the highest of the last `length` values, the current one included.

    Source: Richard Donchian's channel; pass `values[:-1]` for the channel that the current candle may break.
    """
    result = np.full(len(values), np.nan)
    if len(values) >= _checked(length):
        result[length - 1 :] = _windows(values, length).max(axis=1)
    return result


def lowest(values: Floats, length: int) -> Floats:
    """Return the lowest of the last `length` values, the current one included.

    Source: Richard Donchian's channel; pass `values[:-1]` for the channel that the current candle may break.
    """
    return -highest(-values, length)


def _checked(length: int) -> int:
    if length < 1:
        raise ValueError(f"an indicator looks back over at least one value, not {length}")
    return length


def _windows(values: Floats, length: int) -> Floats:
    return np.lib.stride_tricks.sliding_window_view(values, length)


def _smoothed(values: Floats, length: int, weight: float) -> Floats:
    """Smooth exponentially from the mean of the first `length`; plain floats, as each value needs the one before."""
    result = np.full(len(values), np.nan)
    if len(values) < length:
        return result
    current = float(values[:length].mean())
    smoothed = [current]
    for value in values[length:].tolist():
        current += weight * (value - current)
        smoothed.append(current)
    result[length - 1 :] = smoothed
    return result

"""Indicators against the formulas written out the slow way."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.strategies.indicators import Floats, atr, ema, highest, lowest, sma, true_range

PRICES = st.lists(st.integers(-4000, 24000).map(lambda ticks: ticks * 0.25), max_size=40)
LENGTHS = st.integers(1, 12)


def same(found: Floats, expected: list[float]) -> bool:
    return np.allclose(found, np.array(expected, dtype=np.float64), rtol=1e-9, atol=1e-9, equal_nan=True)


def over_windows(values: list[float], length: int, formula: Callable[[list[float]], float]) -> list[float]:
    return [
        formula(values[index - length + 1 : index + 1]) if index >= length - 1 else math.nan
        for index in range(len(values))
    ]


def smoothed(values: list[float], length: int, weight: float) -> list[float]:
    result: list[float] = []
    for index, value in enumerate(values):
        if index < length - 1:
            result.append(math.nan)
        elif index == length - 1:
            result.append(sum(values[:length]) / length)
        else:
            result.append(weight * value + (1 - weight) * result[-1])
    return result


@settings(max_examples=60, deadline=None)
@given(values=PRICES, length=LENGTHS)
def test_averages_and_extremes_are_those_of_the_formulas(values: list[float], length: int) -> None:
    array = np.array(values, dtype=np.float64)

    assert same(sma(array, length), over_windows(values, length, lambda window: sum(window) / length))
    assert same(highest(array, length), over_windows(values, length, max))
    assert same(lowest(array, length), over_windows(values, length, min))
    assert same(ema(array, length), smoothed(values, length, 2 / (length + 1)))


@settings(max_examples=60, deadline=None)
@given(
    bars=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)), max_size=40), length=LENGTHS
)
def test_the_average_true_range_is_wilders(bars: list[tuple[int, int, int]], length: int) -> None:
    rows = [tuple(float(price) for price in sorted(bar)) for bar in bars]
    lows, closes, highs = ([row[column] for row in rows] for column in range(3))
    ranges = [
        highs[0] - lows[0]
        if index == 0
        else max(highs[index], closes[index - 1]) - min(lows[index], closes[index - 1])
        for index in range(len(rows))
    ]
    high, low, close = (np.array(column, dtype=np.float64) for column in (highs, lows, closes))

    assert same(true_range(high, low, close), ranges)
    assert same(atr(high, low, close, length), smoothed(ranges, length, 1 / length))


def test_worked_examples() -> None:
    prices = np.array([1.0, 2.0, 3.0, 4.0, 5.0])

    assert sma(prices, 3).tolist()[2:] == [2.0, 3.0, 4.0]
    assert ema(prices, 3).tolist()[2:] == [2.0, 3.0, 4.0]
    assert highest(prices, 2).tolist()[1:] == [2.0, 3.0, 4.0, 5.0]
    assert np.isnan(sma(prices, 6)).all()


@pytest.mark.parametrize("indicator", [sma, ema, highest, lowest])
def test_looking_back_over_nothing_is_refused(indicator: Callable[[Floats, int], Floats]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        indicator(np.array([1.0]), 0)

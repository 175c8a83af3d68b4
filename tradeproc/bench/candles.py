"""Bulk candles against polars and pandas: one-minute bars of the same ticks, in turns; medians are compared."""

from collections.abc import Callable
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from tradeproc.bench.figures import BenchFailed, Measured, Row, milliseconds
from tradeproc.domain.market_hours import market_hours
from tradeproc.market.bars import BarArrays, TickArrays, TimeBars, bars_of

# only the `bench` extra has them, so type checkers need not find them
pl: Any = import_module("polars")
pd: Any = import_module("pandas")

SIZES = (1_000_000, 5_000_000)
TICKS_A_SECOND = 5
ROUNDS = 15
FIRST = 1_704_150_000_000_000_000  # 2024-01-01 17:00 in Chicago, an open
MINUTE = TimeBars(60)
HOURS = market_hours("cme_equity")


def measure_candles() -> Measured:
    """Return the times of all sizes; the key is the ratio of the largest."""
    rows: list[Row] = []
    ratio = 0.0
    for size in SIZES:
        times = _times(made_ticks(size))
        ours = median(times["ours"])
        for name in ("polars", "pandas"):
            ratio = ours / median(times[name])
            rows.append(
                Row(
                    f"{size // 1_000_000} M ticks to minutes, against {name}",
                    f"{milliseconds(times['ours'])} ({size / ours / 1e6:.0f} M ticks/s)",
                    milliseconds(times[name]),
                    ratio,
                    "≤ 1" if name == "polars" else "",
                    ratio <= 1,
                )
            )
        ratio = ours / median(times["polars"])
    return Measured("candles", rows, {"bulk_candles_vs_polars": ratio})


def made_ticks(size: int) -> TickArrays:
    """Return a random walk of that many trades, the same at each call."""
    chance = np.random.default_rng(20231225)
    gaps = chance.exponential(1e9 / TICKS_A_SECOND, size).astype(np.int64)
    prices = 4800 + 0.25 * np.cumsum(chance.integers(-1, 2, size))
    return TickArrays(FIRST + np.cumsum(gaps), prices.astype(np.float64), chance.integers(1, 20, size))


def polars_frame(ticks: TickArrays) -> Any:
    """Return the ticks in polars' fastest form: times have their type and are marked as sorted."""
    columns = {"at": ticks.at.astype("datetime64[ns]"), "price": ticks.prices, "size": ticks.sizes}
    return pl.DataFrame(columns).set_sorted("at")


def polars_bars(frame: Any) -> Any:
    """Return one-minute bars by polars."""
    price = pl.col("price")
    return frame.group_by_dynamic("at", every="1m").agg(
        price.first().alias("open"),
        price.max().alias("high"),
        price.min().alias("low"),
        price.last().alias("close"),
        pl.col("size").sum().alias("volume"),
        pl.len().alias("ticks"),
    )


def pandas_frame(ticks: TickArrays) -> Any:
    """Return the ticks with a time index."""
    return pd.DataFrame({"price": ticks.prices, "size": ticks.sizes}, index=pd.DatetimeIndex(ticks.at))


def pandas_bars(frame: Any) -> Any:
    """Return one-minute bars by pandas; minutes without a trade are rows of NaN."""
    minutes = frame.resample("1min")
    bars = minutes["price"].ohlc()
    bars["volume"] = minutes["size"].sum()
    bars["ticks"] = minutes["size"].size()
    return bars


def same_bars(ours: BarArrays, theirs: Any) -> bool:
    """Tell whether polars made the bars that we made."""
    columns = {
        "open": ours.opens,
        "high": ours.highs,
        "low": ours.lows,
        "close": ours.closes,
        "volume": ours.volumes,
        "ticks": ours.ticks,
    }
    return all(np.array_equal(theirs[name].to_numpy(), values) for name, values in columns.items())


def _times(ticks: TickArrays) -> dict[str, list[float]]:
    polars, pandas = polars_frame(ticks), pandas_frame(ticks)
    if not same_bars(bars_of(ticks, MINUTE, HOURS), polars_bars(polars)):
        raise BenchFailed("polars made other bars than we did: the times cannot be compared")
    runs: dict[str, Callable[[], object]] = {
        "ours": lambda: bars_of(ticks, MINUTE, HOURS),
        "polars": lambda: polars_bars(polars),
        "pandas": lambda: pandas_bars(pandas),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            began = perf_counter()
            run()
            times[name].append(perf_counter() - began)
    return times

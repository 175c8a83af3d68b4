"""Bars in bulk and bar by bar: the same bars, aligned to the exchange's own hours."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.domain.candles import Candle, Tick
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.units import SECOND, Contracts, Nanos
from tradeproc.market.bars import BarRule, TickArrays, TickBars, TimeBars, VolumeBars, bars_of
from tradeproc.market.bars_live import BarBuilder

EQUITY = market_hours("cme_equity")


def chicago(text: str) -> Nanos:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/Chicago"))
    return Nanos(int(moment.timestamp()) * SECOND)


def ticks(*rows: tuple[str, float, int]) -> list[Tick]:
    return [Tick(chicago(at), price, Contracts(size)) for at, price, size in rows]


def columns(stream: list[Tick]) -> TickArrays:
    return TickArrays(
        np.array([tick.at for tick in stream], dtype=np.int64),
        np.array([tick.price for tick in stream], dtype=np.float64),
        np.array([tick.size for tick in stream], dtype=np.int64),
    )


def bulk(stream: list[Tick], rule: BarRule, until: Nanos | None = None, key: str = "cme_equity") -> list[Candle]:
    return bars_of(columns(stream), rule, market_hours(key), until).candles()


def one_by_one(
    stream: list[Tick], rule: BarRule, until: Nanos | None = None, key: str = "cme_equity"
) -> list[Candle]:
    builder = BarBuilder(rule, market_hours(key))
    closed = [candle for tick in stream for candle in builder.add(tick) if candle.is_closed]
    closed += builder.advance(until) if until is not None else []
    return closed + ([builder.live] if builder.live is not None else [])


def test_a_time_bar_counts_from_the_open_not_from_the_clock() -> None:
    stream = ticks(
        ("2024-01-16 17:00:00", 10.0, 1),
        ("2024-01-16 17:06:59", 12.0, 2),
        ("2024-01-16 17:07:00", 9.0, 3),
    )

    assert bulk(stream, TimeBars(420)) == [
        Candle(chicago("2024-01-16 17:00"), chicago("2024-01-16 17:07"), 10.0, 12.0, 10.0, 12.0, 3, 2),
        Candle(chicago("2024-01-16 17:07"), chicago("2024-01-16 17:14"), 9.0, 9.0, 9.0, 9.0, 3, 1, is_closed=False),
    ]


def test_the_close_cuts_the_last_bar_short() -> None:
    stream = ticks(("2024-01-16 15:59:59", 10.0, 1), ("2024-01-16 17:00:00", 11.0, 1))

    bars = bulk(stream, TimeBars(7200))

    assert [(bar.opened_at, bar.closed_at) for bar in bars] == [
        (chicago("2024-01-16 15:00"), chicago("2024-01-16 16:00")),
        (chicago("2024-01-16 17:00"), chicago("2024-01-16 19:00")),
    ]


def test_an_early_close_and_a_holiday_divide_bars_too() -> None:
    stream = ticks(
        ("2024-01-15 11:59:59", 10.0, 1), ("2024-01-15 12:00:30", 11.0, 1), ("2024-01-15 17:00:00", 12.0, 1)
    )

    bars = bulk(stream, TimeBars(14_400))

    assert [(bar.opened_at, bar.closed_at) for bar in bars] == [
        (chicago("2024-01-15 09:00"), chicago("2024-01-15 12:00")),
        (chicago("2024-01-15 12:00"), chicago("2024-01-15 16:00")),
        (chicago("2024-01-15 17:00"), chicago("2024-01-15 21:00")),
    ]


def test_a_break_within_the_session_starts_the_grid_anew() -> None:
    stream = ticks(("2024-06-04 07:44:00", 10.0, 1), ("2024-06-04 08:31:00", 11.0, 1))

    bars = bulk(stream, TimeBars(3600), key="cbot_grains")

    assert [(bar.opened_at, bar.closed_at) for bar in bars] == [
        (chicago("2024-06-04 07:00"), chicago("2024-06-04 07:45")),
        (chicago("2024-06-04 08:30"), chicago("2024-06-04 09:30")),
    ]


def test_daily_bars_are_twenty_three_hours_long_also_when_the_clocks_change() -> None:
    stream = ticks(
        ("2024-03-08 10:00:00", 10.0, 1), ("2024-03-11 10:00:00", 11.0, 1), ("2024-03-12 10:00:00", 12.0, 1)
    )

    bars = bulk(stream, TimeBars(86_400), until=chicago("2024-03-12 16:00"))

    assert [(bar.opened_at, bar.closed_at) for bar in bars] == [
        (chicago("2024-03-07 17:00"), chicago("2024-03-08 16:00")),
        (chicago("2024-03-10 17:00"), chicago("2024-03-11 16:00")),
        (chicago("2024-03-11 17:00"), chicago("2024-03-12 16:00")),
    ]
    assert all(bar.is_closed for bar in bars)


def test_a_bar_over_breaks_lasts_from_the_open_of_a_session_to_its_close() -> None:
    stream = ticks(("2024-06-04 07:44:00", 10.0, 1), ("2024-06-04 08:31:00", 11.0, 1))

    bars = bulk(stream, TimeBars(86_400, over_breaks=True), key="cbot_grains")

    assert [(bar.opened_at, bar.closed_at) for bar in bars] == [
        (chicago("2024-06-03 19:00"), chicago("2024-06-04 13:20"))
    ]


def test_tick_bars_count_trades_and_begin_anew_at_the_open() -> None:
    stream = ticks(
        ("2024-01-16 15:59:57", 10.0, 1),
        ("2024-01-16 15:59:58", 11.0, 1),
        ("2024-01-16 15:59:59", 12.0, 1),
        ("2024-01-16 17:00:00", 13.0, 1),
    )

    bars = bulk(stream, TickBars(2))

    assert [(bar.open, bar.close, bar.ticks, bar.is_closed) for bar in bars] == [
        (10.0, 11.0, 2, True),
        (12.0, 12.0, 1, True),
        (13.0, 13.0, 1, False),
    ]


def test_a_volume_bar_takes_the_trade_that_crosses_its_end_whole() -> None:
    stream = ticks(
        ("2024-01-16 10:00:00", 1.0, 6),
        ("2024-01-16 10:00:01", 2.0, 7),
        ("2024-01-16 10:00:02", 3.0, 6),
        ("2024-01-16 10:00:03", 4.0, 25),
        ("2024-01-16 10:00:04", 5.0, 1),
    )

    bars = bulk(stream, VolumeBars(10))

    assert [(bar.open, bar.close, bar.volume, bar.is_closed) for bar in bars] == [
        (1.0, 2.0, 13, True),
        (3.0, 4.0, 31, True),
        (5.0, 5.0, 1, False),
    ]


def test_tick_bars_of_one_time_stamp_have_keys_of_their_own() -> None:
    stream = [Tick(chicago("2024-01-16 10:00"), float(price), Contracts(1)) for price in range(5)]

    keys = [bar.opened_at - chicago("2024-01-16 10:00") for bar in bulk(stream, TickBars(1))]

    assert keys == [0, 1, 2, 3, 4]


def test_the_forming_bar_is_told_with_every_tick_and_once_more_when_it_closes() -> None:
    builder = BarBuilder(TimeBars(60), EQUITY)
    stream = ticks(
        ("2024-01-16 10:00:01", 10.0, 1),
        ("2024-01-16 10:00:02", 12.0, 2),
        ("2024-01-16 10:01:00", 11.0, 4),
    )

    told = [[(bar.close, bar.volume, bar.is_closed) for bar in builder.add(tick)] for tick in stream]

    assert told == [[(10.0, 1, False)], [(12.0, 3, False)], [(12.0, 3, True), (11.0, 4, False)]]


def test_time_alone_closes_a_bar_once() -> None:
    builder = BarBuilder(TimeBars(60), EQUITY)
    builder.add(*ticks(("2024-01-16 10:00:01", 10.0, 1)))

    assert builder.advance(Nanos(chicago("2024-01-16 10:01:00") - 1)) == []
    assert [bar.is_closed for bar in builder.advance(chicago("2024-01-16 10:01:00"))] == [True]
    assert builder.advance(chicago("2024-01-16 10:02:00")) == []
    assert builder.live is None


def test_a_tick_older_than_the_closed_bar_goes_into_the_next_one() -> None:
    stream = ticks(
        ("2024-01-16 10:00:30", 10.0, 1), ("2024-01-16 10:01:00", 11.0, 1), ("2024-01-16 10:00:59", 99.0, 1)
    )

    first, second = one_by_one(stream, TimeBars(60))

    assert (first.high, first.is_closed) == (10.0, True)
    assert (second.high, second.ticks) == (99.0, 2)


def test_no_ticks_make_no_bars() -> None:
    assert bulk([], TimeBars(60)) == []


@pytest.mark.parametrize("rule", [TimeBars, TickBars, VolumeBars])
def test_a_bar_of_nothing_is_refused(rule: type[TimeBars] | type[TickBars] | type[VolumeBars]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        rule(0)


def test_columns_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        TickArrays(np.zeros(2, np.int64), np.zeros(1), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="int64, float64 and int64"):
        TickArrays(np.zeros(1, np.int64), np.zeros(1), np.zeros(1, np.float64))


# a week with a holiday's early close, weekends before and after, and one stamp beyond the calendar's horizon
STARTS = [
    chicago("2024-01-12 15:58"),
    chicago("2024-01-14 16:59"),
    chicago("2024-01-15 11:59"),
    chicago("2024-06-04 07:44"),
    chicago("2030-12-31 15:59"),
    chicago("2032-01-01 00:00"),
]
STEPS = st.one_of(
    st.just(0),
    st.integers(0, 5) | st.integers(0, 90 * SECOND),
    st.integers(0, 3 * 86_400 * SECOND),
    st.integers(-30 * SECOND, 0),
)
RULES = st.one_of(
    st.builds(TimeBars, st.sampled_from([1, 7, 60, 300, 420, 3600, 86_400]), st.booleans()),
    st.builds(TickBars, st.integers(1, 6)),
    st.builds(VolumeBars, st.integers(1, 40)),
)
TRADES = st.lists(st.tuples(STEPS, st.integers(-8, 8), st.integers(0, 30)), max_size=60)


def stream_from(start: Nanos, trades: list[tuple[int, int, int]]) -> list[Tick]:
    at, stream = int(start), []
    for step, price, size in trades:
        at += step
        stream.append(Tick(Nanos(at), price * 0.25, Contracts(size)))
    return stream


@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from(STARTS),
    trades=TRADES,
    rule=RULES,
    key=st.sampled_from(["cme_equity", "cbot_grains"]),
    wait=st.none() | st.integers(0, 4 * 86_400 * SECOND),
)
def test_bulk_and_one_by_one_give_the_same_bars(
    start: Nanos, trades: list[tuple[int, int, int]], rule: BarRule, key: str, wait: int | None
) -> None:
    stream = stream_from(start, trades)
    until = None if wait is None or not stream else Nanos(max(tick.at for tick in stream) + wait)

    assert bulk(stream, rule, until, key) == one_by_one(stream, rule, until, key)


@settings(max_examples=100, deadline=None)
@given(start=st.sampled_from(STARTS), trades=TRADES, rule=RULES)
def test_no_trade_is_lost_or_counted_twice(start: Nanos, trades: list[tuple[int, int, int]], rule: BarRule) -> None:
    stream = stream_from(start, trades)

    bars = bulk(stream, rule)

    assert sum(bar.ticks for bar in bars) == len(stream)
    assert sum(bar.volume for bar in bars) == sum(tick.size for tick in stream)
    assert all(before.opened_at < after.opened_at for before, after in pairwise(bars))
    if isinstance(rule, TimeBars):
        assert all(before.closed_at <= after.opened_at for before, after in pairwise(bars))


@pytest.mark.parametrize("rule", [TimeBars(1), TimeBars(60), TimeBars(3600), TickBars(7), VolumeBars(50)])
def test_a_long_stream_gives_the_same_bars_both_ways(rule: BarRule) -> None:
    chance = np.random.default_rng(7)
    at = chicago("2024-01-11 12:00") + np.cumsum(chance.integers(0, 8 * SECOND, 40_000))
    prices = (4800 + 0.25 * chance.integers(-40, 40, len(at))).astype(np.float64)
    sizes = chance.integers(0, 20, len(at))
    arrays = TickArrays(at, prices, sizes)
    stream = [Tick(Nanos(a), p, Contracts(s)) for a, p, s in zip(at.tolist(), prices, sizes.tolist(), strict=True)]

    assert bars_of(arrays, rule, EQUITY).candles() == one_by_one(stream, rule)

"""TradeStation's bars of a tape: the engine's, in bulk and live, with what of them traded up and down."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.candles import Candle, Tick
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.units import MINUTE, SECOND, from_iso, iso
from tradeproc.localbroker.tape import Tape, shipped
from tradeproc.localbroker.up_down_bars import DAY_MINUTES, Bars, MarketBar
from tradeproc.market.bars import TickArrays
from tradeproc.market.bars_live import BarBuilder

HOUR = 60 * MINUTE

shipped_once = cache(shipped)


def bars_at(times: list[str], minutes: int, hours: str = "cme_equity") -> Bars:
    at = np.array([from_iso(text) for text in times], dtype=np.int64)
    return Bars(TickArrays(at, np.ones(len(at)), np.ones(len(at), dtype=np.int64)), minutes, market_hours(hours))


def spans(bars: list[MarketBar]) -> list[tuple[str, str]]:
    return [(iso(bar.candle.opened_at), iso(bar.candle.closed_at)) for bar in bars]


def plain_bar(tape: Tape, opened_at: int, minutes: int, until: int) -> tuple[float | int, ...]:
    """Make one bar of the first contract from its ticks, the plain way."""
    ticks = [tick for _, tick in tape.ticks(0, len(tape)) if tick.at <= until]
    mine = [tick for tick in ticks if opened_at <= tick.at < opened_at + minutes * MINUTE]
    prices = [tick.price for tick in mine]
    return (prices[0], max(prices), min(prices), prices[-1], sum(tick.size for tick in mine), len(mine))


@given(st.sampled_from([1, 2, 5, 7, 60]), st.floats(0, 61), st.integers(1, 70))
def test_bars_are_the_newest_as_they_stood_at_a_moment(minutes: int, minute: float, count: int) -> None:
    tape = shipped_once()
    until = tape.first_at + round(minute * MINUTE)
    bars = tape.bars("ESH24", minutes)

    made = bars.until(until, 1000)

    assert made[-count:] == bars.until(until, count)
    newest = made[-1].candle
    assert plain_bar(tape, newest.opened_at, minutes, until) == (
        newest.open,
        newest.high,
        newest.low,
        newest.close,
        newest.volume,
        newest.ticks,
    )
    assert sum(bar.candle.ticks for bar in made) == tape.index_after(until)
    assert [bar.candle.is_closed for bar in made] == [bar.candle.closed_at <= until for bar in made]


@given(
    st.sampled_from([1, 5, 60, DAY_MINUTES]),
    st.floats(0, 55),
    st.lists(st.integers(0, 200 * SECOND), min_size=1, max_size=40),
)
def test_live_bars_tell_what_changed_and_lead_to_the_bars_of_history(
    minutes: int, begin: float, steps: list[int]
) -> None:
    tape = shipped_once()
    bars = tape.bars("ESH24", minutes)
    at = tape.first_at + round(begin * MINUTE)
    live = bars.live(at)
    told = {bar.candle.opened_at: bar for bar in bars.until(at, 100)}

    for step in steps:
        before, at = at, at + step
        changed = live.until(at)
        told |= {bar.candle.opened_at: bar for bar in changed}

        assert list(told.values()) == bars.until(at, 100)
        stood = bars.until(before, 100)
        assert all(bar not in stood for bar in changed)


def test_a_stream_that_begins_late_in_a_busy_day_does_not_go_through_its_trades_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tape = shipped_once()
    bars = tape.bars("ESH24", DAY_MINUTES)
    taken = 0

    class Counting(BarBuilder):
        __slots__ = ()

        def add(self, tick: Tick) -> list[Candle]:
            nonlocal taken
            taken += 1
            return super().add(tick)

    monkeypatch.setattr("tradeproc.localbroker.up_down_bars.BarBuilder", Counting)

    bars.live(tape.last_at)

    assert taken == 1


def test_nothing_is_told_before_the_first_tick() -> None:
    bars = bars_at(["2024-01-02T15:00:00Z"], 1)
    before = from_iso("2024-01-02T14:59:59Z")

    assert bars.until(before, 5) == []
    live = bars.live(before)
    assert spans(live.until(before + SECOND)) == [("2024-01-02T15:00:00Z", "2024-01-02T15:01:00Z")]


def test_bars_are_aligned_to_the_open_and_end_with_the_close_also_in_summer() -> None:
    bars = bars_at(["2024-01-02T21:59:59Z", "2024-01-02T23:00:00Z", "2024-07-02T22:00:00Z"], 420)

    assert spans(bars.until(from_iso("2024-07-02T22:00:00Z"), 9)) == [
        ("2024-01-02T20:00:00Z", "2024-01-02T22:00:00Z"),
        ("2024-01-02T23:00:00Z", "2024-01-03T06:00:00Z"),
        ("2024-07-02T22:00:00Z", "2024-07-03T05:00:00Z"),
    ]


def test_a_bar_of_a_day_is_a_session_with_its_breaks() -> None:
    night, morning, next_night = "2024-06-04T02:00:00Z", "2024-06-04T15:00:00Z", "2024-06-05T02:00:00Z"
    bars = bars_at([night, morning, next_night], DAY_MINUTES, "cbot_grains")

    assert spans(bars.until(from_iso(next_night), 9)) == [
        ("2024-06-04T00:00:00Z", "2024-06-04T18:20:00Z"),
        ("2024-06-05T00:00:00Z", "2024-06-05T18:20:00Z"),
    ]


def test_a_tick_at_an_unchanged_price_counts_like_the_one_before() -> None:
    start = from_iso("2024-01-02T15:00:00Z")
    prices = np.array([5.0, 5.0, 4.0, 4.0, 6.0, 7.0])
    at = start + np.array([0, 1, 2, 3, 4, MINUTE], dtype=np.int64)
    bars = Bars(TickArrays(at, prices, np.array([1, 2, 4, 8, 16, 32])), 1, market_hours("cme_equity"))

    (_, up_ticks, up_volume), newest = bars.until(start + HOUR, 2)

    assert (up_ticks, up_volume) == (3, 19)
    assert (newest.up_ticks, newest.up_volume) == (1, 32)

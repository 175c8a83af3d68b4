"""`CandleSeries`: what is new, what replaces, what is too old; and history merged with what is live."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.domain.candles import Candle
from tradeproc.domain.units import MINUTE
from tradeproc.market.candle_series import CandleSeries, Placement, merge
from tradeproc.testing import candles


def candle(minute: int, close: float = 10.0, *, is_closed: bool = True) -> Candle:
    terms = {"open": 10.0, "high": max(10.0, close), "low": min(10.0, close), "volume": 5, "ticks": 2}
    return candles.candle(minute, close, **terms, is_closed=is_closed)


def series(*minutes: int, maximum: int = 100) -> CandleSeries:
    return CandleSeries([candle(minute) for minute in minutes], maximum=maximum)


def minutes(of: CandleSeries) -> list[int]:
    return [time // MINUTE for time in of.times.tolist()]


def test_a_younger_closed_candle_is_added() -> None:
    bars = series(1, 2)

    assert bars.add_or_replace(candle(4, 11.5)) is Placement.ADDED

    assert (minutes(bars), bars.newest) == ([1, 2, 4], candle(4, 11.5))


def test_a_known_candle_with_other_values_replaces_and_is_not_new() -> None:
    bars = series(1, 2, 3)

    assert bars.add_or_replace(candle(2, 11.0)) is Placement.REPLACED
    assert bars.add_or_replace(candle(2, 11.0)) is Placement.SAME

    assert bars.closes.tolist() == [10.0, 11.0, 10.0]


@pytest.mark.parametrize(
    ("minute", "placement"), [(6, Placement.REPLACED), (5, Placement.TOO_OLD), (0, Placement.TOO_OLD)]
)
def test_only_the_newest_five_can_be_replaced(minute: int, placement: Placement) -> None:
    bars = series(*range(1, 11))

    assert bars.add_or_replace(candle(minute, 99.0)) is placement

    assert (bars.closes == 99.0).any() == (placement is Placement.REPLACED)


def test_the_window_can_be_set() -> None:
    bars = series(1, 2, 3)

    assert bars.add_or_replace(candle(2, 9.0), window=1) is Placement.TOO_OLD
    assert bars.add_or_replace(candle(2, 9.0), window=2) is Placement.REPLACED


def test_a_late_candle_takes_its_place_but_is_not_new() -> None:
    bars = series(1, 2, 4)
    seen = bars.times

    assert bars.add_or_replace(candle(3)) is Placement.INSERTED

    assert minutes(bars) == [1, 2, 3, 4]
    assert [time // MINUTE for time in seen.tolist()] == [1, 2, 4]


def test_a_forming_candle_is_partial_until_it_closes() -> None:
    bars = series(1)

    assert bars.add_or_replace(candle(2, 10.5, is_closed=False)) is Placement.FORMING
    assert (len(bars), bars.partial) == (1, candle(2, 10.5, is_closed=False))
    assert bars.add_or_replace(candle(2, 11.0)) is Placement.ADDED
    assert bars.partial is None


def test_a_forming_candle_of_a_time_that_has_closed_is_too_old() -> None:
    bars = series(1, 2)
    bars.add_or_replace(candle(4, is_closed=False))

    assert bars.add_or_replace(candle(2, is_closed=False)) is Placement.TOO_OLD
    assert bars.add_or_replace(candle(3, is_closed=False)) is Placement.TOO_OLD
    assert bars.partial == candle(4, is_closed=False)


def test_a_closed_candle_before_the_forming_one_leaves_it_alone() -> None:
    bars = series(1)
    bars.add_or_replace(candle(3, is_closed=False))

    assert bars.add_or_replace(candle(2)) is Placement.ADDED
    assert bars.partial == candle(3, is_closed=False)


def test_the_oldest_leave_when_the_series_is_full_and_do_not_come_back() -> None:
    bars = series(*range(1, 3001), maximum=1000)

    assert (len(bars), minutes(bars)[0], minutes(bars)[-1]) == (1000, 2001, 3000)
    assert bars.add_or_replace(candle(2000)) is Placement.TOO_OLD
    assert (bars[0], bars[-1000], bars[-1]) == (candle(2001), candle(2001), candle(3000))
    with pytest.raises(IndexError):
        bars[1000]


def test_an_insertion_into_a_full_series_drops_the_oldest() -> None:
    bars = series(1, 2, 3, 5, maximum=4)

    assert bars.add_or_replace(candle(4)) is Placement.INSERTED
    assert bars.add_or_replace(candle(1)) is Placement.TOO_OLD

    assert minutes(bars) == [2, 3, 4, 5]


def test_growth_keeps_every_value() -> None:
    bars = CandleSeries(maximum=5000)
    for minute in range(1000):
        bars.add_or_replace(candle(minute, float(minute)))

    assert bars.closes.tolist() == [float(minute) for minute in range(1000)]
    assert [bars[index].closed_at for index in range(1000)] == [(minute + 1) * MINUTE for minute in range(1000)]


def test_arrays_cannot_be_written() -> None:
    bars = series(1, 2)

    for array in (bars.times, bars.opens, bars.highs, bars.lows, bars.closes, bars.volumes):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_series_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        CandleSeries(maximum=0)


ARRIVALS = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 3), st.booleans()), max_size=80)


@settings(max_examples=200, deadline=None)
@given(arrivals=ARRIVALS, window=st.integers(1, 8), maximum=st.integers(1, 12))
def test_only_candles_younger_than_all_before_are_new(
    arrivals: list[tuple[int, int, bool]], window: int, maximum: int
) -> None:
    bars = CandleSeries(maximum=maximum)
    newest = -1
    for minute, close, is_closed in arrivals:
        placement = bars.add_or_replace(candle(minute, float(close), is_closed=is_closed), window)

        assert (placement is Placement.ADDED) == (is_closed and minute > newest)
        newest = max(newest, minute) if is_closed else newest
        times = bars.times
        assert (np.diff(times) > 0).all()
        assert len(times) == len(bars) <= maximum
        assert bars.partial is None or bars.partial.opened_at > newest * MINUTE


@settings(max_examples=100, deadline=None)
@given(arrivals=ARRIVALS)
def test_replaying_what_is_known_adds_nothing(arrivals: list[tuple[int, int, bool]]) -> None:
    bars = CandleSeries([candle(minute, float(close)) for minute, close, _ in arrivals])
    before = [bars[index] for index in range(len(bars))]

    placements = {bars.add_or_replace(known) for known in before[-2:]}

    assert placements <= {Placement.SAME}
    assert [bars[index] for index in range(len(bars))] == before


def test_history_and_live_candles_are_merged_without_a_hole_or_a_double() -> None:
    history = [candle(1), candle(2), candle(3, 9.0, is_closed=False)]
    live = [candle(3, 9.5, is_closed=False), candle(3, 11.0), candle(4, is_closed=False)]

    assert merge(history, live) == [candle(1), candle(2), candle(3, 11.0), candle(4, is_closed=False)]


def test_a_closed_candle_of_history_wins_over_an_open_live_one() -> None:
    assert merge([candle(1), candle(2, 12.0)], [candle(2, 11.0, is_closed=False)]) == [candle(1), candle(2, 12.0)]


def test_half_a_bar_in_the_middle_is_left_out() -> None:
    assert merge([candle(1, is_closed=False), candle(2)], []) == [candle(2)]
    assert merge([], []) == []

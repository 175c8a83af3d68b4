"""Bars of two contracts are one history without the jump of the roll, and nothing is lost or told twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.candles import Candle
from tradeproc.domain.roll_rules import BackAdjust
from tradeproc.domain.units import MINUTE, Nanos
from tradeproc.market.continuous import Join, adjusted, compared, joined
from tradeproc.testing.candles import candle


def bars(first: int, last: int, price: float) -> list[Candle]:
    return [candle(number, price) for number in range(first, last)]


def at(number: int) -> Nanos:
    return candle(number, 1.0).opened_at


def test_the_older_bars_are_moved_by_the_spread_and_end_where_the_next_contract_begins() -> None:
    history = joined(bars(0, 10, 4800), bars(3, 12, 4850), Join(at(6), 4800, 4850), BackAdjust.DIFFERENCE)

    assert [bar.opened_at for bar in history] == [at(number) for number in range(12)]
    assert {bar.close for bar in history} == {4850}


def test_a_ratio_stretches_them() -> None:
    bar = adjusted(candle(0, 100.0, high=110.0, low=90.0), Join(at(1), 100, 150), BackAdjust.RATIO)

    assert (bar.high, bar.low, bar.close) == (165.0, 135.0, 150.0)


def test_prices_below_zero_have_no_ratio_and_are_moved() -> None:
    bar = adjusted(candle(0, -37.0, high=-36.0, low=-40.0), Join(at(1), -37, 20), BackAdjust.RATIO)

    assert (bar.low, bar.high, bar.close) == (17.0, 21.0, 20.0)


def test_a_bar_in_which_the_roll_lies_is_the_old_contracts() -> None:
    history = joined(bars(0, 4, 10), bars(0, 8, 20), Join(Nanos(at(3) + MINUTE // 2), 10, 20), BackAdjust.DIFFERENCE)

    assert [bar.opened_at for bar in history] == [at(number) for number in range(8)]


@given(
    st.sets(st.integers(0, 40)),
    st.sets(st.integers(0, 40)),
    st.integers(0, 40 * 60),
    st.sampled_from(list(BackAdjust)),
)
def test_whatever_bars_there_are_times_only_grow_and_none_of_the_next_contract_is_lost(
    old: set[int], new: set[int], seconds: int, how: BackAdjust
) -> None:
    join = Join(Nanos(at(0) + seconds * 1_000_000_000), 100, 104)
    own = [candle(number, 104.0) for number in sorted(new)]

    history = joined([candle(number, 100.0) for number in sorted(old)], own, join, how)

    times = [bar.opened_at for bar in history]
    assert times == sorted(set(times))
    assert [bar for bar in own if bar.opened_at >= join.at] == [bar for bar in history if bar.opened_at >= join.at]
    assert all(bar.close == pytest.approx(104) for bar in history)


# --- the spread


def test_the_newest_minute_in_which_both_traded_is_compared() -> None:
    old, new = bars(0, 10, 4800), bars(0, 8, 4850)

    assert compared(old, new) == (old[7], new[7])


def test_a_forming_bar_and_one_long_ago_are_not_compared() -> None:
    forming = candle(9, 4850.0, is_closed=False)

    assert compared(bars(0, 10, 4800), [forming]) is None
    assert compared(bars(0, 40, 4800), bars(0, 5, 4850)) is None
    assert compared([], []) is None

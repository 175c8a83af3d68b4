"""Which of two contracts traded more on a market day: whole days only, business days only, told only when known."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.candles import Candle
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.roll_table import is_business
from tradeproc.domain.roll_volumes import RollVolume, crossed_on, newest_day, volumes_by_day
from tradeproc.domain.units import MINUTE, Nanos, from_iso

HOURS = market_hours("cme_equity")
# Tuesday to Friday; the exchange closes at 22:00 UTC in winter
DAYS = [date(2024, 3, day) for day in (5, 6, 7, 8)]
OVER = from_iso("2024-03-08T22:00:00Z")


def bars(volumes: dict[date, int], first: str = "") -> list[Candle]:
    """Return a bar at the opening of each day, with all its volume, and one without volume at its end."""
    found = []
    for day, volume in volumes.items():
        session = HOURS.session_of(day)
        assert session is not None
        last = Nanos(session.closed_at - 30 * MINUTE)
        for at, traded in ((session.opened_at, volume), (last, 0)):
            found.append(Candle(at, Nanos(at + 30 * MINUTE), 1.0, 1.0, 1.0, 1.0, traded, 1))
    return [bar for bar in found if not first or bar.opened_at >= from_iso(first)]


def test_both_volumes_of_each_whole_day_are_told_oldest_first() -> None:
    own = bars(dict(zip(DAYS, (900, 800, 700, 600), strict=True)))
    following = bars(dict(zip(DAYS, (100, 300, 701, 5000), strict=True)))

    told = volumes_by_day(HOURS, OVER, own, following)

    assert told == list(zip(DAYS, (900, 800, 700, 600), (100, 300, 701, 5000), strict=True))


def test_a_day_that_is_not_over_or_begins_before_the_bars_is_not_told() -> None:
    volumes = dict.fromkeys(DAYS, 5)
    cut = bars(volumes, first="2024-03-05T21:00:00Z")

    at = Nanos(OVER - 1)

    assert [day for day, _, _ in volumes_by_day(HOURS, at, cut, bars(volumes))] == DAYS[1:3]
    assert [day for day, _, _ in volumes_by_day(HOURS, at, bars(volumes), cut)] == DAYS[1:3]
    assert volumes_by_day(HOURS, at, bars(volumes), []) == []


def test_a_contract_without_a_trade_traded_nothing_and_two_of_them_tell_nothing() -> None:
    own, following = bars({DAYS[0]: 1, DAYS[3]: 0}), bars({DAYS[0]: 1, DAYS[1]: 4})

    assert volumes_by_day(HOURS, OVER, own, following) == [(DAYS[0], 1, 1), (DAYS[1], 0, 4)]


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2024-03-08T21:59:59Z", "2024-03-07"),
        ("2024-03-08T22:00:00Z", "2024-03-08"),
        ("2024-03-10T23:30:00Z", "2024-03-08"),  # Sunday evening belongs to Monday
        ("2024-03-11T20:59:59Z", "2024-03-08"),  # the clocks were set forward
        ("2024-03-11T21:00:00Z", "2024-03-11"),
        ("2024-02-20T03:00:00Z", "2024-02-16"),  # the short session of Presidents' Day is no business day
    ],
)
def test_the_newest_day_is_the_last_business_day_that_is_over(at: str, day: str) -> None:
    assert newest_day(HOURS, from_iso(at)) == date.fromisoformat(day)


def test_outside_the_calendar_there_is_no_day() -> None:
    assert newest_day(HOURS, from_iso("1999-03-08T21:59:59Z")) is None


def volume(day: str, own: int, following: int, contract: str = "ESH24") -> RollVolume:
    return RollVolume(1, contract, "ESM24", day, own, following, Nanos(0))


def test_the_first_crossing_of_this_pair_counts_and_equal_volumes_are_none() -> None:
    rows = [
        volume("2024-03-08", 1, 2),
        volume("2024-03-06", 2, 2),
        volume("2024-03-07", 1, 2),
        volume("2024-03-05", 1, 9, contract="ESZ23"),
    ]

    assert crossed_on(rows, "ESH24", "ESM24") == date(2024, 3, 7)
    assert crossed_on(rows, "ESH24", "ESU24") is None


@given(st.integers(0, 2000), st.integers(0, 86_399))
def test_the_newest_day_is_over_and_a_business_day_and_none_between_is(days: int, seconds: int) -> None:
    start = date(2019, 1, 7) + timedelta(days=days)
    at = Nanos(from_iso(f"{start}T00:00:00Z") + seconds * 1_000_000_000)

    day = newest_day(HOURS, at)

    assert day is not None
    assert is_business(day)
    session = HOURS.session_of(day)
    assert session is not None
    assert session.closed_at <= at
    following = [day + timedelta(days=number) for number in range(1, 12)]
    over = [
        each
        for each in following
        if is_business(each) and (found := HOURS.session_of(each)) and found.closed_at <= at
    ]
    assert over == []

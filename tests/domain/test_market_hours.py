"""Market hours against the exchange's own published hours, and across holidays, early closes and clock changes."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.calendar_table import CALENDARS
from tradeproc.domain.instruments import INSTRUMENTS
from tradeproc.domain.market_hours import Changes, MarketHours, UnknownMarketHours, market_hours
from tradeproc.domain.records import BadValue
from tradeproc.domain.units import MINUTE, Nanos

CHICAGO = ZoneInfo("America/Chicago")


def chicago(text: str) -> Nanos:
    return Nanos(int(datetime.fromisoformat(text).replace(tzinfo=CHICAGO).timestamp()) * 10**9)


def utc(text: str) -> Nanos:
    return Nanos(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9)


def session(hours: MarketHours, at: Nanos) -> tuple[Nanos, Nanos] | None:
    found = hours.session_at(at)
    return None if found is None else (found.opened_at, found.closed_at)


@pytest.fixture
def equity() -> MarketHours:
    return market_hours("cme_equity")


def test_every_instrument_has_market_hours() -> None:
    assert {product.market_hours for product in INSTRUMENTS.values()} == set(CALENDARS)


def test_an_unknown_calendar_is_refused_with_the_known_names() -> None:
    with pytest.raises(UnknownMarketHours, match=r"'nyse'; there are cbot_grains, cbot_rates, cme_energy"):
        market_hours("nyse")


# Expected hours in UTC, from the CME Group holiday calendar of these years; test_calendar_table.py has more holidays.
SCHEDULE = [
    ("cme_equity", "2024-01-16 15:00", "2024-01-15 23:00", "2024-01-16 22:00"),  # winter
    ("cme_equity", "2024-07-16 15:00", "2024-07-15 22:00", "2024-07-16 21:00"),  # summer
    ("cme_equity", "2024-01-15 15:00", "2024-01-14 23:00", "2024-01-15 18:00"),  # Martin Luther King: 12:00
    ("cme_equity", "2024-07-03 15:00", "2024-07-02 22:00", "2024-07-03 17:15"),  # the day before 4 July: 12:15
    ("cme_equity", "2023-04-07 12:00", "2023-04-06 22:00", "2023-04-07 13:15"),  # Good Friday with payrolls: 8:15
    ("cme_equity", "2024-11-29 15:00", "2024-11-28 23:00", "2024-11-29 18:15"),  # after Thanksgiving
    ("cme_fx", "2021-04-02 12:00", "2021-04-01 22:00", "2021-04-02 15:15"),  # Good Friday with payrolls
    ("cbot_rates", "2024-12-24 15:00", "2024-12-23 23:00", "2024-12-24 18:15"),
    ("cme_energy", "2024-11-28 15:00", "2024-11-27 23:00", "2024-11-28 19:30"),  # Thanksgiving
    ("cme_energy", "2024-11-29 15:00", "2024-11-28 23:00", "2024-11-29 18:45"),
    ("cme_energy", "2024-12-24 15:00", "2024-12-23 23:00", "2024-12-24 18:45"),
    ("cbot_grains", "2024-12-24 15:00", "2024-12-24 01:00", "2024-12-24 18:05"),
    ("cme_metals", "2024-06-03 15:00", "2024-06-02 22:00", "2024-06-03 21:00"),
    ("cbot_grains", "2024-06-03 15:00", "2024-06-03 00:00", "2024-06-03 18:20"),
    ("cme_livestock", "2024-06-03 15:00", "2024-06-03 13:30", "2024-06-03 18:05"),
    ("cme_livestock", "2024-11-29 15:00", "2024-11-29 14:30", "2024-11-29 18:05"),
]


@pytest.mark.parametrize(("key", "at", "opened_at", "closed_at"), SCHEDULE)
def test_sessions_are_those_of_the_published_schedule(key: str, at: str, opened_at: str, closed_at: str) -> None:
    assert session(market_hours(key), utc(at)) == (utc(opened_at), utc(closed_at))


@pytest.mark.parametrize(
    ("key", "day"),
    [
        ("cme_equity", "2023-12-25"),
        ("cme_equity", "2024-01-01"),
        ("cme_equity", "2022-04-15"),
        ("cme_energy", "2024-03-29"),
        ("cbot_grains", "2024-07-04"),
        ("cme_livestock", "2024-09-02"),
        ("cme_fx", "2024-01-06"),
    ],
)
def test_there_is_no_session_on_a_holiday_or_weekend(key: str, day: str) -> None:
    assert market_hours(key).session_at(chicago(f"{day} 10:00")) is None


def test_the_shipped_tape_begins_at_an_open(equity: MarketHours) -> None:
    first_trade = Nanos(1703545200000000000)

    assert equity.session_opened_at(first_trade, Nanos(first_trade + MINUTE)) == first_trade
    assert equity.session_at(Nanos(first_trade - 1)) is None


def test_the_open_belongs_to_the_session_and_the_close_does_not(equity: MarketHours) -> None:
    opened_at, closed_at = chicago("2024-01-15 17:00"), chicago("2024-01-16 16:00")

    assert not equity.is_open(Nanos(opened_at - 1))
    assert equity.is_open(opened_at)
    assert equity.is_open(Nanos(closed_at - 1))
    assert not equity.is_open(closed_at)


# the United States changed clocks on 2024-03-10 and 2024-11-03, both Sundays
@pytest.mark.parametrize(
    ("friday_close", "sunday_open"),
    [("2024-03-08 22:00", "2024-03-10 22:00"), ("2024-11-01 21:00", "2024-11-03 23:00")],
)
def test_the_open_moves_in_utc_with_the_clocks_of_chicago(
    equity: MarketHours, friday_close: str, sunday_open: str
) -> None:
    assert equity.edges(utc(friday_close), utc(friday_close)) == [utc(friday_close), utc(sunday_open)]


def test_grains_rest_at_breakfast_within_one_session() -> None:
    grains = market_hours("cbot_grains")
    at = chicago("2024-06-04 08:00")

    assert not grains.is_open(at)
    assert session(grains, at) == (chicago("2024-06-03 19:00"), chicago("2024-06-04 13:20"))
    assert grains.edges(at, at) == [chicago("2024-06-04 07:45"), chicago("2024-06-04 08:30")]


def test_the_next_session_is_after_a_long_weekend(equity: MarketHours) -> None:
    edges = equity.edges(chicago("2023-12-22 16:30"), chicago("2023-12-25 17:00"))

    assert edges == [chicago(day) for day in ("2023-12-22 16:00", "2023-12-25 17:00", "2023-12-26 16:00")]


def test_nothing_is_known_outside_the_table(equity: MarketHours) -> None:
    assert equity.horizon == chicago("2030-12-31 16:00")
    for at in (equity.horizon, chicago("2031-03-04 10:00"), chicago("2014-06-03 10:00")):
        assert equity.session_at(at) is None
        assert not equity.is_open(at)
    assert equity.is_open(Nanos(equity.horizon - 1))


def test_edges_divide_trading_from_rest() -> None:
    grains = market_hours("cbot_grains")

    edges = grains.edges(chicago("2024-06-04 08:00"), chicago("2024-06-05 07:00"))

    days = ["2024-06-04 07:45", "2024-06-04 08:30", "2024-06-04 13:20", "2024-06-04 19:00", "2024-06-05 07:45"]
    assert edges == [chicago(day) for day in days]
    whole = grains.edges(chicago("2024-06-04 08:00"), chicago("2024-06-05 07:00"), breaks=False)
    assert whole == [chicago("2024-06-03 19:00"), *edges[2:4], chicago("2024-06-05 13:20")]


def test_edges_are_the_same_whichever_way_they_are_asked_for(equity: MarketHours) -> None:
    first, last = chicago("2023-12-20 10:00"), chicago("2024-01-03 12:34")
    whole = equity.edges(first, last)

    for at in range(first, last, 61 * MINUTE):
        newest = max(edge for edge in whole if edge <= at)
        assert equity.edges(Nanos(at), Nanos(at))[0] == newest


def test_edges_go_on_beyond_the_horizon_from_the_last_close(equity: MarketHours) -> None:
    near, far = Nanos(equity.horizon + MINUTE), chicago("2033-01-01 00:00")

    assert equity.edges(near, far) == [equity.horizon]
    assert equity.edges(far, far) == [equity.horizon]
    assert equity.edges(Nanos(5), Nanos(6))[0] == 0


def test_no_two_stretches_of_a_calendar_overlap() -> None:
    for key in CALENDARS:
        hours = market_hours(key)
        edges = hours.edges(hours.known_from, hours.horizon)

        assert all(before < after for before, after in pairwise(edges)), key
        assert 7_500 < len(edges) < 17_000, key


@pytest.fixture
def grains() -> Iterator[MarketHours]:
    hours = market_hours("cbot_grains")
    yield hours
    hours.change(Changes())


def test_a_person_closes_a_day_ends_one_early_and_makes_one_usual(grains: MarketHours) -> None:
    early = {date(2027, 3, 1): time(12, 5), date(2027, 3, 2): time(7, 0), date(2027, 11, 26): time(11, 0)}
    grains.change(Changes(frozenset({date(2027, 2, 26)}), early, frozenset({date(2027, 6, 18)})))

    assert grains.session_at(chicago("2027-02-26 10:00")) is None
    assert grains.edges(chicago("2027-03-01 09:00"), chicago("2027-03-01 12:00"))[:2] == [
        chicago("2027-03-01 08:30"),
        chicago("2027-03-01 12:05"),
    ]
    assert session(grains, chicago("2027-03-02 06:00")) == (chicago("2027-03-01 19:00"), chicago("2027-03-02 07:00"))
    assert session(grains, chicago("2027-06-18 10:00")) == (chicago("2027-06-17 19:00"), chicago("2027-06-18 13:20"))
    # the table's late open after Thanksgiving stays
    assert session(grains, chicago("2027-11-26 09:00")) == (chicago("2027-11-26 08:30"), chicago("2027-11-26 11:00"))
    grains.change(Changes())
    assert session(grains, chicago("2027-02-26 10:00")) is not None
    assert grains.session_at(chicago("2027-06-18 10:00")) is None


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (Changes(closed=frozenset({date(2031, 1, 2)})), "2031-01-02: must be from 2015-01-01 to 2030-12-31"),
        (
            Changes(closed=frozenset({date(2027, 3, 6)})),
            "2027-03-06: is a Saturday; trade dates are Monday to Friday",
        ),
        (Changes(frozenset({date(2027, 3, 1)}), {date(2027, 3, 1): time(12)}), "2027-03-01: stands twice"),
        (Changes(early_close={date(2027, 3, 1): time(13, 20)}), "has an early close before 13:20"),
        (Changes(early_close={date(2027, 11, 26): time(8, 30)}), "2027-11-26: closes at 08:30"),
    ],
)
def test_a_change_that_cannot_be_changes_nothing(grains: MarketHours, changes: Changes, line: str) -> None:
    with pytest.raises(BadValue, match=line):
        grains.change(changes)

    assert session(grains, chicago("2027-03-01 10:00")) == (chicago("2027-02-28 19:00"), chicago("2027-03-01 13:20"))


# a bar from, to, and the open of the session in which it traded
BARS = [
    ("cme_equity", "2024-01-15 16:00", "2024-01-16 16:00", "2024-01-15 17:00"),  # a day's bar begins in the rest
    ("cme_equity", "2024-11-28 12:15", "2024-11-29 12:15", "2024-11-28 17:00"),  # stamped at an early close
    ("cme_equity", "2024-11-28 16:00", "2024-11-29 16:00", "2024-11-28 17:00"),  # the same, stamped at the usual one
    ("cme_equity", "2024-01-15 18:00", "2024-01-16 18:00", "2024-01-15 17:00"),  # reaches into the next session
    ("cme_equity", "2024-01-12 16:00", "2024-01-16 16:00", "2024-01-15 17:00"),  # over a weekend
    ("cme_equity", "2024-11-29 12:00", "2024-11-29 13:00", "2024-11-28 17:00"),  # cut short by an early close
    (
        "cme_equity",
        "2024-01-16 15:00",
        "2024-01-16 19:00",
        "2024-01-16 17:00",
    ),  # the first of a session, on the clock
    ("cme_equity", "2024-01-16 12:00", "2024-01-16 16:00", "2024-01-15 17:00"),
    ("cme_equity", "2024-01-08 16:00", "2024-01-12 16:00", "2024-01-11 17:00"),  # a week's bar: the current session
    ("cbot_grains", "2024-06-04 08:20", "2024-06-04 08:35", "2024-06-03 19:00"),
    ("cbot_grains", "2024-06-03 13:20", "2024-06-04 13:20", "2024-06-03 19:00"),
    ("cme_livestock", "2024-06-03 13:05", "2024-06-04 13:05", "2024-06-04 08:30"),
    ("cme_livestock", "2024-06-04 12:30", "2024-06-04 13:30", "2024-06-04 08:30"),
    ("cme_equity", "2024-01-16 10:00", "2024-01-16 10:00", "2024-01-15 17:00"),  # all its trades at one moment
    ("cme_equity", "2024-01-13 10:00", "2024-01-13 11:00", None),
    ("cme_equity", "2033-01-12 10:00", "2033-01-12 11:00", None),
]


@pytest.mark.parametrize(("key", "opened_at", "closed_at", "expected"), BARS)
def test_a_bar_belongs_to_the_session_in_which_it_traded(
    key: str, opened_at: str, closed_at: str, expected: str | None
) -> None:
    found = market_hours(key).session_opened_at(chicago(opened_at), chicago(closed_at))

    assert found == (None if expected is None else chicago(expected))


@given(
    st.sampled_from(sorted(CALENDARS)),
    st.integers(chicago("2020-01-01 00:00") // MINUTE, chicago("2030-11-30 00:00") // MINUTE),
    st.integers(1, 1440),
)
def test_a_bar_within_a_session_belongs_to_it_and_one_that_touches_a_session_to_some(
    key: str, at: int, minutes: int
) -> None:
    hours = market_hours(key)
    opened_at, closed_at = Nanos(at * MINUTE), Nanos((at + minutes) * MINUTE)
    first, last = hours.session_at(opened_at), hours.session_at(Nanos(closed_at - 1))

    found = hours.session_opened_at(opened_at, closed_at)

    if first is not None and first == last:
        assert found == first.opened_at
    if first is not None or last is not None:
        assert found is not None and found < closed_at

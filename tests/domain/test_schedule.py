"""A schedule against the clock on the wall and the exchange's published hours, over holidays and clock changes."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.config import read_session
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.schedule import WEEKDAYS, Schedule
from tradeproc.domain.session import BadSession, SessionSpec
from tradeproc.domain.units import MINUTE, SECOND, Nanos
from tradeproc.domain.wanted import next_change, wanted_now

ZONES = ("America/Chicago", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe")


def spec(contract: str = "ESH24", **schedule: Any) -> SessionSpec:
    table = {
        "name": "cross",
        "login": "paper",
        "account": "A",
        "contract": contract,
        "minutes": 1,
        "strategy": "moving_average_cross",
        "quantity": 1,
        "environment": "paper",
        "limits": {"max_order": 1, "max_position": 1},
        "schedule": schedule,
    }
    return SessionSpec.from_dict(table)


def at(text: str, zone: str = "America/Chicago") -> Nanos:
    return Nanos(int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND)


def is_wanted(wish: SessionSpec, text: str, zone: str = "America/Chicago") -> bool:
    return wanted_now(wish, "running", at(text, zone))


EXCHANGE = spec(hours="exchange", warmup_minutes=5)
OFFICE = spec(hours="08:30-15:00", zone="America/Chicago", weekdays=["mon", "tue", "wed", "thu", "fri"])
NIGHT = spec(hours="20:00-02:00", zone="America/New_York", weekdays=["fri"], holidays=False, warmup_minutes=0)


@pytest.mark.parametrize(
    ("wish", "moment", "expected"),
    [
        (EXCHANGE, "2024-01-16 16:54:59", False),  # the daily rest
        (EXCHANGE, "2024-01-16 16:55:00", True),  # warms up for 17:00
        (EXCHANGE, "2024-01-17 15:59:59", True),
        (EXCHANGE, "2024-01-17 16:00:00", False),
        (EXCHANGE, "2024-01-13 12:00:00", False),  # Saturday
        (EXCHANGE, "2024-01-14 16:55:00", True),  # Sunday evening is Monday's trade date
        (EXCHANGE, "2024-01-15 12:30:00", False),  # Martin Luther King: closed since 12:00
        (EXCHANGE, "2023-12-25 10:00:00", False),
        (EXCHANGE, "2023-12-25 17:30:00", True),
        (EXCHANGE, "2031-06-03 10:00:00", False),  # beyond what the calendar knows
        (OFFICE, "2024-01-16 08:24:59", False),
        (OFFICE, "2024-01-16 08:25:00", True),
        (OFFICE, "2024-01-16 14:59:59", True),
        (OFFICE, "2024-01-16 15:00:00", False),
        (OFFICE, "2024-01-13 10:00:00", False),
        (OFFICE, "2023-12-25 10:00:00", False),  # closed all day
        (OFFICE, "2024-07-04 14:00:00", True),  # an early close is no holiday
        (OFFICE, "2031-06-03 10:00:00", True),  # holidays beyond the calendar are not known
        (spec(hours="08:30-15:00", holidays=False), "2023-12-25 10:00:00", True),
        (spec(hours="08:30-15:00"), "2024-01-13 10:00:00", False),  # nobody trades on a Saturday
    ],
)
def test_known_moments(wish: SessionSpec, moment: str, expected: bool) -> None:
    assert is_wanted(wish, moment) is expected


def test_hours_over_midnight_belong_to_the_day_on_which_they_begin() -> None:
    for moment, expected in (
        ("2024-01-12 19:59", False),
        ("2024-01-12 20:00", True),
        ("2024-01-13 01:59", True),
        ("2024-01-13 02:00", False),
        ("2024-01-13 20:00", False),
        ("2024-01-12 01:00", False),
    ):
        assert is_wanted(NIGHT, moment, "America/New_York") is expected, moment


def test_a_session_that_is_to_be_flat_ends_while_it_can_still_trade() -> None:
    flat = spec(hours="08:30-15:00", flatten_at_end=True)
    all_day = spec(hours="exchange", flatten_at_end=True)

    assert is_wanted(flat, "2024-01-16 14:59:59")
    assert is_wanted(flat, "2024-07-03 12:09:59")  # the exchange closes at 12:15
    assert not is_wanted(flat, "2024-07-03 12:10:00")
    assert is_wanted(all_day, "2024-01-16 15:54:59")
    assert not is_wanted(all_day, "2024-01-16 15:55:00")


@pytest.mark.parametrize(
    ("contract", "hours", "closes", "opens"),
    [
        # equity products halt at noon on Thanksgiving, and open again at 17:00 for the next trade date
        ("ESZ26", "08:30-20:00", "2026-11-26 12:00", "2026-11-26 17:00"),
        ("ESH24", "08:30-20:00", "2024-01-16 16:00", "2024-01-16 17:00"),
        ("ESH24", "00:00-24:00", "2024-01-16 16:00", "2024-01-16 17:00"),
        ("CLG27", "08:30-20:00", "2027-01-18 13:30", "2027-01-18 17:00"),
        ("ZCH25", "07:00-23:00", "2025-01-09 12:15", "2025-01-09 19:00"),
    ],
)
@pytest.mark.parametrize("warmup", [0, 5, 240])
def test_flat_at_its_end_means_flat_before_each_close_that_its_hours_go_on_over(
    contract: str, hours: str, closes: str, opens: str, warmup: int
) -> None:
    wish = spec(contract, hours=hours, flatten_at_end=True, warmup_minutes=warmup)
    end, again = at(closes) - 5 * MINUTE, at(opens)

    assert wanted_now(wish, "running", Nanos(end - 1))
    assert not any(wanted_now(wish, "running", Nanos(each)) for each in range(end, at(closes), MINUTE))
    assert wanted_now(wish, "running", again)
    assert next_change(wish, "running", Nanos(end)) == max(at(closes), again - warmup * MINUTE)


def test_a_long_warm_up_does_not_hide_the_end_of_the_session_before() -> None:
    wish = spec(hours="exchange", flatten_at_end=True, warmup_minutes=240)

    assert not is_wanted(wish, "2024-01-16 15:55")
    assert not is_wanted(wish, "2024-01-16 15:59:59")
    assert is_wanted(wish, "2024-01-16 16:00")


def test_weekdays_of_the_exchange_are_trade_dates() -> None:
    mondays = spec(hours="exchange", weekdays=["mon"], warmup_minutes=0)

    assert is_wanted(mondays, "2024-01-21 17:00")
    assert is_wanted(mondays, "2024-01-22 15:59")
    assert not is_wanted(mondays, "2024-01-22 17:00")


def test_what_a_person_stopped_is_never_wanted_and_without_a_schedule_it_always_is() -> None:
    always = SessionSpec.from_dict({**spec().to_dict(), "schedule": None})

    assert not wanted_now(EXCHANGE, "stopped", at("2024-01-16 10:00"))
    assert not wanted_now(always, "stopped", at("2024-01-16 10:00"))
    assert wanted_now(always, "running", at("2024-01-13 10:00"))
    assert next_change(always, "running", at("2024-01-13 10:00")) is None


def test_the_next_change_is_told_over_a_weekend_with_a_holiday() -> None:
    # Friday 2023-12-22 closes 16:00; Christmas is Monday; Tuesday's session opens on Monday at 17:00
    assert next_change(EXCHANGE, "running", at("2023-12-22 12:00")) == at("2023-12-22 16:00")
    assert next_change(EXCHANGE, "running", at("2023-12-23 12:00")) == at("2023-12-25 16:55")
    assert next_change(EXCHANGE, "stopped", at("2023-12-23 12:00")) is None


def test_windows_that_touch_are_one_and_hours_without_an_end_have_no_change() -> None:
    whole_week = spec(hours="00:00-24:00", weekdays=["mon", "tue", "wed", "thu", "fri"], warmup_minutes=0)
    always = spec(hours="00:00-24:00", holidays=False)

    assert next_change(whole_week, "running", at("2024-01-16 10:00")) == at("2024-01-20 00:00")
    assert next_change(always, "running", at("2024-01-16 10:00")) is None


@pytest.mark.parametrize(
    ("schedule", "line"),
    [
        ({"hour": "exchange"}, r"^\[schedule\] hour: unknown key; did you mean 'hours'\?$"),
        ({"hours": "8:30-15:00"}, r"""^\[schedule\] hours: '8:30-15:00' is not allowed; write "exchange" or as """),
        ({"hours": "08:30-25:00"}, "hours: '08:30-25:00' is not allowed"),
        ({"hours": "08:30-08:30"}, 'has no length; for whole days write "00:00-24:00"'),
        ({"hours": "08:30-15:00", "zone": "America/Chicgo"}, "no IANA zone; did you mean 'America/Chicago'"),
        ({"hours": "08:30-15:00", "zone": "../UTC"}, "no IANA zone"),
        ({"hours": "08:30-15:00", "zone": "America"}, "no IANA zone"),
        ({"zone": "UTC"}, 'zone: stands beside hours = "exchange"'),
        ({"holidays": False}, "holidays: .*remove the line"),
        ({"weekdays": []}, "weekdays: name at least one"),
        ({"weekdays": ["monday"]}, "weekdays: 'monday' is none of mon, tue"),
        ({"weekdays": "mon"}, "weekdays: expected a list"),
        ({"warmup_minutes": 600}, "warmup_minutes: must be 0 to 240, not 600"),
        ({"silent_minutes": 241}, "silent_minutes: must be 0 to 240, not 241"),
        ({"flatten_at_end": "yes"}, "flatten_at_end: expected true or false, found 'yes'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(schedule: dict[str, Any], line: str) -> None:
    with pytest.raises(BadSession, match=line) as refused:
        spec(**schedule)
    assert "\n" not in str(refused.value)


def test_a_schedule_survives_its_plain_form() -> None:
    assert SessionSpec.from_dict(NIGHT.to_dict()) == NIGHT


clock_hours = st.builds(
    lambda start, length: (start, length, f"{_clock(start)}-{_clock(start + length)}"),
    st.integers(0, 1439),
    st.integers(1, 1439),
)


def _clock(minutes: int) -> str:
    return f"{minutes % 1440 // 60:02}:{minutes % 60:02}"


def changes(zone: str) -> list[int]:
    """Return the moments of 2024 at which the zone's clock is changed."""
    hours = [int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) + 1800 * step for step in range(2 * 24 * 366)]
    offsets = [datetime.fromtimestamp(hour, ZoneInfo(zone)).utcoffset() for hour in hours]
    return [hour for hour, (before, after) in zip(hours[1:], pairwise(offsets), strict=True) if before != after]


NEAR_A_CHANGE = {zone: [*changes(zone), 1_720_000_000] for zone in ZONES}


@given(
    zone=st.sampled_from(ZONES),
    hours=clock_hours,
    which=st.integers(0, 2),
    offset=st.integers(-2 * 86_400, 2 * 86_400),
    days=st.sets(st.sampled_from(WEEKDAYS), min_size=1),
    warmup=st.integers(0, 240),
)
@settings(max_examples=400, deadline=None)
def test_hours_of_the_clock_are_those_of_the_clock_on_the_wall(
    zone: str, hours: tuple[int, int, str], which: int, offset: int, days: set[str], warmup: int
) -> None:
    """Within the hours it is wanted, always; and outside only to warm up, or within an hour of a clock change."""
    start, length, text = hours
    wish = spec(hours=text, zone=zone, weekdays=sorted(days), holidays=False, warmup_minutes=warmup)
    moment = NEAR_A_CHANGE[zone][min(which, len(NEAR_A_CHANGE[zone]) - 1)] + offset

    def is_within(seconds: int) -> bool:
        local = datetime.fromtimestamp(seconds, ZoneInfo(zone))
        since = (local.hour * 60 + local.minute - start) % 1440
        begun = (local.replace(tzinfo=None) - timedelta(minutes=since)).weekday()
        return since < length and WEEKDAYS[begun] in days

    is_right = wanted_now(wish, "running", Nanos(moment * SECOND))

    if is_within(moment):
        assert is_right
    elif is_right:
        soon = any(is_within(moment + 60 * minutes) for minutes in range(warmup + 1))
        is_odd = any(abs(moment - change) < 3 * 86_400 for change in changes_near(zone, moment))
        assert soon or is_odd


def changes_near(zone: str, moment: int) -> list[int]:
    return [change for change in NEAR_A_CHANGE[zone][:-1] if abs(change - moment) <= 86_400 + 4 * 3_600]


@given(
    contract=st.sampled_from(["ESH24", "ZCH24", "LEJ24", "CLJ24", "6EH24"]),
    seconds=st.integers(int(at("2022-01-01 00:00")) // SECOND, int(at("2030-12-01 00:00")) // SECOND),
    warmup=st.integers(0, 60),
)
@settings(max_examples=300, deadline=None)
def test_whenever_the_exchange_trades_the_session_runs_and_no_longer_before_than_to_warm_up(
    contract: str, seconds: int, warmup: int
) -> None:
    wish = spec(contract, hours="exchange", warmup_minutes=warmup)
    exchange, now = market_hours(wish.calendar), Nanos(seconds * SECOND)
    opened = exchange.session_at(now), exchange.session_at(Nanos(now + warmup * MINUTE))

    assert wanted_now(wish, "running", now) is any(session is not None for session in opened)


@given(
    seconds=st.integers(int(at("2023-01-01 00:00")) // SECOND, int(at("2026-01-01 00:00")) // SECOND),
    wish=st.sampled_from([EXCHANGE, OFFICE, NIGHT, spec("ZCH24", weekdays=["mon", "wed"], flatten_at_end=True)]),
)
@settings(max_examples=300, deadline=None)
def test_nothing_changes_before_the_next_change_and_then_it_does(seconds: int, wish: SessionSpec) -> None:
    now = Nanos(seconds * SECOND)
    change = next_change(wish, "running", now)
    assert change is not None and change > now
    is_now = wanted_now(wish, "running", now)

    assert wanted_now(wish, "running", Nanos(change - 1)) is is_now
    assert wanted_now(wish, "running", Nanos((now + change) // 2)) is is_now
    assert wanted_now(wish, "running", change) is not is_now


def test_the_commented_schedule_of_the_example_shows_the_defaults(tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[2] / "conf/sessions/example.toml").read_text()
    before, header, keys = shipped.partition("# [schedule]\n")
    lines = [line.removeprefix("# ") if " = " in line else line for line in keys.splitlines()]
    file = tmp_path / "session.toml"
    file.write_text(before + header.removeprefix("# ") + "\n".join(lines))

    assert header
    assert read_session(file).schedule == Schedule()

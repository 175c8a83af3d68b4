"""When the rule of a contract has a session roll by itself: on its day, at its time, while the market stays open."""

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from tests.engine.desk import spec
from tradeproc.domain.calendar_table import CALENDARS
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.records import BadValue
from tradeproc.domain.roll_rules import RollMode, RollPolicy, check_time
from tradeproc.domain.units import MINUTE, SECOND, Nanos, from_iso
from tradeproc.engine.events import Event, RollPlanned
from tradeproc.procs.trader.contract_rolls import RollPlans, stays_open


def planned(mode: RollMode, now: str, **policy: Any) -> RollPlanned:
    told: list[Event] = []
    RollPlans(spec(roll=RollPolicy(mode, **policy)), told.append).look(from_iso(now))
    (plan,) = told
    assert isinstance(plan, RollPlanned)
    return plan


# ESH24 is to be rolled on Friday 2024-03-08; Chicago is six hours behind UTC until that Sunday, five from then on
@pytest.mark.parametrize(
    ("at", "is_open", "is_due", "days_left"),
    [
        ("2024-03-07T16:00:00Z", True, False, 1),  # the day before
        ("2024-03-07T23:30:00Z", True, False, 0),  # the evening session of the day itself, before its time
        ("2024-03-08T15:59:00Z", True, False, 0),  # 09:59 in Chicago
        ("2024-03-08T16:00:00Z", True, True, 0),
        ("2024-03-08T21:50:00Z", False, False, 0),  # 15:50: open, but not for a quarter of an hour any more
        ("2024-03-08T22:30:00Z", False, False, 0),  # closed
        ("2024-03-10T23:00:00Z", True, False, -1),  # Sunday evening: the next trade date, before its time
        ("2024-03-11T15:00:00Z", True, True, -1),  # missed on its day, so on the next
    ],
)
def test_a_session_rolls_by_itself_from_its_time_on(at: str, is_open: bool, is_due: bool, days_left: int) -> None:
    plan = planned(RollMode.AUTO, at)

    assert (plan.is_open, plan.is_due, plan.days_left) == (is_open, is_due, days_left)
    assert (plan.next_contract, plan.last_day, plan.roll_on) == ("ESM24", "2024-03-15", "2024-03-08")


@pytest.mark.parametrize("mode", [RollMode.MANUAL, RollMode.OFF])
def test_nobody_else_does(mode: RollMode) -> None:
    assert not planned(mode, "2024-03-08T16:00:00Z").is_due


def test_days_and_time_of_the_session_count() -> None:
    assert planned(RollMode.AUTO, "2024-03-13T17:30:00Z", days_before=2, at="12:30").is_due
    assert not planned(RollMode.AUTO, "2024-03-13T17:29:00Z", days_before=2, at="12:30").is_due


def test_a_plan_is_told_when_it_changes_and_never_without_a_market_time() -> None:
    told: list[Event] = []
    plans, noon = RollPlans(spec(), told.append), from_iso("2024-03-06T18:00:00Z")

    for at in (Nanos(0), noon, Nanos(noon + MINUTE), Nanos(noon + 24 * 60 * MINUTE)):
        plans.look(at)

    assert [plan.days_left for plan in told if isinstance(plan, RollPlanned)] == [2, 1]


@pytest.mark.parametrize("key", sorted(CALENDARS))
def test_a_time_is_refused_exactly_where_no_minute_of_a_usual_day_would_begin_a_roll(key: str) -> None:
    hours, day = market_hours(key), date(2024, 3, 6)
    midnight = datetime.combine(day, time(0), hours.zone)
    session = hours.session_of(day)
    assert session is not None
    minutes = [midnight + timedelta(minutes=number) for number in range(24 * 60)]
    moments = [(each, Nanos(int(each.timestamp()) * SECOND)) for each in minutes]
    # the evening belongs to the next trade date, on whose own date `at` counts
    latest = max(each for each, at in moments if at < session.closed_at and stays_open(hours, at))

    check_time(RollPolicy(RollMode.AUTO, at=f"{latest:%H:%M}"), hours)
    with pytest.raises(BadValue, match=f"write a time before {latest + timedelta(minutes=1):%H:%M}"):
        check_time(RollPolicy(RollMode.AUTO, at=f"{latest + timedelta(minutes=1):%H:%M}"), hours)

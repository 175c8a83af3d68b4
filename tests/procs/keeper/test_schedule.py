"""A schedule's end that a session is to reach flat: a trader is not stopped before it has ended by itself."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.databases import fresh_database, server
from tests.procs.keeper.test_main import Desk
from tests.supervision.yard import Yard
from tradeproc.testing.waiting import wait_until

MINUTE = 60
DAY = 24 * 60 * MINUTE


class Clock:
    """The clock of a yard's processes, ahead of the machine's."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.write_bytes(bytes(8))

    def ahead(self, seconds: int) -> None:
        with self.file.open("r+b") as file:
            os.pwrite(file.fileno(), (seconds * 10**9).to_bytes(8, "little", signed=True), 0)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "step")


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Iterator[Desk]:
    yard = Yard(tmp_path / "home", real=("keeper",))
    with server() as server_url, fresh_database(server_url) as url:
        yard.environment |= {"TRADEPROC_DATABASE_URL": url, "TRADEPROC_CLOCK_STEP": str(clock.file)}
        with yard:
            desk = Desk(yard, url)
            wait_until("the keeper", desk.is_ready)
            desk.know_accounts()
            yield desk
            desk.client.close()
            desk.store.close()


def alarms(desk: Desk, session: int) -> list[bool]:
    """Tell of each alarm about a session that is not flat whether it stands."""
    told = desk.ask("alarms", session=session)["alarms"]
    return [each["cleared_at"] is None for each in told if each["name"] == "not_flat_at_end"]


def looked_three_times(desk: Desk) -> None:
    looks = desk.ask("status")["statistics"]["looks"]
    wait_until("three looks", lambda: desk.ask("status")["statistics"]["looks"] > looks + 3)


def test_a_trader_that_is_not_flat_goes_on_past_the_end_with_an_alarm_until_it_is(desk: Desk, clock: Clock) -> None:
    now = datetime.now(UTC)
    hours = f"{now - timedelta(minutes=2):%H:%M}-{now + timedelta(minutes=30):%H:%M}"
    schedule = {"hours": hours, "zone": "UTC", "holidays": False, "flatten_at_end": True}
    session = desk.create(schedule=schedule)
    assert desk.ask("start", session=session)["starts_at"] is None
    trader = desk.yard.running(f"session-{session}.trader")

    clock.ahead(31 * MINUTE)  # the tiny trader hears nothing
    looked_three_times(desk)
    assert not desk.row(session)["is_due"]
    assert desk.yard.running(f"session-{session}.trader").pid == trader.pid
    assert not alarms(desk, session)
    clock.ahead(33 * MINUTE)
    wait_until("the alarm", lambda: alarms(desk, session) == [True])
    assert desk.yard.running(f"session-{session}.trader").pid == trader.pid

    desk.yard.signal(trader, "TERM")  # it ends with 0, as one that is flat
    wait_until("its group gone", lambda: desk.state_of(session) == "stopped")
    wait_until("the alarm over", lambda: alarms(desk, session) == [False])
    next_change = desk.row(session)["next_change_at"]
    assert desk.ask("start", session=session)["starts_at"] == next_change

    clock.ahead(DAY)
    desk.yard.running(f"session-{session}.trader")
    assert desk.row(session)["is_due"]


def test_a_trader_that_got_flat_while_no_keeper_looked_begins_anew_when_it_is_due_again(
    desk: Desk, clock: Clock
) -> None:
    now = datetime.now(UTC)
    hours = f"{now - timedelta(minutes=2):%H:%M}-{now + timedelta(minutes=30):%H:%M}"
    schedule = {"hours": hours, "zone": "UTC", "holidays": False, "flatten_at_end": True}
    session = desk.create(schedule=schedule)
    desk.ask("start", session=session)
    first = desk.yard.running(f"session-{session}.trader")

    desk.yard.signal(first, "TERM")  # it ends with 0, as one that found its session over by itself

    wait_until("a new trader", lambda: desk.yard.running(f"session-{session}.trader").pid != first.pid)
    assert desk.row(session)["is_due"]


def test_the_keeper_takes_a_change_of_the_market_hours_over_and_survives_a_wrong_one(desk: Desk) -> None:
    now = datetime.now(UTC)
    session = desk.create(schedule={"hours": "exchange", "warmup_minutes": 0})
    desk.ask("start", session=session)
    wait_until("its next change", lambda: desk.row(session)["next_change_at"] is not None)
    days = [(now + timedelta(days=days)).date() for days in range(-1, 8)]
    closed = [f"{day}" for day in days if day.weekday() < 5]
    file = desk.yard.home.conf / "market_hours.toml"

    file.write_text(f"[cme_equity]\nclosed = {closed}")

    later = int((now + timedelta(days=5)).timestamp()) * 10**9
    wait_until("the change", lambda: (desk.row(session)["next_change_at"] or 0) > later)
    assert not desk.row(session)["is_due"]
    file.write_text("[cme_equity]\nclosed = 1")
    looked_three_times(desk)
    wait_until("it is told", lambda: "market_hours_refused" in (desk.yard.home.log / "core.keeper.log").read_text())
    assert not desk.row(session)["is_due"]
    file.unlink()
    wait_until("the table again", lambda: (desk.row(session)["next_change_at"] or later) < later)

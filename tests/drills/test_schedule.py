"""Schedules on a real desk whose clock is set forward, groups that follow the database, and a reboot."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.drills.desk import Desk
from tests.drills.long_tape import write_tape
from tradeproc.testing.desk import ACCOUNTS, wait_for

pytestmark = pytest.mark.drill

MINUTE = 60
DAY = 24 * 60 * MINUTE


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose processes read a clock that `step` sets forward."""
    folder: Path = tmp_path_factory.mktemp("desk")
    desk = Desk(folder, speed=30.0, history_minutes=10, tape=write_tape(folder))
    (folder / "step").write_bytes(bytes(8))
    desk.environment["TRADEPROC_CLOCK_STEP"] = str(folder / "step")
    with desk:
        yield desk


def step(desk: Desk, seconds: float) -> None:
    """Set the clock of all processes that many seconds before the machine's."""
    with (desk.home.root / "step").open("r+b") as file:
        os.pwrite(file.fileno(), int(seconds * 10**9).to_bytes(8, "little", signed=True), 0)


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def row(desk: Desk, session: int) -> dict[str, Any]:
    return dict(desk.ask("core.keeper", "session", {"session": session})["session"])


def working(desk: Desk, account: str) -> set[str]:
    """Return the orders of an account that work at the broker."""
    return {
        order["id"]
        for order in desk.broker.ledger()["orders"]
        if order["account"] == account and order["status"] not in ("filled", "cancelled", "rejected", "expired")
    }


def held(desk: Desk, account: str) -> int:
    return sum(int(each["quantity"]) for each in desk.broker.ledger()["positions"] if each["account"] == account)


def test_a_session_stops_outside_its_schedule_and_comes_back_in_time_to_warm_up(stepped: Desk) -> None:
    hours = f"{now() - timedelta(minutes=2):%H:%M}-{now() + timedelta(minutes=30):%H:%M}"
    schedule = {"hours": hours, "zone": "UTC", "holidays": False, "warmup_minutes": 5}
    plain, flat = ACCOUNTS[:2]
    patient = {"hold": 1000, "stop_ticks": 900, "target_ticks": 900}
    stays = stepped.begin(account=plain, changes={"schedule": schedule}, **patient)
    schedule |= {"flatten_at_end": True}
    flattens = stepped.begin(account=flat, changes={"schedule": schedule}, **patient)
    for session, account in ((stays, plain), (flattens, flat)):
        wait_for(f"a position of {account}", lambda account=account: held(stepped, account))
        wait_for("its stop", lambda session=session: stepped.state(session)["orders"])
    assert row(stepped, stays)["is_due"]
    shown = stepped.tradectl("session", "show", str(stays))["session"]
    assert shown["schedule"]["hours"] == hours
    stepped.broker.pause()
    left, position = working(stepped, plain), held(stepped, plain)

    step(stepped, 31 * MINUTE)

    for session in (stays, flattens):
        wait_for("its group gone", lambda session=session: row(stepped, session)["state"] == "stopped")
    assert (working(stepped, plain), held(stepped, plain)) == (left, position)
    assert left
    assert position
    assert (working(stepped, flat), held(stepped, flat)) == (set(), 0)
    told = (stepped.home.log / "supervisord.log").read_text()
    assert "exit status 70" not in told
    assert "terminated by SIGKILL" not in told
    assert row(stepped, stays)["desired"] == "running"
    answer = stepped.tradectl("session", "start", str(stays))
    assert answer["starts_at"] == row(stepped, stays)["next_change_at"]

    step(stepped, DAY - 6 * MINUTE)
    for session in (stays, flattens):
        stepped.wait_ready(session)
    assert stepped.state(stays)["position"] == position
    stepped.broker.resume()
    stepped.assert_books_agree(stays, plain)
    stepped.assert_books_agree(flattens, flat)


def test_after_a_reboot_the_groups_are_those_of_the_database(stepped: Desk) -> None:
    stays, gone = stepped.begin(account=ACCOUNTS[2]), 2
    stepped.tradectl("session", "stop", str(gone))
    groups = stepped.home.groups
    wait_for("its group gone", lambda: not (groups / f"session-{gone}.conf").exists())
    before = (groups / f"session-{stays}.conf").read_text()

    stepped.cut_power()
    (groups / f"session-{gone}.conf").write_text(before.replace(f"session-{stays}", f"session-{gone}"))
    (groups / "session-99.conf").write_text(before.replace(f"session-{stays}", "session-99"))
    (groups / f"session-{stays}.conf").write_text(before.replace("autorestart=unexpected", "autorestart=false"))
    (groups / "link-paper.conf").unlink()
    stepped.up()

    for session, account in ((1, ACCOUNTS[0]), (stays, ACCOUNTS[2])):
        stepped.wait_ready(session)
        stepped.assert_books_agree(session, account)
    there = {"session-1", f"session-{stays}", "link-paper"}
    wait_for("the groups", lambda: {path.stem for path in groups.glob("[sl]*-*.conf")} == there)
    assert (groups / f"session-{stays}.conf").read_text() == before
    assert {program.group for program in stepped.programs() if "-" in program.group} == there

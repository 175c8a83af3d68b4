"""The end of supervisord: all sessions at once, then their links, then the core; who does not listen is killed."""

import re
from pathlib import Path

import pytest

from tests.supervision.yard import Yard, end_seconds
from tradeproc.supervision.groups import GroupFiles, link_group, session_group
from tradeproc.testing.waiting import wait_until

SESSIONS = (1, 2, 3, 4)
# one after the other, the deaf programs of either test would take at least 12 s
BOUND_SECONDS = 10.0


@pytest.mark.parametrize("how", ["SIGTERM", "shutdown"])
def test_many_deaf_sessions_cost_no_more_time_than_one(tmp_path: Path, how: str) -> None:
    with Yard(tmp_path / "home") as yard:
        yard.behave("trader", "stubborn")
        files = GroupFiles(yard.home)
        for group in (link_group("paper"), *(session_group(number) for number in SESSIONS)):
            files.write(group)
            yard.supervisor.add_group(group.name)
        for number in SESSIONS:
            trader = yard.running(f"session-{number}.trader")
            wait_until("its handler", (yard.home.root / "behave" / f"ready-{trader.pid}").exists)

        if how == "SIGTERM":
            yard.down()
        else:
            yard.supervisor.shutdown()
            wait_until("the end", lambda: not yard.supervisor.is_up())
            yard.down()

    log = (yard.home.log / "supervisord.log").read_text()
    assert end_seconds(log) < BOUND_SECONDS
    assert log.count("killing 'trader'") == len(SESSIONS)
    assert log.rindex("stopped: trader") < log.index("stopped: keeper")


def test_a_deaf_program_in_every_group_costs_no_more_than_the_bound(tmp_path: Path) -> None:
    with Yard(tmp_path / "home") as yard:
        files = GroupFiles(yard.home)
        for group in (link_group("paper"), session_group(1)):
            files.write(group)
            yard.supervisor.add_group(group.name)
        everybody = {program.process for program in yard.supervisor.processes()}
        for process in everybody:
            yard.signal(yard.running(process), "STOP")

        yard.down()

    log = (yard.home.log / "supervisord.log").read_text()
    assert end_seconds(log) < BOUND_SECONDS
    killed = set(re.findall("killing '[^']+'", log))
    assert killed == {f"killing '{process.partition('.')[2]}'" for process in everybody}
    assert "Traceback" not in (yard.home.log / "out").read_text()
    assert {process.partition(".")[0] for process in everybody} == {
        "warden",
        "core",
        "localbroker",
        "notifier",
        "link-paper",
        "session-1",
    }

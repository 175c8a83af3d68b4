"""The warden over a real supervisord: programs are tiny, deaths are real."""

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.actor import acting
from tests.databases import fresh_database, server
from tests.supervision.yard import Yard
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.codec import Body
from tradeproc.store import Store
from tradeproc.store.migrate import migrate
from tradeproc.supervision.client import ProgramState
from tradeproc.supervision.deaths import read_deaths
from tradeproc.supervision.feed_programs import FeedPrograms
from tradeproc.supervision.groups import GroupFiles, ProgramSpec, link_group, session_group
from tradeproc.supervision.halted_by import BY_TRADER
from tradeproc.supervision.repeats import UNSAID
from tradeproc.testing.waiting import wait_until

CORE = ("postgres", "tokens", "portfolio", "keeper", "jobs")
QUICK = """
[supervision]
hung_seconds = 2.0
start_seconds = 600.0
dump_seconds = 0.3
backoff_first_seconds = {first}
backoff_most_seconds = {first}
slow_retry_seconds = 1.0
"""


def yard_in(root: Path, first: float = 0.2, real: tuple[str, ...] = ("warden",), intensity: str = "5/60") -> Yard:
    yard = Yard(root, real=real)
    yard.environment["TRADEPROC_DATABASE_URL"] = "postgresql:///nowhere?host=/nonexistent"
    conf = yard.home.conf / "tradeproc.toml"
    shipped = conf.read_text().partition("[supervision]")[0]
    conf.write_text(shipped + QUICK.format(first=first))
    files = GroupFiles(yard.home)
    files.write(session_group(7))
    declared = files.path("session-7").read_text()
    files.path("session-7").write_text(declared.replace("intensity=5/60", f"intensity={intensity}"))
    files.write(link_group("paper").with_program(ProgramSpec("orders-A", ("orders", "paper", "A"))))
    return yard


def status(yard: Yard) -> Body:
    with Client(Directory(yard.home.sockets)) as client:
        return client.call("warden.warden", "status", {}, 2.0)


def wait_ready(yard: Yard) -> None:
    wait_until("the warden", lambda: status(yard)["state"] == "ready")
    for process in [f"core.{name}" for name in CORE] + ["session-7.account", "session-7.trader", "link-paper.link"]:
        yard.running(process)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with yard_in(tmp_path_factory.mktemp("warden") / "home") as yard:
        yield yard


@pytest.fixture
def yard(shared: Yard) -> Yard:
    wait_ready(shared)
    return shared


def pids(yard: Yard) -> dict[str, int]:
    return {each.process: each.pid for each in yard.supervisor.processes()}


@pytest.mark.parametrize(
    ("dead", "restarted"),
    [
        ("session-7.trader", ["session-7.account"]),
        ("session-7.account", ["session-7.trader"]),
        ("link-paper.link", []),
        ("core.portfolio", ["core.keeper", "core.jobs"]),
    ],
)
def test_a_death_restarts_its_companions_and_nobody_else(yard: Yard, dead: str, restarted: list[str]) -> None:
    before = pids(yard)
    yard.signal(yard.program(dead), "KILL")

    for process in (dead, *restarted):
        yard.running(process, other_than=before[process])

    after = pids(yard)
    untouched = set(before) - {dead, *restarted}
    assert {process: after[process] for process in untouched} == {process: before[process] for process in untouched}


def test_what_a_person_stops_stays_stopped_and_what_is_done_is_left_alone(yard: Yard) -> None:
    trader = yard.running("session-7.trader")
    yard.supervisorctl("stop", "session-7:*")
    yard.signal(yard.running("link-paper.orders-A"), "TERM")
    wait_until("the end of the feed", lambda: yard.is_in("link-paper.orders-A", ProgramState.EXITED))
    loops = status(yard)["loop"]
    wait_until("the warden to turn", lambda: status(yard)["loop"] > loops + 8)

    assert yard.is_in("session-7.trader", ProgramState.STOPPED)
    assert yard.is_in("link-paper.orders-A", ProgramState.EXITED)
    yard.supervisorctl("start", "session-7:*", "link-paper:*")
    assert yard.running("session-7.trader").pid != trader.pid


def test_a_process_that_hangs_dumps_its_stacks_and_is_started_again(yard: Yard) -> None:
    yard.behave("jobs", "spin")
    yard.supervisorctl("restart", "core:jobs")
    hung = yard.running("core.jobs")
    wait_until("the dump", lambda: "strategy_that_never_ends" in yard.log("core.jobs"))
    yard.behave("jobs", "beat")

    yard.running("core.jobs", other_than=hung.pid)
    assert "process_hung process=core.jobs" in yard.log("warden.warden")
    wait_until("its last words", lambda: read_deaths(yard.home, "core.jobs") != [])
    assert re.search(
        r"^it hung .* in program.py, line \d+, strategy_that_never_ends",
        read_deaths(yard.home, "core.jobs")[0].reason,
    )


def test_a_process_that_is_frozen_is_killed_and_started_again(yard: Yard) -> None:
    yard.behave("jobs", "beat")
    yard.supervisorctl("restart", "core:jobs")
    frozen = yard.running("core.jobs")
    wait_until("its first heartbeat", lambda: status(yard)["statistics"]["beating"].get("core.jobs") == frozen.pid)
    yard.signal(frozen, "STOP")

    assert yard.running("core.jobs", other_than=frozen.pid).pid > 0


def test_a_killed_warden_is_back_and_knows_its_groups(yard: Yard) -> None:
    warden = yard.running("warden.warden")
    yard.signal(warden, "KILL")
    yard.running("warden.warden", other_than=warden.pid)
    wait_ready(yard)
    account = yard.running("session-7.account")

    yard.signal(yard.running("session-7.trader"), "KILL")

    assert yard.running("session-7.account", other_than=account.pid).pid > 0


def test_a_declaration_that_somebody_spoilt_is_alarmed_and_the_next_warden_goes_on_carefully(yard: Yard) -> None:
    file = GroupFiles(yard.home).path("session-7")
    good = file.read_text()
    file.write_text(good.replace("strategy=one_for_all", "strategy=all_for_one"))
    warden = yard.running("warden.warden")

    yard.signal(warden, "KILL")
    yard.running("warden.warden", other_than=warden.pid)

    wait_ready(yard)
    assert "session-7 declaration_unread" in status(yard)["statistics"]["alarms"]
    before = pids(yard)
    yard.signal(yard.running("session-7.account"), "KILL")
    yard.running("session-7.trader", other_than=before["session-7.trader"])
    file.write_text(good)
    wait_until("the alarm to be over", lambda: not status(yard)["statistics"]["alarms"])


def keeper(yard: Yard, halts: list[Body]) -> AbstractContextManager[None]:
    """Be the keeper, who is asked to halt."""

    def halt(body: Body) -> Body:
        halts.append(dict(body))
        return {"scope": "host", "latch": "stored", "standing": [], "sessions": []}

    return acting(yard.home.sockets, "core.keeper", {"halt": halt})


def test_a_group_that_keeps_dying_is_given_up_loudly_and_comes_back_when_mended(tmp_path: Path) -> None:
    halts: list[Body] = []
    with yard_in(tmp_path / "home") as yard, keeper(yard, halts):
        wait_ready(yard)
        yard.behave("trader", "exit 70")
        yard.signal(yard.running("session-7.trader"), "KILL")

        wait_until("the halt", lambda: halts, 60.0)
        assert halts[0]["session"] == 7
        assert halts[0]["by"] == BY_TRADER
        assert "session-7 given_up:all" in status(yard)["statistics"]["alarms"]
        assert "alarm_raised group=session-7 name=given_up:all" in yard.log("warden.warden")
        yard.behave("trader", "")

        wait_until("the slow retry", lambda: is_steady(yard), 60.0)
        assert len(halts) == 1


def is_steady(yard: Yard) -> bool:
    """Tell whether both of session 7 run and go on running over several looks of the warden."""
    before = pids(yard)
    loops = status(yard)["loop"]
    wait_until("the warden to turn", lambda: status(yard)["loop"] > loops + 12)
    return pids(yard) == before and all(
        yard.is_in(f"session-7.{name}", ProgramState.RUNNING) for name in ("account", "trader")
    )


def test_a_hold_goes_on_under_the_next_warden(tmp_path: Path) -> None:
    with yard_in(tmp_path / "home", first=3.0) as yard:
        wait_ready(yard)
        yard.behave("trader", "exit 70")
        yard.signal(yard.running("session-7.trader"), "KILL")
        wait_until("the hold", lambda: "session-7" in yard.supervisor.notes() and is_down(yard))
        yard.behave("trader", "")
        warden = yard.running("warden.warden")
        yard.signal(warden, "KILL")

        yard.running("warden.warden", other_than=warden.pid)

        yard.running("session-7.trader")
        yard.running("session-7.account")
        wait_until("the plan to be done", lambda: not noted(yard)["holds"])


def noted(yard: Yard) -> Any:
    return json.loads(yard.supervisor.notes()["session-7"])


def kill_warden(yard: Yard) -> None:
    """Kill the warden, and wait until its successor has rebuilt everything."""
    warden = yard.running("warden.warden")
    yard.signal(warden, "KILL")
    yard.running("warden.warden", other_than=warden.pid)
    wait_until("the successor", lambda: status(yard)["pid"] != warden.pid and status(yard)["state"] == "ready")


def test_giving_up_goes_on_under_the_next_warden(tmp_path: Path) -> None:
    halts: list[Body] = []
    with yard_in(tmp_path / "home", intensity="0/5") as yard:
        wait_ready(yard)
        yard.behave("trader", "exit 70")
        yard.signal(yard.running("session-7.trader"), "KILL")
        wait_until("giving up", lambda: "name=given_up:all" in yard.log("warden.warden"))
        # no keeper has heard of it yet
        kill_warden(yard)

        assert alarms(yard) == ["session-7 dies:trader", "session-7 given_up:all"]
        with keeper(yard, halts):
            wait_until("the halt", lambda: noted(yard)["troubles"]["all"]["is_halted"])
            assert {halt["session"] for halt in halts} == {7}
            asked = len(halts)
            # a person may have resumed: the next one does not halt again
            kill_warden(yard)

            assert alarms(yard) == ["session-7 dies:trader", "session-7 given_up:all"]
            yard.behave("trader", "")
            wait_until("calm", lambda: alarms(yard) == ["session-7 dies:trader"])
            # it has not done any work yet; a person who stops it begins anew
            yard.supervisorctl("restart", "session-7:*")
            wait_until("a fresh start", lambda: "session-7" not in yard.supervisor.notes())
            wait_until("no alarm", lambda: not status(yard)["statistics"]["alarms"])
            assert len(halts) == asked


def test_what_cannot_start_stays_alarmed_under_the_next_warden(tmp_path: Path) -> None:
    yard = yard_in(tmp_path / "home", first=30.0)
    file = GroupFiles(yard.home).path("link-paper")
    python = f"command={yard.home.root}/.venv/bin/python -m tradeproc.procs orders"
    assert python in file.read_text()
    file.write_text(file.read_text().replace(python, "command=/nonexistent"))
    with yard:
        wait_until("the alarm", lambda: alarms(yard) == ["link-paper cannot_start:orders-A"])
        kill_warden(yard)

        assert alarms(yard) == ["link-paper cannot_start:orders-A"]


def test_a_removed_group_leaves_no_plans_and_no_alarms_behind(tmp_path: Path) -> None:
    yard = yard_in(tmp_path / "home", first=30.0)
    yard.behave("orders", "exit 78")
    with yard:
        wait_ready(yard)
        wait_until("the alarm", lambda: alarms(yard) == ["link-paper halted:orders-A"])
        feeds = FeedPrograms(yard.home, "paper")
        feeds.remove("orders-A")
        wait_until("its end with the feed", lambda: not status(yard)["statistics"]["alarms"])
        feeds.ensure("orders-A", ["orders", "paper", "A"])
        wait_until("the alarm again", lambda: alarms(yard) == ["link-paper halted:orders-A"])
        yard.supervisorctl("stop", "link-paper:*")
        GroupFiles(yard.home).remove("link-paper")
        yard.supervisor.remove_group("link-paper")
        wait_until("its end", lambda: not status(yard)["statistics"]["alarms"])
        yard.behave("trader", "exit 70")
        yard.signal(yard.running("session-7.trader"), "KILL")
        wait_until("the hold", lambda: "session-7" in yard.supervisor.notes() and is_down(yard))
        GroupFiles(yard.home).remove("session-7")

        yard.supervisor.remove_group("session-7")

        wait_until("the note to go", lambda: "session-7" not in yard.supervisor.notes())
        assert "session-7" not in status(yard)["statistics"]["held"]


def is_down(yard: Yard) -> bool:
    return all(yard.is_in(f"session-7.{name}", ProgramState.STOPPED) for name in ("account", "trader"))


def test_a_halt_is_alarmed_and_left_down(tmp_path: Path) -> None:
    yard = yard_in(tmp_path / "home")
    yard.behave("tokens", "exit 78")
    with yard:
        wait_until("the alarm", lambda: "name=halted:tokens" in yard.log("warden.warden"))

        assert yard.is_in("core.tokens", ProgramState.EXITED)
        assert alarms(yard) == ["core halted:tokens"]


def test_alarms_end_in_the_database_with_their_cause_whoever_raised_them(tmp_path: Path) -> None:
    yard = yard_in(tmp_path / "home")
    conf = yard.home.conf / "tradeproc.toml"
    shipped = conf.read_text().replace("# disk_critical_mb = 256", "disk_critical_mb = 1")
    roomy, tight = (
        shipped.replace("# disk_warning_mb = 2048", f"disk_warning_mb = {least}") for least in (1, 1_000_000_000)
    )
    conf.write_text(tight)
    yard.behave("tokens", "exit 78")
    with server() as server_url, fresh_database(server_url) as url:
        migrate(url)
        yard.environment["TRADEPROC_DATABASE_URL"] = url
        store = Store(url)

        def standing() -> set[str]:
            return {row.name for row in store.alarms(only_standing=True)}

        with yard:
            wait_until("both alarms", lambda: standing() == {"core:halted:tokens", "host:disk_low"})
            conf.write_text(roomy)
            kill_warden(yard)

            # the disk has room by what the successor knows; tokens are still down
            wait_until("the end of one", lambda: standing() == {"core:halted:tokens"})
        # down, mend, up
        yard.behave("tokens", "")
        with yard:
            wait_until("the end of both", lambda: not standing())
            yard.running("core.tokens")
        store.close()


def test_a_warden_that_hangs_is_killed_by_the_keeper(tmp_path: Path) -> None:
    with yard_in(tmp_path / "home", real=("warden", "keeper")) as yard:
        wait_until("the warden", lambda: status(yard)["state"] == "ready")
        warden = yard.running("warden.warden")
        with Client(Directory(yard.home.sockets)) as client:

            def heard() -> bool:
                numbers = client.call("core.keeper", "status", {}, 2.0)["statistics"]
                return bool(numbers["warden_heard"] == warden.pid)

            wait_until("the keeper to hear it", heard)
        yard.signal(warden, "STOP")

        assert yard.running("warden.warden", other_than=warden.pid).pid > 0


def alarms(yard: Yard) -> Any:
    return wait_until("the warden's numbers", lambda: status(yard)["statistics"]["alarms"])


def test_a_process_that_dies_of_the_same_again_is_an_alarm_with_its_own_words(tmp_path: Path) -> None:
    with yard_in(tmp_path / "home", intensity="99/60") as yard:
        wait_ready(yard)
        yard.behave("trader", "fail settlement")
        yard.supervisorctl("restart", "session-7:*")

        wait_until("the alarm", lambda: "dies:trader" in str(status(yard)["statistics"]["alarms"]))

        reason = "KeyError: 'settlement' (program.py, line "
        why = "died 3 times of the same cause, and in none of these lives a bar was decided"
        told = f"session-7: trader {why}: {reason}"
        wait_until("its words in the log", lambda: told in yard.log("warden.warden"))
        newest = read_deaths(yard.home, "session-7.trader")[0]
        assert newest.reason.startswith(reason)
        assert newest.code == 70

        yard.signal(yard.program("warden.warden"), "KILL")
        wait_until("its successor tells it too", lambda: "dies:trader" in str(status(yard)["statistics"]["alarms"]))
        yard.behave("trader", "beat")
        yard.supervisorctl("restart", "session-7:*")
        wait_until("a person began anew", lambda: "dies:trader" not in str(status(yard)["statistics"]["alarms"]))


def test_who_died_without_a_word_has_one_from_the_warden(yard: Yard) -> None:
    killed = yard.running("link-paper.link")
    yard.signal(killed, "KILL")
    yard.running("link-paper.link", other_than=killed.pid)

    def word() -> str:
        return next((each.reason for each in read_deaths(yard.home, "link-paper.link") if each.pid == killed.pid), "")

    wait_until("a word", lambda: word() == UNSAID)

"""The start by readiness, with a database that takes its time; and the end of everything, deaf processes and all."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.drills.desk import Desk
from tests.drills.interpreter import replace_interpreter
from tests.drills.long_tape import write_tape
from tests.supervision.yard import end_seconds
from tradeproc.errors import TradeprocError
from tradeproc.supervision.client import Supervisor
from tradeproc.supervision.daemon import Daemon, DaemonTiming
from tradeproc.testing.desk import ACCOUNT, wait_for

pytestmark = pytest.mark.drill

SLOW = 15.0
# what stands between supervisord and the database's process while the file `slow` is there
WAIT = f"""
if [ -e {{home}}/slow ] && [ "$3" = postgres ]; then sleep {SLOW}; fi
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk that was up before, with a session that should run; it is down now."""
    folder: Path = tmp_path_factory.mktemp("desk")
    built = Desk(folder, speed=30.0, history_minutes=10, tape=write_tape(folder))
    replace_interpreter(built, WAIT)
    with built:
        assert built.begin() == 1
        built.wait_fills(1)
        built.down()
        yield built
        built.tradectl("down")  # a supervisord that tradectl started is no child of ours


def said(desk: Desk, process: str) -> tuple[str, str]:
    """Return what a process says of itself, nothing while it does not answer."""
    try:
        told = desk.ask(process, "status", {}, 1.0)
    except TradeprocError:
        return "", ""
    return str(told["state"]), str(told["detail"])


SERVES: dict[str, Callable[[Desk], Any]] = {
    "core.postgres": lambda desk: desk.rows("select 1 as one from sessions"),
    "core.keeper": lambda desk: desk.ask("core.keeper", "sessions", {})["sessions"],
    "core.portfolio": lambda desk: desk.ask("core.portfolio", "state", {}),
    "core.tokens": lambda desk: desk.ask("core.tokens", "token", {"login": "paper", "refused": ""})["access_token"],
    "localbroker.localbroker": lambda desk: desk.broker.status(),
    "link-paper.link": lambda desk: "feeds" in desk.ask("link-paper.link", "feeds", {}),
    f"link-paper.orders-{ACCOUNT}": lambda desk: desk.ask(
        f"link-paper.orders-{ACCOUNT}", "snapshot", {"topic": "order"}
    )["complete"],
    "session-1.account": lambda desk: "known" in desk.ask("session-1.account", "orders", {}, 15.0),
    "session-1.trader": lambda desk: desk.state(1)["warm"],
}


def test_a_slow_database_delays_the_start_and_fails_nothing_and_who_is_ready_serves(desk: Desk) -> None:
    (desk.home.root / "slow").touch()
    began, log = time.monotonic(), desk.home.log / "supervisord.log"
    old = log.stat().st_size
    desk.boot()
    waiting: dict[str, set[str]] = {process: set() for process in SERVES}
    ready_after: dict[str, float] = {}

    def all_serve() -> bool:
        for process in SERVES.keys() - ready_after.keys():
            state, detail = said(desk, process)
            if state == "ready":
                ready_after[process] = time.monotonic() - began
                assert SERVES[process](desk), process
            elif detail:
                waiting[process].add(detail.split(":")[0])
        return ready_after.keys() == SERVES.keys()

    wait_for("everybody", all_serve)

    assert min(ready_after[each] for each in ("core.postgres", "core.keeper", "session-1.trader")) > SLOW
    assert "waiting for the database" in waiting["session-1.trader"]
    assert "database" in waiting["core.keeper"]
    new = log.read_text()[old:]
    new = new.replace("exited: notifier (exit status 0; expected)", "")  # it has nobody to tell on this desk
    assert "exited:" not in new, [found.read_text()[-2000:] for found in desk.home.log.glob("link-paper.*.log")]
    assert "FATAL" not in new
    (desk.home.root / "slow").unlink()
    desk.assert_books_agree(1)


def test_the_end_of_everything_does_not_wait_for_those_that_do_not_listen(desk: Desk) -> None:
    if desk.supervisord is None:
        desk.up()
    assert desk.supervisord is not None
    everything = psutil.Process(desk.supervisord.pid).children(recursive=True)
    for process in ("session-1.trader", "link-paper.link", "core.jobs"):
        desk.kill(process, signal.SIGSTOP)
    log = desk.home.log / "supervisord.log"
    old = log.stat().st_size

    desk.tradectl("down")

    # less than 10 s on a machine that is not busy; who does not listen would be waited for without an end
    assert end_seconds(log.read_text()[old:]) < 60
    assert not [process for process in everything if process.is_running()]


def begin_to_stop(desk: Desk) -> psutil.Process:
    """Tell supervisord to end while one of its programs is deaf, and return its process."""
    wait_for("the keeper", lambda: said(desk, "core.keeper")[0] == "ready")
    process = psutil.Process(int((desk.home.run / "supervisord.pid").read_text()))
    desk.kill("core.jobs", signal.SIGSTOP)
    Supervisor(desk.home).shutdown()
    return process


def test_up_and_down_wait_for_a_supervisord_that_is_on_its_way_down(desk: Desk) -> None:
    desk.boot()
    first = begin_to_stop(desk)

    assert desk.tradectl("up")["started"]

    second = begin_to_stop(desk)
    assert second.pid != first.pid
    # not with tradectl, as its interpreter may take longer to start than supervisord to end
    assert Daemon(desk.home, DaemonTiming(end=60.0)).stop()
    assert not second.is_running() or second.status() == psutil.STATUS_ZOMBIE

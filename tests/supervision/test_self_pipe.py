"""supervisord restarts at once what died, not when it next happens to look; also after a reload."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervision.yard import Yard
from tradeproc.testing.waiting import wait_until

PROCESS = "core.jobs"
# supervisord alone sleeps a whole second before each restart; the fastest of some shows whether it did
TRIES, AT_ONCE_SECONDS = 4, 0.8
LIFE_SECONDS = 1.2


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Yard(tmp_path / "home") as yard:
        yield yard


def restart_seconds(yard: Yard) -> float:
    """Kill a program that has lived a while and return how long it was until another ran.

    supervisord must not be asked meanwhile: that would wake it.
    """
    behave = yard.home.root / "behave"
    old = yard.running(PROCESS)
    ready = behave / f"ready-{old.pid}"
    wait_until("the program to be up", ready.exists)
    wait_until("a life that is not short", lambda: time.time() - ready.stat().st_mtime > LIFE_SECONDS)
    known = set(behave.glob("ready-*"))
    began = time.monotonic()
    os.kill(old.pid, signal.SIGKILL)
    wait_until("another life", lambda: set(behave.glob("ready-*")) - known)
    return time.monotonic() - began


def test_what_died_is_started_again_at_once(yard: Yard) -> None:
    assert min(restart_seconds(yard) for _ in range(TRIES)) < AT_ONCE_SECONDS


def test_also_after_a_reload(yard: Yard) -> None:
    before = yard.running(PROCESS)
    assert "Restarted" in yard.supervisorctl("reload")
    wait_until("supervisord to be back", yard.supervisor.is_up)
    yard.running(PROCESS, other_than=before.pid)

    assert min(restart_seconds(yard) for _ in range(TRIES)) < AT_ONCE_SECONDS


def test_what_dies_at_its_start_is_not_started_in_a_frenzy(yard: Yard) -> None:
    yard.behave("tokens", "exit 70")
    os.kill(yard.running("core.tokens").pid, signal.SIGKILL)

    log = yard.home.log / "supervisord.log"

    def lives(count: int) -> float:
        wait_until(f"{count} lives", lambda: log.read_text().count("exited: tokens") >= count)
        return time.monotonic()

    began = lives(2)
    assert lives(5) - began > 2 * 0.9

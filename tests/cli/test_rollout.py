"""A roll-out that is interrupted while a group is stopped leaves it running: a real supervisord, tiny programs."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.supervision.yard import Yard
from tradeproc.cli.rollout import Batch, NotWell, Rollout
from tradeproc.desk.installation import Desk
from tradeproc.protocol import names
from tradeproc.supervision.client import ProgramState, Supervisor, SupervisorAway
from tradeproc.testing.waiting import wait_until

UPGRADE = """
import sys
from pathlib import Path
from types import SimpleNamespace
from tradeproc.cli.commands import upgrade
from tradeproc.desk.installation import Desk
from tradeproc.home import Home

upgrade.check_new_code = lambda desk: None  # the yard's interpreter has no code of ours
arguments = SimpleNamespace(groups=["core.portfolio", "core.tokens"], postgres=False, json=False, seconds=60.0)
with Desk(Home(Path(sys.argv[1]))) as desk:
    print(upgrade.upgrade(desk, arguments).shown)
"""
BATCH = Batch(names.CORE, (names.PORTFOLIO,))
# how long a question to supervisord waits for its answer, in seconds
PATIENCE = 2.0


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Yard(tmp_path / "home") as yard:
        for process in ("core.portfolio", "core.tokens"):
            yard.running(process)
        yield yard


@pytest.mark.parametrize("name", ["INT", "HUP", "TERM"])
def test_who_interrupts_between_stop_and_start_leaves_the_group_running(yard: Yard, name: str) -> None:
    portfolio, tokens = yard.running("core.portfolio"), yard.running("core.tokens")
    yard.signal(portfolio, "STOP")  # so it ends when supervisord kills it, and not before
    command = [sys.executable, "-c", UPGRADE, str(yard.home.root)]
    upgrade = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=yard.environment
    )
    try:
        wait_until("its stop", lambda: yard.is_in("core.portfolio", ProgramState.STOPPING))
        upgrade.send_signal(signal.Signals[f"SIG{name}"])
        output, errors = upgrade.communicate(timeout=90)
    finally:
        upgrade.kill()
        upgrade.wait()

    assert "the upgrade stopped at core.portfolio: interrupted" in output, errors
    assert "started anew and not seen well: core.portfolio; still on the old code: core.tokens" in output
    yard.running("core.portfolio", other_than=portfolio.pid)
    assert yard.program("core.tokens").pid == tokens.pid


class HookedDesk(Desk):
    """A desk on which something happens as soon as the portfolio was told to stop."""

    def __init__(self, yard: Yard, then: Callable[[], None]) -> None:
        super().__init__(yard.home)
        self.supervisor = Supervisor(yard.home, seconds=PATIENCE)
        stop = self.supervisor.stop

        def stop_and_more(group: str, name: str) -> bool:
            done = stop(group, name)
            then()
            return done

        self.supervisor.stop = stop_and_more  # type: ignore[method-assign]


def supervisord(yard: Yard) -> psutil.Process:
    return psutil.Process(yard.supervisor.pid())


def test_a_supervisord_that_is_away_for_a_while_is_asked_again(yard: Yard) -> None:
    portfolio, process = yard.running("core.portfolio"), supervisord(yard)

    def away() -> None:
        process.suspend()
        # resumed by a process of its own, long after the first question has run out
        waits = f"import os, signal, time; time.sleep({PATIENCE + 1}); os.kill({process.pid}, signal.SIGCONT)"
        helpers.append(subprocess.Popen([sys.executable, "-c", waits]))

    helpers: list[subprocess.Popen[bytes]] = []
    desk = HookedDesk(yard, away)
    rollout = Rollout(desk, 60.0, lambda _: None)
    try:
        # that it ends so is allowed; that the group stays down is not
        with suppress(SupervisorAway):
            rollout.run([BATCH])
    finally:
        for helper in helpers:
            helper.wait(60)
        desk.close()

    assert rollout.begun == ["core.portfolio"]
    yard.running("core.portfolio", other_than=portfolio.pid)


def test_a_supervisord_that_stays_away_is_told_with_what_to_do(yard: Yard) -> None:
    process = supervisord(yard)
    desk = HookedDesk(yard, process.suspend)
    rollout = Rollout(desk, 60.0, lambda _: None, start_seconds=0.0)
    try:
        with pytest.raises(
            NotWell, match=r"again: .*; .venv/bin/supervisorctl -c supervisord.conf start core:portfolio"
        ):
            rollout.run([BATCH])
    finally:
        os.kill(process.pid, signal.SIGCONT)
        desk.close()

    assert not rollout.begun

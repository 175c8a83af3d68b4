"""What is up, what is not and why, as `tradectl up` and `session start` see it."""

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.drills.desk import Desk as WholeDesk
from tradeproc.desk.exit_status import ExitStatus
from tradeproc.desk.listed import SessionListed
from tradeproc.desk.readiness import NotUp, Readiness, ReadinessTiming, due, exit_of_missing, last_reason
from tradeproc.errors import Outage
from tradeproc.home import Home
from tradeproc.protocol.definitions import Method
from tradeproc.protocol.process_messages import STATUS, Status
from tradeproc.supervision.client import Program, ProgramState
from tradeproc.testing.desk import ACCOUNT

CTL = ".venv/bin/supervisorctl -c supervisord.conf start"


class Away(Outage):
    """Nobody answers."""


class Desk:
    """A desk whose programs, answers and sessions a test decides."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.home.log.mkdir(parents=True)
        self.programs: dict[str, Program] = {}
        self.says: dict[str, dict[str, Any] | None] = {}
        self.rows: list[SessionListed] = []
        self.supervisor = self.client = self
        for process in ("warden.warden", "core.keeper", "core.jobs", "localbroker.localbroker"):
            self.add(process)

    def add(self, process: str, program: str = "RUNNING", exit_status: int = 0, **said: Any) -> None:
        group, _, name = process.partition(".")
        pid = 70 if program == "RUNNING" else 0
        self.programs[process] = Program(group, name, ProgramState(program), pid, exit_status, 5, 6, "", "")
        self.says[process] = {"state": "ready", "pid": 70, "detail": ""} | said

    def write(self, process: str, line: str) -> None:
        with (self.home.log / f"{process}.log").open("a") as log:
            log.write(f"2026-01-01T00:00:00.000Z {line}\n")

    def processes(self) -> list[Program]:
        return list(self.programs.values())

    def call(self, process: str, method: Method[Any, Any], params: Any, seconds: float) -> Status:
        said = self.says[process]
        if said is None:
            raise Away(f"{process}: no answer to 'status'")
        return status(process, **said)

    def sessions(self) -> list[SessionListed]:
        return self.rows


def status(process: str, **said: Any) -> Status:
    """Return what a process says of itself."""
    quiet = {"started_at": 1, "at": 1, "last_event_at": None, "market_at": None, "lag_ns": 0, "loop": 1, "work": 1}
    plain = {"process": process, "kind": "x", "epoch": 1, "statistics": {}, **quiet, **said}
    return STATUS.answer_codec.read(plain)


QUICK = ReadinessTiming(look=0.01, others=0.2, restart=0.0)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def waited(desk: Any, seconds: float = 0.05) -> list[NotUp]:
    return Readiness(desk, QUICK).wait(seconds)


def test_a_desk_whose_processes_say_that_they_are_ready_is_up(desk: Desk) -> None:
    desk.add("core.postgres", "EXITED")
    desk.add("localbroker.localbroker", "EXITED")
    desk.add("core.tokens", state="degraded", detail="forgotten: a person must log in")

    assert waited(desk, 60.0) == []


@pytest.mark.parametrize(
    ("change", "line", "is_final"),
    [
        (
            lambda desk: desk.add("localbroker.localbroker", "EXITED", 78),
            f"localbroker.localbroker is not up: PortTaken: port 8765 is taken; mend that, then {CTL} "
            "localbroker:localbroker",
            True,
        ),
        (
            lambda desk: desk.add("core.jobs", "FATAL"),
            f"core.jobs is not up: fatal, without a word; mend that, then {CTL} core:jobs",
            True,
        ),
        (lambda desk: desk.add("core.jobs", "STOPPED"), f"core.jobs is not up: it is stopped; {CTL} core:jobs", True),
        (
            lambda desk: desk.says.update({"core.jobs": None}),
            "core.jobs is not up: core.jobs: no answer to 'status'; see run/log/core.jobs.log",
            False,
        ),
        (
            lambda desk: desk.add("core.keeper", state="degraded", detail="database: refused"),
            "core.keeper is not up: database: refused; see run/log/core.keeper.log",
            False,
        ),
        (
            lambda desk: desk.add("core.jobs", state="starting", detail="waiting for the database"),
            "core.jobs is not up: waiting for the database; see run/log/core.jobs.log",
            False,
        ),
        (
            lambda desk: desk.add("core.jobs", pid=69),
            "core.jobs is not up: ready; see run/log/core.jobs.log",
            False,
        ),
    ],
)
def test_what_is_not_up_is_told_in_one_line(
    desk: Desk, change: Callable[[Desk], None], line: str, is_final: bool
) -> None:
    desk.write(
        "localbroker.localbroker",
        "CRITICAL tradeproc.procs.entry process_halted kind=localbroker error=BadTape: that was yesterday",
    )
    looking = Readiness(desk, QUICK)  # type: ignore[arg-type]
    desk.write(
        "localbroker.localbroker",
        "CRITICAL tradeproc.procs.entry process_halted kind=localbroker error=PortTaken: port 8765 is taken",
    )
    change(desk)

    (missing,) = looking.wait(0.05)

    assert str(missing) == line
    assert missing.is_final is is_final
    assert exit_of_missing([missing]) is (ExitStatus.FAILED if is_final else ExitStatus.NOT_RUNNING)


def test_a_session_that_is_due_needs_its_link_its_account_and_its_trader(desk: Desk) -> None:
    desk.rows = [
        SessionListed(3, "a", login="paper", is_due=True),
        SessionListed(4, "b", login="paper", is_due=False),
        SessionListed(5, "c", login="other", is_due=True, conflict="session 3 trades the same account and product"),
    ]
    desk.add("session-3.account")
    desk.add("session-3.trader", state="starting", detail="waiting for history")

    told = [str(each) for each in waited(desk)]

    assert told == [
        "link-paper.link is not up: supervisord does not have it yet; see run/log/core.keeper.log",
        "session-3.trader is not up: waiting for history; see run/log/session-3.trader.log",
        "session-5.account is not up: session 3 trades the same account and product; stop one of the two",
        "session-5.trader is not up: session 3 trades the same account and product; stop one of the two",
    ]
    assert list(due(desk.rows[:1])) == ["link-paper.link", "session-3.account", "session-3.trader"]


def test_a_process_that_dies_again_and_again_is_not_waited_for_to_the_end(desk: Desk) -> None:
    looking = Readiness(desk, QUICK)  # type: ignore[arg-type]
    pid = 70

    def call(process: str, *_: Any) -> Status:
        nonlocal pid
        if process == "core.jobs":
            pid += 1
            desk.add("core.jobs")
            desk.programs["core.jobs"] = Program("core", "jobs", ProgramState.RUNNING, pid, 0, 5, 6, "", "")
            desk.write(
                "core.jobs", f"CRITICAL tradeproc.procs.entry process_failed kind=jobs error=OSError: death {pid}"
            )
            raise Away("no answer")
        return status(process, state="ready", pid=70, detail="")

    desk.call = call  # type: ignore[assignment, method-assign]
    (missing,) = looking.wait(60.0)

    assert missing.is_final
    assert missing.why.startswith("OSError: death ")


def test_a_desk_that_somebody_stopped_meanwhile_is_not_waited_for_to_the_end(desk: Desk) -> None:
    def processes() -> list[Program]:
        raise Away("supervisord does not answer")

    desk.processes = processes  # type: ignore[method-assign]
    (missing,) = waited(desk, 60.0)

    assert str(missing) == "supervisord is not up: supervisord does not answer; scripts/tradectl up starts it"
    assert missing.is_final


def test_only_what_a_log_says_since_then_counts_and_a_log_that_was_begun_anew_counts_whole(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert last_reason(log, 0) == ""
    log.write_text("2026-01-01T00:00:00.000Z CRITICAL tradeproc.procs.entry process_halted kind=x error=Old: words\n")
    size = log.stat().st_size

    assert last_reason(log, 0) == "Old: words"
    assert last_reason(log, size) == ""
    assert last_reason(log, size + 1000) == "Old: words"


@pytest.mark.drill
def test_up_is_up_when_all_of_it_is_and_says_what_is_not(tmp_path: Path) -> None:
    desk = WholeDesk(tmp_path)
    try:
        with socket.create_server(("127.0.0.1", desk.port)):
            told = desk.tradectl("up", code=1)
        (missing,) = told["not_up"]
        assert missing["process"] == "localbroker.localbroker"
        assert str(desk.port) in missing["why"]
        remedy = missing["remedy"].partition(", then ")[2]
        assert remedy == f"{CTL} localbroker:localbroker"

        subprocess.run(["bash", "-c", remedy], cwd=desk.home.root, env=desk.environment, check=True, timeout=60)

        assert desk.tradectl("up")["not_up"] == []
        example = str(desk.home.conf / "sessions" / "example.toml")
        desk.tradectl("session", "create", example, "--account", ACCOUNT, "--start")
        assert desk.ask("session-1.trader", "status", {})["state"] == "ready", "a started session is up"
    finally:
        desk.tradectl("down")
        desk.broker.close()


def test_a_session_that_is_due_needs_the_link_of_its_data_login_too() -> None:
    rows = [SessionListed(3, "a", login="paper", data_login="data", is_due=True)]

    assert list(due(rows)) == ["link-paper.link", "link-data.link", "session-3.account", "session-3.trader"]

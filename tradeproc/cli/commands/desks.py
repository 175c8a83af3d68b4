"""The desk as a whole: up, down, status."""

import os
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from tradeproc.cli import configured, tables
from tradeproc.cli.outcome import Outcome, SubParsers
from tradeproc.cli.quickstart import life
from tradeproc.clock import SECOND, wall_ns
from tradeproc.desk.exit_status import CommandFailed, NotRunning
from tradeproc.desk.installation import Desk
from tradeproc.desk.readiness import NotUp, Readiness, exit_of_missing, last_reason
from tradeproc.errors import EXIT_HALT, TradeprocError
from tradeproc.home import Home
from tradeproc.protocol.names import KEEPER
from tradeproc.supervision.client import ProgramState, SupervisorAway, SupervisorStopping
from tradeproc.supervision.groups import prepare

Condition = Callable[[], bool]

UP_SECONDS = 60.0
DOWN_SECONDS = 20.0
QUICKSTART_SECONDS = 10.0
_STATUS_SECONDS = 1.0


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    for name, command, text in (
        ("up", up, "start the desk: supervisord and every process; sessions that should run come up by themselves"),
        ("down", down, "stop every process; positions and working orders stay at the broker"),
        ("status", status, "every process with its state, heartbeat and lag"),
    ):
        parser = subparsers.add_parser(name, help=text, description=text, parents=parents)
        parser.set_defaults(command=command)


def up(desk: Desk, _arguments: Namespace) -> Outcome:
    """Start supervisord unless it runs, and wait for all that should be up; a bad configuration starts nothing."""
    if not is_up(desk):
        configured.check(desk)
    readiness = Readiness(desk)
    started = start_supervisord(desk)
    warnings = configured.warnings(desk) if started else []
    missing = readiness.wait(UP_SECONDS)
    for warning in warnings:
        print(f"tradectl: warning: {warning}", file=sys.stderr)
    value = {"started": started, "warnings": warnings, "not_up": [each.to_dict() for each in missing]}
    if missing:
        return not_up(value, "the desk runs, but not all of it", missing)
    return Outcome(value, Text("the desk is up" if started else "the desk is up already"))


def not_up(value: dict[str, Any], text: str, missing: Sequence[NotUp]) -> Outcome:
    """Return the outcome of a command that started what did not come up: a line for each that is not."""
    for each in missing:
        print(f"tradectl: {each}", file=sys.stderr)
    code = exit_of_missing(missing)
    return Outcome({**value, "exit": int(code)}, Text(text), code)


def down(desk: Desk, _arguments: Namespace) -> Outcome:
    """Stop supervisord and all it runs, and wait until they are gone."""
    # a quickstart in another terminal stops everything itself, also one whose desk is not up yet
    is_quickstart = life.end_quickstart(desk.home)
    stopped = stop_supervisord(desk)
    if is_quickstart:
        life.wait_for_quickstart(desk.home, QUICKSTART_SECONDS)
        stopped = stop_supervisord(desk) or True
    return Outcome({"stopped": stopped}, Text("the desk is down" if stopped else "the desk was not running"))


def status(desk: Desk, _arguments: Namespace) -> Outcome:
    """Tell every program of supervisord and what its process says of itself."""
    rows = process_rows(desk)
    value: dict[str, Any] = {"processes": rows}
    parts: list[RenderableType] = [tables.build(tables.PROCESSES, rows)]
    try:
        value["sessions"] = [each.shown for each in desk.sessions()]
        if value["sessions"]:
            parts.append(tables.build(tables.SESSIONS, value["sessions"]))
    except TradeprocError as error:
        value["sessions"] = None
        parts.append(Text(f"sessions: {error}", style="red"))
    return Outcome(value, Group(*parts))


def process_rows(desk: Desk) -> list[dict[str, Any]]:
    """Return a row for each program: what supervisord says, and what the process says when asked.

    Raises:
        NotRunning: supervisord does not answer.
    """
    try:
        programs = desk.supervisor.processes()
    except SupervisorAway:
        raise NotRunning("the desk is not running; scripts/tradectl up starts it") from None
    listed = set(desk.processes())
    rows: list[dict[str, Any]] = []
    for program in programs:
        row: dict[str, Any] = {"process": program.process, "supervisor": program.state.value}
        row["pid"] = program.pid or None
        if program.pid and program.process in listed:
            row |= _told(desk, program.process)
        elif program.error:
            row["detail"] = program.error
        rows.append(row)
    return rows


def _told(desk: Desk, process: str) -> dict[str, Any]:
    try:
        body = desk.client.call(process, "status", {}, _STATUS_SECONDS)
    except TradeprocError as error:
        return {"state": "down", "detail": str(error)}
    return {
        "state": body["state"],
        "age": max(wall_ns() - body["at"], 0) / SECOND,
        "lag_ns": body.get("lag_ns"),
        "detail": body.get("detail") or "",
        "market_at": body.get("market_at"),
        "last_event_at": body.get("last_event_at"),
    }


# --- supervisord --------------------------------------------------------------------------------------------------


def is_up(desk: Desk) -> bool:
    """Tell whether supervisord answers and is not on its way down."""
    return desk.supervisor.is_up()


def keeper_answers(desk: Desk) -> bool:
    """Tell whether the keeper has the database, has told it the logins, and has looked at what should run."""
    try:
        return bool(desk.ask(KEEPER, "status")["state"] == "ready")
    except TradeprocError:
        return False


def start_supervisord(desk: Desk) -> bool:
    """Start supervisord in the background; False when it runs already.

    Raises:
        CommandFailed: it ended at once; the text is what it said.
    """
    if is_up(desk):
        return False
    wait_until("the former supervisord has ended", lambda: not _answers(desk), DOWN_SECONDS)
    home = desk.home
    prepare(home)
    program = home.root / ".venv/bin/python"
    if not program.exists():
        raise CommandFailed(f"there is no {program}; scripts/quickstart sets everything up")
    done = subprocess.run(
        [str(program), "-m", "supervisor.supervisord", "-c", str(home.plain_root / "supervisord.conf")],
        cwd=home.root,
        env=dict(os.environ, TRADEPROC_HOME=str(home.root)),
        capture_output=True,
        text=True,
        check=False,
        # a Ctrl-C is for us: supervisord ends when it is told to
        start_new_session=True,
    )
    if done.returncode:
        raise CommandFailed(f"supervisord did not start: {(done.stdout + done.stderr).strip()}")
    wait_until("supervisord answers", lambda: is_up(desk), UP_SECONDS)
    return True


def stop_supervisord(desk: Desk) -> bool:
    """Stop supervisord and wait until it is gone; False when it was not running."""
    if not _answers(desk):
        return False
    pid = supervisord_pid(desk.home)
    if is_up(desk):
        # somebody else may just have told it
        with suppress(SupervisorAway):
            desk.supervisor.shutdown()
    wait_until("supervisord has ended", lambda: not _answers(desk) and not _lives(pid), DOWN_SECONDS)
    desk.home.forget_short_sockets()
    return True


def supervisord_pid(home: Home) -> int:
    """Return supervisord's pid from its pid file, 0 when there is none."""
    try:
        return int((home.run / "supervisord.pid").read_text())
    except (OSError, ValueError):
        return 0


def _answers(desk: Desk) -> bool:
    try:
        desk.supervisor.processes()
    except SupervisorStopping:
        return True
    except SupervisorAway:
        return False
    return True


def _lives(pid: int) -> bool:
    """Tell whether a process runs; one that ended and that nobody collects, as in a container, does not."""
    if not pid:
        return False
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except (OSError, IndexError):
        return True


def halted(desk: Desk) -> str:
    """Return in one line which process stays down until a person mends something, and why; empty when none does."""
    try:
        programs = desk.supervisor.processes()
    except TradeprocError:
        return ""
    for program in programs:
        gave_up = program.state is ProgramState.EXITED and program.exit_status == EXIT_HALT
        if gave_up or program.state is ProgramState.FATAL:
            log = desk.home.log / f"{program.process}.log"
            return f"{program.process} stays down: {last_words(log)}"
    return ""


def last_words(log: Path) -> str:
    """Return why a process ended, from the last line of its log that says so."""
    said = last_reason(log, 0)
    return f"{said} ({log})" if said else f"see {log}"


def wait_until(what: str, condition: Condition, seconds: float, trouble: Callable[[], str] = lambda: "") -> None:
    """Look again until a condition holds; `trouble` says in one line why it never will, and is empty before that.

    Raises:
        NotRunning: it did not within `seconds`.
        CommandFailed: there was trouble.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if reason := trouble():
            raise CommandFailed(reason)
        if time.monotonic() > deadline:
            raise NotRunning(f"waited {seconds:.0f} s and still not: {what}; see run/log and scripts/tradectl status")
        time.sleep(0.1)

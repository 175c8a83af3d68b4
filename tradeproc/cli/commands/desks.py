"""The desk as a whole: up, down, status."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from tradeproc.cli import configured, tables
from tradeproc.cli.outcome import Outcome, SubParsers
from tradeproc.cli.quickstart import life
from tradeproc.clock import SECOND, wall_ns
from tradeproc.desk.exit_status import NotRunning
from tradeproc.desk.installation import Desk
from tradeproc.desk.readiness import NotUp, Readiness, exit_of_missing, last_reason
from tradeproc.errors import EXIT_HALT, TradeprocError
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.process_messages import STATUS
from tradeproc.supervision.client import ProgramState, SupervisorAway
from tradeproc.supervision.daemon import Daemon

UP_SECONDS = 60.0
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
    if not desk.supervisor.is_up():
        configured.check(desk)
    readiness = Readiness(desk)
    started = Daemon(desk.home).start()
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
    daemon = Daemon(desk.home)
    stopped = daemon.stop()
    if is_quickstart:
        life.wait_for_quickstart(desk.home, QUICKSTART_SECONDS)
        stopped = daemon.stop() or True
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
        told = desk.client.call(process, STATUS, NoBody(), _STATUS_SECONDS)
    except TradeprocError as error:
        return {"state": "down", "detail": str(error)}
    return {
        "state": told.state,
        "age": max(wall_ns() - told.at, 0) / SECOND,
        "lag_ns": told.lag_ns,
        "detail": told.detail,
        "market_at": told.market_at,
        "last_event_at": told.last_event_at,
    }


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

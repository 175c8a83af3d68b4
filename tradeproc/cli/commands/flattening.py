"""`halt --flatten`, which `flatten` is short for: what is printed of it, and with which code it ends."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from tradeproc.desk import kill_switch
from tradeproc.desk.confirmation import Confirmed
from tradeproc.desk.exit_status import CommandFailed, ExitStatus, NotRunning
from tradeproc.desk.installation import Desk
from tradeproc.desk.kill_switch import KillReport, Wanted
from tradeproc.desk.switches import UNSTORED, Thrown, scope_of
from tradeproc.errors import TradeprocError
from tradeproc.protocol import scopes
from tradeproc.protocol.scopes import Scope

_MOST_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class FlattenResult:
    """What the broker said at the end, for programs and for people, and the exit code."""

    value: dict[str, Any]
    lines: list[Text]
    exit: ExitStatus


def add_options(parser: ArgumentParser, *, is_choice: bool) -> None:
    """Add what `flatten` and `halt --flatten` take; `is_choice` where a word must ask for it."""
    if is_choice:
        parser.add_argument(
            "--flatten",
            action="store_true",
            help="cancel all working orders and close all positions at the market, also where no trader runs; ends "
            "with 0 only when the broker has confirmed that all is flat",
        )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=kill_switch.USUAL_SECONDS,
        metavar="SECONDS",
        help="how long to try to get flat (60)",
    )
    parser.add_argument(
        "--foreign",
        action="store_true",
        help="cancel and close also what no session of ours made, in the accounts and products of the sessions; "
        "a position in another contract than the session's is closed only where no trader runs",
    )


def thrown(throw: Callable[[str], Thrown], session: int | None, login: str | None, shared: Scope | None) -> Thrown:
    """Throw the switch; that neither keeper nor trader is there, or the keeper refuses, holds up no closing."""
    try:
        # the keeper flattens the desk or a session; of a login, portfolio or account the traders are told one by one
        return throw("flatten" if login is None and shared is None else "halt")
    except (NotRunning, CommandFailed) as away:
        return Thrown(scope_of(session, login, shared), UNSTORED, None, (), str(away))


def get_flat(desk: Desk, answer: Thrown, arguments: Namespace) -> FlattenResult:
    """Get everything in the scope of a switch that was thrown flat, and tell what the broker says in the end."""
    is_of_keeper = answer.scope == scopes.HOST or answer.scope.session is not None
    concerned = {each.session for each in answer.sessions}
    told = {each.session for each in answer.sessions if each.ok and is_of_keeper}
    is_latched = answer.latch != UNSTORED
    wanted = Wanted(answer.scope, arguments.reason, arguments.timeout, arguments.foreign, is_latched)
    report = kill_switch.get_flat(desk, wanted, told, concerned)
    exit_status = _exit(report)
    lines = [Text(f"  {each.in_words}", style="green" if each.is_flat else "red") for each in report.confirmed]
    for session, other in report.passed_over:
        lines.append(Text(f"  session {session}: session {other} looks after its account and product", style="dim"))
    if not report.confirmed and not report.passed_over:
        lines.append(Text("  no session is known that could have something open", style="dim"))
    lines += [Text(f"  {note}", style="red") for note in report.notes]
    if report.trouble:
        lines.append(Text(f"  {report.trouble}", style="yellow"))
    if answer.latch == UNSTORED and exit_status is ExitStatus.OK:
        exit_status = ExitStatus.NOT_RUNNING
    return FlattenResult(_value(report), lines, exit_status)


def what_stays(desk: Desk, scope: Scope) -> FlattenResult:
    """Tell what stays at the broker after a halt that closes nothing; it holds up nobody and is no failure."""
    try:
        report = kill_switch.what_stays(desk, scope)
    except (TradeprocError, OSError) as error:
        # the halt is thrown: whatever is wrong here must not hide that
        return FlattenResult({"at_broker": None}, [Text(f"  not known what stays: {error}", "yellow")], ExitStatus.OK)
    lines = [Text(f"  {_stays(each)}", style="dim") for each in report.confirmed]
    return FlattenResult({"at_broker": [each.to_dict() for each in report.confirmed]}, lines, ExitStatus.OK)


def _stays(each: Confirmed) -> str:
    foreign = [f"orders {', '.join(each.foreign)} that are not ours"] if each.foreign else []
    unknown = [] if each.is_known else [f"the broker does not tell: {each.why}"]
    said = "; ".join([*each.left_in_words, *foreign, *unknown]) or "nothing"
    return f"session {each.session}: at the broker stays: {said}"


def _value(report: KillReport) -> dict[str, Any]:
    not_flat = [
        {"session": each.session, "contract": contract, "position": quantity, "source": "broker"}
        for each in report.confirmed
        for contract, quantity in each.positions.items()
    ]
    unknown = "; ".join(each.in_words for each in report.confirmed if not each.is_known)
    confirmed = [each.to_dict() for each in report.confirmed]
    return {
        "confirmed": confirmed,
        "not_flat": not_flat,
        "unknown": unknown,
        "sessions_unknown": report.trouble,
        "notes": list(report.notes),
    }


def _exit(report: KillReport) -> ExitStatus:
    if report.is_flat:
        return ExitStatus.OK
    is_open = any(each.is_known and not each.is_flat for each in report.confirmed)
    return ExitStatus.FAILED if is_open else ExitStatus.NOT_RUNNING


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= _MOST_SECONDS:
        raise ArgumentTypeError(f"must be a number of seconds from 1 to {_MOST_SECONDS}, not {word!r}")
    return seconds

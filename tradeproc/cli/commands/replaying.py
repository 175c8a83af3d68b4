"""`tradectl replay`: a recorded life of a trader is run through the engine again, and must decide the same."""

import contextlib
import signal
import sys
import threading
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.outcome import Outcome, SubParsers, positive
from tradeproc.desk.exit_status import ExitStatus
from tradeproc.desk.installation import Desk
from tradeproc.desk.recorded_life import ReplayReport, Until, find_life, run_again, state_rows
from tradeproc.domain.texts import shown
from tradeproc.domain.units import Nanos, from_iso

_HELP = (
    "run a recorded life of a session's trader through the engine again, with the strategy as its file is now, and "
    "show the first event at which it does something else; works while the desk is down"
)
_CODES = "exit codes: 0 it does the same, 1 something else, 2 it cannot be replayed"


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the command of this module."""
    parser = subparsers.add_parser("replay", help=_HELP, description=_HELP, epilog=_CODES, parents=parents)
    parser.add_argument("session", metavar="ID|NAME")
    parser.add_argument(
        "--until",
        type=moment_or_number,
        metavar="T",
        help="stop there and show the state: a time as 2026-11-27T14:30:00Z, or how many events",
    )
    parser.add_argument(
        "--life", type=positive, metavar="N", help="the lease number of the life; default: the newest"
    )
    parser.set_defaults(command=command)


def moment_or_number(word: str) -> Until:
    """Return where a replay is to stop: after that many events, or at a UTC time.

    Raises:
        ArgumentTypeError: it is neither; argparse tells it and ends with code 2.
    """
    if word.isascii() and word.isdecimal() and int(word):
        return Until(events=int(word))
    try:
        return Until(at=utc_time(word))
    except ValueError:
        raise ArgumentTypeError(
            f"must be a UTC time as 2026-11-27T14:30:00Z, or a number of events, not {word!r}"
        ) from None


def utc_time(word: str) -> Nanos:
    """Return the moment that a person means; without a zone it is UTC.

    Raises:
        ValueError: it is no time.
    """
    return from_iso(word if word.endswith(("Z", "z")) or "+" in word else f"{word}Z")


def command(desk: Desk, arguments: Namespace) -> Outcome:
    """Replay a life.

    Raises:
        CannotReplay: says why it cannot be replayed.
    """
    life = find_life(desk.home, arguments.session, arguments.life)
    with strategy_apart():
        report = run_again(desk.home, life, arguments.until or Until())
    state = None if arguments.until is None else state_rows(report.state)
    return Outcome(
        value_of_report(report, state), Text("\n".join(report_lines(report, state))), exit_of_report(report)
    )


@contextlib.contextmanager
def strategy_apart() -> Iterator[None]:
    """Keep what a strategy prints off our output, and let Ctrl-C end us even while its code runs.

    The engine takes whatever a strategy raises for a fault of the strategy, an interrupt too.
    """
    if threading.current_thread() is not threading.main_thread():
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        signal.signal(signal.SIGINT, before)


def exit_of_report(report: ReplayReport) -> ExitStatus:
    """Return 1 for a difference, 2 for a recording that could not be run to its end, else 0."""
    if report.difference is not None:
        return ExitStatus.FAILED
    return ExitStatus.OK if report.is_whole else ExitStatus.USAGE


def value_of_report(report: ReplayReport, state: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a report as a program reads it."""
    header = report.header
    value = {
        "session": header.session,
        "name": header.spec.get("name"),
        "life": header.fence,
        "began_at": header.began_at,
        "events": report.events,
        "with_effects": report.acted,
        "at": report.at,
        "same": report.difference is None and report.is_whole,
        "difference": None if report.difference is None else asdict(report.difference),
        "ended": report.ended,
        "notes": report.notes,
    }
    return value if state is None else {**value, "state": dict(state)}


def report_lines(report: ReplayReport, state: Mapping[str, Any] | None = None) -> list[str]:
    """Return a report as a person reads it; texts of strangers are escaped."""
    header, found = report.header, report.difference
    lines = [
        f"session {header.session} ({header.spec.get('name')}), the life under lease {header.fence}, "
        f"begun {tables.when(header.began_at)} UTC",
        *report.notes,
        f"{report.events} events up to {tables.when(report.at)} UTC, {report.acted} of them with effects",
    ]
    if found is not None:
        lines += [
            f"different at event {found.number}, {tables.when(found.at)} UTC ({found.at} ns)",
            f"  event     {found.event}",
            f"  recorded  {found.recorded}",
            *(f"  now       {each}" for each in found.got),
        ]
    elif not report.is_whole:
        lines.append(f"the same so far, but it cannot be replayed further: {report.ended}")
    else:
        lines.append("the same" + (f"; {report.ended}" if report.ended else ""))
    if state is not None:
        lines += ["", "the state after that:", *state_lines(state)]
    return [shown(each) for each in lines]


def state_lines(state: Mapping[str, Any]) -> Iterator[str]:
    """Yield the state of an engine as a person reads it, a line each."""
    for key, value in state.items():
        told = value
        if isinstance(value, Mapping):
            told = "; ".join(f"{name}: {each}" for name, each in value.items()) or "none"
        elif isinstance(value, bool):
            told = "yes" if value else "no"
        elif isinstance(value, list):
            yield f"  {key}: {len(value) or 'none'}"
            yield from ("    " + ", ".join(f"{name} {each}" for name, each in row.items()) for row in value)
            continue
        yield f"  {key.replace('_', ' ')}: {'none' if told in (None, '') else told}"

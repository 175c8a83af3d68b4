"""`tradectl acknowledge`: what a person has seen, so that the health check speaks of it no more."""

import getpass
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.outcome import Outcome, SubParsers
from tradeproc.desk import lookup
from tradeproc.desk.exit_status import NotFound, WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.protocol import scopes
from tradeproc.protocol.book_messages import ACKNOWLEDGE, Acknowledge, SeenAlarm, SeenDivergence
from tradeproc.protocol.names import KEEPER


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the command of this module."""
    text = (
        "say that you have seen divergences and standing alarms: kept with your name and reason, and the health "
        "check speaks of them no more; a new one speaks again"
    )
    parser = subparsers.add_parser("acknowledge", help=text, description=text, parents=parents)
    parser.add_argument("what", nargs="?", default="", metavar="divergences|alarms|ALARM", help="default: both kinds")
    parser.add_argument("--session", metavar="ID|NAME", help="only this session's; default: everybody's")
    parser.add_argument("--host", action="store_true", help="only the alarms of the host")
    parser.add_argument("--reason", required=True, help="why that is well; goes into the history")
    parser.add_argument("--by", default="", metavar="NAME", help="who you are; default: the user of this machine")
    parser.set_defaults(command=acknowledge)


def acknowledge(desk: Desk, arguments: Namespace) -> Outcome:
    """Acknowledge, and list what was."""
    if arguments.host and arguments.session is not None:
        raise WrongUsage("--host and --session do not go together")
    if not arguments.reason.strip():
        raise WrongUsage("--reason: say in a few words why that is well")
    session = None if arguments.session is None else lookup.find(desk, arguments.session).row.id
    wish = Acknowledge(arguments.by or user(), arguments.reason, session, arguments.host, arguments.what)
    told = desk.ask(KEEPER, ACKNOWLEDGE, wish)
    lines = [*map(_divergence, told.divergences), *map(_alarm, told.alarms)]
    if not lines and arguments.what not in ("", "divergences", "alarms"):
        raise NotFound("standing alarm", arguments.what, "scripts/tradectl alarms lists them")
    first = f"{len(lines)} acknowledged" if lines else "nothing to acknowledge"
    return Outcome(ACKNOWLEDGE.answer_codec.plain(told), Text("\n  ".join([first, *lines])))


def user() -> str:
    """Return who types, for the history."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # a user without a name, as in a container
        return f"uid {os.getuid()}"


def _divergence(row: SeenDivergence) -> str:
    return f"session {row.session}: {row.kind} {row.subject} of {tables.when(row.at)}"


def _alarm(row: SeenAlarm) -> str:
    whose = scopes.HOST if row.session is None else f"session {row.session}"
    return f"{whose}: alarm {row.name} of {tables.when(row.at)}"

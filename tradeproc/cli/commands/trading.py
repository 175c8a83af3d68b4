"""Halt, resume, reduce, flatten."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.desk import KEEPER, Desk
from tradeproc.cli.outcome import Outcome, SubParsers

_SECONDS = 30.0
_COMMANDS = (
    ("halt", "enter no more positions; exits and protection go on; stays until resumed, over every restart"),
    ("resume", "allow entries again"),
    ("reduce", "exits only: positions may shrink, not grow"),
    ("flatten", "halt, cancel all working orders and close all positions at the market, now"),
)


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    for name, text in _COMMANDS:
        parser = subparsers.add_parser(name, help=text, description=text, parents=parents)
        parser.add_argument("--session", metavar="ID|NAME", help="only this session; default: the whole desk")
        parser.add_argument("--reason", default="", help="goes into the history")
        parser.set_defaults(command=command)


def command(desk: Desk, arguments: Namespace) -> Outcome:
    """Command the trading state of a session or the desk, through the keeper, which keeps it."""
    params: dict[str, Any] = {"by": "tradectl", "reason": arguments.reason}
    if arguments.session is not None:
        params["session"] = int(desk.session(arguments.session)["id"])
    answer = desk.ask(KEEPER, arguments.name, params, seconds=_SECONDS)
    return Outcome(answer, _told(arguments.name, answer))


def _told(name: str, answer: dict[str, Any]) -> Text:
    words = {"halt": "halted", "resume": "active again", "reduce": "reducing", "flatten": "is being flattened"}
    scope = answer["scope"]
    line = Text(f"{'the desk' if scope == 'host' else scope.replace(':', ' ')}: {words[name]}; {answer['latch']}")
    for heard in answer["sessions"]:
        line.append(f"\n  session {heard['session']}: ", style="dim")
        line.append_text(tables.state(heard["trading_state"]) if heard["ok"] else Text(heard["reason"], style="red"))
    if not answer["sessions"]:
        line.append("\n  no trader runs now; it counts for those that start", style="dim")
    return line

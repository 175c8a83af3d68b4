"""Trading sessions: list, create, start, stop, show, remove."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from tradeproc.cli import tables, words
from tradeproc.cli.commands import stopping
from tradeproc.cli.commands.desks import not_up
from tradeproc.cli.layout import pairs
from tradeproc.cli.outcome import Command, Outcome, SubParsers
from tradeproc.cli.why import death_rows, market_of, why_rows
from tradeproc.config import read_session
from tradeproc.desk import joint_standing, lookup
from tradeproc.desk.exit_status import CommandFailed, NotRunning, WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.desk.listed import SessionListed
from tradeproc.desk.readiness import Readiness
from tradeproc.domain.roll_rules import RollMode, doubt_of
from tradeproc.domain.session import SessionSpec, check_new_name
from tradeproc.errors import TradeprocError
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import KEEPER
from tradeproc.protocol.process_messages import STATUS
from tradeproc.protocol.session_messages import (
    CREATE,
    REMOVE,
    START,
    STOP,
    CreateSession,
    OfSession,
    RemoveSession,
    StopSession,
)
from tradeproc.protocol.trader_messages import ASK_STATE, STATE, SessionState
from tradeproc.supervision.client import SupervisorAway
from tradeproc.supervision.deaths import read_deaths

# loading a strategy may take long, and its account is asked of the broker
CREATE_SECONDS = 30.0
STOP_SECONDS = 30.0
START_SECONDS = 60.0


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    text = "all trading sessions: what they trade, whether they should run and do, whether they may enter"
    listing = subparsers.add_parser("sessions", help=text, description=text, parents=parents)
    listing.set_defaults(command=sessions)
    text = "create, start, stop, show or remove one session"
    session = subparsers.add_parser("session", help=text, description=text)
    actions = session.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_create(actions, parents)
    one: tuple[tuple[str, Command, str], ...] = (
        ("start", start, "let it run, now and after every restart of the desk"),
        ("stop", stop, "stop it in an orderly way; orders and position stay at the broker unless --flatten"),
        ("show", show, "its specification and what its trader says"),
        ("pid", pid, "the process id of its trader"),
        ("remove", remove, "forget a stopped session; its orders and trades stay in the database"),
    )
    for name, command, text in one:
        parser = actions.add_parser(name, help=text, description=text, parents=parents)
        parser.add_argument("session", metavar="ID|NAME")
        parser.set_defaults(command=command)
        if name == "start":
            _add_wait(parser)
        if name == "remove":
            parser.add_argument(
                "--abandon", action="store_true", help="also with a position or open orders, which stay at the broker"
            )
        if name == "stop":
            parser.add_argument(
                "--flatten", action="store_true", help="cancel its orders and close its position first"
            )


def _add_wait(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--wait", type=float, default=START_SECONDS, metavar="SECONDS", help="until it is up (%(default)g); 0: do not"
    )


def _add_create(actions: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    text = "create a session from a file, from options, or from a file with options that replace its keys"
    parser = actions.add_parser("create", help=text, description=text, parents=parents)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="TOML, see conf/sessions")
    for name, about in (
        ("name", "what you call it"),
        ("login", "a login of conf/tradeproc.toml, which takes the orders"),
        ("data-login", "a login that serves the bars; default: the same"),
        ("account", "one of the login's accounts"),
        ("contract", "root, month letter and year, as ESZ26"),
        ("strategy", "a name, module:Class or file.py:Class; drops the file's arguments when it is another one"),
    ):
        parser.add_argument(f"--{name}", metavar=name.upper(), help=about)
    parser.add_argument("--minutes", type=int, help="length of a bar")
    parser.add_argument("--quantity", type=int, help="contracts an entry")
    parser.add_argument("--warmup", type=int, help="bars before the first decision; default: the strategy's own")
    parser.add_argument("--environment", choices=("paper", "live"), help="once more what the login is")
    parser.add_argument("--stop-policy", choices=("alarm", "replace", "flatten"), help="when a stop is missing")
    parser.add_argument("--max-order", type=int, help="largest order, contracts")
    parser.add_argument("--max-position", type=int, help="largest position, contracts")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an argument of the strategy")
    parser.add_argument("--start", action="store_true", help="start it at once")
    _add_wait(parser)
    parser.set_defaults(command=create)


def sessions(desk: Desk, _arguments: Namespace) -> Outcome:
    """List all sessions."""
    rows = [each.shown for each in desk.sessions()]
    shown = (
        tables.build(tables.SESSIONS, rows)
        if rows
        else Text("no sessions; scripts/tradectl session create makes one")
    )
    return Outcome({"sessions": rows}, shown)


def create(desk: Desk, arguments: Namespace) -> Outcome:
    """Create a session, and start it where asked."""
    spec = spec_from(arguments)
    check_new_name(spec.name, {row.name: row.id for row in desk.sessions()})
    created = desk.ask(KEEPER, CREATE, CreateSession(spec.to_dict()), seconds=CREATE_SECONDS)
    number = created.session
    value: dict[str, Any] = {"session": number}
    if created.unchecked:
        value["unchecked"] = created.unchecked
    doubt = f"; {created.unchecked}" if created.unchecked else ""
    if unsure := roll_doubt(spec):
        value["roll_unsure"] = unsure
        doubt += f"; {unsure}"
    if not arguments.start:
        text = f"session {number} created; scripts/tradectl session start {number}{doubt}"
        return Outcome(value, Text(text))
    try:
        return _started(
            desk, (number, spec.logins), arguments.wait, value, f"session {number} created and started{doubt}"
        )
    except CommandFailed as refused:
        raise CommandFailed(f"session {number} was created but not started: {refused}") from None


def roll_doubt(spec: SessionSpec) -> str:
    """Return what a person should check of the day on which a session leaves its contract, empty when nothing."""
    unsure = doubt_of(spec.root)
    if not unsure or spec.roll.mode is RollMode.OFF:
        return ""
    return (
        f"the rule of {spec.root} for its last day is not confirmed in all cases ({unsure}): compare "
        "scripts/tradectl roll --list with the exchange's calendar"
    )


def start(desk: Desk, arguments: Namespace) -> Outcome:
    """Let a session run, and wait until it does."""
    row = desk.session(arguments.session)
    number, is_running = row.id, row.desired == "running" and row.state == "running"
    value = {"session": number, "desired": "running", "starts_at": None, "already": is_running}
    what = f"session {number} {'runs already' if is_running else 'runs'}"
    return _started(desk, (number, row.logins), arguments.wait, value, what)


def _started(
    desk: Desk, which: tuple[int, Sequence[str]], seconds: float, value: dict[str, Any], text: str
) -> Outcome:
    """Start a session and wait for its links, its account and its trader; one with a schedule may start later."""
    number, logins = which
    readiness = Readiness(desk)
    starts_at = desk.ask(KEEPER, START, OfSession(number)).starts_at
    if "starts_at" in value:
        value["starts_at"] = starts_at
    if starts_at is not None:
        return Outcome(value, Text(f"session {number} starts at {tables.when(starts_at)} by its schedule"))
    if seconds <= 0:
        return Outcome(value, Text(f"session {number} is starting"))
    meant = {*map(names.link, logins), names.account(number), names.trader(number), KEEPER, "supervisord"}
    missing = readiness.wait(seconds, meant.__contains__)
    if missing:
        value["not_up"] = [each.to_dict() for each in missing]
        return not_up(value, f"session {number} is started, but not all of it is up", missing)
    return Outcome(value, Text(text))


def stop(desk: Desk, arguments: Namespace) -> Outcome:
    """Stop a session."""
    number, is_flat_wanted = desk.session_number(arguments.session), bool(arguments.flatten)
    try:
        row = desk.session(str(number))
        if row.desired == "stopped" and row.state == "stopped":
            return stopping.already_stopped(desk, number, is_flat_wanted=is_flat_wanted)
        desk.ask(KEEPER, STOP, StopSession(number, is_flat_wanted), seconds=STOP_SECONDS)
    except NotRunning as away:
        if is_flat_wanted and number in desk.traders():
            return stopping.flatten_straight(desk, number, away)
        raise
    left = "flat" if is_flat_wanted else "its working orders and position stay at the broker"
    value = {"session": number, "desired": "stopped", "already": False}
    return Outcome(value, Text(f"session {number} stops; {left}"))


def pid(desk: Desk, arguments: Namespace) -> Outcome:
    """Tell which process its trader is."""
    number = desk.session_number(arguments.session)
    process = names.trader(number)
    try:
        found = [program.pid for program in desk.supervisor.processes() if program.process == process and program.pid]
    except SupervisorAway:
        raise NotRunning("the desk is not running; scripts/tradectl up starts it") from None
    if not found:
        raise NotRunning(f"{process} is not running; see scripts/tradectl session show {number}")
    return Outcome({"session": number, "process": process, "pid": found[0]}, Text(str(found[0])))


def remove(desk: Desk, arguments: Namespace) -> Outcome:
    """Forget a stopped session."""
    number = desk.session(arguments.session).id
    desk.ask(KEEPER, REMOVE, RemoveSession(number, arguments.abandon))
    return Outcome({"session": number}, Text(f"session {number} removed"))


def show(desk: Desk, arguments: Namespace) -> Outcome:
    """Show a session's specification, and its trader's own summary while it runs."""
    found = lookup.find(desk, arguments.session)
    row, trader = found.row, names.trader(found.row.id)
    state, silence = _state_of(desk, trader)
    value = {"session": row.shown, "trader": None if state is None else STATE.codec.plain(state)}
    if row.removed_at is not None:
        text = f"closed: the session was removed at {tables.when(row.removed_at)}; its rows stay in the database"
        return Outcome({**value, "entries": text}, _shown(row, state, [("entries", text)]))
    market = market_of(desk, row) if state else silence
    portfolio = "" if state is None else state.portfolio
    shared = joint_standing.of_session(desk, row.account, portfolio)
    value["shared_limits"] = dict(shared)
    why = [*why_rows(row, state, market, read_deaths(desk.home, trader)), *death_rows(desk.home, row)]
    if found.away:
        old = ("not up to date", f"{found.away}; what follows is as it was known before, the trader's part is new")
        return Outcome({**value, "entries": why[0][1], "away": found.away}, _shown(row, state, [old, *why], shared))
    return Outcome({**value, "entries": why[0][1]}, _shown(row, state, why, shared))


def _state_of(desk: Desk, trader: str) -> tuple[SessionState | None, str]:
    """Return what a trader says of itself; None and why, while it does not say it."""
    if not desk.is_alive(trader):
        newest = next(iter(read_deaths(desk.home, trader)), None)
        return None, "its trader is not running" + (f"; it died: {newest.reason}" if newest else "")
    try:
        return desk.ask(trader, ASK_STATE, NoBody()), ""
    except TradeprocError as error:
        try:
            detail = desk.ask(trader, STATUS, NoBody()).detail
        except TradeprocError:
            detail = ""
        return None, f"its trader is starting: {detail}" if detail else f"its trader does not say: {error}"


def _shown(
    row: SessionListed,
    state: SessionState | None,
    why: Sequence[tuple[str, str]] = (),
    shared: Sequence[tuple[str, str]] = (),
) -> Table:
    told_of = {key: value for key, value in row.shown.items() if value not in (None, "", {})}
    rows = [*why, *((words.label(key), words.said(key, value)) for key, value in told_of.items())]
    rows.append(("trader", "not running" if state is None else ""))
    told_by = {} if state is None else STATE.codec.plain(state)
    plain = {key: value for key, value in told_by.items() if not isinstance(value, list | dict)}
    told = [
        (f"  {words.label(key)}", words.said(key, value))
        for key, value in plain.items()
        if key not in ("why", "entries") and value not in (None, "")
    ]
    limits = () if state is None else state.limits
    used = [(f"  {words.label(each.name)}", f"{each.used} of {each.allowed}") for each in limits]
    return pairs([*rows, *told, *used, *((f"  {name}", words) for name, words in shared)])


def spec_from(arguments: Namespace) -> SessionSpec:
    """Return the specification that a file and options together describe; options win."""
    table: dict[str, Any] = read_session(arguments.file).to_dict() if arguments.file else {}
    if arguments.strategy not in (None, table.get("strategy")):
        # the file's arguments were another strategy's
        table.pop("arguments", None)
    for key in ("name", "login", "data_login", "account", "contract", "strategy", "minutes", "quantity", "warmup",
                "environment", "stop_policy"):  # fmt: skip
        value = getattr(arguments, key)
        if value is not None:
            table[key] = value
    limits = dict(table.get("limits", {}))
    for key in ("max_order", "max_position"):
        if getattr(arguments, key) is not None:
            limits[key] = getattr(arguments, key)
    table["limits"] = limits
    if arguments.set:
        table["arguments"] = {**table.get("arguments", {}), **dict(_argument(text) for text in arguments.set)}
    return SessionSpec.from_dict(table)


def _argument(text: str) -> tuple[str, str | int | float | bool]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise WrongUsage(f"--set {text}: write KEY=VALUE, as fast=5")
    return key, _typed(value)


def _typed(value: str) -> str | int | float | bool:
    if value in ("true", "false"):
        return value == "true"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value

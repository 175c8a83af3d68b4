"""`tradectl roll`: out of one contract and into the next, and when each session has to."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.outcome import Outcome, SubParsers
from tradeproc.clock import wall_ns
from tradeproc.desk.exit_status import WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.domain.instruments import Contract
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.roll_rules import change_rules, roll_plan
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.texts import storable
from tradeproc.errors import TradeprocError
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.session_messages import SESSIONS
from tradeproc.protocol.trader_messages import ASK_STATE, ROLL, RollSession


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the command of this module."""
    text = (
        "close a session's position, reopen the same in the next contract with stop and target moved by the spread, "
        "and let it trade that from then on; --list shows when each session has to"
    )
    parser = subparsers.add_parser("roll", help=text, description=text, parents=parents)
    parser.add_argument("session", nargs="?", metavar="ID|NAME")
    parser.add_argument("--to", default="", metavar="CONTRACT", help="as ESM27; default: the next one of the rule")
    parser.add_argument("--reason", default="", type=storable, help="goes into the history")
    parser.add_argument("--list", action="store_true", help="what the rules say of each session's contract")
    parser.set_defaults(command=command)


def command(desk: Desk, arguments: Namespace) -> Outcome:
    """Roll a session, or list when each has to."""
    if arguments.list:
        return _list(desk, None if arguments.session is None else desk.session_number(arguments.session))
    if arguments.session is None:
        raise WrongUsage("name a session, or --list")
    number = desk.session_number(arguments.session)
    told = desk.ask(names.trader(number), ROLL, RollSession("operator", arguments.reason, arguments.to))
    look = f"scripts/tradectl session show {number} tells how far it is"
    text = f"session {number}: the roll from {told.contract} into {told.next_contract} is asked for; {look}"
    return Outcome(ROLL.answer_codec.plain(told), Text(text))


def _list(desk: Desk, only: int | None) -> Outcome:
    """Return what the rules say by the market time of each trader, or else by the clock."""
    change_rules(desk.config.rolls)
    rows = []
    for body in desk.ask(names.KEEPER, SESSIONS, NoBody()).sessions:
        if only is None or body.id == only:
            rows.append(_row(desk, body.id, SessionSpec.from_dict(body.spec)))
    return Outcome({"rolls": rows}, tables.build(tables.ROLLS, rows) if rows else Text("no sessions"))


def _row(desk: Desk, session: int, spec: SessionSpec) -> dict[str, Any]:
    state, market_at = "not running", wall_ns()
    if desk.is_alive(names.trader(session)):
        try:
            told = desk.ask(names.trader(session), ASK_STATE, NoBody())
            state, market_at = (told.roll if told.rolling else "holds it"), told.market_at or market_at
        except TradeprocError:
            state = "does not answer"
    plan, hours = roll_plan(Contract.parse(spec.contract), spec.roll), market_hours(spec.calendar)
    trade_date = hours.session_at(market_at)
    day = hours.local(market_at).date() if trade_date is None else trade_date.date
    return {
        "session": session,
        "name": spec.name,
        "contract": spec.contract,
        "next_contract": plan.into.code,
        "roll_on": str(plan.roll_on),
        "basis": plan.basis,
        "last_day": str(plan.last_day),
        "days_left": plan.days_left(day),
        "mode": spec.roll.mode.value,
        "state": state,
    }

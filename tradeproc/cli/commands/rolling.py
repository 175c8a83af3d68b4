"""`tradectl roll`: out of one contract and into the next, and when each session has to."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.outcome import Outcome, SubParsers
from tradeproc.clock import wall_ns
from tradeproc.desk.exit_status import NotFound, WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.domain.instruments import Contract, instrument_of
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.roll_rules import RollRule, change_rules, next_contract, roll_plan
from tradeproc.domain.roll_volumes import RollVolume, crossed_on
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.texts import storable
from tradeproc.errors import TradeprocError
from tradeproc.procs.session_start import database_of
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.session_messages import SESSIONS
from tradeproc.protocol.trader_messages import ASK_STATE, ROLL, RollSession
from tradeproc.store.database import DatabaseDown
from tradeproc.store.roll_rows import RollRows


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
    parser.add_argument(
        "--history", action="store_true", help="past rolls: sizes, spread, prices, when, by whom, why"
    )
    parser.set_defaults(command=command)


def command(desk: Desk, arguments: Namespace) -> Outcome:
    """Roll a session, or list when each has to."""
    if arguments.history:
        return _history(desk, arguments.session)
    if arguments.list:
        return _list(desk, None if arguments.session is None else desk.session_number(arguments.session))
    if arguments.session is None:
        raise WrongUsage("name a session, or --list, or --history")
    number = desk.session_number(arguments.session)
    told = desk.ask(names.trader(number), ROLL, RollSession("operator", arguments.reason, arguments.to))
    look = f"scripts/tradectl session show {number} tells how far it is"
    text = (
        f"session {number}: the roll from {told.contract} into {told.next_contract} is asked for; {look}. Until it "
        "has begun it is not stored: ask again if its trader restarts before, or if it cannot begin in ten minutes"
    )
    return Outcome(ROLL.answer_codec.plain(told), Text(text))


def _history(desk: Desk, named: str | None) -> Outcome:
    """Return past rolls, read from the database without asking any process."""
    with closing(RollRows(database_of(desk.config, desk.home))) as rolls:
        rolls.begin()
        number = None if named is None else rolls.session(named)
        if named is not None and number is None:
            raise NotFound("session", named, "scripts/tradectl sessions lists them")
        rows = [shown_roll(row) for row in rolls.history(number)]
    return Outcome({"rolls": rows}, tables.build(tables.PAST_ROLLS, rows) if rows else Text("no roll yet"))


def shown_roll(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a past roll as people read it: the spread in points, and words for what nobody knows."""
    price = instrument_of(row["contract"]).price
    ticks = {key: row[key] for key in ("spread", "price", "stop", "target")}
    points = {key: tables.UNKNOWN if value is None else str(price(value)) for key, value in ticks.items()}
    averages = {
        key: tables.UNKNOWN if row[key] is None else tables.number(row[key])
        for key in ("closed_price", "opened_price")
    }
    return {**row, **points, **averages}


def _volumes(desk: Desk) -> list[RollVolume]:
    """Return the volumes that are kept, none while the database is away: the list is told all the same."""
    with closing(RollRows(database_of(desk.config, desk.home))) as rolls:
        try:
            return rolls.volumes()
        except DatabaseDown:
            return []


def _list(desk: Desk, only: int | None) -> Outcome:
    """Return what the rules say by the market time of each trader, or else by the clock."""
    change_rules(desk.config.rolls)
    rows, volumes = [], _volumes(desk)
    for body in desk.ask(names.KEEPER, SESSIONS, NoBody()).sessions:
        if only is None or body.id == only:
            told = [each for each in volumes if each.session == body.id]
            rows.append(_row(desk, body.id, SessionSpec.from_dict(body.spec), told))
    return Outcome({"rolls": rows}, tables.build(tables.ROLLS, rows) if rows else Text("no sessions"))


def _row(desk: Desk, session: int, spec: SessionSpec, volumes: Sequence[RollVolume]) -> dict[str, Any]:
    state, market_at = "not running", wall_ns()
    if desk.is_alive(names.trader(session)):
        try:
            told = desk.ask(names.trader(session), ASK_STATE, NoBody())
            state, market_at = (told.roll if told.rolling else "holds it"), told.market_at or market_at
        except TradeprocError:
            state = "does not answer"
    contract, hours = Contract.parse(spec.contract), market_hours(spec.calendar)
    following = next_contract(contract).code
    days = [each for each in volumes if (each.contract, each.next_contract) == (contract.code, following)]
    plan = roll_plan(contract, spec.roll, crossed_on(days, contract.code, following))
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
        "why": plan.why or _of_volumes(spec, days),
    }


def _of_volumes(spec: SessionSpec, told: Sequence[RollVolume]) -> str:
    """Return what a session that rolls by volume was told of it last; empty where it does not."""
    if spec.roll.rule is not RollRule.VOLUME:
        return ""
    if not told:
        return "no volumes are known: the rule of days decides alone"
    newest = told[-1]
    return f"{newest.day}: {newest.contract} {newest.volume}, {newest.next_contract} {newest.next_volume} traded"

"""Portfolios: create, list, show, add a session, remove one or all of it."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.layout import pairs
from tradeproc.cli.outcome import Command, Outcome, SubParsers
from tradeproc.config import read_portfolio
from tradeproc.desk.exit_status import NotFound, WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.desk.joint_standing import limit_lines
from tradeproc.errors import TradeprocError
from tradeproc.protocol import names, scopes
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.heat_messages import (
    ASK_PORTFOLIOS_HEAT,
    PORTFOLIOS_HEAT,
    PortfolioHeat,
    PortfoliosHeat,
    SessionHeat,
)
from tradeproc.protocol.portfolio_commands import (
    ADD_TO_PORTFOLIO,
    CREATE_PORTFOLIO,
    PORTFOLIOS,
    REMOVE_PORTFOLIO,
    TAKE_FROM_PORTFOLIO,
    CreatePortfolio,
    OfPortfolio,
    PlaceSession,
    PortfolioBody,
)


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    text = "create, list or show portfolios, whose sessions' heat is limited together; add a session, remove"
    portfolio = subparsers.add_parser("portfolio", help=text, description=text)
    actions = portfolio.add_subparsers(dest="action", required=True, metavar="ACTION")
    each: tuple[tuple[str, Command, str], ...] = (
        ("create", create, "create a portfolio from a file"),
        ("list", listing, "all portfolios, and how hot they are"),
        ("show", show, "one portfolio: limits, heat, groups, sessions, blocks"),
        ("add", put, "put a session into a portfolio; a running one follows within seconds"),
        ("remove", remove, "take a session out of a portfolio, or forget the portfolio when none is named"),
    )
    for name, command, text in each:
        parser = actions.add_parser(name, help=text, description=text, parents=parents)
        parser.set_defaults(command=command)
        if name == "create":
            parser.add_argument("file", type=Path, metavar="FILE", help="TOML, see conf/portfolios")
        elif name != "list":
            parser.add_argument("portfolio", metavar="PORTFOLIO")
        if name in ("add", "remove"):
            parser.add_argument("session", metavar="SESSION", nargs=None if name == "add" else "?", help="ID or name")
        if name == "remove":
            parser.add_argument("--yes", action="store_true", help="without it, no whole portfolio is forgotten")


def create(desk: Desk, arguments: Namespace) -> Outcome:
    """Create a portfolio with the sessions that its file names."""
    spec = read_portfolio(arguments.file)
    sessions = tuple(dict.fromkeys(desk.session(named).id for named in spec.sessions))
    desk.ask(names.KEEPER, CREATE_PORTFOLIO, CreatePortfolio(spec.to_dict(), sessions))
    inside = f"with session {', '.join(map(str, sessions))}" if sessions else "without sessions"
    value = {"portfolio": spec.name, "sessions": list(sessions)}
    return Outcome(value, Text(f"portfolio {spec.name} created {inside}"))


def listing(desk: Desk, _arguments: Namespace) -> Outcome:
    """List all portfolios."""
    bodies, (heats, away) = _portfolios(desk), _heats(desk)
    rows = [_plain(_row(body, _of(body, heats), away)) for body in bodies]
    if not rows:
        return Outcome({"portfolios": []}, Text("no portfolios; scripts/tradectl portfolio create FILE makes one"))
    return Outcome({"portfolios": rows}, tables.build(tables.PORTFOLIOS, rows))


def show(desk: Desk, arguments: Namespace) -> Outcome:
    """Show one portfolio."""
    bodies, (heats, away) = _portfolios(desk), _heats(desk)
    body = next((each for each in bodies if each.name == arguments.portfolio), None)
    if body is None:
        known = ", ".join(each.name for each in bodies) or "none"
        raise NotFound("portfolio", arguments.portfolio, f"there is {known}")
    heat = _of(body, heats)
    row = _row(body, heat, away)
    scope = scopes.of_portfolio(body.name)
    joint = next((each for each in heats.joint if each.scope == scope), None)
    limits = limit_lines(body.spec.get("limits") or {}, joint, away)
    value = {**_plain(row), "spec": dict(body.spec), "joint_limits": dict(limits)}
    return Outcome(value, pairs([*_lines(row, heat), *limits]))


def put(desk: Desk, arguments: Namespace) -> Outcome:
    """Put a session into a portfolio."""
    session = desk.session(arguments.session).id
    placed = desk.ask(names.KEEPER, ADD_TO_PORTFOLIO, PlaceSession(arguments.portfolio, session))
    value = {"portfolio": placed.portfolio, "session": session}
    return Outcome(value, Text(f"session {session} is in portfolio {placed.portfolio}"))


def remove(desk: Desk, arguments: Namespace) -> Outcome:
    """Take a session out, or forget the portfolio."""
    name = arguments.portfolio
    if arguments.session is None:
        if not arguments.yes:
            found = next((each for each in _portfolios(desk) if each.name == name), None)
            inside = ", ".join(map(str, found.sessions)) if found is not None else ""
            whose = f"its sessions {inside} would go on without a limit" if inside else "no session is in it"
            raise WrongUsage(f"this forgets the whole portfolio {name}: {whose}; add --yes, or name one session")
        desk.ask(names.KEEPER, REMOVE_PORTFOLIO, OfPortfolio(name))
        return Outcome({"portfolio": name}, Text(f"portfolio {name} removed; its sessions go on without a limit"))
    session = desk.session(arguments.session).id
    desk.ask(names.KEEPER, TAKE_FROM_PORTFOLIO, PlaceSession(name, session))
    value = {"portfolio": name, "session": session}
    return Outcome(value, Text(f"session {session} is in portfolio {name} no more, and goes on without a limit"))


def _portfolios(desk: Desk) -> Sequence[PortfolioBody]:
    return desk.ask(names.KEEPER, PORTFOLIOS, NoBody()).portfolios


def _heats(desk: Desk) -> tuple[PortfoliosHeat, str]:
    """Return how the portfolios stand, and why nobody knows where the server does not say."""
    try:
        told = desk.ask(names.PORTFOLIO, ASK_PORTFOLIOS_HEAT, NoBody())
    except TradeprocError as error:
        return PortfoliosHeat(""), f"the portfolio server does not say: {error}"
    return told, "the portfolio server has not read it as it is now"


def _of(body: PortfolioBody, heats: PortfoliosHeat) -> PortfolioHeat | None:
    """Return how a portfolio stands, None while the server counts other sessions than are in it now."""
    heat = next((each for each in heats.portfolios if each.name == body.name), None)
    return heat if heat is not None and heat.sessions == tuple(sorted(body.sessions)) else None


def _row(body: PortfolioBody, heat: PortfolioHeat | None, away: str) -> dict[str, Any]:
    """Return a portfolio as plain values: what is stored, and what the server says of it."""
    stands: dict[str, Any] = {"heat": None, "unknown": away, "equity": None, "is_warned": False, "blocked": ""}
    if heat is not None:
        stands = next(iter(PORTFOLIOS_HEAT.codec.plain(_alone(heat))["portfolios"]))
    return {
        **stands,
        "name": body.name,
        "sessions": list(body.sessions),
        "created_at": body.created_at,
        "limits": f"{body.spec['warn_percent']:g} / {body.spec['block_percent']:g} %",
        "state": "blocked" if stands["blocked"] else "warned" if stands["is_warned"] else "",
        "blocks": list(body.blocks),
    }


def _alone(heat: PortfolioHeat) -> PortfoliosHeat:
    return PortfoliosHeat("", (heat,))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    blocks = [{"reason": b.reason, "began_at": b.began_at, "ended_at": b.ended_at} for b in row["blocks"]]
    return {**row, "blocks": blocks}


def _amount(value: Decimal | None, currency: str) -> str:
    return "unknown" if value is None else f"{value:,.2f} {currency}"


def _of_member(member: SessionHeat, currency: str) -> str:
    """Return what a session adds to the heat, or why nobody knows that."""
    reserved = f", of it reserved {_amount(member.reserved, currency)}" if member.reserved else ""
    why = f": {member.unknown}" if member.unknown else ""
    return f"{_amount(member.heat, currency)}{why}{reserved}"


def _lines(row: dict[str, Any], heat: PortfolioHeat | None) -> list[tuple[str, str]]:
    """Return what people see of one portfolio; what nobody knows is told as unknown, with the reason."""
    found = [("name", row["name"]), ("sessions", ", ".join(map(str, row["sessions"])) or "none")]
    found.append(("limits", f"warning and block at {row['limits']} of the equity"))
    if heat is None:
        found.append(("heat", f"unknown: {row['unknown']}"))
    else:
        money = heat.currency
        known = _amount(heat.heat, money) + (f": {heat.unknown}" if heat.unknown else "")
        found += [("heat", known), ("of it reserved", _amount(heat.reserved, money))]
        found += [("equity", _amount(heat.equity, money)), ("warning at", _amount(heat.warn_at, money))]
        found.append(("block at", _amount(heat.block_at, money)))
        for name, group in heat.groups.items():
            limit = "" if group.block_at is None else f" of {_amount(group.block_at, money)}"
            warning = "" if group.warn_at is None else f", warning at {_amount(group.warn_at, money)}"
            doubt = "at least " if any(each.group == name and each.unknown for each in heat.members) else ""
            found.append((f"  {name}", f"{doubt}{_amount(group.heat, money)}{limit}{warning}"))
        found += [(f"  session {each.session}", _of_member(each, money)) for each in heat.members]
        found.append(("entries", f"refused: {heat.blocked}" if heat.blocked else "asked for one by one"))
    for block in row["blocks"]:
        until = "now" if block.ended_at is None else tables.when(block.ended_at)
        found.append(("blocked", f"{tables.when(block.began_at)} to {until}: {block.reason}"))
    return found

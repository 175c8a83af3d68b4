"""What the database knows: orders, positions, trades, fills, divergences, alarms."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from functools import partial
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.desk import KEEPER, Desk
from tradeproc.cli.outcome import Outcome, SubParsers, positive
from tradeproc.cli.screen import price_of_order

# command, columns, help
LISTS: tuple[tuple[str, Sequence[tables.Column], str], ...] = (
    ("orders", tables.ORDERS, "orders, the newest last"),
    ("positions", tables.POSITIONS, "the position of each session as last confirmed by the broker"),
    ("trades", tables.TRADES, "round-trip trades with profit before fees"),
    ("fills", tables.FILLS, "fills, the newest last"),
    ("divergences", tables.DIVERGENCES, "where our copy differed from the broker, who won"),
    ("alarms", tables.ALARMS, "what wanted a person's attention"),
)


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    for name, _, text in LISTS:
        parser = subparsers.add_parser(name, help=text, description=text, parents=parents)
        parser.add_argument("--session", metavar="ID|NAME", help="only this session")
        parser.add_argument("--limit", type=positive, default=50, metavar="N", help="at most the newest N rows (50)")
        parser.set_defaults(command=partial(show, name))


def show(name: str, desk: Desk, arguments: Namespace) -> Outcome:
    """List one kind of rows."""
    rows = ask_rows(desk, name, session=arguments.session, limit=arguments.limit)
    if name == "trades" and rows:
        rows = with_market_times(rows, ask_rows(desk, "fills", session=arguments.session))
    if name == "positions" and arguments.session is None:
        # what a removed session last held is history, not a position
        listed = {row["id"] for row in desk.sessions()}
        rows = [row for row in rows if row["session"] in listed]
    columns = next(columns for command, columns, _ in LISTS if command == name)
    return Outcome({name: rows}, render(name, columns, rows))


def ask_rows(desk: Desk, name: str, *, session: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
    """Return rows of one kind from the keeper, oldest first; `session` is a number or a name."""
    params: dict[str, Any] = {}
    if session is not None:
        params["session"] = int(desk.session(session)["id"])
    if limit is not None:
        params["limit"] = limit
    rows: list[dict[str, Any]] = desk.ask(KEEPER, name, params)[name]
    return rows


def with_market_times(trades: Sequence[dict[str, Any]], fills: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the trades with the market times of the fills that opened and closed them beside the wall times."""
    times = {(fill["order_id"], fill["at"]): fill["market_at"] for fill in fills}
    return [
        {
            **trade,
            "entered_market_at": times.get((trade["entry_order"], trade["entered_at"])),
            "exited_market_at": times.get((trade["exit_order"], trade["exited_at"])),
        }
        for trade in trades
    ]


def render(name: str, columns: Sequence[tables.Column], rows: Sequence[dict[str, Any]]) -> RenderableType:
    """Return the table of one kind of rows, or a line that there are none."""
    if not rows:
        return Text(f"no {name}")
    if name == "orders":
        return tables.build(columns, [{**row, "price": price_of_order(row)} for row in rows])
    table = tables.build(columns, rows)
    if name != "trades":
        return table
    return Group(table, Text.assemble("total ", tables.money(tables.total_profit(rows)), " before fees"))

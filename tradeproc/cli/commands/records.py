"""What the database knows: orders, positions, trades, fills, divergences, alarms."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.commands import alarm_test
from tradeproc.cli.layout import Column
from tradeproc.cli.outcome import Outcome, SubParsers, positive
from tradeproc.cli.screen import price_of_order
from tradeproc.desk import lookup
from tradeproc.desk.installation import Desk
from tradeproc.desk.listed import SessionListed
from tradeproc.domain.book import Fill, Trade
from tradeproc.errors import TradeprocError
from tradeproc.protocol import names
from tradeproc.protocol.book_messages import (
    ALARMS,
    DECISIONS,
    DIVERGENCES,
    FILLS,
    ORDERS,
    POSITIONS,
    TRADES,
    ListDecisions,
    ListRows,
)
from tradeproc.protocol.definitions import Method, NoBody
from tradeproc.protocol.names import KEEPER
from tradeproc.protocol.process_messages import STATUS
from tradeproc.protocol.trader_messages import ASK_STATE
from tradeproc.protocol.writing import plain

_TRADER_SECONDS = 2.0
_METHODS: Mapping[str, Method[ListRows, Any]] = {
    "orders": ORDERS,
    "fills": FILLS,
    "divergences": DIVERGENCES,
    "alarms": ALARMS,
}
_SEEN = frozenset({"acknowledged_by", "acknowledged_reason"})
# command, columns, help
LISTS: tuple[tuple[str, Sequence[Column], str], ...] = (
    ("orders", tables.ORDERS, "orders, the newest last"),
    ("positions", tables.POSITIONS, "the position of each session as last confirmed by the broker, or unknown"),
    ("trades", tables.TRADES, "round-trip trades with profit before fees"),
    ("fills", tables.FILLS, "fills, the newest last"),
    ("decisions", tables.DECISIONS, "what strategies wanted and why it was refused; the same again is one row"),
    ("divergences", tables.DIVERGENCES, "where our copy differed from the broker, who won"),
    ("alarms", tables.ALARMS, "what wanted a person's attention"),
)


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    for name, _, text in LISTS:
        parser = subparsers.add_parser(name, help=text, description=text, parents=parents)
        parser.add_argument("--session", metavar="ID|NAME", help="only this session")
        parser.add_argument("--limit", type=positive, default=50, metavar="N", help="at most the newest N rows (50)")
        if name == "decisions":
            parser.add_argument("--refused", action="store_true", help="only those that were not carried out")
        parser.set_defaults(command=partial(show, name))
        if name == "alarms":
            alarm_test.add_to(parser, partial(show, name))


def show(name: str, desk: Desk, arguments: Namespace) -> Outcome:
    """List one kind of rows."""
    if name == "positions":
        rows = _positions(desk, arguments.session)[-arguments.limit :]
    elif name == "trades":
        rows = _trades(desk, arguments.session, arguments.limit)
    else:
        rows = _rows(desk, name, arguments)
    columns = next(columns for command, columns, _ in LISTS if command == name)
    return Outcome({name: rows}, render(name, columns, rows, name_of_total(rows, arguments.limit)))


def name_of_total(rows: Sequence[dict[str, Any]], limit: int) -> str:
    """Return what the sum of some rows is of; there may be more than a full list shows."""
    return f"total of the {len(rows)} shown" if len(rows) >= limit else "total"


def _positions(desk: Desk, named: str | None) -> list[dict[str, Any]]:
    """Return the position of each session that is still listed; of one that should run also when nobody knows it."""
    sessions = desk.sessions() if named is None else [desk.session(named)]
    listed = {session.id for session in sessions}
    told = desk.ask(KEEPER, POSITIONS, ListRows(number_of(desk, named))).positions
    # what a removed session last held is history, not a position
    rows = [(each.session, plain(each)) for each in told if each.session in listed]
    known = {session for session, _ in rows}
    unknown = [each for each in sessions if each.desired != "stopped" and each.id not in known]
    rows += [(each.id, _unconfirmed(desk, each)) for each in unknown]
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def _unconfirmed(desk: Desk, session: SessionListed) -> dict[str, Any]:
    """Return the position of a session of which the database has none: what its trader knows, or why nobody does."""
    row = {"session": session.id, "account": session.account, "contract": session.contract}
    unknown = {**row, "quantity": None, "average": None}
    trader = names.trader(session.id)
    if not desk.is_alive(trader):
        return {**unknown, "reason": f"{trader} is not running"}
    try:
        told = desk.client.call(trader, STATUS, NoBody(), _TRADER_SECONDS)
        state = desk.client.call(trader, ASK_STATE, NoBody(), _TRADER_SECONDS)
    except TradeprocError as error:
        return {**unknown, "reason": str(error)}
    if not state.reconciled:
        return {**unknown, "reason": told.detail or "the broker has not confirmed it yet"}
    average = None if state.average is None else format(state.average, "f")
    return {**row, "quantity": state.position, "average": average, "at": told.at, "source": "trader"}


def number_of(desk: Desk, named: str | None) -> int | None:
    """Return the number of the session with this number or name; None means all."""
    return None if named is None else lookup.find(desk, named).row.id


def _rows(desk: Desk, name: str, arguments: Namespace) -> list[dict[str, Any]]:
    """Return rows of one kind as the keeper tells them, oldest first."""
    session, limit = number_of(desk, arguments.session), arguments.limit
    if name == "decisions":
        told = plain(desk.ask(KEEPER, DECISIONS, ListDecisions(session, limit, arguments.refused)))
    else:
        told = plain(desk.ask(KEEPER, _METHODS[name], ListRows(session, limit)))
    return [_without_unseen(row) for row in told[name]]


def _without_unseen(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without who has seen it, where nobody has."""
    return {key: value for key, value in row.items() if value is not None or key not in _SEEN}


def _trades(desk: Desk, named: str | None, limit: int) -> list[dict[str, Any]]:
    session = number_of(desk, named)
    trades = desk.ask(KEEPER, TRADES, ListRows(session, limit)).trades
    if not trades:
        return []
    return with_market_times(trades, desk.ask(KEEPER, FILLS, ListRows(session)).fills)


def with_market_times(trades: Sequence[Trade], fills: Sequence[Fill]) -> list[dict[str, Any]]:
    """Return the trades as rows, with the market times of the fills that opened and closed them."""
    times = {(fill.order_id, fill.at): fill.market_at for fill in fills}
    return [
        {
            **plain(trade),
            "entered_market_at": times.get((trade.entry_order, trade.entered_at)),
            "exited_market_at": times.get((trade.exit_order, trade.exited_at)),
        }
        for trade in trades
    ]


def render(
    name: str, columns: Sequence[Column], rows: Sequence[dict[str, Any]], total: str = "total"
) -> RenderableType:
    """Return the table of one kind of rows, or a line that there are none; `total` names the sum of trades."""
    if not rows:
        return Text(f"no {name}")
    if name == "orders":
        return tables.build(
            columns, [{**row, "price": price_of_order(row["limit_price"], row["stop_price"])} for row in rows]
        )
    if name == "positions":
        # a blank could be read as none
        return tables.build(
            columns, [{**row, "quantity": "unknown" if row["quantity"] is None else row["quantity"]} for row in rows]
        )
    if name == "fills":
        # what our orders did needs no word; what they did not, and what was taken back, does
        own = [{**row, "kind": "" if row.get("kind") == "own" else row.get("kind")} for row in rows]
        return tables.build(columns, [_with_unknown(row, "price") for row in own])
    if name != "trades":
        return tables.build(columns, rows)
    table = tables.build(columns, [_with_unknown(row, "entry_price", "exit_price", "profit") for row in rows])
    unknown = sum(row["profit"] is None for row in rows)
    rest = f"; the profit of {unknown} is unknown" if unknown else ""
    return Group(table, Text.assemble(f"{total} ", tables.money(tables.total_profit(rows)), f" before fees{rest}"))


def _with_unknown(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return the row with a word for what nobody knows: a blank could be read as none, and none as 0."""
    return {**row, **{key: tables.UNKNOWN for key in keys if row.get(key) is None}}

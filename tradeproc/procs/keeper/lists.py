"""What the keeper reads from the database for people: orders, fills, trades, positions, decisions, alarms."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from tradeproc.bus.node import Node
from tradeproc.domain.book import DecisionMade
from tradeproc.errors import Refusal
from tradeproc.protocol import book_messages as books
from tradeproc.protocol.alarms import scope_of_kept, severity_of
from tradeproc.protocol.book_messages import MOST_ROWS, ListDecisions, ListRows
from tradeproc.protocol.definitions import Method
from tradeproc.protocol.names import ProcessName
from tradeproc.protocol.trader_messages import order_bodies
from tradeproc.store import Acknowledgement, AlarmRow, DivergenceRow, PositionRow, Store

MOST = MOST_ROWS

_HIGHEST = 2**63 - 1

R = TypeVar("R")
A = TypeVar("A")


class BadQuestion(Refusal):
    """A parameter of the wrong kind; answered as refused."""


def register_lists(node: Node, store: Store) -> None:
    """Serve the lists of `protocol/book_messages.py`; positions are one a session and contract, and never cut."""
    _serve(
        node,
        books.ORDERS,
        lambda session, limit: order_bodies(store.orders(session, limit=limit)),
        books.OrdersListed,
    )
    _serve(node, books.FILLS, lambda session, limit: store.fills(session, limit=limit), books.FillsListed)
    _serve(node, books.TRADES, lambda session, limit: store.trades(session, limit=limit), books.TradesListed)
    _serve(
        node,
        books.DIVERGENCES,
        lambda session, limit: [_divergence(row) for row in store.divergences(session)][-limit:],
        books.DivergencesListed,
    )
    _serve(
        node,
        books.ALARMS,
        lambda session, limit: [_alarm(row) for row in store.alarms(session)][-limit:],
        books.AlarmsListed,
    )
    node.handle(books.POSITIONS, lambda asked: _positions(store, asked))
    node.handle(books.DECISIONS, lambda asked: _decisions(store, asked))


def _serve(
    node: Node,
    method: Method[ListRows, A],
    read: Callable[[int | None, int], Sequence[R]],
    listed: Callable[[tuple[R, ...], bool], A],
) -> None:
    node.handle(method, lambda asked: listed(*_newest(asked, read)))


def _newest(asked: ListRows, read: Callable[[int | None, int], Sequence[R]]) -> tuple[tuple[R, ...], bool]:
    """Return the newest rows, and whether there are older ones."""
    session = _session(asked)
    if not 1 <= asked.limit <= MOST:
        raise BadQuestion(f"limit: at most {MOST} rows are told at once, and at least 1, not {asked.limit}")
    # one row more than wanted tells whether there are more
    rows = read(session, asked.limit + 1)
    return tuple(rows[-asked.limit :]), len(rows) > asked.limit


def _positions(store: Store, asked: ListRows) -> books.PositionsListed:
    return books.PositionsListed(tuple(_position(row) for row in store.positions(_session(asked))))


def _decisions(store: Store, asked: ListDecisions) -> books.DecisionsListed:
    """Answer with the newest decisions, or those that were refused, and with the counts of all that are kept."""

    def read(session: int | None, limit: int) -> Sequence[DecisionMade]:
        return store.decisions(session, only_refused=asked.refused, limit=limit)

    rows, is_cut = _newest(asked, read)
    counts = None if asked.session is None else books.StoredDecisionCounts(**store.decision_counts(asked.session))
    return books.DecisionsListed(rows, is_cut, counts)


def _session(asked: ListRows) -> int | None:
    return None if asked.session is None else number(asked.session, "session")


def number(value: int, name: str) -> int:
    """Return a positive whole number of a message that the database can hold.

    Raises:
        BadQuestion: it is another number.
    """
    if not 1 <= value <= _HIGHEST:
        raise BadQuestion(f"{name}: expected a whole number above 0, found {value!r}")
    return value


def _position(row: PositionRow) -> books.PositionShown:
    return books.PositionShown(**_fields(row.position), session=row.session, source=row.source, at=row.at)


def _divergence(row: DivergenceRow) -> books.DivergenceShown:
    seen = _acknowledged(row.acknowledged)
    return books.DivergenceShown(**_fields(row.divergence), closed_at=row.closed_at, **seen)


def _alarm(row: AlarmRow) -> books.AlarmListed:
    seen = _acknowledged(row.acknowledged)
    return books.AlarmListed(
        who=None if row.who is None else ProcessName(row.who),
        name=row.name,
        scope=scope_of_kept(row.session, row.name),
        severity=severity_of(row.name),
        since=row.at,
        detail=row.detail,
        cleared=row.cleared_at is not None,
        session=row.session,
        at=row.at,
        cleared_at=row.cleared_at,
        **seen,
    )


def _acknowledged(seen: Acknowledgement | None) -> dict[str, Any]:
    if seen is None:
        return {}
    return {"acknowledged_at": seen.at, "acknowledged_by": seen.by, "acknowledged_reason": seen.reason}


def _fields(value: Any) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in fields(value)}

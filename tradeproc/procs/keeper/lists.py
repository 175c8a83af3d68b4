"""What the keeper reads from the database for people: orders, fills, trades, positions, decisions, alarms."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.domain import messages
from tradeproc.errors import Refusal
from tradeproc.procs.bodies import order_body
from tradeproc.store import Acknowledged, AlarmRow, DivergenceRow, PositionRow, Store

MOST = 10_000

_HIGHEST = 2**63 - 1

Rows = list[Body]


class BadQuestion(Refusal):
    """A parameter of the wrong kind; answered as refused."""


def register_lists(node: Node, store: Store) -> None:
    """Serve one method a list: `{session?, limit?}` gives the newest rows, oldest first, of one session or of all.

    The answer's `cut` tells whether there are older rows. Positions are one a session and contract, and never cut.
    """
    lists: dict[str, Callable[[int | None, int], Rows]] = {
        "orders": lambda session, limit: [order_body(order) for order in store.orders(session, limit=limit)],
        "fills": lambda session, limit: [messages.fill_to_body(fill) for fill in store.fills(session, limit=limit)],
        "trades": lambda session, limit: [
            messages.trade_to_body(trade) for trade in store.trades(session, limit=limit)
        ],
        "divergences": lambda session, limit: [_divergence(row) for row in store.divergences(session)][-limit:],
        "alarms": lambda session, limit: [_alarm(row) for row in store.alarms(session)][-limit:],
    }
    node.handle("positions", lambda body: {"positions": [_position(row) for row in store.positions(_session(body))]})
    for name, read in lists.items():
        node.handle(name, partial(_answer, name, read))
    node.handle("decisions", partial(_decisions, store))


def _decisions(store: Store, body: Body) -> Body:
    """Answer with the newest decisions, or those `refused`, and with the counts of all that are kept of a session."""
    session, is_refused = _session(body), body.get("refused") is True

    def read(session: int | None, limit: int) -> Rows:
        return [asdict(row) for row in store.decisions(session, only_refused=is_refused, limit=limit)]

    counts = {} if session is None else {"counts": store.decision_counts(session)}
    return {**_answer("decisions", read, body), **counts}


def _answer(name: str, read: Callable[[int | None, int], Rows], body: Body) -> Body:
    most = _limit(body)
    # one row more than wanted tells whether there are more
    rows = read(_session(body), most + 1)
    return {name: rows[-most:], "cut": len(rows) > most}


def _session(body: Body) -> int | None:
    session = body.get("session")
    return None if session is None else number(session, "session")


def _limit(body: Body) -> int:
    limit = number(body.get("limit", MOST), "limit")
    if limit > MOST:
        raise BadQuestion(f"limit: at most {MOST} rows are told at once, not {limit}")
    return limit


def number(value: Any, name: str) -> int:
    """Return a positive whole number of a message that the database can hold.

    Raises:
        BadQuestion: it is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _HIGHEST:
        raise BadQuestion(f"{name}: expected a whole number above 0, found {value!r}")
    return value


def _position(row: PositionRow) -> Body:
    position = messages.position_to_body(row.position)
    return {**position, "session": row.session, "source": row.source, "at": row.at}


def _divergence(row: DivergenceRow) -> Body:
    told = messages.divergence_to_body(row.divergence)
    return {**told, "closed_at": row.closed_at, **_acknowledged(row.acknowledged)}


def _alarm(row: AlarmRow) -> Body:
    return {
        "session": row.session,
        "name": row.name,
        "detail": row.detail,
        "at": row.at,
        "cleared_at": row.cleared_at,
        **_acknowledged(row.acknowledged),
    }


def _acknowledged(seen: Acknowledged | None) -> Body:
    if seen is None:
        return {"acknowledged_at": None}
    return {"acknowledged_at": seen.at, "acknowledged_by": seen.by, "acknowledged_reason": seen.reason}

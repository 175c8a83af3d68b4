"""The simulated database: rows as a real one keeps them, leases with fences, and the journal of each trader.

A row in the journal outlives the trader, as a file does. While the database is away every call raises `RowsAway`;
a commit whose answer is lost has written its rows and raises too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tradeproc.domain.book import Fill, Position
from tradeproc.domain.orders import Order, OrderState
from tradeproc.domain.units import Nanos
from tradeproc.engine.effects import KeepLatch, Persist
from tradeproc.engine.events import TradingState
from tradeproc.errors import Outage

Row = Persist | KeepLatch


class RowsAway(Outage):
    """The simulated database does not answer; caught by the simulated trader."""


@dataclass(slots=True)
class SessionRows:
    """What the database and the journal hold of one session; `fence` is of the lease given last."""

    orders: dict[str, Order] = field(default_factory=dict)
    fills: dict[tuple[str, int, int], Fill] = field(default_factory=dict)
    saved_at: Nanos | None = None
    saved: Position | None = None
    latches: dict[str, KeepLatch] = field(default_factory=dict)
    fence: int = 0
    journal: list[Row] = field(default_factory=list)
    commits_to_lose: int = 0
    written: set[str] = field(default_factory=set)


class SimulatedDatabase:
    """The rows of all sessions."""

    def __init__(self, sessions: int) -> None:
        self.sessions = [SessionRows() for _ in range(sessions)]
        self.is_away = False

    def take_lease(self, session: int) -> int:
        """Give out the lease and return its fence.

        Raises:
            RowsAway: the database does not answer.
        """
        self._reach()
        rows = self.sessions[session]
        rows.fence += 1
        return rows.fence

    def write(self, session: int, row: Row, at: Nanos, fence: int | None = None) -> None:
        """Write a unit; with `fence`, only if it is the newest one.

        Raises:
            RowsAway: nothing was written, or the answer was lost.
        """
        self._reach()
        rows = self.sessions[session]
        if fence is not None and fence != rows.fence:
            raise RowsAway("the lease of the session is lost")
        _apply(rows, row, at)
        if isinstance(row, Persist) and rows.commits_to_lose:
            rows.commits_to_lose -= 1
            raise RowsAway("the connection broke during the commit")

    def append(self, session: int, row: Row) -> None:
        """Write a row into the session's journal."""
        rows = self.sessions[session]
        rows.journal.append(row)
        if isinstance(row, Persist):
            rows.written.update(order.id for order in row.orders)

    def replay(self, session: int, at: Nanos) -> None:
        """Write the journal's rows into the database, oldest first.

        Raises:
            RowsAway: the database does not answer; nothing is lost.
        """
        self._reach()
        rows = self.sessions[session]
        for row in rows.journal:
            _apply(rows, row, at)
        rows.journal.clear()

    def latches(self, session: int) -> list[KeepLatch]:
        """Return the latches of a session.

        Raises:
            RowsAway: the database does not answer.
        """
        self._reach()
        return list(self.sessions[session].latches.values())

    def keep_latch(self, session: int, latch: KeepLatch) -> None:
        """Keep a person's latch; the keeper's file stands in for a database that is away."""
        self.sessions[session].latches[latch.scope] = latch

    def _reach(self) -> None:
        if self.is_away:
            raise RowsAway("the database is away")


def _apply(rows: SessionRows, row: Row, at: Nanos) -> None:
    if isinstance(row, KeepLatch):
        known = rows.latches.get(row.scope)
        if known is None or known.state is TradingState.ACTIVE:
            rows.latches[row.scope] = row
        return
    for order in row.orders:
        rows.orders[order.id] = order
        rows.written.add(order.id)
    for fill in row.fills:
        rows.fills.setdefault((fill.order_id, fill.revision, fill.cumulative), fill)
    if row.position is not None:
        rows.saved, rows.saved_at = row.position, at


def open_rows(orders: Sequence[Order]) -> list[Order]:
    """Return the orders that can still fill."""
    ended = (OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED)
    return [order for order in orders if order.state not in ended]

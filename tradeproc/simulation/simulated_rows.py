"""The simulated database: rows as a real one keeps them, leases with fences, and the journal of each trader.

A row in the journal outlives the trader, as a file does. While the database is away every call raises `RowsAway`;
a commit whose answer is lost has written its rows and raises too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tradeproc.domain.book import Fill, Position
from tradeproc.domain.orders import Order, OrderState
from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.tally import LossMarks
from tradeproc.domain.units import Nanos
from tradeproc.engine.effects import KeepLatch, Persist
from tradeproc.engine.events import TradingState
from tradeproc.errors import Outage

Row = Persist | KeepLatch | LossMarks | Roll


class RowsAway(Outage):
    """The simulated database does not answer; caught by the simulated trader."""


@dataclass(slots=True)
class SessionRows:
    """What the database and the journal hold of one session; `fence` is of the lease given last.

    `latch_changes` is the history of its latches, oldest first. `rolls` are those at the step that they have reached,
    `saved_at` is when its position in a contract was written last.
    """

    orders: dict[str, Order] = field(default_factory=dict)
    fills: dict[tuple[str, int, int], Fill] = field(default_factory=dict)
    contract: str = ""
    rolls: dict[str, Roll] = field(default_factory=dict)
    saved_at: dict[str, Nanos] = field(default_factory=dict)
    saved: Position | None = None
    latches: dict[str, KeepLatch] = field(default_factory=dict)
    latch_changes: list[KeepLatch] = field(default_factory=list)
    beneath: dict[str, KeepLatch] = field(default_factory=dict)
    """The latches of the engine that have no row, because one that closes as much or more stood already."""
    marks: LossMarks | None = None
    fence: int = 0
    journal: list[Row] = field(default_factory=list)
    commits_to_lose: int = 0
    written: set[str] = field(default_factory=set)


class SimulatedDatabase:
    """The rows of all sessions."""

    def __init__(self, sessions: int, contract: str) -> None:
        self.sessions = [SessionRows(contract=contract) for _ in range(sessions)]
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
        if isinstance(row, Persist | Roll) and rows.commits_to_lose:
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
        rows = self.sessions[session]
        rows.latches[latch.scope] = latch
        rows.latch_changes.append(latch)
        if latch.state is TradingState.ACTIVE:
            rows.beneath.pop(latch.scope, None)

    def limit_latch(self, session: int, scope: str, by: str) -> tuple[Nanos, str]:
        """Return when the newest latch of `by` was lifted, and why one of its stands: 0 and empty where none."""
        changes = [each for each in self.sessions[session].latch_changes if each.scope == scope]
        lifted, why = Nanos(0), ""
        for change in changes:
            if change.state is TradingState.ACTIVE:
                lifted, why = (change.at if why else lifted), ""
            elif change.by == by:
                lifted, why = Nanos(0), change.reason
        return lifted, why

    def _reach(self) -> None:
        if self.is_away:
            raise RowsAway("the database is away")


def _apply(rows: SessionRows, row: Row, at: Nanos) -> None:
    if isinstance(row, KeepLatch):
        _trip(rows, row)
        return
    if isinstance(row, LossMarks):
        rows.marks = row
        return
    if isinstance(row, Roll):
        _keep_roll(rows, row)
        return
    for order in row.orders:
        rows.orders[order.id] = order
        rows.written.add(order.id)
    for fill in row.fills:
        rows.fills.setdefault((fill.order_id, fill.revision, fill.cumulative), fill)
    if row.position is not None:
        rows.saved = row.position
        rows.saved_at[row.position.contract] = at


def _keep_roll(rows: SessionRows, roll: Roll) -> None:
    """Keep the step of a roll, unless a later one is known; with the contract that goes with it."""
    known = rows.rolls.get(roll.id)
    if known is None or _reached(roll) >= _reached(known):
        rows.rolls[roll.id] = roll
    if roll.step is RollStep.SWITCHED and rows.contract == roll.contract:
        rows.contract = roll.next_contract


def _reached(roll: Roll) -> tuple[bool, bool, int, int]:
    is_beyond = roll.step in (RollStep.SWITCHED, RollStep.REOPENING)
    return roll.step.is_over, is_beyond, len(roll.entry_orders), len(roll.close_orders)


def _trip(rows: SessionRows, latch: KeepLatch) -> None:
    """Keep a latch of the engine: one that closes as much or more stays, and what was once done is not done again."""
    present = rows.latches.get(latch.scope)
    severity = TradingState.ACTIVE.severity if present is None else present.state.severity
    if severity < latch.state.severity and latch not in rows.latch_changes:
        rows.latches[latch.scope] = latch
        rows.latch_changes.append(latch)
    elif latch not in rows.latch_changes:
        rows.beneath[latch.scope] = latch


def open_rows(orders: Sequence[Order]) -> list[Order]:
    """Return the orders that can still fill."""
    ended = (OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED)
    return [order for order in orders if order.state not in ended]

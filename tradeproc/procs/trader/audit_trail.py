"""Where a trader writes: the database, or its journal while that is away.

While the database is away every row goes into the journal, which is replayed before the database counts as up again,
so that history keeps its order. A lost lease never loses a row: what has happened is written even though the fence is
no longer ours. But once another trader holds the session, ours must do nothing any more, not even close its position:
it ends before it sends what it wanted to send.
"""

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from pathlib import Path

from tradeproc.clock import SECOND, SteadyClock, monotonic_ns
from tradeproc.domain.book import Balance, Divergence
from tradeproc.domain.roll_steps import Roll
from tradeproc.domain.roll_volumes import RollVolume
from tradeproc.domain.tally import LossMarks
from tradeproc.domain.units import Nanos
from tradeproc.engine.effects import KeepLatch, Persist
from tradeproc.engine.events import concerns
from tradeproc.errors import Fault
from tradeproc.procs.trader.timing import USUAL, TraderTiming
from tradeproc.protocol import names
from tradeproc.store.background import begun
from tradeproc.store.database import DatabaseDown, StatementRefused
from tradeproc.store.journal import Journal
from tradeproc.store.kept import read_kept, standing
from tradeproc.store.lease import Lease, LeaseTaken
from tradeproc.store.rows import Latch, PositionRow
from tradeproc.store.store import LeaseLost, Store, UnknownSession
from tradeproc.store.writes import (
    Write,
    alarm_write,
    alarms_cleared_write,
    balance_write,
    divergence_write,
    divergences_closed_write,
    latch_write,
    loss_marks_write,
    orders_write,
    position_write,
    roll_volume_write,
    roll_write,
)

log = logging.getLogger(__name__)

# a hanging database may block the trader this long per try; one that refuses at once is retried sooner
CONNECT_SECONDS = 0.5
# a try is followed by a pause of at most so many times what it took
_PAUSE_TIMES = 20
_TAKE_SECONDS = 0.3
_MOST_UNWRITTEN = 10_000


class Superseded(Fault):
    """Another trader has the session now; caught by the entry point: we begin again and wait behind it."""

    def __init__(self, session: int, holder: str) -> None:
        super().__init__(f"session {session}: {holder} is its only trader now; nothing more is done here")


class AuditTrail:
    """The store, the journal and the lease of one trader; remembers whether the database is up.

    `kept` is the keeper's file of latches that are not stored yet.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        lease: Lease,
        session: int,
        holder: str,
        kept: Path,
        timing: TraderTiming = USUAL,
    ) -> None:
        self.store, self.journal, self.session, self.holder = store, journal, session, holder
        self._kept, self.timing = kept, timing
        self.lease = lease
        self.clock = SteadyClock()
        self.is_up = True
        self.is_lease_held = True
        self.reason = self.refusal = self._in_memory = ""
        self._not_before = 0
        self._taking: Future[Lease] | None = None
        self._unwritten: deque[Write] = deque(maxlen=_MOST_UNWRITTEN)

    @property
    def fence(self) -> int:
        """Return the fence under which rows are written."""
        return self.lease.fence

    def latches(self, logins: Collection[str] = (), portfolio: str = "", account: str | None = None) -> list[Latch]:
        """Return the latches that count for our session; while the database is away, only those of the keeper's file.

        Args:
            logins: the session's, whose latches count too.
            portfolio: the session's, whose latch counts too; empty for none.
            account: the session's, whose latch counts too.

        Raises:
            DatabaseDown: it has just gone away.
        """
        # the file is read first: a latch that is stored between the two readings is then found in the database
        kept = read_kept(self._kept)
        counting = standing(self.store.latches() if self.is_up else (), kept)
        return [latch for latch in counting if concerns(latch.scope, self.session, logins, portfolio, account)]

    def persist(self, unit: Persist, meanwhile: Callable[[], None] = lambda: None) -> str:
        """Write one unit; return an empty text when it is in the database, else the reason.

        With a reason, a unit that may be journalled is in the journal. One that may not (an entry) must not be acted
        on: it is not in the database, or nobody knows whether it is, or the lease was lost while it was written.
        `meanwhile` is called while the database writes an entry, and not at all when it is known to be away.

        Raises:
            Superseded: another trader has the session.
        """
        rows = self._writes(unit) if unit.may_journal else ()
        if not self.is_up and unit.may_journal:
            self._to_journal(rows)
            return self.reason
        if not unit.may_journal and not (self.is_up and self._has_lease()):
            return self.reason or "the lease of the session is lost"
        try:
            if unit.may_journal:
                self._to_store(rows)
            else:
                self.store.enter_orders(unit.orders, unit.events, fence=self.fence, meanwhile=meanwhile)
        except DatabaseDown as down:
            self.went_down(down)
        except LeaseLost as lost:
            self.is_lease_held = False
            self.reason = str(lost)
            self._end_if_superseded()
        except StatementRefused as refused:
            self._was_refused(refused)
        else:
            # We may have been suspended meanwhile: send only if the lease still stands.
            return "" if unit.may_journal or self._has_lease() else "the lease of the session was lost meanwhile"
        self._to_journal(rows)
        return self.reason

    def write(self, *rows: Write) -> None:
        """Write something else, into the journal when the database is away."""
        if self.is_up:
            try:
                self._to_store(rows)
                return
            except DatabaseDown as down:
                self.went_down(down)
            except StatementRefused as refused:
                self._was_refused(refused)
        self._to_journal(rows)

    def save_balance(self, balance: Balance) -> None:
        """Keep a balance if it changed."""
        self.write(balance_write(balance))

    def save_loss_marks(self, marks: LossMarks) -> None:
        """Keep from where losses are counted."""
        self.write(loss_marks_write(marks))

    def save_divergence(self, divergence: Divergence) -> None:
        """Keep a divergence, closed as it is written: our side is corrected already."""
        kind, subject, at = divergence.kind.value, divergence.subject, divergence.at
        self.write(divergence_write(divergence), divergences_closed_write(self.session, kind, subject, at))

    def save_alarm(self, name: str, detail: str, at: Nanos) -> None:
        """Keep an alarm."""
        self.write(alarm_write(self.session, name, detail, at, names.trader(self.session)))

    def keep_latch(self, latch: KeepLatch) -> None:
        """Keep a latch that the engine has set."""
        self.write(latch_write(Latch(latch.scope, latch.state.value, latch.by, latch.reason, latch.at)))

    def save_roll(self, roll: Roll) -> None:
        """Keep a step of a roll."""
        self.write(roll_write(roll))

    def save_roll_volume(self, volume: RollVolume) -> None:
        """Keep what two contracts traded on a day."""
        self.write(roll_volume_write(volume))

    def switch_contract(self, roll: Roll) -> str:
        """Make a roll's next contract the session's in the database itself; return why it is not, else nothing."""
        if not (self.is_up and self._has_lease()):
            return self.reason or "the lease of the session is lost"
        try:
            self.store.write(roll_write(roll, fence=self.fence))
            stored = self.store.session(self.session).spec.contract
        except DatabaseDown as down:
            self.went_down(down)
            return self.reason
        except StatementRefused as refused:
            self._was_refused(refused)
            return self.reason
        return "" if stored == roll.next_contract else f"it has {stored}: another trader may have the session"

    def clear_alarm(self, name: str, at: Nanos) -> None:
        """Keep that an alarm is over."""
        self.write(alarms_cleared_write(self.session, name, at))

    def look_after(self) -> None:
        """Notice a lost lease, take it again, and replay the journal into a database that is back; called often.

        Raises:
            Superseded: another trader has the session.
        """
        self._has_lease()
        now = monotonic_ns()
        is_well = self.is_lease_held and self.is_up and self.journal.is_empty() and not self._unwritten
        if is_well or now < self._not_before:
            return
        self._not_before = now + int(self.timing.database * SECOND)
        if self.is_lease_held or self._take_lease():
            self._replay()
        took = monotonic_ns() - now
        self._not_before = min(self._not_before, monotonic_ns() + _PAUSE_TIMES * took)

    def close(self) -> None:
        """Give the lease and the connections back, after a last try to keep what a full disk did not take."""
        try:
            self._flush()
        except OSError as error:
            log.critical("rows_lost session=%d rows=%d reason=%s", self.session, len(self._unwritten), error)
        self.lease.release()
        self.journal.close()
        self.store.close()

    def _writes(self, unit: Persist) -> list[Write]:
        """Return what is written of a unit."""
        rows = []
        if unit.orders or unit.fills:
            rows.append(orders_write(unit.orders, unit.events, unit.fills, fence=self.fence))
        if unit.position is not None:
            rows.append(position_write(PositionRow(self.session, unit.position, unit.source, self.clock.now())))
        return rows

    def _to_store(self, rows: Sequence[Write]) -> None:
        for row in rows:
            self.store.write(row)

    def _to_journal(self, rows: Sequence[Write]) -> None:
        """Write into the journal; on a full disk keep it in memory, because an exit goes on whatever happens."""
        for row in rows:
            try:
                self._flush()
                self.journal.append(row)
            except OSError as error:
                self._keep_in_memory(row, error)

    def _keep_in_memory(self, row: Write, error: OSError) -> None:
        if not self._unwritten:
            self._in_memory = f"the journal cannot be written: {error}; rows are in memory only until it can"
            self.refusal = self.refusal or self._in_memory
            log.critical("journal_unwritable session=%d reason=%s", self.session, error)
        if len(self._unwritten) == _MOST_UNWRITTEN:
            self.refusal = f"rows are lost, more than memory may keep: the journal cannot be written: {error}"
            log.critical("row_lost session=%d reason=more than memory may keep", self.session)
        self._unwritten.append(row)

    def _flush(self) -> None:
        while self._unwritten:
            self.journal.append(self._unwritten[0])
            self._unwritten.popleft()
        if self.refusal == self._in_memory:
            self.refusal = ""

    def _has_lease(self) -> bool:
        self.is_lease_held = self.is_lease_held and self.lease.is_held()
        return self.is_lease_held

    def _take_lease(self) -> bool:
        """Take the lease again, with the next fence, unless another trader has it now.

        On a thread: a database that hangs must not hold up an exit. The next look finds what became of it.
        """
        if self._taking is None:
            self.lease.release()
            url, session, holder = self.store.url, self.session, self.holder
            self._taking = begun(
                "lease", lambda: Lease.acquire(url, session, holder, connect_timeout=CONNECT_SECONDS)
            )
        try:
            self.lease = self._taking.result(_TAKE_SECONDS)
        except TimeoutError:
            return False
        except DatabaseDown as down:
            self.went_down(down)
        except LeaseTaken as taken:
            self.reason = str(taken)
            self._end_if_superseded()
        else:
            self.is_lease_held = True
            log.info("lease_taken_again session=%d fence=%d", self.session, self.fence)
        self._taking = None
        return self.is_lease_held

    def _end_if_superseded(self) -> None:
        """End if another trader holds the lease.

        The database may still name us as the holder, because it has not noticed that our connection is gone.
        """
        try:
            holder = self.store.session(self.session).holder
        except (DatabaseDown, UnknownSession):
            return
        if holder != self.holder:
            raise Superseded(self.session, holder)

    def _replay(self) -> None:
        try:
            self._flush()
            self.journal.replay(self.store, self.timing.replay)
        except DatabaseDown as down:
            self.went_down(down)
            return
        except OSError as error:
            log.warning("journal_still_unwritable session=%d reason=%s", self.session, error)
            return
        if not self.journal.is_empty():
            # The journal is longer than one turn may replay. New rows are appended to it, and the next turn goes on.
            self.is_up, self.reason, self._not_before = False, "the journal is still being replayed", 0
        elif self.store.is_up():
            self.is_up, self.reason = True, ""

    def _was_refused(self, refused: StatementRefused) -> None:
        """Go on without a row that the database refuses, because no exit may depend on one.

        It goes into the journal, whose replay puts it aside.
        """
        self.refusal = self.reason = str(refused)
        log.critical("row_refused session=%d reason=%s", self.session, refused)

    def went_down(self, down: DatabaseDown) -> None:
        """Take note that the database did not answer; `look_after` finds out when it does again."""
        if self.is_up:
            log.error("database_down session=%d reason=%s", self.session, down)
        self.is_up, self.reason = False, f"the database is away: {down}"

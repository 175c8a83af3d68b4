"""Where a simulated trader writes, and whether its lease still stands: `procs/trader/audit_trail.py` in short."""

from tradeproc.clock import SteadyClock
from tradeproc.domain.roll_steps import Roll
from tradeproc.domain.tally import LossMarks
from tradeproc.domain.units import SECOND
from tradeproc.engine import events
from tradeproc.engine.effects import KeepLatch, Persist
from tradeproc.engine.events import Event
from tradeproc.simulation.agenda import Agenda
from tradeproc.simulation.simulated_rows import RowsAway, SimulatedDatabase

_AGAIN = 3 * SECOND


class Trail:
    """The database, the journal and the lease as one life of a trader sees them."""

    def __init__(self, agenda: Agenda, ledger: SimulatedDatabase, session: int, fence: int) -> None:
        self._agenda, self._ledger, self._session = agenda, ledger, session
        self.fence = fence
        self.is_up = self.is_lease_held = True
        self.reason = ""
        self._not_before = 0
        self._told = (True, True, fence)

    def persist(self, unit: Persist, clock: SteadyClock) -> str:
        """Write a unit; return an empty text when it is in the database, else the reason."""
        if not self.is_up and unit.may_journal:
            self._ledger.append(self._session, unit)
            return self.reason
        if not unit.may_journal and not (self.is_up and self._has_lease()):
            return self.reason or "the lease of the session is lost"
        try:
            self._ledger.write(self._session, unit, clock.now(), None if unit.may_journal else self.fence)
        except RowsAway as away:
            self._went_down(away)
        else:
            return ""
        if unit.may_journal:
            self._ledger.append(self._session, unit)
        return self.reason

    def keep_latch(self, latch: KeepLatch, clock: SteadyClock) -> None:
        """Write a latch of the engine."""
        self._keep(latch, clock)

    def save_marks(self, marks: LossMarks, clock: SteadyClock) -> None:
        """Write from where losses are counted."""
        self._keep(marks, clock)

    def save_roll(self, roll: Roll, clock: SteadyClock) -> None:
        """Write the step of a roll."""
        self._keep(roll, clock)

    def switch_contract(self, roll: Roll, clock: SteadyClock) -> str:
        """Make a roll's next contract the session's in the database itself; return why it is not, else nothing."""
        if not (self.is_up and self._has_lease()):
            return self.reason or "the lease of the session is lost"
        try:
            self._ledger.write(self._session, roll, clock.now(), self.fence)
        except RowsAway as away:
            self._went_down(away)
            return self.reason
        return ""

    def _keep(self, row: KeepLatch | LossMarks | Roll, clock: SteadyClock) -> None:
        if self.is_up:
            try:
                self._ledger.write(self._session, row, clock.now())
                return
            except RowsAway as away:
                self._went_down(away)
        self._ledger.append(self._session, row)

    def latches(self) -> list[KeepLatch]:
        """Return the stored latches; none while the database is away."""
        try:
            return self._ledger.latches(self._session) if self.is_up else []
        except RowsAway as away:
            self._went_down(away)
            return []

    def lose_lease(self) -> None:
        """Notice that the connection of the lease broke."""
        self.is_lease_held, self.reason = False, "the connection of the lease broke"

    def look_after(self, clock: SteadyClock) -> None:
        """Notice a lost lease, take it again, and replay the journal into a database that is back."""
        self._has_lease()
        journal = self._ledger.sessions[self._session].journal
        if (self.is_lease_held and self.is_up and not journal) or self._agenda.now < self._not_before:
            return
        self._not_before = self._agenda.now + _AGAIN
        try:
            if not self.is_lease_held:
                self.fence = self._ledger.take_lease(self._session)
                self.is_lease_held = True
            self._ledger.replay(self._session, clock.now())
            self.is_up, self.reason = True, ""
        except RowsAway as away:
            self._went_down(away)

    def changes(self) -> list[Event]:
        """Return what the engine has not been told yet of database, lease and fence."""
        (was_up, had_lease, fence), now = self._told, (self.is_up, self.is_lease_held, self.fence)
        self._told = now
        found: list[Event] = []
        if self.is_up != was_up:
            found.append(events.DatabaseChanged(self.is_up, self.reason))
        if (self.is_lease_held, self.fence) != (had_lease, fence):
            found.append(events.LeaseChanged(self.is_lease_held, self.reason, self.fence))
        return found

    def _has_lease(self) -> bool:
        self.is_lease_held = self.is_lease_held and not self._ledger.is_away
        return self.is_lease_held

    def _went_down(self, away: RowsAway) -> None:
        self.is_up, self.reason = False, str(away)

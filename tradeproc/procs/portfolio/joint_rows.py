"""The limits of portfolios and accounts and the database: what is read of them, and which marks are written when."""

from collections.abc import Mapping, Sequence
from dataclasses import field

from tradeproc.clock import SECOND
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.joint_limits import JointLimits, JointMarks
from tradeproc.domain.units import Nanos
from tradeproc.engine.latched_by import LIMIT
from tradeproc.procs.portfolio.ledger_values import JointRead, JointScope, KnownPortfolio, Ledger, Membership
from tradeproc.protocol import scopes
from tradeproc.store import Latch, SessionRow, Store

_SAVE_EVERY = 5 * SECOND


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """The limits that the configuration gives an account, in its currency."""

    limits: JointLimits
    currency: str


NO_ACCOUNTS: Mapping[str, AccountLimits] = {}


def scopes_of(
    portfolios: Sequence[KnownPortfolio],
    accounts: Mapping[str, AccountLimits],
    sessions: Sequence[tuple[SessionRow, Membership]],
) -> tuple[JointScope, ...]:
    """Return the portfolios and accounts that have limits, with their sessions; `sessions` are all there are."""
    found = [
        JointScope(
            scopes.of_portfolio(each.spec.name),
            each.spec.limits,
            each.spec.currency,
            each.sessions,
            created_at=Nanos(each.revision),
        )
        for each in portfolios
        if each.spec.limits is not None
    ]
    for account, given in accounts.items():
        members = {row.id: member for row, member in sessions if row.spec.account == account}
        found.append(JointScope(scopes.of_account(account), given.limits, given.currency, members, account))
    return tuple(found)


@dataclass(slots=True)
class JointRows:
    """What is in the database of the limits, as far as we know; `saved_at` is monotonic nanoseconds."""

    store: Store
    saved: dict[str, JointMarks] = field(default_factory=dict)
    saved_at: Nanos = Nanos(0)

    def read(self, found: tuple[JointScope, ...], latches: Sequence[Latch], ledger: Ledger) -> JointRead:
        """Return what the database knows of these scopes.

        Raises:
            DatabaseDown: it is away.
        """
        marks = {}
        if any(each.scope not in ledger.joint for each in found):
            marks = self.store.portfolios.joint_marks()
            self.saved = dict(marks)
        wanted = {each.scope for each in found}
        tripped, lifted = {}, {}
        for latch in latches:
            if latch.scope not in wanted:
                continue
            reason = self.store.latched_by(latch.scope, LIMIT)
            if reason is not None:
                tripped[latch.scope] = (reason, latch.at)
            else:
                lifted[latch.scope] = self.store.lifted_at(latch.scope, LIMIT)
        closed = frozenset(latch.scope for latch in latches if latch.state != "active")
        return JointRead(found, marks, tripped, lifted, closed)

    def save(self, ledger: Ledger, now: Nanos) -> None:
        """Write the marks that have changed: a new day, a new member or a re-arming at once, the rest seldom.

        Raises:
            DatabaseDown: it is away; the next try writes what is then known.
        """
        is_due = now - self.saved_at >= _SAVE_EVERY
        for scope, watch in ledger.joint.items():
            marks, before = watch.marks, self.saved.get(scope)
            if marks is None or marks == before:
                continue
            if is_due or before is None or _has_turned(before, marks):
                self.store.portfolios.save_joint_marks(marks)
                self.saved[scope] = marks
        if is_due:
            self.saved_at = now


def _has_turned(before: JointMarks, marks: JointMarks) -> bool:
    """Tell whether marks differ in more than profits, gain and peak: those may wait, as the differences add up."""
    same = before.day_opened_at, before.day_start, before.armed_at, before.profits.keys()
    return same != (marks.day_opened_at, marks.day_start, marks.armed_at, marks.profits.keys())

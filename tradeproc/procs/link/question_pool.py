"""Which question a link asks the broker next, and when; pure.

Sessions of one account ask the same. A question waits here for up to the seconds that its asker allows (`within`), so
that one question to the broker answers all that wait by then. It answers only these: an answer whose question went to
the broker before somebody asked here may be older than what that one knows, and is not given to it.

The broker answers a bounded number of questions of each kind (`Quota`); one that does not tell its quotas is taken to
answer so many of all kinds together. Balances never use the half of it that is left to what may not wait: that is
for orders and positions. An eighth of it may be used at once, and what
was used comes back at a steady rate, so that no period can hold more than the quota. Half of that eighth is left to
questions that may not wait. One that might wait and is overdue may use it too; then both kinds take turns, so that
neither keeps the other out. Among equals the question that is due first is asked first, whoever asks. An account is
asked about anew only some seconds after the last time unless somebody may not wait: thus its sessions come to ask
together.

Where a broker tells of several accounts in one answer (`together`), a question takes along all that wait about other
accounts, so that sixteen accounts of a login are asked about as often as one. Only accounts are asked about together
of which the last answer listed something. An account that the broker left out without a sign would look empty, so one
that the last answer did not tell of is asked about alone until it does. So is each account of a question that failed:
one that the broker refuses cannot keep the others from their answers. A broker that fails three questions about
several accounts in a row is asked about each account alone for ten minutes.
"""

from collections.abc import Collection, Mapping
from dataclasses import field
from math import ceil
from typing import Final

from tradeproc.brokers.contract import QuestionKind, Quota
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import SECOND

USUAL_QUOTA: Final = Quota(240, 300.0)
"""Of all questions together, for brokers that do not tell theirs."""

OVERDUE: Final = 2 * SECOND
"""After so long a question that might wait may not wait any longer, in nanoseconds."""

PAUSE: Final = 6 * SECOND
"""How long after the last question about an account one that may wait is asked, in nanoseconds."""

LEAST_PAUSE: Final = SECOND // 2
"""The same for one that may not wait."""

FAILURES_TOGETHER: Final = 3
ALONE_FOR: Final = 600 * SECOND
"""After so many failures in a row each account is asked about alone, and for so many nanoseconds."""

_TICK = 1_000_000
_KEPT = 300 * SECOND

Place = tuple[QuestionKind, str]
"""A kind of question, and the account that it is about."""


@dataclass(frozen=True, slots=True)
class PooledQuestion:
    """A question that waits: its number, when it should be asked by, and when its asker gives up, monotonic ns."""

    number: int
    due_at: int
    give_up_at: int
    may_wait: bool


@dataclass(frozen=True, slots=True)
class Flight:
    """One question to the broker, the numbers of the questions that it answers, and the requests it should take."""

    kind: QuestionKind
    accounts: tuple[str, ...]
    numbers: tuple[int, ...]
    give_up_at: int
    requests: int = 1


@dataclass(slots=True)
class _Budget:
    """What may be used of one quota: `left` requests at the moment `at`.

    `cost` is what the newest question took. `is_for_urgent` says that the turn is on one that may not wait, if there
    is one.
    """

    quota: Quota
    left: float
    at: int = 0
    cost: int = 1
    is_for_urgent: bool = True

    @property
    def most(self) -> float:
        """Return how many requests may be made at once."""
        return max(self.quota.questions / 8, self.cost, 1)

    @property
    def rate(self) -> float:
        """Return how many requests come back in a nanosecond."""
        return max(self.quota.questions - self.most, 1) / (self.quota.seconds * SECOND)

    def pass_until(self, now: int) -> None:
        """Let time pass."""
        self.left = min(self.most, self.left + (now - self.at) * self.rate)
        self.at = now

    def use(self, requests: int) -> None:
        """Count requests; more than there was room for have to come back before the next one."""
        self.left -= requests

    def from_(self, *, leaves_reserve: bool) -> int:
        """Return when a question may be asked; one that leaves the reserve needs half a burst beside its own."""
        needed = min(self.most, self.most / 2 + self.cost) if leaves_reserve else self.cost
        if self.left >= needed:
            return self.at
        return self.at + max(_TICK, ceil((needed - self.left) / self.rate))


@dataclass(slots=True)
class _Line:
    """The questions of one kind and account: those that wait, and whether one is at the broker.

    `is_listed` says that the last answer listed something of the account, so that it may be asked about with others.
    """

    waiting: list[PooledQuestion] = field(default_factory=list)
    is_out: bool = False
    began_at: int | None = None
    is_listed: bool = False

    @property
    def due_at(self) -> int:
        return min(each.due_at for each in self.waiting)

    @property
    def is_urgent(self) -> bool:
        return not all(each.may_wait for each in self.waiting)


@dataclass(slots=True)
class _Together:
    """About how many accounts one question of a kind may be, how many in a row failed, and what came of that."""

    most: int
    failures: int = 0
    alone_until: int = 0

    def ended(self, now: int, *, has_failed: bool) -> None:
        """Note how a question about several accounts ended."""
        self.failures = self.failures + 1 if has_failed else 0
        if self.failures >= FAILURES_TOGETHER:
            self.failures, self.alone_until = 0, now + ALONE_FOR


class QuestionPool:
    """The questions of a link; moments are monotonic nanoseconds. Keeps nothing that a restart would miss.

    `together` says of each kind about how many accounts one question may be; one where it says nothing.
    """

    def __init__(
        self,
        quotas: Mapping[QuestionKind, Quota] | None = None,
        together: Mapping[QuestionKind, int] | None = None,
    ) -> None:
        self._together = {kind: _Together((together or {}).get(kind, 1)) for kind in QuestionKind}
        known = quotas or {}
        of_all = _Budget(USUAL_QUOTA, USUAL_QUOTA.questions / 8)
        self._budgets = {
            kind: _Budget(known[kind], known[kind].questions / 8) if kind in known else of_all
            for kind in QuestionKind
        }
        self._asked = dict.fromkeys(QuestionKind, 0)
        self._lines: dict[Place, _Line] = {}
        self._last = 0

    def add(self, place: Place, now: int, within: float, seconds: float) -> int:
        """Take in a question that may wait `within` seconds and whose asker waits `seconds`; return its number."""
        self._last += 1
        may_wait = within > 0
        due = now + int(min(within, seconds) * SECOND)
        line = self._lines.setdefault(place, _Line())
        line.waiting.append(PooledQuestion(self._last, due, now + int(seconds * SECOND), may_wait))
        return self._last

    def begin(self, now: int) -> list[Flight]:
        """Return what has to be asked now; all questions of its kind and account that wait go with it."""
        flights: list[Flight] = []
        for line in self._lines.values():
            line.waiting = [each for each in line.waiting if each.give_up_at > now]
        while ready := [place for place, line in self._open_lines() if self._at(place, line, now) <= now]:
            flights.append(self._begin(min(ready, key=self._rank), now))
        return flights

    def next_at(self, now: int) -> int | None:
        """Return when `begin` has to be called again if nothing is added or ends before; None: then only."""
        return min((self._at(place, line, now) for place, line in self._open_lines()), default=None)

    def ended(self, flight: Flight, now: int, requests: int = 1, listed: Collection[str] | None = None) -> None:
        """Note that the broker has answered or failed to, and how many requests all of its kind took since the last.

        A list of several pages takes several requests. What two questions that run at once take is told with
        whichever ends first. `listed` are the accounts of which the answer lists something; None: there is no answer,
        because the broker was not asked in time.
        """
        budget = self._budgets[flight.kind]
        for account in flight.accounts:
            line = self._lines[flight.kind, account]
            line.is_out = False
            if listed is not None:
                line.is_listed = account in listed
        if listed is not None and len(flight.accounts) > 1:
            self._together[flight.kind].ended(now, has_failed=not listed)
        budget.pass_until(now)
        budget.use(requests - flight.requests)
        self._asked[flight.kind] += requests
        budget.cost = min(max(1, requests), max(1, budget.quota.questions // 2))
        if len(self._lines) > len(QuestionKind):
            self._forget_lines(now)

    def asked(self) -> dict[str, int]:
        """Return how many requests of each kind were made since the start."""
        return {kind.value: asked for kind, asked in self._asked.items()}

    def _open_lines(self) -> list[tuple[Place, _Line]]:
        return [(place, line) for place, line in self._lines.items() if line.waiting and not line.is_out]

    def _rank(self, place: Place) -> tuple[bool, int, Place]:
        line = self._lines[place]
        return self._budgets[place[0]].is_for_urgent is not line.is_urgent, line.due_at, place

    def _at(self, place: Place, line: _Line, now: int) -> int:
        """Return when a line's question may be asked."""
        budget, may_use_reserve = self._budgets[place[0]], place[0] is not QuestionKind.BALANCES
        budget.pass_until(now)
        began_at = now - PAUSE if line.began_at is None else line.began_at
        patient_at = max(line.due_at, began_at + PAUSE)
        at = max(patient_at, budget.from_(leaves_reserve=True))
        urgent_at = max(began_at + LEAST_PAUSE, line.due_at) if line.is_urgent else patient_at + OVERDUE
        return min(at, max(urgent_at, budget.from_(leaves_reserve=not may_use_reserve)))

    def _begin(self, place: Place, now: int) -> Flight:
        budget = self._budgets[place[0]]
        budget.is_for_urgent = not self._lines[place].is_urgent
        taken: list[PooledQuestion] = []
        accounts = (place[1], *self._others(place, now))
        for account in accounts:
            line = self._lines[place[0], account]
            taken += line.waiting
            line.waiting, line.is_out, line.began_at = [], True, now
        budget.use(budget.cost)
        give_up_at = max(each.give_up_at for each in taken)
        return Flight(place[0], accounts, tuple(each.number for each in taken), give_up_at, budget.cost)

    def _others(self, place: Place, now: int) -> list[str]:
        """Return the accounts whose questions go along with that of a place, those first that are due first."""
        together = self._together[place[0]]
        if now < together.alone_until or not self._lines[place].is_listed:
            return []
        others = [
            (line.due_at, account)
            for (kind, account), line in self._open_lines()
            if kind is place[0] and account != place[1] and line.is_listed
        ]
        return [account for _, account in sorted(others)[: together.most - 1]]

    def _forget_lines(self, now: int) -> None:
        """Drop lines that nobody has used for a while: accounts may come and go for months."""
        for place, line in list(self._lines.items()):
            if not line.waiting and not line.is_out and now - (line.began_at or 0) > _KEPT:
                del self._lines[place]

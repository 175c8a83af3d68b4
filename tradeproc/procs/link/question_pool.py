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
"""

from collections.abc import Mapping
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
    account: str
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
    """The questions of one kind and account: those that wait, and whether one is at the broker."""

    waiting: list[PooledQuestion] = field(default_factory=list)
    is_out: bool = False
    began_at: int | None = None

    @property
    def due_at(self) -> int:
        return min(each.due_at for each in self.waiting)

    @property
    def is_urgent(self) -> bool:
        return not all(each.may_wait for each in self.waiting)


class QuestionPool:
    """The questions of a link; moments are monotonic nanoseconds. Keeps nothing that a restart would miss."""

    def __init__(self, quotas: Mapping[QuestionKind, Quota] | None = None) -> None:
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

    def ended(self, flight: Flight, now: int, requests: int = 1) -> None:
        """Note that the broker has answered or failed to, and how many requests all of its kind took since the last.

        A list of several pages takes several requests. What two questions that run at once take is told with
        whichever ends first.
        """
        budget, line = self._budgets[flight.kind], self._lines[flight.kind, flight.account]
        line.is_out = False
        budget.pass_until(now)
        budget.use(requests - flight.requests)
        self._asked[flight.kind] += requests
        budget.cost = min(max(1, requests), max(1, budget.quota.questions // 2))
        if not line.waiting and len(self._lines) > len(QuestionKind):
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
        budget, line = self._budgets[place[0]], self._lines[place]
        budget.is_for_urgent = not line.is_urgent
        taken, line.waiting = line.waiting, []
        line.is_out, line.began_at = True, now
        budget.use(budget.cost)
        give_up_at = max(each.give_up_at for each in taken)
        return Flight(*place, tuple(each.number for each in taken), give_up_at, budget.cost)

    def _forget_lines(self, now: int) -> None:
        """Drop lines that nobody has used for a while: accounts may come and go for months."""
        for place, line in list(self._lines.items()):
            if not line.waiting and not line.is_out and now - (line.began_at or 0) > _KEPT:
                del self._lines[place]

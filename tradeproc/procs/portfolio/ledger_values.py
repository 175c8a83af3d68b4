"""What the ledger of heat is told, what it answers with, and what it remembers; pure."""

from collections.abc import Mapping
from dataclasses import field

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.joint_limits import JointLimits, JointMarks
from tradeproc.domain.portfolio import PortfolioSpec
from tradeproc.domain.units import SECOND, Money, Nanos
from tradeproc.protocol.heat_messages import HeatQuestion, HeatReport, PortfolioHeat

REPORTED_WITHIN = 5 * SECOND
"""A report that is older is none: the trader may hang or be gone."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A session of a portfolio: its group of products, and whether it may have heat.

    One that is stopped, has no trader and, as the database knows it, neither position nor open orders, has none.
    `added_at` tells one membership from the next: a trader that has not heard of it yet knows an older revision.
    """

    group: str
    may_have_heat: bool = True
    added_at: int = 0


@dataclass(frozen=True, slots=True)
class KnownPortfolio:
    """A portfolio with its sessions, as the database has them."""

    spec: PortfolioSpec
    revision: int
    sessions: Mapping[int, Membership]


@dataclass(frozen=True, slots=True)
class JointScope:
    """A portfolio or an account that has limits, with its sessions; `account` is empty for a portfolio.

    `created_at` is when a portfolio was created, 0 of an account.
    """

    scope: str
    limits: JointLimits
    currency: str
    sessions: Mapping[int, Membership]
    account: str = ""
    created_at: Nanos = Nanos(0)


# --- events


@dataclass(frozen=True, slots=True)
class PortfoliosRead:
    """The portfolios as the database has them now."""

    portfolios: tuple[KnownPortfolio, ...]


@dataclass(frozen=True, slots=True)
class JointRead:
    """Which portfolios and accounts have limits, and what the database knows of each, by scope.

    `marks` is from where losses count, `tripped` why and when a limit latched the scope where that latch stands,
    `lifted` when the newest such latch was lifted, `closed` which scopes are latched by whomever.
    """

    scopes: tuple[JointScope, ...]
    marks: Mapping[str, JointMarks] = field(default_factory=dict)
    tripped: Mapping[str, tuple[str, Nanos]] = field(default_factory=dict)
    lifted: Mapping[str, Nanos] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class HeatReported:
    """A trader reported."""

    report: HeatReport


@dataclass(frozen=True, slots=True)
class HeatAsked:
    """A trader asks; `key` names the question in the answer, which is owed before `until`."""

    key: int
    question: HeatQuestion
    until: Nanos


@dataclass(frozen=True, slots=True)
class ClockTicked:
    """Time has passed; `wall` is the time of day, by which market days begin, None where nobody counts losses."""

    wall: Nanos | None = None


LedgerEvent = PortfoliosRead | JointRead | HeatReported | HeatAsked | ClockTicked

# --- effects


@dataclass(frozen=True, slots=True)
class Grant:
    """Answer that the heat is reserved."""

    key: int
    question: HeatQuestion


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer that it is not."""

    key: int
    question: HeatQuestion
    reason: str


@dataclass(frozen=True, slots=True)
class StandingChanged:
    """A portfolio is blocked or warned, its heat long unknown, or no more; an empty detail says that it is over."""

    portfolio: str
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A loss limit of a portfolio or an account is reached: latch the scope; `at` is the time."""

    scope: str
    reason: str
    at: Nanos


LedgerEffect = Grant | Refuse | StandingChanged | LimitReached

BLOCKED, WARNED, UNKNOWN = "heat_blocked", "heat_warned", "heat_unknown"
"""What can be told of a portfolio; also the names of its alarms."""

# --- state


@dataclass(frozen=True, slots=True)
class Reservation:
    """Heat that was granted and that no report includes yet."""

    question: HeatQuestion
    at: Nanos


@dataclass(slots=True)
class HeatBlock:
    """Why entries are refused, and the heat of the smallest one that was: when that fits, the block is over."""

    reason: str
    group: str
    needed: Money


@dataclass(slots=True)
class JointWatch:
    """What is remembered of a scope with limits.

    `marks` is from where its losses count, None before the first look. `tripped` is why a limit has latched it, until
    a person lifts that, and `rearm_at` when one did, until losses count from there. `is_closed` while it is latched.
    """

    known: JointScope
    marks: JointMarks | None
    tripped: str = ""
    tripped_at: Nanos = Nanos(0)
    rearm_at: Nanos | None = None
    is_closed: bool = False


@dataclass(slots=True)
class Ledger:
    """What one life of the server knows; `portfolios` is None before the database was read.

    `unknown_since` says since when the heat of a portfolio is unknown, `told` what people know of it. `joint` are the
    limits of portfolios and accounts by scope. `stood` is how a portfolio stood last, and what that was made of.
    """

    life: str
    portfolios: dict[str, KnownPortfolio] | None = None
    reports: dict[int, tuple[HeatReport, Nanos]] = field(default_factory=dict)
    reservations: dict[tuple[int, int, int], Reservation] = field(default_factory=dict)
    waiting: dict[int, HeatAsked] = field(default_factory=dict)
    blocks: dict[str, HeatBlock] = field(default_factory=dict)
    unknown_since: dict[str, Nanos] = field(default_factory=dict)
    told: dict[tuple[str, str], str] = field(default_factory=dict)
    joint: dict[str, JointWatch] = field(default_factory=dict)
    stood: dict[str, tuple[object, PortfolioHeat]] = field(default_factory=dict, repr=False, compare=False)

    def report(self, session: int, now: Nanos) -> tuple[HeatReport | None, str]:
        """Return the newest report of a session, None and why where there is none, or only an old one."""
        found = self.reports.get(session)
        if found is None:
            return None, "has not reported"
        report, at = found
        if now - at > REPORTED_WITHIN:
            return None, f"has not reported for {(now - at) // SECOND} s"
        return report, ""

    def reports_of(self, account: str, now: Nanos) -> list[tuple[int, HeatReport]]:
        """Return the reports of sessions in an account, without old ones."""
        return [
            (session, report)
            for session, (report, at) in self.reports.items()
            if report.account == account and now - at <= REPORTED_WITHIN
        ]

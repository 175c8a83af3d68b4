"""What the ledger of heat is told, what it answers with, and what it remembers; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tradeproc.domain.portfolio import PortfolioSpec
from tradeproc.domain.units import Money, Nanos
from tradeproc.protocol.heat_messages import HeatQuestion, HeatReport


@dataclass(frozen=True, slots=True)
class Membership:
    """A session of a portfolio: its group of products, and whether it may have heat.

    One that is stopped, has no trader and, as the database knows it, neither position nor open orders, has none.
    """

    group: str
    may_have_heat: bool = True


@dataclass(frozen=True, slots=True)
class KnownPortfolio:
    """A portfolio with its sessions, as the database has them."""

    spec: PortfolioSpec
    revision: int
    sessions: Mapping[int, Membership]


# --- events


@dataclass(frozen=True, slots=True)
class PortfoliosRead:
    """The portfolios as the database has them now."""

    portfolios: tuple[KnownPortfolio, ...]


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
    """Time has passed."""


LedgerEvent = PortfoliosRead | HeatReported | HeatAsked | ClockTicked

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


LedgerEffect = Grant | Refuse | StandingChanged

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
class Ledger:
    """What one life of the server knows; `portfolios` is None before the database was read.

    `unknown_since` says since when the heat of a portfolio is unknown, `told` what people know of it.
    """

    life: str
    portfolios: dict[str, KnownPortfolio] | None = None
    reports: dict[int, tuple[HeatReport, Nanos]] = field(default_factory=dict)
    reservations: dict[tuple[int, int, int], Reservation] = field(default_factory=dict)
    waiting: dict[int, HeatAsked] = field(default_factory=dict)
    blocks: dict[str, HeatBlock] = field(default_factory=dict)
    unknown_since: dict[str, Nanos] = field(default_factory=dict)
    told: dict[tuple[str, str], str] = field(default_factory=dict)

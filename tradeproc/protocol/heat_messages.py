"""What traders and the portfolio server say to each other of heat: reports, reservations, how portfolios stand; pure.

A reservation is known by session, fence and number: a trader counts them, and starts again at 1 under a new fence
only. Its report says up to which number its heat includes them, and which below that are still without an answer and
not included. `life` names one life of the portfolio server. A report counts only in the life that it names, and a
grant counts only where the question named the same one: what was said before a restart cannot be told from what was
said after it otherwise.
"""

from collections.abc import Mapping
from typing import Final

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Count, Money, Nanos
from tradeproc.protocol.definitions import FollowedTopic, Method, NoBody, Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatReport:
    """The heat of one session as its trader counts it, in `currency`; None while `unknown` says why.

    `sequence` grows with each report. The heat includes every reservation up to `asked` but those of `unanswered`.
    `portfolio` and `revision` are what the trader knows of where it belongs. `equity` is that of `account` as the
    broker told it, None before it did; `day_profit` is what that account made today, as the broker told it within
    five minutes.

    The rest is for limits of portfolio and account. `profit` is the session's whole profit, realized and open, None
    while `profit_unknown` says why; `is_unpriced` when a fill without a price is the reason. `long` and `short` are
    how far the position in `product` could go to each side, with what works; `notional` is what the farther one is
    worth.
    `entries_made` counts the entries of the last minute. All include what the heat includes.
    """

    session: int
    fence: int
    sequence: Count
    life: str
    asked: Count
    unanswered: tuple[int, ...] = ()
    portfolio: str
    revision: int
    heat: Money | None
    unknown: str = ""
    currency: str
    account: str
    equity: Money | None
    equity_currency: str = ""
    day_profit: Money | None = None
    product: str = ""
    profit: Money | None = None
    profit_unknown: str = ""
    is_unpriced: bool = False
    long: int = 0
    short: int = 0
    notional: Money | None = None
    entries_made: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatQuestion:
    """May this order, or this change of one, add so much heat? `heat` is in `currency`, and never negative.

    `portfolio` is empty for a session in none, whose account has limits. The order adds `contracts` of `product` to
    one side, positive to the long one; `notional` is what they are worth, None while no price is known. `is_change`
    when the order works already.
    """

    session: int
    fence: int
    life: str
    number: int
    portfolio: str
    order_id: str
    heat: Money
    currency: str
    product: str = ""
    contracts: int = 0
    notional: Money | None = None
    is_change: bool = False


@dataclass(frozen=True, slots=True)
class HeatGrant:
    """The heat is reserved; `life` and `number` are those of the question."""

    life: str
    number: int


@dataclass(frozen=True, slots=True)
class GroupHeat:
    """The heat of one group of products, and from how much on people are warned and entries refused."""

    heat: Money
    warn_at: Money | None = None
    block_at: Money | None = None


@dataclass(frozen=True, slots=True)
class SessionHeat:
    """The heat of one session with what it reserved and has not reported; None while `unknown` says why."""

    session: int
    group: str
    heat: Money | None
    reserved: Money
    unknown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioHeat:
    """How a portfolio stands: `heat` is None while `unknown` says why, and so are the thresholds without equity.

    `reserved` is the part of the heat that no report includes yet. `is_warned` while the heat is at its warning or
    above; `blocked` says why entries are refused, empty when none was.
    """

    name: str
    sessions: tuple[int, ...]
    currency: str
    heat: Money | None
    unknown: str = ""
    reserved: Money
    equity: Money | None
    warn_at: Money | None = None
    block_at: Money | None = None
    is_warned: bool = False
    blocked: str = ""
    groups: Mapping[str, GroupHeat]
    members: tuple[SessionHeat, ...] = ()


@dataclass(frozen=True, slots=True)
class JointStanding:
    """How the limits of a portfolio or an account stand: what each allows and how much of it is used.

    `scope` is as in `scopes.py`. `unknown` says why the sums are not known, `reached` which limit has latched it and
    `reached_at` when.
    """

    scope: str
    limits: Mapping[str, str]
    used: Mapping[str, str]
    currency: str
    unknown: str = ""
    reached: str = ""
    reached_at: Nanos = Nanos(0)


@dataclass(frozen=True, slots=True)
class PortfoliosHeat:
    """All portfolios, by name, as this life of the server knows them; `is_known` once it has read which there are.

    `joint` are the limits of portfolios and accounts that have some.
    """

    life: str
    portfolios: tuple[PortfolioHeat, ...] = ()
    is_known: bool = True
    joint: tuple[JointStanding, ...] = ()


HEAT_REPORT: Final[Topic[HeatReport]] = Topic("heat_report", HeatReport, ("trader",))
PORTFOLIOS_HEAT: Final[FollowedTopic[PortfoliosHeat, PortfoliosHeat]] = FollowedTopic(
    "portfolios_heat", PortfoliosHeat, ("portfolio",), PortfoliosHeat
)
ASK_PORTFOLIOS_HEAT: Final[Method[NoBody, PortfoliosHeat]] = Method(
    "portfolios_heat", NoBody, PortfoliosHeat, ("portfolio",)
)
RESERVE_HEAT: Final[Method[HeatQuestion, HeatGrant]] = Method("reserve_heat", HeatQuestion, HeatGrant, ("portfolio",))

"""What traders and the portfolio server say to each other of heat: reports, reservations, how portfolios stand; pure.

A reservation is known by session, fence and number: a trader counts them, and starts again at 1 under a new fence
only. Its report says up to which number its heat includes them, and which below that are still without an answer and
not included. `life` names one life of the portfolio server. A report counts only in the life that it names, and a
grant counts only where the question named the same one: what was said before a restart cannot be told from what was
said after it otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tradeproc.domain.units import Count, Money
from tradeproc.protocol.definitions import FollowedTopic, Method, NoBody, Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatReport:
    """The heat of one session as its trader counts it, in `currency`; None while `unknown` says why.

    `sequence` grows with each report. The heat includes every reservation up to `asked` but those of `unanswered`.
    `portfolio` and `revision` are what the trader knows of where it belongs. `equity` is that of `account` as the
    broker told it, None before it did.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatQuestion:
    """May this order, or this change of one, add so much heat? `heat` is in `currency`, and never negative."""

    session: int
    fence: int
    life: str
    number: int
    portfolio: str
    order_id: str
    heat: Money
    currency: str


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


@dataclass(frozen=True, slots=True)
class PortfoliosHeat:
    """All portfolios, by name, as this life of the server knows them; `is_known` once it has read which there are."""

    life: str
    portfolios: tuple[PortfolioHeat, ...] = ()
    is_known: bool = True


HEAT_REPORT: Final[Topic[HeatReport]] = Topic("heat_report", HeatReport, ("trader",))
PORTFOLIOS_HEAT: Final[FollowedTopic[PortfoliosHeat, PortfoliosHeat]] = FollowedTopic(
    "portfolios_heat", PortfoliosHeat, ("portfolio",), PortfoliosHeat
)
ASK_PORTFOLIOS_HEAT: Final[Method[NoBody, PortfoliosHeat]] = Method(
    "portfolios_heat", NoBody, PortfoliosHeat, ("portfolio",)
)
RESERVE_HEAT: Final[Method[HeatQuestion, HeatGrant]] = Method("reserve_heat", HeatQuestion, HeatGrant, ("portfolio",))

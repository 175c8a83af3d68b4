"""What the database knows, as the keeper lists it for people, and what a person has seen of it; pure.

A list is asked for by session and length, gives the newest rows, oldest first, and says in `cut` whether there are
older ones.
"""

from typing import Final

from tradeproc.domain.book import DecisionMade, Divergence, Fill, Position, Trade
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Nanos
from tradeproc.protocol.alarms import Alarm
from tradeproc.protocol.definitions import Method
from tradeproc.protocol.trader_messages import OrderBody

_KEEPER: Final = ("keeper",)

MOST_ROWS: Final = 10_000
"""The most rows of one answer."""


@dataclass(frozen=True, slots=True)
class ListRows:
    """Of which session rows are wanted, None for all, and how many at most."""

    session: int | None = None
    limit: int = MOST_ROWS


@dataclass(frozen=True, slots=True)
class ListDecisions(ListRows):
    """The same, and whether only decisions are wanted that were not carried out."""

    refused: bool = False


@dataclass(frozen=True, slots=True)
class PositionShown(Position):
    """The newest position of a session in a contract, and who said so."""

    session: int
    source: str
    at: Nanos


@dataclass(frozen=True, slots=True)
class DivergenceShown(Divergence):
    """A divergence, when both sides agreed again (None while it is open), and who has seen it, when and why."""

    closed_at: Nanos | None = None
    acknowledged_at: Nanos | None = None
    acknowledged_by: str | None = None
    acknowledged_reason: str | None = None


@dataclass(frozen=True, slots=True)
class AlarmListed(Alarm):
    """An alarm as the database keeps it, when it was cleared, and who has seen it, when and why.

    `session` (None: of the host) and `at` say the same as `scope` and `since`, for programs that read the list of
    an earlier version.
    """

    session: int | None
    at: Nanos
    cleared_at: Nanos | None = None
    acknowledged_at: Nanos | None = None
    acknowledged_by: str | None = None
    acknowledged_reason: str | None = None


@dataclass(frozen=True, slots=True)
class StoredDecisionCounts:
    """How many decisions of a session were wanted and refused, and on how many bars its strategy failed."""

    wanted: int
    refused: int
    failed: int


@dataclass(frozen=True, slots=True)
class OrdersListed:
    """Orders."""

    orders: tuple[OrderBody, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class FillsListed:
    """Fills."""

    fills: tuple[Fill, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class TradesListed:
    """Round trips."""

    trades: tuple[Trade, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class DivergencesListed:
    """Differences between the broker and us."""

    divergences: tuple[DivergenceShown, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class AlarmsListed:
    """Alarms."""

    alarms: tuple[AlarmListed, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class DecisionsListed:
    """Decisions, and the counts of all that are kept where one session is meant."""

    decisions: tuple[DecisionMade, ...]
    cut: bool = False
    counts: StoredDecisionCounts | None = None


@dataclass(frozen=True, slots=True)
class PositionsListed:
    """Positions: one a session and contract, and never cut."""

    positions: tuple[PositionShown, ...]


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A person has seen something: `by` says who, `reason` why it is well; without `session` and `host` all of it.

    `what` is "divergences", "alarms" or the name of an alarm; both kinds when it is empty.
    """

    by: str
    reason: str
    session: int | None = None
    host: bool = False
    what: str = ""


@dataclass(frozen=True, slots=True)
class SeenDivergence:
    """A divergence that was acknowledged."""

    session: int
    kind: str
    subject: str
    at: Nanos


@dataclass(frozen=True, slots=True)
class SeenAlarm:
    """An alarm that was acknowledged; of the host when `session` is None."""

    session: int | None
    name: str
    at: Nanos


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The rows that were noted."""

    divergences: tuple[SeenDivergence, ...] = ()
    alarms: tuple[SeenAlarm, ...] = ()


ORDERS: Final[Method[ListRows, OrdersListed]] = Method("orders", ListRows, OrdersListed, _KEEPER)
FILLS: Final[Method[ListRows, FillsListed]] = Method("fills", ListRows, FillsListed, _KEEPER)
TRADES: Final[Method[ListRows, TradesListed]] = Method("trades", ListRows, TradesListed, _KEEPER)
DIVERGENCES: Final[Method[ListRows, DivergencesListed]] = Method("divergences", ListRows, DivergencesListed, _KEEPER)
ALARMS: Final[Method[ListRows, AlarmsListed]] = Method("alarms", ListRows, AlarmsListed, _KEEPER)
DECISIONS: Final[Method[ListDecisions, DecisionsListed]] = Method(
    "decisions", ListDecisions, DecisionsListed, _KEEPER
)
POSITIONS: Final[Method[ListRows, PositionsListed]] = Method("positions", ListRows, PositionsListed, _KEEPER)
ACKNOWLEDGE: Final[Method[Acknowledge, Acknowledged]] = Method("acknowledge", Acknowledge, Acknowledged, _KEEPER)

"""What can happen to a trader: every event the engine understands, in the past tense.

The shell turns bus messages, replies, commands and the passing of time into these and calls `trader.step` once for
each, in the order in which they came. Numbers and tickets in an answer are those of the effect that asked.
"""

from collections.abc import Collection, Mapping
from dataclasses import field
from enum import StrEnum

from tradeproc.domain.answers import Answer
from tradeproc.domain.book import Balance, Fill, Position
from tradeproc.domain.broker_orders import BrokerOrder, ListedOrder, Outcome, UnreadableRecord
from tradeproc.domain.candles import Candle
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.orders import Order
from tradeproc.domain.portfolio import HeatTerms
from tradeproc.domain.roll_steps import Roll
from tradeproc.domain.units import Nanos, Price
from tradeproc.engine.loss_watch import KnownLosses
from tradeproc.engine.roll_events import OldPositionAnswered as OldPositionAnswered
from tradeproc.engine.roll_events import RollCommanded as RollCommanded
from tradeproc.engine.roll_events import RollPlanned as RollPlanned
from tradeproc.engine.roll_events import SpreadAnswered as SpreadAnswered
from tradeproc.engine.roll_events import SwitchAnswered as SwitchAnswered
from tradeproc.engine.witness_events import WitnessChanged as WitnessChanged
from tradeproc.engine.witness_events import WitnessPriced as WitnessPriced
from tradeproc.protocol.scopes import Scope


class StreamKind(StrEnum):
    """The three streams a trader lives on."""

    MARKET = "market"
    ORDERS = "orders"
    POSITIONS = "positions"


class TradingState(StrEnum):
    """What a latch allows: everything, exits only, or exits and protection only by hand."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"

    @property
    def severity(self) -> int:
        """Return a rank; of several latches the highest counts."""
        return (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED).index(self)


def concerns(
    scope: str, session: int, logins: Collection[str] = (), portfolio: str = "", account: str | None = None
) -> bool:
    """Tell whether a latch of that scope counts for a session: its own, or one of what it belongs to."""
    return Scope(scope).concerns(session, logins, portfolio, account)


# --- life of the process ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The first event: what the database knew at start.

    `orders` are those still open there (of earlier lives) and some of the newest ended ones, oldest first: an ended
    order of ours must not be taken for another one, and may get a late fill. `position` is the last saved one, None
    if there never was one; `fills` are those booked after it was saved (where a unit was not written as one).
    `claimed` are the broker's ids of our orders with ours, of many more than are in `orders`: the broker lists orders
    that we have forgotten, and one must not be taken for another that looks the same. `strategy_off` says why an
    earlier life switched the strategy off, if no person has resumed it since. `saved_at` is when the position was
    saved, `externals` are the newest rows booked for changes by no order of ours, and `latched` is why the engine has
    latched the session for one, empty when it has not or a person has resumed it. `losses` are what loss limits
    count, `is_adopted` says that an EXTERNAL row is part of the position, `roll` is the session's roll that is not
    over. All are our copy; the broker is asked at once, and until it has answered for both no strategy runs.
    """

    orders: tuple[Order, ...] = ()
    position: Position | None = None
    fills: tuple[Fill, ...] = ()
    claimed: Mapping[str, str] = field(default_factory=dict)
    strategy_off: str = ""
    saved_at: Nanos = Nanos(0)
    externals: tuple[Fill, ...] = ()
    latched: str = ""
    losses: KnownLosses = KnownLosses()
    roll: Roll | None = None
    is_adopted: bool = False


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Time has passed and nothing else happened; sent a few times a second, so that every deadline is looked at."""


@dataclass(frozen=True, slots=True)
class LeaseChanged:
    """The session's lease was lost (no entries from now on; exits go on) or is held again.

    `fence` is the number of the lease held now; orders made from now on carry it.
    """

    is_held: bool
    reason: str = ""
    fence: int | None = None


# --- market -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WarmedUp:
    """The fetched history, oldest first; candles told before it are merged in; no strategy runs on them."""

    candles: tuple[Candle, ...]


@dataclass(frozen=True, slots=True)
class CandleReceived:
    """A candle of the session's contract and interval, forming or closed.

    `is_history` for those a feed repeats after connecting: a strategy still runs on one it has not seen, in order,
    but may not enter on it.
    """

    candle: Candle
    is_history: bool = False


@dataclass(frozen=True, slots=True)
class BarTimed:
    """How long the step of a closed candle took, with the strategy in it; a duration, by the monotonic clock."""

    duration: Nanos


@dataclass(frozen=True, slots=True)
class StreamChanged:
    """A stream went down or came (back) up; `has_gap` when it stayed up but messages were missed.

    Until a stream has been told up it counts as down, and entries wait. Events that were missed while it was down
    need not be told one by one: the engine asks.
    """

    stream: StreamKind
    is_up: bool
    reason: str = ""
    has_gap: bool = False


@dataclass(frozen=True, slots=True)
class MarketHoursReceived:
    """The exchange's calendar has the market open now, or closed; told at the start and when that changes."""

    is_open: bool


# --- the database -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Persisted:
    """A `Persist` with a ticket is in the database: what waited for it may be sent."""

    ticket: int


@dataclass(frozen=True, slots=True)
class PersistFailed:
    """A `Persist` with a ticket is not (or perhaps not) in the database: what waited for it is dropped."""

    ticket: int
    reason: str


@dataclass(frozen=True, slots=True)
class DatabaseChanged:
    """The database went away (the journal takes over, entries stop) or came back.

    After a `PersistFailed` or a journalled `Persist` it counts as down until this says otherwise: the shell probes.
    """

    is_up: bool
    reason: str = ""


# --- the portfolio ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeatTermsRead:
    """Which portfolio the session belongs to, as the database has it; None when to none.

    `unread` says why that is not known: the row of the portfolio cannot be read. `is_account_limited` tells that the
    configuration has limits for the session's account.
    """

    terms: HeatTerms | None
    unread: str = ""
    is_account_limited: bool = False


@dataclass(frozen=True, slots=True)
class PortfolioHeard:
    """How the session's portfolio stands, and which life of the portfolio server says so."""

    life: str
    is_warned: bool = False
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class HeatGranted:
    """The heat of an order, or of its change, is reserved."""

    order_id: str
    life: str
    number: int


@dataclass(frozen=True, slots=True)
class HeatRefused:
    """The heat of an order, or of its change, is not reserved, and will not be."""

    order_id: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class HeatUnanswered:
    """Nobody answered; the engine waits on until its own time is over."""

    order_id: str
    number: int
    reason: str


# --- told by the broker -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderUpdated:
    """A picture of an order of the account, ours or not, from the stream or its snapshot."""

    order: BrokerOrder


@dataclass(frozen=True, slots=True)
class PositionUpdated:
    """A picture of a position of the account, from the stream or its snapshot."""

    position: Position


@dataclass(frozen=True, slots=True)
class RecordUnreadable:
    """The stream told an order or a position that cannot be read."""

    stream: StreamKind
    record: UnreadableRecord


@dataclass(frozen=True, slots=True)
class BalanceUpdated:
    """The account's money."""

    balance: Balance


# --- outcomes and answers -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SubmitAnswered:
    """What became of a `Send`; `order_id` is the order's, for a bracket the entry's."""

    order_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ModifyAnswered:
    """What became of a `Modify`; accepted means requested."""

    order_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class CancelAnswered:
    """What became of a `Cancel`; accepted means requested."""

    order_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class OrdersAnswered:
    """The answer to `AskOrders`: today's orders of the account and all open ones, or unknown."""

    number: int
    answer: Answer[tuple[ListedOrder, ...]]


@dataclass(frozen=True, slots=True)
class PositionAnswered:
    """The answer to `AskPosition`: in the session's contract (quantity 0: confirmed flat), or unknown."""

    number: int
    answer: Answer[Position]


# --- commands -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TradingStateSet:
    """A latch changed: of the host, the portfolio or this session; the most severe of all scopes counts."""

    scope: str
    state: TradingState
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FlattenCommanded:
    """Cancel everything and close the position; again while it is under way changes nothing."""

    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AdoptCommanded:
    """Protect the contracts that no stop of ours covers by one at this price."""

    by: str
    stop: Price
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReconcileCommanded:
    """Ask the broker now, for orders and position."""

    by: str


@dataclass(frozen=True, slots=True)
class StopCommanded:
    """Enter no more and report `Finished`: at once, or when flat if `flatten`."""

    by: str
    flatten: bool = False


Event = (
    Started
    | TimePassed
    | LeaseChanged
    | WarmedUp
    | CandleReceived
    | BarTimed
    | StreamChanged
    | WitnessPriced
    | WitnessChanged
    | MarketHoursReceived
    | Persisted
    | PersistFailed
    | DatabaseChanged
    | HeatTermsRead
    | PortfolioHeard
    | HeatGranted
    | HeatRefused
    | HeatUnanswered
    | OrderUpdated
    | PositionUpdated
    | RecordUnreadable
    | BalanceUpdated
    | SubmitAnswered
    | ModifyAnswered
    | CancelAnswered
    | OrdersAnswered
    | PositionAnswered
    | TradingStateSet
    | FlattenCommanded
    | AdoptCommanded
    | ReconcileCommanded
    | StopCommanded
    | RollPlanned
    | RollCommanded
    | SpreadAnswered
    | OldPositionAnswered
    | SwitchAnswered
)

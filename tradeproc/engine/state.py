"""The three kinds of state: the strategy's own, the engine's own, and what the broker confirmed.

The state belongs to one trader and is updated in place by `trader.step`; nothing outside the engine changes it.
None of it is stored as such: orders, fills and the position are written as effects, and a restart rebuilds the rest.

Only one session may trade a contract in an account, because the broker tells positions by account, not by session.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import field
from enum import StrEnum
from typing import Any

from tradeproc.domain.book import Balance, Divergence, Fill, Position
from tradeproc.domain.broker_orders import BrokerOrder
from tradeproc.domain.candles import Candle
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import Contract, Instrument, instrument
from tradeproc.domain.market_hours import MarketHours
from tradeproc.domain.orders import Order, OrderSource, OrderState
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import SECOND, Contracts, Nanos, Price, Ticks
from tradeproc.engine.effects import DecisionNoted, Send
from tradeproc.engine.events import StreamKind, TradingState
from tradeproc.engine.heat_book import HeatBook
from tradeproc.engine.loss_watch import LossWatch
from tradeproc.engine.roll_state import RollDesk
from tradeproc.engine.traded_through import TradedThrough
from tradeproc.engine.witness_watch import WitnessWatch
from tradeproc.market.candle_series import CandleSeries
from tradeproc.strategies.contract import AnyStrategy

KEPT_REFUSALS = 5
"""How many of the newest refused decisions are kept for people."""
PATIENCE = 30 * SECOND
"""How long a question may be out before it counts as lost."""


def no_calendar(_opened_at: Nanos, _closed_at: Nanos) -> Nanos | None:
    """Return None: no calendar is known."""
    return None


@dataclass(frozen=True, slots=True)
class EngineTiming:
    """When the engine speaks up, in nanoseconds.

    An alarm is raised when a strategy takes longer than `bar_budget` for one bar, and when it still does not run
    `not_ready_after` the start because the broker has not answered.
    """

    bar_budget: Nanos = Nanos(SECOND // 2)
    not_ready_after: Nanos = Nanos(60 * SECOND)


USUAL = EngineTiming()


@dataclass(frozen=True, slots=True)
class Setup:
    """What a session runs with; only `fence` changes, when the lease is held anew.

    `fence` is the lease's number and goes into every new client order id with `installation` and `session`.
    `session_opened_at` answers when the market session of a bar (from, to) opened, None where unknown; pure.
    `hours` are those of the exchange, None where no calendar is known.
    """

    session: int
    fence: int
    installation: str
    spec: SessionSpec
    strategy: AnyStrategy
    arguments: Any
    session_opened_at: Callable[[Nanos, Nanos], Nanos | None] = no_calendar
    timing: EngineTiming = USUAL
    hours: MarketHours | None = None
    contract: Contract = field(init=False)
    instrument: Instrument = field(init=False)

    def __post_init__(self) -> None:
        """Read the contract once."""
        object.__setattr__(self, "contract", Contract.parse(self.spec.contract))
        object.__setattr__(self, "instrument", instrument(self.contract.root))


# --- the strategy's own -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class StrategyOwned:
    """What the strategy works with. `early` holds candles that came before the history did.

    `failures` counts the bars on which it failed in a row, `failed` all of this life; `off` says why it is not called
    any more. `wanted` are the bars that it asked for as history. `decided` counts the bars on which it answered,
    `quiet` the newest in a row without a wish, `noted` its wishes of this life, `refused` those not carried out.
    """

    memory: Any
    candles: CandleSeries = field(default_factory=CandleSeries)
    is_warm: bool = False
    early: list[Candle] = field(default_factory=list)
    market_at: Nanos = Nanos(0)
    failures: int = 0
    failed: int = 0
    failure: str = ""
    off: str = ""
    wanted: int = 0
    decided: int = 0
    quiet: int = 0
    noted: int = 0
    refused: int = 0
    refusals: deque[DecisionNoted] = field(default_factory=lambda: deque(maxlen=KEPT_REFUSALS))


# --- the engine's own ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Holding:
    """Our count of the position: signed contracts and their average price, None when flat."""

    quantity: Contracts = Contracts(0)
    average: Price | None = None


class Waiting(StrEnum):
    """What an order waits for.

    Its row, its reply, an answer of the broker after a lost reply, or a change that the broker has yet to show.
    """

    STORE = "store"
    SUBMIT = "submit"
    RESOLVE = "resolve"
    MODIFY = "modify"
    CANCEL = "cancel"


@dataclass(slots=True)
class Pending:
    """A submit, modify or cancel that was asked for and is not yet seen to be done.

    `asked_number` is the newest question to the broker when its reply was lost: only answers to later ones count.
    `absences` counts those that did not show the order. `wanted` is the order as a modify wants it.
    """

    waiting: Waiting
    since: Nanos
    asked_number: int = 0
    absences: int = 0
    wanted: Order | None = None


class ClosePhase(StrEnum):
    """Where the closing of a position stands."""

    CANCELLING = "cancelling"
    CONFIRMING = "confirming"
    EXITING = "exiting"


@dataclass(slots=True)
class Closing:
    """The one closing that is under way: cancel all, wait, confirm the position, exit once, confirm flat.

    `cancelled_at` is when the cancel of each order was asked for last.
    """

    source: OrderSource
    reason: str
    since: Nanos
    phase: ClosePhase = ClosePhase.CANCELLING
    exit_id: str | None = None
    attempts: int = 0
    not_before: Nanos = Nanos(0)
    changed_at: Nanos = Nanos(0)
    cancelled_at: dict[str, Nanos] = field(default_factory=dict)


@dataclass(slots=True)
class EngineOwned:
    """Orders (newest last, a bounded number of ended ones kept for late fills), our position, and flags.

    `heat` is what the portfolio server was asked. `tickets` are entries that wait for their row. `cancels_wanted` are
    orders to cancel as soon as their broker id is known, `cancels_asked` open ones whose cancel went out and was not
    refused, `cancels_refused` those whose was, until a later answer shows them working; `trimmed` are cut: their
    quantity then and since when. `is_first_start` until the position of a session that never had one is confirmed.
    `contradictions` are illegal facts told, by order and event. `is_adopted` while an EXTERNAL row is part of it.
    """

    orders: dict[str, Order] = field(default_factory=dict)
    open_ids: dict[str, None] = field(default_factory=dict)
    pending: dict[str, Pending] = field(default_factory=dict)
    holding: Holding = Holding()
    counter: int = 0
    tickets: dict[int, tuple[Send, tuple[str, ...]]] = field(default_factory=dict)
    last_ticket: int = 0
    latches: dict[str, TradingState] = field(default_factory=dict)
    closing: Closing | None = None
    cancels_wanted: set[str] = field(default_factory=set)
    cancels_asked: set[str] = field(default_factory=set)
    cancels_refused: set[str] = field(default_factory=set)
    contradictions: set[tuple[str, str]] = field(default_factory=set)
    alarms: dict[str, str] = field(default_factory=dict)
    is_database_up: bool = True
    is_lease_held: bool = True
    is_stopping: bool = False
    is_finished: bool = False
    uncovered_since: Nanos | None = None
    protected_at: Nanos = Nanos(0)
    trimmed: dict[str, tuple[Contracts, Nanos]] = field(default_factory=dict)
    last_fill_at: Nanos = Nanos(0)
    is_first_start: bool = False
    traded_through: TradedThrough = field(default_factory=TradedThrough)
    is_adopted: bool = False
    witness: WitnessWatch = field(default_factory=WitnessWatch)
    losses: LossWatch = field(default_factory=LossWatch)
    heat: HeatBook = field(default_factory=HeatBook)
    roll: RollDesk = field(default_factory=RollDesk)

    @property
    def trading(self) -> TradingState:
        """Return the most severe of all latches."""
        return max(self.latches.values(), key=lambda state: state.severity, default=TradingState.ACTIVE)

    @property
    def has_unanswered(self) -> bool:
        """Tell whether an order of ours has no reply yet, or its reply was lost: its fill may be on its way."""
        return any(each.waiting in (Waiting.SUBMIT, Waiting.RESOLVE) for each in self.pending.values())

    @property
    def open_orders(self) -> list[Order]:
        """Return the orders that can still fill, oldest first."""
        return [self.orders[order_id] for order_id in self.open_ids]

    def put(self, order: Order) -> None:
        """Put an order into the book; nothing else may."""
        self.orders[order.id] = order
        if order.state.is_terminal:
            self.open_ids.pop(order.id, None)
        else:
            self.open_ids[order.id] = None


# --- what the broker confirmed ------------------------------------------------------------------------------------


Terms = tuple[Ticks | None, Ticks | None, Contracts]
"""Limit, stop and quantity of an order."""


@dataclass(frozen=True, slots=True)
class PositionReading:
    """The broker's position as last told, and when we heard it."""

    position: Position
    at: Nanos


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A reading that differs from our count and may yet be explained by a fill that is on its way.

    `is_answered` once the broker, asked after it arose, said the same; `since` and `orders_number` are of then.
    """

    ours: Contracts
    brokers: Contracts
    since: Nanos
    orders_number: int
    is_answered: bool = False


@dataclass(slots=True)
class Question:
    """One kind of question to the broker: the newest one, whether it is out, and whether to ask again after it.

    `ids` are the broker's ids of the orders that it asks for one by one where the list lacks them.
    """

    number: int = 0
    asked_at: Nanos | None = None
    is_out: bool = False
    reason: str = ""
    again: str = ""
    ids: tuple[str, ...] = ()
    known_at: Nanos | None = None

    def is_due(self, now: Nanos, wait: int) -> bool:
        """Tell whether `wait` has passed since the last question; one that is out is given half a minute."""
        if self.asked_at is None:
            return True
        return now - self.asked_at >= (max(wait, PATIENCE) if self.is_out else wait)


@dataclass(frozen=True, slots=True)
class UnconfirmedDifference:
    """A difference in an order that asking showed first; a row only if the stream does not tell it as well."""

    row: Divergence
    since: Nanos


@dataclass(slots=True)
class Unpriced:
    """What the broker told of an order as filled without a price, since when, and how many answers repeated it."""

    picture: BrokerOrder
    since: Nanos
    answers: int = 0


@dataclass(frozen=True, slots=True)
class Vanished:
    """A stop of ours that ended by no order of ours: as it was, how it ended, and the newest question then."""

    order: Order
    state: OrderState
    since: Nanos
    asked_number: int
    is_recorded: bool = False


@dataclass(frozen=True, slots=True)
class Shrunk:
    """An order of which the broker's list shows fewer contracts filled than were booked, and since when it does."""

    picture: BrokerOrder
    since: Nanos


@dataclass(slots=True)
class BrokerConfirmed:
    """What the broker told.

    `ids` are its order ids with ours, also forgotten ones. `strays` are pictures of orders not (yet) known as ours,
    `first_told` its first picture, when, and after how many of ours. `foreign` are orders that an answer showed open
    though not ours or taken for ended, and since when; `told_foreign` those recorded. `missing` are open orders of
    ours that an answer lacked, and since when. `reappeared` are orders of ours taken for ended that work there.
    `unreadable` says what cannot be read. `streams` holds why each stream is down; empty: it is up. `market_up_since`
    is since when the bars' is up, `traded_at` when a bar last said something new, `said_closed` a rejection since
    then for a closed market. `calendar_open_since` is None while it is not. `unpriced` are orders told as filled
    without a price, `shrunk` those of which fewer are filled than were booked, `vanished` stops ended by no order of
    ours, `terms` all that our open orders had or were to get, None for what an earlier life asked for.
    `foreign_filled` are orders of others that the newest answer showed filled, `externals` their rows.
    """

    ids: dict[str, str] = field(default_factory=dict)
    strays: dict[str, BrokerOrder] = field(default_factory=dict)
    first_told: dict[str, tuple[Nanos, int, BrokerOrder]] = field(default_factory=dict)
    foreign: dict[str, Nanos] = field(default_factory=dict)
    told_foreign: set[str] = field(default_factory=set)
    doubts: dict[str, UnconfirmedDifference] = field(default_factory=dict)
    missing: dict[str, Nanos] = field(default_factory=dict)
    reappeared: set[str] = field(default_factory=set)
    unreadable: dict[StreamKind, str] = field(default_factory=dict)
    unpriced: dict[str, Unpriced] = field(default_factory=dict)
    shrunk: dict[str, Shrunk] = field(default_factory=dict)
    vanished: dict[str, Vanished] = field(default_factory=dict)
    terms: dict[str, list[Terms | None]] = field(default_factory=dict)
    foreign_filled: dict[str, BrokerOrder] = field(default_factory=dict)
    externals: list[Fill] = field(default_factory=list)
    agreed_at: Nanos = Nanos(0)
    given_up_at: Nanos = Nanos(0)
    reading: PositionReading | None = None
    suspicion: Suspicion | None = None
    balance: Balance | None = None
    streams: dict[StreamKind, str] = field(default_factory=lambda: {kind: "not heard yet" for kind in StreamKind})
    market_heard_at: Nanos = Nanos(0)
    market_up_since: Nanos | None = None
    traded_at: Nanos = Nanos(0)
    calendar_open_since: Nanos | None = None
    said_closed: str = ""
    orders: Question = field(default_factory=Question)
    position: Question = field(default_factory=Question)
    orders_known_number: int = 0
    has_orders: bool = False
    has_position: bool = False

    @property
    def is_reconciled(self) -> bool:
        """Tell whether the broker has answered for orders and position since the start, and no difference is open."""
        return self.has_orders and self.has_position and self.suspicion is None


@dataclass(slots=True)
class State:
    """Everything a trader is, in three kinds, and its setup."""

    setup: Setup
    strategy: StrategyOwned
    engine: EngineOwned
    broker: BrokerConfirmed
    started_at: Nanos = Nanos(0)


def new_state(setup: Setup, latches: dict[str, TradingState] | None = None) -> State:
    """Return the state before `Started`, which makes the strategy's own; `latches` as stored, by scope."""
    return State(setup, StrategyOwned(None), EngineOwned(latches=dict(latches or {})), BrokerConfirmed())

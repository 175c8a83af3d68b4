"""What a trader publishes and answers: its session's state, orders, fills, position, candles, decisions, commands."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final, Literal

from tradeproc.domain.book import Divergence, Fill, Position
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import Order
from tradeproc.domain.units import Contracts, Money, Nanos, Price
from tradeproc.protocol.definitions import FollowedTopic, Method, NoBody, Topic
from tradeproc.protocol.feed_messages import CandleBody, Candles, UpOrDown
from tradeproc.protocol.scopes import Scope

TradingWord = Literal["active", "reducing", "halted"]

_TRADER: Final = ("trader",)

# --- what happened


@dataclass(frozen=True, slots=True)
class OrderBody(Order):
    """An order with its prices in points beside those in ticks, for people."""

    limit_price: Price | None = None
    stop_price: Price | None = None

    @classmethod
    def of(cls, order: Order) -> "OrderBody":
        """Return an order with its prices in points."""
        price = instrument_of(order.contract).price
        limit = None if order.limit is None else price(order.limit)
        stop = None if order.stop is None else price(order.stop)
        values: Sequence[Any] = (*_fields_of(order), limit, stop)
        return cls(*values)


_fields_of = attrgetter(*(field.name for field in fields(Order)))


def order_bodies(orders: Sequence[Order]) -> tuple[OrderBody, ...]:
    """Return orders with their prices in points."""
    return tuple(map(OrderBody.of, orders))


@dataclass(frozen=True, slots=True)
class LimitUse:
    """A limit of the session by its key, what it allows, and how much is used, as texts; `unknown` where it is."""

    name: str
    allowed: str
    used: str


@dataclass(frozen=True, slots=True)
class DecisionNoted:
    """What a strategy wanted and what became of it, for people who watch; `refusal` is empty when it was done.

    `orders` were made of it; `limits` are those that it was held against, with what was used of each.
    """

    decision: str
    reason: str
    refusal: str
    candle_opened_at: Nanos
    market_at: Nanos
    at: Nanos
    orders: tuple[str, ...] = ()
    limits: tuple[LimitUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Orders:
    """The orders that the trader knows: those that can still fill and the newest ended ones."""

    orders: tuple[OrderBody, ...]


@dataclass(frozen=True, slots=True)
class Positions:
    """The session's position by the trader's own count."""

    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Fills:
    """The newest fills, oldest first."""

    fills: tuple[Fill, ...]


# --- how the session is


@dataclass(frozen=True, slots=True)
class RefusedDecision:
    """A decision that was not done, and why."""

    at: Nanos
    market_at: Nanos
    decision: str
    refusal: str


@dataclass(frozen=True, slots=True)
class DecisionCounts:
    """How many bars were decided or failed, how many decisions were wanted or refused, and the newest refusals.

    `failure` is the newest failure of the strategy, `off` why it is not called any more; both empty when there is
    none.
    """

    bars: int = 0
    failed: int = 0
    failure: str = ""
    off: str = ""
    wanted: int = 0
    refused: int = 0
    newest: tuple[RefusedDecision, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """Session, position, profit, orders that can still fill, alarms and what is known of the world.

    `entries` is `allowed` or what holds them back, `why` says why no entry was made. Profit is in `currency`, before
    fees; a number that nobody knows is None. `last` is the newest price heard, in points. `streams` has `up` or a
    reason for each stream, `alarms` the detail of each that stands. Fields with a default are younger than others: a
    trader of a version before does not tell them. While it is `rolling`, `rolling_close_order` is the newest
    exit in the old contract and `rolling_close_quantity` its contracts; `roll` says how far it is, or what the rule
    plans. An empty `data_login` means `login`.
    `witness` is the last price of the second login for prices, or that it tells none; empty where there is none.
    `heat` counts reserved entries as well, and is None while `heat_unknown` says why. `heat_blocked` says why the
    `portfolio` refuses entries, empty while it does not; an empty `portfolio` means none.
    """

    session: int
    name: str
    login: str
    data_login: str = ""
    account: str
    contract: str
    minutes: int
    strategy: str
    fence: int
    trading_state: TradingWord
    entries: str
    why: str = ""
    decisions: DecisionCounts = DecisionCounts()
    position: int
    average: Price | None
    realized: Money | None
    unrealized: Money | None
    currency: str
    fills: int
    orders: tuple[OrderBody, ...]
    last: float | None
    market_at: Nanos | None
    bars: int
    warm: bool
    reconciled: bool
    closing: bool = False
    lease: bool
    database: UpOrDown
    streams: Mapping[str, str]
    alarms: Mapping[str, str]
    portfolio: str = ""
    heat: Money | None = None
    heat_unknown: str = ""
    heat_warned: bool = False
    heat_blocked: str = ""
    limits: tuple[LimitUse, ...] = ()
    witness: str = ""
    rolling: bool = False
    rolling_close_order: str | None = None
    rolling_close_quantity: Contracts | None = None
    roll: str = ""


# --- commands


@dataclass(frozen=True, slots=True)
class Command:
    """A command of `by`, a person or a process; `reason` is for people."""

    by: str = "operator"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Switch(Command):
    """Set the latch of a scope; an empty one means the trader's own session."""

    scope: Scope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTradingState(Switch):
    """Set the latch of a scope to a trading state."""

    state: TradingWord


@dataclass(frozen=True, slots=True)
class StopTrading(Command):
    """End in order; with `flatten` after the position is closed.

    `pid` is the process that is meant, 0 whichever lives: a message that waited for one that has just ended must not
    end its successor, which nobody would start again.
    """

    flatten: bool = False
    pid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptPosition(Command):
    """Protect the contracts that no stop of ours covers by one at this price, in points."""

    stop: Price


@dataclass(frozen=True, slots=True)
class PositionAdopted:
    """The position, signed, and its stop orders that are open or on their way."""

    position: Contracts
    stops: tuple[OrderBody, ...]


@dataclass(frozen=True, slots=True)
class RollSession(Command):
    """Roll into a contract, empty for the one of the rule."""

    next_contract: str = ""


@dataclass(frozen=True, slots=True)
class RollAsked:
    """The roll is wanted; it begins when broker, market and spread are known, and the trader's state tells of it."""

    contract: str
    next_contract: str


@dataclass(frozen=True, slots=True)
class TradingStateNow:
    """The trading state that counts after a command; not `is_concerned` when the session does not use its login."""

    trading_state: TradingWord
    is_concerned: bool = True


STATE: FollowedTopic[SessionState, SessionState] = FollowedTopic("state", SessionState, _TRADER, SessionState)
CANDLE: FollowedTopic[CandleBody, Candles] = FollowedTopic("candle", CandleBody, _TRADER, Candles)
ORDER: FollowedTopic[OrderBody, Orders] = FollowedTopic("order", OrderBody, _TRADER, Orders)
FILL: FollowedTopic[Fill, Fills] = FollowedTopic("fill", Fill, _TRADER, Fills)
POSITION: FollowedTopic[Position, Positions] = FollowedTopic("position", Position, _TRADER, Positions)
DECISION: Topic[DecisionNoted] = Topic("decision", DecisionNoted, _TRADER)
DIVERGENCE: Topic[Divergence] = Topic("divergence", Divergence, _TRADER)

ASK_STATE: Method[NoBody, SessionState] = Method("state", NoBody, SessionState, _TRADER)
ASK_ORDERS: Method[NoBody, Orders] = Method("orders", NoBody, Orders, _TRADER)
SET_TRADING_STATE: Method[SetTradingState, TradingStateNow] = Method(
    "set_trading_state", SetTradingState, TradingStateNow, _TRADER
)
HALT: Method[Switch, TradingStateNow] = Method("halt", Switch, TradingStateNow, _TRADER)
REDUCE: Method[Switch, TradingStateNow] = Method("reduce", Switch, TradingStateNow, _TRADER)
RESUME: Method[Switch, TradingStateNow] = Method("resume", Switch, TradingStateNow, _TRADER)
FLATTEN: Method[Switch, TradingStateNow] = Method("flatten", Switch, TradingStateNow, _TRADER)
ADOPT: Method[AdoptPosition, PositionAdopted] = Method("adopt", AdoptPosition, PositionAdopted, _TRADER)
RECONCILE: Method[Command, TradingStateNow] = Method("reconcile", Command, TradingStateNow, _TRADER)
ROLL: Method[RollSession, RollAsked] = Method("roll", RollSession, RollAsked, _TRADER)
STOP: Method[StopTrading, TradingStateNow] = Method("stop", StopTrading, TradingStateNow, _TRADER)

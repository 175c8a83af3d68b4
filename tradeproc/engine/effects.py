"""What the shell has to do: every effect, in the imperative, carried out in the order in which they stand.

The rules for a shell:

- A `KeepLatch` must be done before the effects after it, as a `Persist` without a ticket is.
- A `Persist` with a ticket must be in the database itself; answer with `Persisted` or `PersistFailed`. Only an entry
  hangs on one, and its `Send` comes as an effect of `Persisted`.
- A `Persist` without a ticket must be done before the effects after it, in the database or, when that is down, in the
  journal (and tell `DatabaseChanged(False)`). It never fails towards the engine: an exit goes on whatever happens.
- Each `Send`, `Modify` and `Cancel` is done once and answered once; no reply in time is `Unanswered`.
- A `ReserveHeat` is answered by `HeatGranted`, `HeatRefused` or `HeatUnanswered`, once; it holds nothing else up.
- A `SaveRoll` must be done before the effects after it, as a `KeepLatch`. A `SwitchContract` must be in the database
  itself; answer with `SwitchAnswered`.
- Each `AskOrders`, `AskPosition`, `AskSpread` and `AskOldPosition` is answered once; where nobody knows, as unknown.
"""

from dataclasses import field
from typing import Literal

from tradeproc.domain.book import Balance, Divergence, Fill, Position
from tradeproc.domain.broker_orders import BracketRequest, OrderRequest
from tradeproc.domain.candles import Candle
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.orders import Order, OrderEvent
from tradeproc.domain.portfolio import HeatAnswer
from tradeproc.domain.roll_steps import Roll
from tradeproc.domain.tally import LossMarks
from tradeproc.domain.units import Money, Nanos
from tradeproc.engine.events import TradingState
from tradeproc.protocol.trader_messages import DecisionNoted as DecisionNoted


@dataclass(frozen=True, slots=True)
class Persist:
    """Write down, as one unit: orders (upsert), their events (append), fills, and the position if it changed.

    One unit because a start rebuilds from it: a fill without its order's new `filled` would be booked twice, or the
    reverse never. `source` says what changed the position: fills, broker_stream or reconciliation.
    """

    orders: tuple[Order, ...] = ()
    events: tuple[OrderEvent, ...] = ()
    fills: tuple[Fill, ...] = ()
    position: Position | None = None
    source: str = ""
    ticket: int | None = None

    @property
    def may_journal(self) -> bool:
        """Tell whether the journal will do when the database is down; not for an entry."""
        return self.ticket is None


@dataclass(frozen=True, slots=True)
class ReserveHeat:
    """Ask the portfolio server for the heat of an entry or a change; `until` is when the engine waits no more.

    The answer names order and number; one that does not come is `HeatUnanswered`. `life` is that of the server that
    the engine knows. `contracts` are added to one side, positive to the long one; `notional` is what they are worth.
    """

    order_id: str
    number: int
    life: str
    portfolio: str
    heat: Money
    currency: str
    until: Nanos
    contracts: int = 0
    notional: Money | None = None
    is_change: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Submit an order or a bracket to the broker, once; `order_id` names it in `SubmitAnswered`."""

    order_id: str
    request: OrderRequest | BracketRequest


@dataclass(frozen=True, slots=True)
class Modify:
    """Ask the broker to replace quantity and prices of a working order."""

    order_id: str
    broker_id: str
    change: OrderRequest


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the broker to cancel; safe to repeat."""

    order_id: str
    broker_id: str


@dataclass(frozen=True, slots=True)
class AskOrders:
    """Ask the broker for all orders of the account, and for those of `ids` by their ids if the list lacks them.

    It may wait for `within` seconds, so that sessions of one account share an answer.
    """

    number: int
    reason: str
    ids: tuple[str, ...] = ()
    within: float = 0.0


@dataclass(frozen=True, slots=True)
class AskPosition:
    """Ask the broker for the position in the session's contract; it may wait as the question for orders may."""

    number: int
    reason: str
    within: float = 0.0


@dataclass(frozen=True, slots=True)
class SaveBalance:
    """Write down the account's money if it changed."""

    balance: Balance


@dataclass(frozen=True, slots=True)
class SaveLossMarks:
    """Write down from where the session's losses are counted."""

    marks: LossMarks


@dataclass(frozen=True, slots=True)
class KeepLatch:
    """Keep a latch that the engine has set by itself; like a person's it stands until a person resumes.

    One that stands already and closes as much or more is not touched. `by` says which rule set it.
    """

    scope: str
    state: TradingState
    by: str
    reason: str
    at: Nanos


@dataclass(frozen=True, slots=True)
class SaveRoll:
    """Write a roll's step down, in the database or the journal."""

    roll: Roll


@dataclass(frozen=True, slots=True)
class SwitchContract:
    """Write down in one unit, in the database itself, a roll's step and its next contract as the session's."""

    roll: Roll


@dataclass(frozen=True, slots=True)
class BeginAnew:
    """End the process so that it is restarted: what a life is bound to has changed."""

    reason: str


@dataclass(frozen=True, slots=True)
class AskSpread:
    """Compare the newest bars of the session's contract and of the next one."""

    number: int
    next_contract: str


@dataclass(frozen=True, slots=True)
class AskOldPosition:
    """Ask the broker for the position in the contract that a roll has left."""

    number: int
    contract: str


@dataclass(frozen=True, slots=True)
class SaveDivergence:
    """Write down a difference to the broker; our side is corrected already, so it is closed as it is written."""

    divergence: Divergence


@dataclass(frozen=True, slots=True)
class RaiseAlarm:
    """Raise an alarm; told once until it is cleared. The names are a closed list, see `alarms.py`."""

    name: str
    detail: str
    at: Nanos


@dataclass(frozen=True, slots=True)
class ClearAlarm:
    """Take an alarm back: its cause is gone."""

    name: str
    at: Nanos


Published = Order | Fill | Position | Candle | DecisionNoted | Divergence | HeatAnswer


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell subscribers; `topic` is one of the trader's topics of the bus, or "heat", which is noted for people."""

    topic: Literal["order", "fill", "position", "candle", "decision", "divergence", "heat"]
    value: Published


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line: the event's name in the past tense, then fields."""

    level: Literal["info", "warning", "error"]
    event: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    """End the process cleanly: a commanded stop is complete."""

    reason: str


Effect = (
    Persist
    | ReserveHeat
    | Send
    | Modify
    | Cancel
    | AskOrders
    | AskPosition
    | SaveBalance
    | SaveLossMarks
    | KeepLatch
    | SaveDivergence
    | RaiseAlarm
    | ClearAlarm
    | Publish
    | Log
    | Finished
    | SaveRoll
    | SwitchContract
    | BeginAnew
    | AskSpread
    | AskOldPosition
)

"""A desk in one thread: the engine, a shell that obeys its effects, an exchange, and a clock that we turn.

The shell checks on every effect what must hold whatever happens: written down before it is sent, sent once. Faults
(lost and late replies, lost, doubled and reordered pictures, failed questions) are drawn from a seeded source.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.engine.exchange_broker import ACCOUNT, ExchangeBroker
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Divergence, Fill, FillKind, Position
from tradeproc.domain.broker_orders import BrokerOrder, Outcome, Unanswered
from tradeproc.domain.candles import Candle
from tradeproc.domain.fills import standing
from tradeproc.domain.market_hours import MarketHours
from tradeproc.domain.orders import Order, OrderEvent
from tradeproc.domain.session import SessionLimits, SessionSpec, StopPolicy
from tradeproc.domain.tally import NEVER, LossMarks, tally_of
from tradeproc.domain.units import SECOND, Contracts, Nanos
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import Event, StreamKind
from tradeproc.engine.latched_by import EXTERNAL, LIMIT
from tradeproc.engine.loss_watch import KnownLosses
from tradeproc.engine.state import Holding, Setup, State, new_state
from tradeproc.engine.trader import step
from tradeproc.engine.turn import after_fill
from tradeproc.strategies.contract import NOTHING, AnyStrategy, Decision, View
from tradeproc.testing import candles

START = 1_700_000_000 * SECOND
FIRST_MINUTE = 1_600_000_020 // 60
T = TypeVar("T")
Plan = Callable[[View], Decision]


class Scripted:
    """A strategy that does what each test says, one entry of `plans` a candle; it remembers what it saw."""

    name = "scripted"

    @dataclass(frozen=True)
    class Arguments:
        """None."""

    def __init__(self, *plans: Plan | Decision) -> None:
        self.plans = list(plans)
        self.seen: list[View] = []

    def warmup(self, arguments: Any) -> int:
        return 2

    def start(self, arguments: Any) -> int:
        return 0

    def on_candle(self, view: View, state: int, arguments: Any) -> tuple[Decision, int]:
        self.seen.append(view)
        if not self.plans:
            return NOTHING, state
        plan = self.plans.pop(0)
        return (plan(view) if callable(plan) else plan), state + 1


def spec(**changes: Any) -> SessionSpec:
    values: dict[str, Any] = {
        "name": "test",
        "login": "paper",
        "account": ACCOUNT,
        "contract": "ESH24",
        "minutes": 1,
        "strategy": "scripted",
        "quantity": Contracts(1),
        "environment": "paper",
        "limits": SessionLimits(Contracts(3), Contracts(3)),
        "stop_policy": StopPolicy.ALARM,
    }
    return SessionSpec(**{**values, **changes})


def candle(number: int, close: float = 4800.0, **changes: Any) -> Candle:
    usual = {"high": close + 1, "low": close - 1, "volume": 10, "ticks": 5}
    return candles.candle(FIRST_MINUTE + number, close, **usual | changes)


class Killed(Exception):
    """The process was killed between two effects."""


@dataclass
class Faults:
    """How often what goes wrong, and the source that draws it; by default nothing does."""

    chance: random.Random = field(default_factory=lambda: random.Random(0))
    lost_reply: float = 0.0
    lost_request: float = 0.0
    lost_picture: float = 0.0
    doubled: float = 0.0
    unknown: float = 0.0
    slowest: float = 0.0

    def hit(self, share: float) -> bool:
        return self.chance.random() < share

    def delay(self) -> int:
        """Return how long a message takes; equally long, so in order, unless some are slow."""
        return int((0.005 + self.chance.uniform(0, self.slowest)) * SECOND)


@dataclass
class Database:
    """What was written, as a real one would keep it; a journal beside it when it is down."""

    is_up: bool = True
    orders: dict[str, Order] = field(default_factory=dict)
    events: list[OrderEvent] = field(default_factory=list)
    fills: dict[tuple[str, int, int], Fill] = field(default_factory=dict)
    position: Position | None = None
    saved_at: Nanos = Nanos(0)
    latch: do.KeepLatch | None = None
    marks: LossMarks | None = None
    rearmed_at: Nanos = NEVER

    def write(self, effect: do.Persist) -> None:
        self.orders.update((order.id, order) for order in effect.orders)
        self.events += effect.events
        for fill in effect.fills:
            key = (fill.order_id, fill.revision, fill.cumulative)
            assert key not in self.fills, "a fill is booked once"
            self.fills[key] = fill
        if effect.position is not None:
            self.position = effect.position
            self.saved_at = max([self.saved_at, *(fill.at for fill in effect.fills)])

    def keep(self, effect: do.KeepLatch | do.SaveLossMarks) -> None:
        if isinstance(effect, do.KeepLatch):
            self.latch = effect
        else:
            self.marks = effect.marks


class Desk:
    def __init__(
        self,
        strategy: AnyStrategy | None = None,
        *,
        faults: Faults | None = None,
        broker: ExchangeBroker | None = None,
        database: Database | None = None,
        fence: int = 1,
        now: int = START,
        arguments: Any = None,
        hours: MarketHours | None = None,
        **spec_changes: Any,
    ) -> None:
        self.strategy: Any = strategy or Scripted()
        self.faults = faults or Faults()
        self.broker = broker or ExchangeBroker()
        self.database = database or Database()
        self.setup = Setup(7, fence, "abcd", spec(**spec_changes), self.strategy, arguments, hours=hours)
        self.state: State = new_state(self.setup)
        self.now = Nanos(now)
        self.queue: list[tuple[int, int, Event]] = []
        self.count = 0
        self.candles = 0
        self.effects: list[do.Effect] = []
        self.history: list[tuple[Event, Nanos, tuple[do.Effect, ...]]] = []
        self.sent: list[str] = []
        self.next_outcome: Outcome | None = None
        self.lives: int | None = None

    # --- the shell

    def tell(self, event: Event) -> tuple[do.Effect, ...]:
        """Apply one event now, carry out its effects, return them."""
        self.broker.now = self.now
        effects = step(self.state, event, self.now).effects
        self.history.append((event, self.now, effects))
        self.effects += effects
        for effect in effects:
            self._perform(effect)
        self._drain()
        return effects

    def later(self, event: Event, delay: int | None = None) -> None:
        self.count += 1
        at = self.now + (self.faults.delay() if delay is None else delay)
        heapq.heappush(self.queue, (at, self.count, event))

    def _perform(self, effect: do.Effect) -> None:
        if self.lives is not None and not isinstance(effect, do.Publish | do.Log):
            if self.lives == 0:
                raise Killed
            self.lives -= 1
        match effect:
            case do.Persist():
                self._write(effect)
            case do.KeepLatch() | do.SaveLossMarks():
                self.database.keep(effect)
            case do.Send():
                self._send(effect)
            case do.Modify(order_id, broker_id, change):
                self._change(events.ModifyAnswered, order_id, lambda: self.broker.modify(broker_id, change))
            case do.Cancel(order_id, broker_id):
                self._change(events.CancelAnswered, order_id, lambda: self.broker.cancel(broker_id))
            case do.AskOrders(number):
                self.later(events.OrdersAnswered(number, self._answer(tuple(self.broker.orders.values()))))
            case do.AskPosition(number):
                self.later(events.PositionAnswered(number, self._answer(self.broker.current_position())))
            case _:
                pass

    def _write(self, effect: do.Persist) -> None:
        """Write to the database, or when it is down to the journal, which an entry may not use."""
        if self.database.is_up or effect.may_journal:
            self.database.write(effect)
        if effect.ticket is not None:
            is_kept = self.database.is_up
            self.later(events.Persisted(effect.ticket) if is_kept else events.PersistFailed(effect.ticket, "gone"), 0)
        elif not self.database.is_up:
            self.later(events.DatabaseChanged(False, "gone"), 0)

    def _answer(self, value: T) -> Answer[T]:
        return Unknown("503") if self.faults.hit(self.faults.unknown) else Known(value)

    def _send(self, effect: do.Send) -> None:
        assert effect.order_id in self.database.orders, "written down before it is sent"
        assert effect.order_id not in self.sent, "no order is sent twice"
        self.sent.append(effect.order_id)
        if self.next_outcome is not None:
            outcome, self.next_outcome = self.next_outcome, None
            self.later(events.SubmitAnswered(effect.order_id, outcome))
            return
        if self.faults.hit(self.faults.lost_request):
            self.later(events.SubmitAnswered(effect.order_id, Unanswered("timed out")))
            return
        outcome = self.broker.place(effect.request)
        lost = self.faults.hit(self.faults.lost_reply)
        self.later(events.SubmitAnswered(effect.order_id, Unanswered("timed out") if lost else outcome))

    def _change(self, event: Any, order_id: str, action: Callable[[], Outcome]) -> None:
        if self.faults.hit(self.faults.lost_request):
            self.later(event(order_id, Unanswered("timed out")))
            return
        outcome = action()
        lost = self.faults.hit(self.faults.lost_reply)
        self.later(event(order_id, Unanswered("timed out") if lost else outcome))

    def _drain(self) -> None:
        """Put what the broker said on its streams on the way."""
        said, self.broker.told = self.broker.told, []
        for picture in said:
            event: Event = (
                events.OrderUpdated(picture) if isinstance(picture, BrokerOrder) else events.PositionUpdated(picture)
            )
            if self.faults.hit(self.faults.lost_picture):
                continue
            self.later(event)
            if self.faults.hit(self.faults.doubled):
                self.later(event)

    # --- turning the clock

    def run(self, seconds: float, beat: float = 0.5) -> None:
        """Let time pass: deliver what falls due, and tell the engine that time passed."""
        end = self.now + int(seconds * SECOND)
        while self.now < end:
            turn = min(end, self.now + int(beat * SECOND))
            while self.queue and self.queue[0][0] <= turn:
                at, _, event = heapq.heappop(self.queue)
                self.now = Nanos(max(self.now, at))
                self.tell(event)
            self.now = Nanos(turn)
            self.tell(events.TimePassed())

    def start(self, history: int = 3, forgotten: Sequence[str] = ()) -> "Desk":
        """Start, come up, warm up and be confirmed; `forgotten` orders are too old to be told."""
        known = tuple(order for order in self.database.orders.values() if order.id not in forgotten)
        claimed = {order.broker_id: order.id for order in self.database.orders.values() if order.broker_id}
        external = tuple(fill for fill in standing(self.database.fills.values()) if fill.kind is FillKind.EXTERNAL)
        latch = self.database.latch
        self.state.engine.latches.update({latch.scope: latch.state} if latch else {})
        self.tell(
            events.Started(
                known,
                self._known_position(),
                claimed=claimed,
                saved_at=self.database.saved_at,
                externals=external,
                latched=latch.reason if latch and latch.by == EXTERNAL else "",
                losses=self._known_losses(),
                is_adopted=bool(external) and self._known_position() is not None,
            )
        )
        for kind in StreamKind:
            self.tell(events.StreamChanged(kind, is_up=True))
        self.candles = history
        self.tell(events.WarmedUp(tuple(candle(number) for number in range(history))))
        self.run(1)
        return self

    def _known_losses(self) -> KnownLosses:
        """Return what a trader reads of the session's losses before its start."""
        marks, latch, fills = self.database.marks, self.database.latch, list(self.database.fills.values())
        hours = self.setup.hours
        day = None if hours is None else hours.day_at(self.now)
        armed_at = NEVER if marks is None else marks.armed_at
        return KnownLosses(
            tally=tally_of(fills, armed_at),
            before_day=tally_of([fill for fill in fills if day and fill.at < day.opened_at], armed_at),
            marks=marks,
            rearmed_at=self.database.rearmed_at,
            latched=latch.reason if latch and latch.by == LIMIT else "",
        )

    def _known_position(self) -> Position | None:
        """Return the position that all fills make, as a trader does, or the saved one where there are none."""
        fills = standing(self.database.fills.values())
        if not self.database.fills:
            return self.database.position
        holding = Holding()
        for fill in fills:
            holding = after_fill(holding, fill)
        return Position(ACCOUNT, "ESH24", holding.quantity, holding.average)

    def bar(self, close: float | None = None, seconds: float = 1.0) -> tuple[do.Effect, ...]:
        """Close the next candle, and let everything that follows happen."""
        price = float(self.broker.price) if close is None else close
        effects = self.tell(events.CandleReceived(candle(self.candles, price)))
        self.candles += 1
        self.run(seconds)
        return effects

    # --- what came of it

    @property
    def position(self) -> int:
        return int(self.state.engine.holding.quantity)

    @property
    def orders(self) -> list[Order]:
        return list(self.state.engine.orders.values())

    @property
    def divergences(self) -> list[Divergence]:
        return [effect.divergence for effect in self.effects if isinstance(effect, do.SaveDivergence)]

    @property
    def alarms(self) -> set[str]:
        return set(self.state.engine.alarms)

    @property
    def refusals(self) -> list[str]:
        notes = [effect.value for effect in self.effects if isinstance(effect, do.Publish)]
        return [note.refusal for note in notes if isinstance(note, do.DecisionNoted) and note.refusal]

    def all_of(self, kind: type[Any]) -> list[Any]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

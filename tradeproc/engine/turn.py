"""One turn of the engine: the state, the moment, and the effects collected in the order that safety wants.

Whatever handlers do in one turn, the effects come out as: what was written down, then what goes to the broker, then
questions, then everything for people. All changes of a turn are one `Persist`.
"""

from decimal import Decimal
from typing import Literal

from tradeproc.domain.book import Divergence, DivergenceKind, Fill, FillKind, Position
from tradeproc.domain.orders import Order, OrderEvent
from tradeproc.domain.portfolio import HeatAnswer
from tradeproc.domain.roll_steps import Roll
from tradeproc.domain.session import ExternalPolicy
from tradeproc.domain.tally import counted
from tradeproc.domain.units import SECOND, Contracts, Nanos, Price, plain
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import (
    AskOrders,
    AskPosition,
    Cancel,
    ClearAlarm,
    DecisionNoted,
    Effect,
    KeepLatch,
    Log,
    Modify,
    Persist,
    Publish,
    RaiseAlarm,
    ReserveHeat,
    SaveDivergence,
    SaveRoll,
    Send,
)
from tradeproc.engine.events import TradingState
from tradeproc.engine.latched_by import EXTERNAL
from tradeproc.engine.orders import Applied, is_on_grid
from tradeproc.engine.state import Holding, Question, State
from tradeproc.protocol import scopes

ROUTINE_WITHIN = 4.0
"""How many seconds a question that nothing depends on may wait for those of other sessions."""
KEPT_ORDERS = 500
# Broker ids are kept longer than orders, so that an old order the broker still lists is not taken for a stranger's.
KEPT_IDS = 20_000


class Turn:
    """What one event does to the state; made and used up by `trader.step`."""

    __slots__ = (
        "_events",
        "_fills",
        "_gated",
        "_latches",
        "_orders",
        "_reserving",
        "_rest",
        "_rolls",
        "_sent",
        "_source",
        "now",
        "state",
    )

    def __init__(self, state: State, now: Nanos) -> None:
        # written out, because a dataclass makes these collections half as fast, and there is a turn for each event
        self.state, self.now = state, now
        self._orders: dict[str, Order] = {}
        self._events: list[OrderEvent] = []
        self._fills: list[Fill] = []
        self._source: str = ""
        self._reserving: list[Effect] = []
        self._gated: list[Effect] = []
        self._sent: list[Effect] = []
        self._rest: list[Effect] = []
        self._latches: list[KeepLatch] = []
        self._rolls: list[Effect] = []

    @property
    def times(self) -> tuple[Nanos, Nanos]:
        """Return wall and market time."""
        return self.now, self.state.strategy.market_at

    # --- what is written down

    def keep(self, order: Order, event: OrderEvent | None) -> None:
        """Put an order into the book, to be written down at the front of this turn's effects."""
        self.state.engine.put(order)
        self._orders[order.id] = order
        if event is not None:
            self._events.append(event)

    def gate(self, orders: tuple[Order, ...], events: tuple[OrderEvent, ...], send: Send) -> None:
        """Put entries into the book and hold their `Send` until the database itself has them."""
        engine = self.state.engine
        engine.last_ticket += 1
        engine.tickets[engine.last_ticket] = (send, tuple(order.id for order in orders))
        for order in orders:
            engine.put(order)
        self._gated.append(Persist(orders, events, ticket=engine.last_ticket))
        self._rest += [Publish("order", order) for order in orders]

    def apply(self, applied: Applied) -> None:
        """Take over an order after a fact, book its fill, and raise the alarm when the fact did not fit."""
        if applied.event is None and applied.fill is None:
            return
        if applied.is_illegal and applied.event is not None:
            contradiction = (applied.order.id, applied.event.what)
            if contradiction in self.state.engine.contradictions and applied.fill is None:
                return
            self.state.engine.contradictions.add(contradiction)
        self.keep(applied.order, applied.event)
        if applied.fill is not None:
            self.book(applied.fill)
        if applied.is_illegal and applied.event is not None:
            self.alarm(
                AlarmName.ILLEGAL_TRANSITION, f"{applied.order.id} {applied.event.before} {applied.event.what}"
            )

    def book(self, fill: Fill) -> None:
        """Book a fill: the only thing that changes our count of the position."""
        engine = self.state.engine
        self._fills.append(fill)
        engine.holding = after_fill(engine.holding, fill)
        is_ours = fill.kind is not FillKind.EXTERNAL and not engine.is_adopted
        engine.is_adopted = engine.holding.quantity != 0 and not is_ours
        engine.losses.tally = counted(engine.losses.tally, fill)
        engine.last_fill_at = self.now
        if fill.kind is not FillKind.OWN:
            self._source = "reconciliation"
        self._source = self._source or "fills"
        if not is_on_grid(fill, self.state.setup.instrument):
            self.log("warning", "fill_off_grid", order=fill.order_id, price=fill.price, quantity=fill.quantity)

    def save_position(self) -> None:
        """Write our count of the position down though no fill changed it."""
        self._source = self._source or "reconciliation"

    def latch(self, by: str, reason: str, *, scope: str = "", state: TradingState = TradingState.REDUCING) -> bool:
        """Close a scope, the session unless said otherwise, to entries until a person resumes it.

        A latch that closes as much or more stays as it is; tell whether it did not.
        """
        engine = self.state.engine
        scope = scope or scopes.of_session(self.state.setup.session)
        if engine.latches.get(scope, TradingState.ACTIVE).severity >= state.severity:
            return False
        engine.latches[scope] = state
        self._latches.append(KeepLatch(scope, state, by, reason, self.now))
        self.log("warning", "session_latched", scope=scope, state=state.value, reason=reason)
        return True

    @property
    def has_latched(self) -> bool:
        """Tell whether this turn has closed a scope to entries."""
        return bool(self._latches)

    def changed_by_others(self, detail: str) -> None:
        """Close entries and tell people, where the session's policy says so, after a change by no order of ours."""
        setup = self.state.setup
        match setup.spec.external_policy:
            case ExternalPolicy.PAUSE:
                self.latch(EXTERNAL, detail)
                remedy = f"scripts/tradectl resume --session {setup.session} --reason WHY opens it again"
                self.alarm(AlarmName.EXTERNAL_CHANGE, f"{detail}; entries are closed; {remedy}")
            case ExternalPolicy.ADOPT:
                remedy = f"scripts/tradectl adopt {setup.session} --stop PRICE --reason WHY places a stop"
                self.alarm(AlarmName.EXTERNAL_ADOPTED, f"{detail}; taken into the session; {remedy}")
            case ExternalPolicy.IGNORE:
                pass

    def keep_roll(self, roll: Roll) -> None:
        """Take over a roll's step, to be written down before anything else of this turn."""
        self.state.engine.roll.open = None if roll.step.is_over else roll
        self._rolls.append(SaveRoll(roll))

    # --- what goes out

    def reserve(self, effect: ReserveHeat) -> None:
        """Ask the portfolio server, before entries of this turn are written down: both go on side by side."""
        self._reserving.append(effect)

    def send(self, effect: Send | Modify | Cancel) -> None:
        """Send to the broker, after everything of this turn is written down."""
        self._sent.append(effect)

    def ask_orders(self, reason: str, *, within: float = 0.0) -> None:
        """Ask the broker for all orders: at once, or after the answer that is under way, once a second at most."""
        if self._may_ask(self.state.broker.orders, reason):
            question, broker = self.state.broker.orders, self.state.broker
            ids = [order.broker_id for order in self.state.engine.open_orders if order.broker_id]
            ids += [held.picture.broker_id for held in broker.unpriced.values()]
            ids += [shrunk.picture.broker_id for shrunk in broker.shrunk.values()]
            question.ids = tuple(dict.fromkeys(ids))
            self._rest.insert(0, AskOrders(question.number, reason, question.ids, within))

    def ask_position(self, reason: str, *, within: float = 0.0) -> None:
        """Ask the broker for the position, with the same patience."""
        if self._may_ask(self.state.broker.position, reason):
            self._rest.insert(0, AskPosition(self.state.broker.position.number, reason, within))

    def _may_ask(self, question: Question, reason: str) -> bool:
        if not question.is_due(self.now, SECOND):
            question.again = reason
            return False
        question.number += 1
        question.asked_at, question.is_out, question.again, question.reason = self.now, True, "", reason
        return True

    # --- what people hear

    def do(self, effect: Effect) -> None:
        """Add an effect that no other effect depends on."""
        self._rest.append(effect)

    def alarm(self, name: AlarmName, detail: str) -> None:
        """Raise an alarm unless it stands already."""
        alarms = self.state.engine.alarms
        if name.value not in alarms:
            self.do(RaiseAlarm(name.value, detail, self.now))
        alarms[name.value] = detail

    def clear(self, name: AlarmName) -> None:
        """Take an alarm back if it stands."""
        alarms = self.state.engine.alarms
        if alarms and alarms.pop(name.value, None) is not None:
            self.do(ClearAlarm(name.value, self.now))

    def log(self, level: Literal["info", "warning", "error"], event: str, **fields: object) -> None:
        """Write a line."""
        self.do(Log(level, event, {key: str(value) for key, value in fields.items()}))

    def diverged(self, divergence: Divergence) -> None:
        """Record a difference to the broker; the caller has made the broker's side ours."""
        self.do(SaveDivergence(divergence))
        self.do(Publish("divergence", divergence))

    def differed(self, ours: Order, state: str, filled: int, cause: str) -> None:
        """Record that the broker sees an order otherwise."""
        kind = DivergenceKind.ORDER_FILLED if filled != ours.filled else DivergenceKind.ORDER_STATE
        sides = f"{ours.state.value} filled {ours.filled}", f"{state} filled {filled}"
        self.diverged(Divergence(ours.session, kind, ours.id, *sides, cause, self.now))

    def note(self, decision: DecisionNoted) -> None:
        """Tell what a strategy wanted and what became of it."""
        self.do(Publish("decision", decision))

    def note_heat(self, answer: HeatAnswer) -> None:
        """Tell how a question for heat was answered."""
        self.do(Publish("heat", answer))

    # --- the end of the turn

    def position(self) -> Position:
        """Return our count of the position as a value."""
        spec, holding = self.state.setup.spec, self.state.engine.holding
        return Position(spec.account, spec.contract, holding.quantity, holding.average)

    def effects(self) -> tuple[Effect, ...]:
        """Return all effects of the turn: written down, sent, asked, told."""
        told = self._rolls or self._latches or self._orders or self._source
        if not (told or self._reserving or self._gated or self._sent):
            return tuple(self._rest)
        # The latch is kept before the position that explains it: a trader that is killed between the two sees the
        # difference at its next start, and latches again.
        found: list[Effect] = [*self._rolls, *self._latches]
        if self._orders or self._source:
            position = self.position() if self._source else None
            orders = tuple(self._orders.values())
            found.append(Persist(orders, tuple(self._events), tuple(self._fills), position, self._source))
        found += [*self._reserving, *self._gated, *self._sent, *self._rest]
        found += [Publish("order", order) for order in self._orders.values()]
        found += [Publish("fill", fill) for fill in self._fills]
        if self._source:
            found.append(Publish("position", self.position()))
        if self._orders:
            _forget(self.state)
        return tuple(found)


def after_fill(holding: Holding, fill: Fill) -> Holding:
    """Return the holding after a fill: averaged when it grows, kept when it shrinks, new when it turns over.

    A reversal takes its own price out of the average. An unknown price makes the average unknown until flat.
    """
    before, change = holding.quantity, fill.quantity * fill.side.sign
    after = before + change
    if after == 0:
        return Holding()
    if before * after < 0:
        return Holding(Contracts(after), fill.price)
    if before * change >= 0 or fill.kind is FillKind.REVERSAL:
        return Holding(Contracts(after), _average((before, holding.average), (change, fill.price)))
    return Holding(Contracts(after), holding.average)


def _average(*parts: tuple[int, Price | None]) -> Price | None:
    """Return the average price of signed quantities, None when the price of one is unknown; zero is a price."""
    total, quantity = Decimal(0), 0
    for count, price in parts:
        if count and price is None:
            return None
        if count and price is not None:
            total += count * price
            quantity += count
    return Price(plain(total / quantity))


def _forget(state: State) -> None:
    """Drop the oldest ended orders beyond those kept for late fills; their broker ids are kept longer."""
    orders = state.engine.orders
    if len(orders) <= 2 * KEPT_ORDERS:
        return
    ended = [order for order in orders.values() if order.state.is_terminal and order.id not in state.engine.pending]
    for order in ended[: len(orders) - KEPT_ORDERS]:
        del orders[order.id]
    ids = state.broker.ids
    for broker_id in list(ids)[: max(0, len(ids) - KEPT_IDS)]:
        if ids[broker_id] not in orders:
            del ids[broker_id]

"""One life of a simulated trader: the real engine in a shell that obeys its effects, until it is killed.

The shell does what `procs/trader` does, without sockets; `tests/simulation/test_shell.py` holds both against the same
effects.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from tradeproc.clock import ClockSetBack, SteadyClock
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import BracketRequest, OrderRequest
from tradeproc.domain.units import SECOND, Nanos, Ticks
from tradeproc.engine import effects, events
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import Effect, KeepLatch
from tradeproc.engine.events import Event, TradingState
from tradeproc.engine.state import State
from tradeproc.engine.trader import step
from tradeproc.simulation.agenda import Agenda
from tradeproc.simulation.trail import Trail
from tradeproc.simulation.wires import Wires

_IDLE = 5 * SECOND
_LATCHES = 5 * SECOND
_HARMLESS = effects.Publish | effects.Log | effects.SaveBalance


class Observer(Protocol):
    """Whoever looks at every step of a life."""

    def stepped(self, event: Event, now: Nanos, wanted: tuple[Effect, ...]) -> None:
        """See an event and its effects, before they are carried out."""

    def sending(self, order_id: str, request: OrderRequest | BracketRequest) -> None:
        """See an order on its way to the broker."""

    def crashed(self, event: Event, error: Exception) -> None:
        """See that the engine raised."""

    def reserve(self, life: "TraderLife", asked: effects.ReserveHeat) -> None:
        """Carry a question for heat to the portfolio server; it is answered by an event."""


class TraderLife:
    """A trader from its start to its death."""

    def __init__(
        self,
        agenda: Agenda,
        state: State,
        trail: Trail,
        wires: Wires,
        observer: Observer,
        ended: Callable[[bool], None],
        beat: int = SECOND // 2,
    ) -> None:
        self._agenda, self.state, self.trail, self._wires = agenda, state, trail, wires
        self._observer, self._ended, self._busy_beat = observer, ended, beat
        self.clock = SteadyClock(agenda.wall_now, agenda.monotonic)
        self.is_alive = True
        self.effects_left: int | None = None
        self._reading, self._present = (-1, 0), Nanos(0)
        self._paused_until = self._next_beat = 0
        self._events: deque[Event] = deque()
        self._is_stepping = False
        self._latched_at: dict[str, int] = {}
        self._latches_read: dict[str, KeepLatch] = {}

    def begin(self, started: events.Started) -> None:
        """Tell the engine that it lives, and let time pass."""
        self.tell(started)
        self._beat_after(self._busy_beat)
        self._agenda.after(_LATCHES, self._read_latches)

    def kill(self) -> None:
        """End without a word."""
        self.is_alive = False
        self._events.clear()

    @property
    def is_paused(self) -> bool:
        """Tell whether the process is stopped."""
        return self._paused_until > self._agenda.now

    def pause(self, seconds: float) -> None:
        """Stop the process for a while: what comes meanwhile waits."""
        self._paused_until = self._agenda.now + int(seconds * SECOND)
        self._agenda.at(self._paused_until, self._work)

    def wake(self) -> None:
        """Let a stopped process go on now."""
        if self.is_paused:
            self._paused_until = self._agenda.now
            self._agenda.after(0, self._work)

    def tell(self, event: Event) -> None:
        """Give the engine an event and carry out its effects; events that these cause wait their turn."""
        if not self.is_alive:
            return
        self._events.append(event)
        if not self._is_stepping and self._paused_until <= self._agenda.now:
            self._work()

    def _work(self) -> None:
        if not self.is_alive:
            return
        self._is_stepping = True
        try:
            while self._events:
                self._step(self._events.popleft())
        finally:
            self._is_stepping = False
        if self.is_alive and self._next_beat - self._agenda.now > self._busy_beat and self.is_busy:
            self._beat_after(self._busy_beat)

    def _step(self, event: Event) -> None:
        now = self.moment()
        if now is None:
            return
        try:
            wanted = step(self.state, event, now).effects
        except Exception as error:  # noqa: BLE001  whatever it is, it is what the simulation looks for
            self._observer.crashed(event, error)
            return
        self._observer.stepped(event, now, wanted)
        for effect in wanted:
            if self.effects_left is not None and not isinstance(effect, _HARMLESS):
                if self.effects_left <= 0:
                    self.kill()
                    self._ended(False)
                    return
                self.effects_left -= 1
            self._perform(effect)
            if not self.is_alive:
                return

    def moment(self) -> Nanos | None:
        """Return the present, None when the clock was set back, of which the process dies.

        The clock is read once for all that happens at one moment, because it answers the same again.
        """
        reading = self._agenda.now, self._agenda.wall_step
        if reading == self._reading:
            return self._present
        try:
            self._present = self.clock.now()
            self._reading = reading
            return self._present
        except ClockSetBack:
            self.kill()
            self._ended(False)
            return None

    def _is_set_back(self) -> bool:
        return self.moment() is None

    # --- effects

    def _perform(self, effect: Effect) -> None:
        wires = self._wires
        match effect:
            case effects.Persist():
                self._persist(effect)
            case effects.Send(order_id, request):
                self._observer.sending(order_id, request)
                wires.submit(request, lambda outcome: self.tell(events.SubmitAnswered(order_id, outcome)))
            case effects.Modify(order_id, broker_id, change):
                wires.modify(broker_id, change, lambda outcome: self.tell(events.ModifyAnswered(order_id, outcome)))
            case effects.Cancel(order_id, broker_id):
                wires.cancel(broker_id, lambda outcome: self.tell(events.CancelAnswered(order_id, outcome)))
            case effects.AskOrders(number):
                wires.ask_orders(lambda answer: self.tell(events.OrdersAnswered(number, answer)))
            case effects.AskPosition(number):
                wires.ask_position(lambda answer: self.tell(events.PositionAnswered(number, answer)))
            case effects.Finished():
                self.kill()
                self._ended(True)
            case _:
                self._record(effect)

    def _record(self, effect: Effect) -> None:
        match effect:
            case effects.KeepLatch(scope):
                self._latched_at[scope] = self.clock.now()
                self.trail.keep_latch(effect, self.clock)
            case effects.SaveLossMarks(marks):
                self.trail.save_marks(marks, self.clock)
            case effects.ReserveHeat():
                self._observer.reserve(self, effect)
            case _:
                self._roll(effect)

    def _roll(self, effect: Effect) -> None:
        match effect:
            case effects.SaveRoll(roll):
                self.trail.save_roll(roll, self.clock)
            case effects.SwitchContract(roll):
                self.tell(events.SwitchAnswered(self.trail.switch_contract(roll, self.clock)))
                self._tell_of_changes()
            case effects.AskSpread(number, code):
                self._wires.ask_spread(code, lambda answer: self._tell_spread(number, answer))
            case effects.AskOldPosition(number, code):
                self._wires.ask_old_position(code, lambda answer: self._tell_old(number, answer))
            case effects.BeginAnew():
                self.kill()
                self._ended(False)
            case _:
                pass

    def _tell_spread(self, number: int, answer: Answer[tuple[Ticks, Ticks]]) -> None:
        at = self.state.strategy.market_at
        match answer:
            case Known((spread, price)):
                self.tell(events.SpreadAnswered(number, spread, price, at))
            case Unknown(reason):
                self.tell(events.SpreadAnswered(number, None, None, at, reason))

    def _tell_old(self, number: int, answer: Answer[Position]) -> None:
        match answer:
            case Known(position):
                self.tell(events.OldPositionAnswered(number, position.quantity))
            case Unknown(reason):
                self.tell(events.OldPositionAnswered(number, None, reason))

    def _persist(self, unit: effects.Persist) -> None:
        failure = self.trail.persist(unit, self.clock)
        self._tell_of_changes()
        if unit.ticket is None:
            return
        self.tell(events.PersistFailed(unit.ticket, failure) if failure else events.Persisted(unit.ticket))
        if failure and self.trail.is_up:
            self.tell(events.DatabaseChanged(is_up=True, reason=""))

    def _tell_of_changes(self) -> None:
        for change in self.trail.changes():
            self.tell(change)

    # --- time

    def _beat_after(self, wait: int) -> None:
        moment = self._next_beat = self._agenda.now + wait
        self._agenda.at(moment, lambda: self._beat(moment))

    def _beat(self, moment: int) -> None:
        if not self.is_alive or moment != self._next_beat or self._is_set_back():
            return
        if self._paused_until <= self._agenda.now:
            self.trail.look_after(self.clock)
            self._tell_of_changes()
            self.tell(events.TimePassed())
        if self.is_alive:
            self._beat_after(self._busy_beat if self.is_busy else _IDLE)

    @property
    def is_busy(self) -> bool:
        """Tell whether deadlines of seconds run, so that time must be told often."""
        engine, broker = self.state.engine, self.state.broker
        return bool(
            engine.pending
            or engine.closing is not None
            or engine.uncovered_since is not None
            or broker.suspicion is not None
            or not (broker.has_orders and broker.has_position)
            or broker.orders.is_out
            or broker.position.is_out
            or broker.orders.again
            or broker.position.again
            or broker.doubts
            or broker.missing
            or broker.vanished
            or broker.shrunk
            or broker.unpriced
            or broker.foreign
            or engine.heat.asks
            or engine.roll.open is not None
            or engine.roll.wish is not None
        )

    def _read_latches(self) -> None:
        """Read the stored latches, so that a command that did not reach us counts all the same."""
        if not self.is_alive or self._is_set_back():
            return
        self._agenda.after(_LATCHES, self._read_latches)
        if self._paused_until > self._agenda.now:
            return
        for latch in self.trail.latches():
            known = self._latches_read.get(latch.scope)
            self._latches_read[latch.scope] = latch
            present = self.state.engine.latches.get(latch.scope, TradingState.ACTIVE)
            is_stricter = latch != known and latch.state.severity > present.severity
            if is_stricter or latch.at > self._latched_at.get(latch.scope, 0):
                self.latch(latch)
        self._tell_of_changes()

    def latch(self, latch: KeepLatch) -> None:
        """Set a latch; what is stored counts again only when it is newer than this."""
        if self._is_set_back():
            return
        self._latched_at[latch.scope] = self.clock.now()
        is_news = self.state.engine.latches.get(latch.scope, TradingState.ACTIVE) is not latch.state
        is_forgiven = (
            latch.state is TradingState.ACTIVE and AlarmName.PROFIT_UNKNOWN.value in self.state.engine.alarms
        )
        if is_news or is_forgiven:
            self.tell(events.TradingStateSet(latch.scope, latch.state, latch.by, latch.reason))

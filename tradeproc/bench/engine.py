"""The engine alone: what a bar without a decision and a look at the clock cost, in microseconds of CPU time.

CPU time, because what other processes of the machine do does not count then. The engine is flat and has no order;
each round goes on with the same state, and the median of the rounds is told.
"""

from dataclasses import dataclass
from statistics import median
from time import thread_time_ns

from tradeproc.bench.figures import Measured, Row
from tradeproc.domain.answers import Known
from tradeproc.domain.book import Position
from tradeproc.domain.candles import Candle
from tradeproc.domain.session import SessionLimits, SessionSpec
from tradeproc.domain.units import SECOND, Contracts, Nanos
from tradeproc.engine import events
from tradeproc.engine.effects import AskOrders, AskPosition, Effect
from tradeproc.engine.events import Event, StreamKind
from tradeproc.engine.state import Setup, new_state
from tradeproc.engine.trader import step
from tradeproc.strategies.contract import NOTHING, Decision, View
from tradeproc.testing.candles import candle

ACCOUNT, CONTRACT = "SIM1", "ESH24"
STEPS, ROUNDS = 2_000, 15
BAR_GOAL, TIME_GOAL = 8.0, 9.0
_FIRST_MINUTE = 1_600_000_020 // 60
_BEGAN = 1_700_000_000 * SECOND
_BEAT = SECOND // 4


class Watcher:
    """A strategy that never decides anything."""

    name = "watcher"

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """Nothing can be set."""

    def warmup(self, arguments: Arguments) -> int:
        """Need little."""
        return 2

    def start(self, arguments: Arguments) -> None:
        """Keep nothing."""

    def on_candle(self, view: View, state: None, arguments: Arguments) -> tuple[Decision, None]:
        """Do nothing."""
        return NOTHING, None


class Engine:
    """A trader's engine that is ready: warm, its streams up, orders and position confirmed, flat."""

    def __init__(self) -> None:
        contracts = Contracts(1)
        spec = SessionSpec(
            name="bench",
            login="paper",
            account=ACCOUNT,
            contract=CONTRACT,
            minutes=1,
            strategy="watcher",
            quantity=contracts,
            environment="paper",
            limits=SessionLimits(contracts, contracts),
        )
        self.state = new_state(Setup(1, 1, "abcd", spec, Watcher(), Watcher.Arguments()))
        self.now, self.number = Nanos(_BEGAN), 60
        self.tell(events.Started((), None))
        for kind in StreamKind:
            self.tell(events.StreamChanged(kind, is_up=True))
        self.tell(events.WarmedUp(tuple(candle(_FIRST_MINUTE + number, 4800.0) for number in range(self.number))))
        for _ in range(60):
            self.pass_time()

    def tell(self, event: Event) -> None:
        """Apply an event and answer what it asks the broker: no orders, no position."""
        effects = step(self.state, event, self.now).effects
        if effects:
            self._answer(effects)

    def pass_time(self) -> None:
        """Let a quarter of a second pass, as a trader's timer does."""
        self.now = Nanos(self.now + _BEAT)
        self.tell(events.TimePassed())

    def next_candle(self) -> Candle:
        """Return the candle after all before."""
        self.number += 1
        return candle(_FIRST_MINUTE + self.number, 4800.0 + self.number % 7)

    def _answer(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case AskOrders(number):
                    self.tell(events.OrdersAnswered(number, Known(())))
                case AskPosition(number):
                    flat = Position(ACCOUNT, CONTRACT, Contracts(0), None)
                    self.tell(events.PositionAnswered(number, Known(flat)))
                case _:
                    pass


def measure_engine(steps: int = STEPS, rounds: int = ROUNDS) -> Measured:
    """Return what an idle bar and a look at the clock cost."""
    engine = Engine()
    bars, looks = [], []
    for _ in range(rounds):
        told = [events.CandleReceived(engine.next_candle(), is_history=False) for _ in range(steps)]
        began = thread_time_ns()
        for event in told:
            step(engine.state, event, engine.now)
        bars.append((thread_time_ns() - began) / steps / 1e3)
        began = thread_time_ns()
        for _ in range(steps):
            engine.pass_time()
        looks.append((thread_time_ns() - began) / steps / 1e3)
    bar, look = median(bars), median(looks)
    rows = [
        _row("a bar on which the strategy does nothing", bar, BAR_GOAL),
        _row("time passes and nothing is due", look, TIME_GOAL),
    ]
    return Measured("engine, CPU time of one step", rows, {"engine_bar_us": bar, "engine_time_us": look})


def _row(what: str, microseconds: float, goal: float) -> Row:
    return Row(what, f"{microseconds:.1f} us", goal=f"≤ {goal:g} us", is_met=microseconds <= goal)

"""The thin shell of the simulation against the real one: the same effects of lived lives lead to the same calls."""

from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.desk import spec
from tradeproc.bus.node import Answered, NoAnswer, Reply
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import Accepted, Unanswered
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.engine import effects, events
from tradeproc.engine.effects import Effect, Persist
from tradeproc.engine.events import Event
from tradeproc.procs.trader.perform import Performer
from tradeproc.procs.trader.timing import USUAL
from tradeproc.simulation.agenda import Agenda
from tradeproc.simulation.scenario import scenario
from tradeproc.simulation.trader_life import TraderLife
from tradeproc.simulation.world import World

Call = tuple[Any, ...]
CARRIED = effects.Persist | effects.Send | effects.Modify | effects.Cancel | effects.AskOrders | effects.AskPosition
FLAT = Position("SIM0", "ESH24", Contracts(0), None)
ANSWERS = {"orders": Known(()), "position": Known(FLAT)}


@dataclass
class Calls:
    """What a shell asked for, and how it is answered; `is_silent` when nobody answers."""

    is_silent: bool = False
    failure: str = ""
    asked: list[Call] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)

    def persist(self, unit: Persist, *_: object) -> str:
        self.asked.append(("persist", unit))
        return self.failure

    def keep_latch(self, latch: effects.KeepLatch, *_: object) -> None:
        self.asked.append(("latch", latch))


class RealNode:
    """Stands in for the bus: takes the real shell's requests, and answers each at once."""

    name = "session-1.trader"

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def publish(self, *_: object) -> None:
        """Nobody listens."""

    def stop(self, status: int) -> None:
        self.calls.asked.append(("stopped",))

    def request(self, account: str, method: Any, question: Any, *, seconds: float, on_reply: Any) -> None:
        assert account == "session-1.account"
        said = {
            "submit": lambda: (question.request,),
            "modify": lambda: (question.broker_id, question.change),
            "cancel": lambda: (question.broker_id,),
        }.get(method.name, tuple)
        self.calls.asked.append((method.name, *said()))
        answer = ANSWERS.get(method.name, Accepted())
        reply: Reply[Any] = NoAnswer("silence") if self.calls.is_silent else Answered(answer)
        on_reply(reply)


class ThinWires:
    """Stands in for the wires of the simulation, in the same way."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def _operate(self, *call: Any) -> None:
        *said, done = call
        self.calls.asked.append(tuple(said))
        done(Unanswered("silence") if self.calls.is_silent else Accepted())

    def submit(self, request: Any, done: Any) -> None:
        self._operate("submit", request, done)

    def modify(self, broker_id: str, change: Any, done: Any) -> None:
        self._operate("modify", broker_id, change, done)

    def cancel(self, broker_id: str, done: Any) -> None:
        self._operate("cancel", broker_id, done)

    def ask_orders(self, done: Any) -> None:
        self.calls.asked.append(("orders",))
        done(Unknown("silence") if self.calls.is_silent else ANSWERS["orders"])

    def ask_position(self, done: Any) -> None:
        self.calls.asked.append(("position",))
        done(Unknown("silence") if self.calls.is_silent else ANSWERS["position"])


class ToldLife(TraderLife):
    """A simulated shell whose engine does not listen."""

    calls: Calls

    def tell(self, event: Event) -> None:
        self.calls.told.append(event)


def lived_effects() -> list[Effect]:
    """Return what the engine wanted in some lives, rare things among it."""
    wanted: list[Effect] = []
    for seed in (1, 17, 53, 77, 231):
        World(scenario(seed), trace=lambda number, event, found: wanted.extend(found)).run()
    return [effect for effect in wanted if isinstance(effect, CARRIED | effects.KeepLatch | effects.Finished)]


def by_the_real_shell(wanted: list[Effect], calls: Calls) -> Calls:
    audit: Any = SimpleNamespace(
        persist=calls.persist,
        keep_latch=calls.keep_latch,
        timing=USUAL,
        session=1,
        is_up=True,
        is_lease_held=True,
        fence=1,
        reason="",
        refusal="",
    )
    node: Any = RealNode(calls)
    performer = Performer(node, audit, spec(), "session-1.account", calls.told.append)
    for effect in wanted:
        performer.perform(effect)
    return calls


def by_the_thin_shell(wanted: list[Effect], calls: Calls) -> Calls:
    trail: Any = SimpleNamespace(persist=calls.persist, keep_latch=calls.keep_latch, changes=list, is_up=True)
    observer: Any = SimpleNamespace(sending=lambda *_: None)
    wires: Any = ThinWires(calls)
    state: Any = None
    life = ToldLife(Agenda(Nanos(0)), state, trail, wires, observer, lambda is_over: calls.asked.append(("stopped",)))
    life.calls = calls
    for effect in wanted:
        life._perform(effect)
    return calls


@pytest.mark.parametrize(("is_silent", "failure"), [(False, ""), (True, "the row was refused")])
def test_both_shells_call_the_same_and_tell_the_same(is_silent: bool, failure: str) -> None:
    wanted = lived_effects()

    real = by_the_real_shell(wanted, Calls(is_silent, failure))
    thin = by_the_thin_shell(wanted, Calls(is_silent, failure))

    assert thin.asked == real.asked
    assert thin.told == real.told
    kinds = Counter(call[0] for call in thin.asked)
    assert kinds.keys() >= {"persist", "submit", "modify", "cancel", "orders", "position", "latch", "stopped"}, kinds
    answered = {type(event) for event in thin.told}
    assert answered >= {events.SubmitAnswered, events.CancelAnswered, events.OrdersAnswered, events.PositionAnswered}

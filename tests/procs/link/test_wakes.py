"""A link that shares questions for months comes back for the next one once, not once more for each that waited."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.procs.link.test_shared_questions import Counting
from tradeproc.bus.timers import Timer, Timers
from tradeproc.domain.units import SECOND
from tradeproc.procs.link import shared_questions
from tradeproc.procs.link.shared_questions import SharedQuestions
from tradeproc.protocol.definitions import Method
from tradeproc.protocol.link_messages import ORDERS, OrdersQuestion


@dataclass
class Clockwork:
    """What shared questions need of a node and of lanes, in virtual time; the broker takes 0.3 s for an answer."""

    name: str = "link-paper.link"
    now: int = 0
    timers: Timers = field(default_factory=Timers)
    handlers: dict[str, Callable[..., Any]] = field(default_factory=dict)
    standing: list[Timer] = field(default_factory=list)

    def handle_timed(self, method: Method[Any, Any], handler: Callable[..., Any]) -> None:
        self.handlers[method.name] = handler

    def add_statistics(self, source: Callable[[], Any]) -> None:
        pass

    def note_work(self) -> None:
        pass

    def post(self, action: Callable[[], None]) -> None:
        self.after(0.0, action)

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        timer = self.timers.add(self.now + max(1, int(seconds * SECOND)), action)
        self.standing = [each for each in self.standing if not each.is_cancelled and each.due > self.now]
        self.standing.append(timer)
        return timer

    def submit(self, _seconds: float, run: Callable[[float], None], _too_late: Callable[[str], None]) -> None:
        self.after(0.3, lambda: run(1.0))

    def run(self, seconds: float) -> None:
        while self.now < seconds * SECOND:
            self.now += max(1, self.timers.wait_ms(self.now, 1_000)) * 1_000_000
            self.timers.run_due(self.now)


def test_there_is_one_appointment_for_the_next_question_however_long_the_link_has_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clockwork: Any = Clockwork()
    monkeypatch.setattr(shared_questions, "monotonic_ns", lambda: clockwork.now)
    shared = SharedQuestions(clockwork, clockwork, clockwork, Counting())
    most = 0

    def ask(number: int) -> None:
        nonlocal most
        question = OrdersQuestion((), account=f"SIM{number % 6}", within=(0.0, 1.0, 4.0)[number % 3])
        clockwork.handlers[ORDERS.name](question, 10.0)
        clockwork.after(5.0 + 0.1 * number, lambda: ask(number))
        wakes = [timer for timer in clockwork.standing if timer.action == shared._turn and not timer.is_cancelled]
        most = max(most, len(wakes))

    for number in range(16):
        ask(number)
    clockwork.run(1_800)

    assert most == 1

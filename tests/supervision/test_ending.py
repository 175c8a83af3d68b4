"""The order of the end by a clock of the test's own: the core outlives every trader that can be killed."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from supervisor import events  # type: ignore[import-untyped]
from supervisor.states import ProcessStates, SupervisorStates  # type: ignore[import-untyped]

from tradeproc.supervision.ending import HURRY_SECONDS, KILL_SECONDS, LATEST_HURRY_SECONDS, ShutdownStep


class Group:
    """A group of one deaf program, which ends when the test says so."""

    def __init__(self, pid: int) -> None:
        self.program = SimpleNamespace(pid=pid, state=ProcessStates.RUNNING, delay=99.0)
        self.program.get_state = lambda: self.program.state
        self.processes = {"program": self.program}

    @property
    def is_told(self) -> bool:
        return self.program.state != ProcessStates.RUNNING

    def stop_all(self) -> None:
        if self.program.state == ProcessStates.RUNNING:
            self.program.state = ProcessStates.STOPPING

    def get_unstopped_processes(self) -> list[Any]:
        return [self.program] if self.program.state != ProcessStates.STOPPED else []


class Machine:
    """A supervisord that was just told to stop, and its clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.groups = {
            name: Group(pid) for pid, name in enumerate(("core", "link-paper", "session-1", "session-2"), 1)
        }
        options = SimpleNamespace(mood=SupervisorStates.SHUTDOWN)
        supervisord = SimpleNamespace(process_groups=self.groups, options=options)
        self._ending = ShutdownStep(supervisord, lambda: self.now)
        events.notify(events.SupervisorStoppingEvent())

    def end(self, *names: str) -> None:
        for name in names:
            self.groups[name].program.state = ProcessStates.STOPPED

    def told_after(self, seconds: float) -> set[str]:
        self.now = 1000.0 + seconds
        self._ending.turn()
        return {name for name, group in self.groups.items() if group.is_told}

    def killed(self) -> set[str]:
        return {name for name, group in self.groups.items() if group.program.delay == 0}


@pytest.fixture
def machine() -> Iterator[Machine]:
    before = list(events.callbacks)
    yield Machine()
    events.callbacks[:] = before


SESSIONS = {"session-1", "session-2"}


def test_all_sessions_are_told_at_once_and_have_their_time(machine: Machine) -> None:
    assert machine.told_after(0) == SESSIONS
    machine.end(*SESSIONS)
    assert machine.told_after(HURRY_SECONDS - 0.1) == SESSIONS


def test_the_core_is_told_when_the_last_deaf_trader_is_dead(machine: Machine) -> None:
    assert machine.told_after(HURRY_SECONDS + 0.1) == SESSIONS
    machine.end("session-1")
    assert machine.told_after(HURRY_SECONDS + 0.2) == SESSIONS
    machine.end("session-2")

    assert machine.told_after(HURRY_SECONDS + 0.3) == set(machine.groups)


def test_a_trader_that_nothing_ends_does_not_hold_up_the_others_for_ever(machine: Machine) -> None:
    assert machine.told_after(LATEST_HURRY_SECONDS - 0.1) == SESSIONS
    assert machine.told_after(LATEST_HURRY_SECONDS) == set(machine.groups)
    assert machine.killed() == set()

    machine.told_after(KILL_SECONDS)

    assert machine.killed() == set(machine.groups)

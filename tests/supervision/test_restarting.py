"""The warden compares what it believes with supervisord, but not while events of it may still be on their way."""

from collections.abc import Iterator

import pytest

from tradeproc.home import Home
from tradeproc.supervision.client import Program, ProgramState, Supervisor
from tradeproc.supervision.listener import SupervisorEvent
from tradeproc.supervision.restarting import RestartController
from tradeproc.supervision.restarts import Action
from tradeproc.supervision.rules import Settings
from tradeproc.testing.running import furnish, temporary_home


class Obeying(Supervisor):
    """A supervisord that does what it is told, and whose events are heard when a test says so."""

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        names = ("postgres", "tokens", "portfolio", "keeper", "jobs")
        self.states = dict.fromkeys(names, ProgramState.RUNNING)
        self.kept: dict[str, str] = {}

    def processes(self) -> list[Program]:
        return [Program("core", name, state, 1, 0, 0, 0, "", "") for name, state in self.states.items()]

    def start(self, group: str, name: str) -> bool:
        self.states[name] = ProgramState.RUNNING
        return True

    def stop(self, group: str, name: str) -> bool:
        self.states[name] = ProgramState.STOPPED
        return True

    def set_note(self, key: str, text: str) -> None:
        self.kept[key] = text

    def notes(self) -> dict[str, str]:
        return dict(self.kept)


@pytest.fixture
def home() -> Iterator[Home]:
    with temporary_home() as found:
        furnish(found)
        yield found


def test_who_was_stopped_for_another_is_started_again_however_late_the_event_of_its_stop_is_heard(home: Home) -> None:
    supervisor, told = Obeying(home), list[Action]()
    controller = RestartController(home, supervisor, Settings(), lambda: 0.5, lambda _, action: told.append(action))
    controller.rebuild()

    def hear(what: str, program: str, **more: str) -> None:
        fields = {"groupname": "core", "processname": program, "pid": "1", **more}
        controller.hear(SupervisorEvent(f"PROCESS_STATE_{what}", fields))

    def look() -> None:
        controller.correct(supervisor.processes())

    hear("EXITED", "portfolio", expected="0")
    look()
    hear("STARTING", "portfolio", from_state="EXITED")
    look()
    assert supervisor.states["keeper"] is ProgramState.STOPPED, "the events of the stops may still be queued"
    hear("EXITED", "tokens", expected="0")
    hear("STARTING", "tokens", from_state="EXITED")
    look()
    for program in ("jobs", "keeper", "portfolio"):
        hear("STOPPED", program)
        look()

    assert set(supervisor.states.values()) == {ProgramState.RUNNING}
    assert told == []


def test_an_event_that_never_comes_is_made_up_for_after_two_looks_in_silence(home: Home) -> None:
    supervisor = Obeying(home)
    controller = RestartController(home, supervisor, Settings(), lambda: 0.5, lambda *_: None)
    controller.rebuild()
    died = {"groupname": "core", "processname": "keeper", "pid": "1", "expected": "0"}
    controller.hear(SupervisorEvent("PROCESS_STATE_EXITED", died))
    assert supervisor.states["jobs"] is ProgramState.STOPPED

    controller.correct(supervisor.processes())
    assert supervisor.states["jobs"] is ProgramState.STOPPED
    controller.correct(supervisor.processes())

    assert supervisor.states["jobs"] is ProgramState.RUNNING

"""Who hangs is dumped and killed, also when supervisord does not answer just then, and nobody else is."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tradeproc.home import Home
from tradeproc.supervision.client import Program, ProgramState, Supervisor, SupervisorAway
from tradeproc.supervision.killing import Killer
from tradeproc.supervision.liveness import Hung

SLEEPER = (
    "import signal; signal.signal(signal.SIGUSR1, lambda *_: print('dump', flush=True)); print('up', flush=True)"
)


class Flaky(Supervisor):
    """A supervisord that answers now and then: `answers` are told in turn, the last one for ever; None is silence."""

    def __init__(self, home: Home, *answers: int | None) -> None:
        super().__init__(home)
        self.answers = list(answers)

    def processes(self) -> list[Program]:
        pid = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if pid is None:
            raise SupervisorAway("it does not answer")
        return [Program("core", "jobs", ProgramState.RUNNING, pid, 0, 1, 0, "", "")]


class Later:
    """Remembers what is to be done later."""

    def __init__(self) -> None:
        self.actions: list[tuple[float, Callable[[], None]]] = []

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.actions.append((seconds, action))

    def run(self, most: int = 20) -> list[float]:
        """Do it all in the order of its time, and what follows from it; return the pauses."""
        pauses = []
        while self.actions and len(pauses) < most:
            seconds, action = self.actions.pop(0)
            pauses.append(seconds)
            action()
        return pauses


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", f"{SLEEPER}\nwhile True: signal.pause()"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
        process.kill()


def kill(victim: subprocess.Popen[str], home: Home, *answers: int | None) -> list[float]:
    later = Later()
    Killer(Flaky(home, *answers), later.after, 3.0).kill(Hung("core.jobs", victim.pid, "it is silent"))
    return later.run()


def test_who_hangs_dumps_and_dies(victim: subprocess.Popen[str], tmp_path: Path) -> None:
    assert kill(victim, Home(tmp_path), victim.pid) == [3.0]

    assert victim.wait(30) == -signal.SIGKILL


@pytest.mark.parametrize("silences", [(2, 0), (0, 2), (3, 2)])
def test_a_signal_that_could_not_be_sent_is_sent_when_supervisord_answers_again(
    victim: subprocess.Popen[str], tmp_path: Path, silences: tuple[int, int]
) -> None:
    before_dump, before_death = silences
    answers = [*[None] * before_dump, victim.pid, *[None] * before_death, victim.pid]

    assert kill(victim, Home(tmp_path), *answers) == [*[1.0] * before_dump, 3.0, *[1.0] * before_death]

    assert victim.wait(30) == -signal.SIGKILL


def test_who_was_replaced_while_supervisord_was_away_is_left_alone(
    victim: subprocess.Popen[str], tmp_path: Path
) -> None:
    pauses = kill(victim, Home(tmp_path), None, None, victim.pid + 1, victim.pid)

    assert pauses == [1.0, 1.0]
    assert victim.poll() is None

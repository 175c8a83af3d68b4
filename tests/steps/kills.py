"""A desk that trades all the time, whose processes are killed at one step of the order path after the other.

First it is watched for a while, so that it is known which steps are reached, and for which operations. Then each case
waits until its step is reached, and kills there: the process itself, or the database that it writes to. After each,
everything must be well again, and the books of database, engine and broker agree to the last order.
"""

import os
import signal
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.cover import COVER_SECONDS, CoverWatch
from tests.drills.desk import Desk
from tests.steps.control import StepControl
from tests.steps.order_path import STEPPED
from tests.steps.points import Step, steps_of
from tradeproc.protocol import names
from tradeproc.testing.desk import ACCOUNT, wait_for
from tradeproc.testing.running import INSTALLATION
from tradeproc.testing.waiting import Late

SESSION = 1
ITSELF, DATABASE, BOTH = "itself", "the database", "the database and then itself"
SPEED = 120.0
WATCHED_FILLS = 12
REACHED_SECONDS = 12.0
WELL_SECONDS = 60.0
AGREE_SECONDS = 60.0
PROCESSES = {
    "trader": ("trader-1", names.trader(SESSION)),
    "account": (f"account-1-paper-{ACCOUNT}", names.account(SESSION)),
    "link": ("link-paper", names.link("paper")),
    "orders": (f"orders-paper-{ACCOUNT}", names.account_feed("paper", "orders", ACCOUNT)),
}


def all_steps() -> dict[str, dict[int, Step]]:
    """Return the steps of each kind of process, by id."""
    found: dict[str, dict[int, Step]] = {}
    for kind, modules in STEPPED.items():
        steps = [step for module in modules for step in steps_of(source_of(module).read_text(), module)]
        found[kind] = {step.id: step for step in steps}
        assert len(found[kind]) == len(steps), f"two steps of {kind} have the same id"
    return found


def source_of(module: str) -> Path:
    """Return the file of a module."""
    return INSTALLATION / (module.replace(".", "/") + ".py")


@dataclass(frozen=True)
class Case:
    """A step that a process reaches for an operation, and who is killed there.

    That is the process itself, the database, or the process after the database was killed: what it does then is
    written into its journal.
    """

    kind: str
    step: Step
    operation: str
    victim: str = ITSELF

    @property
    def name(self) -> str:
        """Return what identifies it."""
        for_what = self.operation or "anything else"
        return f"{self.kind} at {self.step.name} (line {self.step.line}) for {for_what}, killing {self.victim}"


@dataclass(frozen=True)
class CaseResult:
    """What came of a case; a step that was not reached again in time counts for none."""

    case: Case
    is_void: bool
    seconds: float
    violations: tuple[str, ...] = ()


class SteppedDesk:
    """The desk, its one session, and the commands of its stepped processes."""

    def __init__(self, desk: Desk, cover: CoverWatch, patience: float = 1.0) -> None:
        self.desk, self._cover, self._patience = desk, cover, patience
        self.controls = {kind: StepControl(desk.home, words) for kind, (words, _) in PROCESSES.items()}
        self.steps = all_steps()
        self._usual: dict[str, set[tuple[int, str]]] = {}
        self._in_outage: set[tuple[int, str]] = set()

    def begin(self) -> None:
        """Start the session, watch it while it trades, and again while it loses its database."""
        assert self.desk.begin() == SESSION
        self.desk.wait_fills(SESSION, 1)
        for control in self.controls.values():
            control.note_all()
        self.desk.wait_fills(SESSION, WATCHED_FILLS)
        for control in self.controls.values():
            control.disarm()
        self._usual = {kind: control.reached() for kind, control in self.controls.items()}
        trader = self.controls["trader"]
        database, before = self._database_pid(), self.desk.count_fills(SESSION)
        trader.note_all()
        os.kill(database, signal.SIGKILL)
        wait_for("fills after the outage", lambda: self.desk.count_fills(SESSION) >= before + 4)
        trader.disarm()
        self._in_outage = trader.reached() - self._usual["trader"]

    @property
    def reached(self) -> Mapping[str, int]:
        """Return how many steps of each kind of process were reached."""
        found = {kind: {step for step, _ in reached} for kind, reached in self._usual.items()}
        found["trader"] |= {step for step, _ in self._in_outage}
        return {kind: len(steps) for kind, steps in found.items()}

    def cases(self) -> list[Case]:
        """Return a case for each step that was reached and each operation, some with the database."""
        found = [Case("trader", self.steps["trader"][step], operation, BOTH) for step, operation in self._in_outage]
        for kind, reached in self._usual.items():
            for step_id, operation in reached:
                step = self.steps[kind][step_id]
                found.append(Case(kind, step, operation))
                if kind == "trader" and operation in ("row", "entry_row"):
                    found.append(Case(kind, step, operation, DATABASE))
        return sorted(found, key=lambda case: case.name)

    def play(self, case: Case) -> CaseResult:
        """Kill at the step of a case, wait until all is well, and tell what is wrong then."""
        began = time.monotonic()
        _, process = PROCESSES[case.kind]
        control, before = self.controls[case.kind], self.desk.pid(process)
        database = 0 if case.victim == ITSELF else self._database_pid()
        control.kill_at(case.step.id, case.operation, database if case.victim == DATABASE else 0)
        if case.victim == BOTH:
            os.kill(database, signal.SIGKILL)
        violations: list[str] = []
        try:
            wait_for("the step", lambda: control.has_killed, REACHED_SECONDS * self._patience)
        except Late:
            control.disarm()
            return CaseResult(case, is_void=True, seconds=time.monotonic() - began)
        try:
            if case.victim != DATABASE:
                wait_for(f"{process} back", lambda: self.desk.pid(process) not in (0, before), self._well)
            self._wait_well()
            wait_for("cover while the market runs", self._is_covered, self._well)
            self.desk.assert_books_agree(SESSION, seconds=AGREE_SECONDS * self._patience)
        except (Late, AssertionError) as error:
            violations += str(error).splitlines()
        violations += self._cover.take()
        return CaseResult(case, is_void=False, seconds=time.monotonic() - began, violations=tuple(violations))

    def ends(self) -> dict[str, int]:
        """Return how many orders of the session had which end, as far as it is not the usual one."""
        asked = "exists (select from order_events where order_id = id and {})"
        ends = {
            "found by asking or by the stream": asked.format("what = 'told_id' and source <> 'broker_reply'"),
            "never arrived": asked.format("what = 'absent'"),
            "surely not sent": asked.format("what = 'dropped'"),
            "still unknown": "broker_id is null and state in ('pre_sent', 'pending')",
        }
        count = "select count(*) as n from orders where session = %s and "

        def counted() -> dict[str, int]:
            return {end: int(self.desk.rows(count + which, SESSION)[0]["n"]) for end, which in ends.items()}

        return wait_for("the database answers", counted)

    @property
    def _well(self) -> float:
        return WELL_SECONDS * self._patience

    def _wait_well(self) -> None:
        """Wait until each process of the order path is ready."""
        for _, process in PROCESSES.values():
            wait_for(
                f"{process} ready",
                lambda process=process: self.desk.ask(process, "status", {}, 2.0)["state"] == "ready",  # type: ignore[misc]
                self._well,
            )

    def _is_covered(self) -> bool:
        """Tell whether working stops close all that is held; a position that is being closed is not yet flat."""
        return all(abs(row["quantity"]) <= row["stopped"] for row in self.desk.broker.exposure()["positions"])

    def _database_pid(self) -> int:
        status = wait_for("the database", lambda: self.desk.ask(names.POSTGRES, "status", {}, 2.0))
        return int(status["statistics"]["server_pid"])


def once_each(cases: Sequence[Case]) -> list[Case]:
    """Return one case for each step and victim: for an operation, if it was reached for one; which one is fixed."""
    found: dict[tuple[str, int, str], Case] = {}
    for case in sorted(cases, key=lambda case: (not case.operation, rank(case))):
        found.setdefault((case.kind, case.step.id, case.victim), case)
    return sorted(found.values(), key=rank)


def some_of_each_kind(cases: Sequence[Case]) -> list[Case]:
    """Return a few cases, fixed by their names: each process, operation and victim at least once."""
    found: list[Case] = []
    kinds: Counter[str] = Counter()
    for case in sorted(cases, key=rank):
        is_new = case.operation not in {each.operation for each in found} or case.victim not in {
            each.victim for each in found
        }
        if case.operation and (is_new or not kinds[case.kind]):
            found.append(case)
            kinds[case.kind] += 1
    return found


def rank(case: Case) -> int:
    """Return a number that seems random and depends on the names of step, operation and victim alone."""
    return zlib.crc32(f"{case.kind} {case.step.name} {case.operation} {case.victim}".encode())


@contextmanager
def stepped_desk(folder: Path, patience: float = 1.0) -> Iterator[SteppedDesk]:
    """A desk that enters, trails its stop and leaves within seconds, with the steps in its processes.

    Contracts that are open without a stop for longer than 10 s are violations. `patience` multiplies this and every
    other time that is waited, for a busy machine.
    """
    with _desk(folder) as desk, CoverWatch(desk, seconds=COVER_SECONDS * patience) as cover:
        stepped = SteppedDesk(desk, cover, patience)
        stepped.begin()
        yield stepped


def _desk(folder: Path) -> Desk:
    """A desk that loads the steps, restarts however often, and takes no busy process for one that hangs."""
    desk = Desk(folder, speed=SPEED, history_minutes=10, tape="generated:ESH24:7")
    desk.environment["PYTHONPATH"] = str(Path(__file__).parent / "injected")
    _replace(folder / "supervisord.conf", {"intensity=10/60": "intensity=100000/60"})
    _replace(folder / "conf" / "tradeproc.toml", {"# hung_seconds = 10.0": "hung_seconds = 60.0"})
    return desk


def _replace(file: Path, changes: Mapping[str, str]) -> None:
    text = file.read_text()
    for before, after in changes.items():
        assert before in text, f"{file.name} has no {before!r}"
        text = text.replace(before, after)
    file.write_text(text)


def play_all(
    stepped: SteppedDesk, cases: Sequence[Case], say: Callable[[str], None] = print, seconds: float = float("inf")
) -> list[CaseResult]:
    """Play cases one after the other for so many seconds, and say of each what came of it."""
    results: list[CaseResult] = []
    until = time.monotonic() + seconds
    for case in cases:
        if time.monotonic() > until:
            break
        result = stepped.play(case)
        results.append(result)
        verdict = "not reached again" if result.is_void else "well"
        if result.violations:
            verdict = "VIOLATED: " + " | ".join(result.violations)
        say(f"{result.seconds:5.1f}s {verdict}: {case.name}")
    return results

"""Bringing a running desk onto new code: group after group, each well again before the next one is touched.

What a process was before decides what it must be after: one that was ready must be ready, which for a trader means
that it has its history and has compared orders and position with the broker. One that was down is left down. What was
stopped is started again, whatever happens between: a stopped group counts as a person's wish, nobody else starts it.
"""

import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tradeproc.cli.quickstart.preflight import uninterrupted
from tradeproc.desk.exit_status import CommandFailed, supervisorctl
from tradeproc.desk.installation import Desk
from tradeproc.errors import EXIT_DONE, EXIT_HALT, TradeprocError
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import GroupName, ProcessName
from tradeproc.protocol.process_messages import STATUS
from tradeproc.supervision.client import Program, ProgramState, SupervisorAway, SupervisorRefused

_LOOK_SECONDS = 0.1
_STOP_SECONDS = 15.0
_CHECK_SECONDS = 60.0
# a process that dies and is started again this often will not come up
_MOST_PIDS = 3
_STATES = ("down", "starting", "degraded", "ready")
_IMPORTS = """
import importlib
from tradeproc.procs.__main__ import KINDS, module_of
for kind in KINDS:
    importlib.import_module(module_of(kind))
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Processes that restart together: one program, or a whole session."""

    group: GroupName
    processes: tuple[ProcessName, ...]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.processes[0] if len(self.processes) == 1 else self.group


class NotWell(CommandFailed):
    """A process did not come up on the new code; ends the roll-out with code 1."""


class Interrupted(CommandFailed):
    """A person ended the roll-out, or the terminal hung up; ends it with code 1."""

    def __init__(self) -> None:
        super().__init__("interrupted")


def check_new_code(desk: Desk) -> None:
    """Let the home's interpreter import every process's module once, before anything is restarted.

    Raises:
        CommandFailed: it cannot; the text is its last word.
    """
    command = [str(desk.home.root / ".venv/bin/python"), "-c", _IMPORTS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_CHECK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandFailed(f"the new code cannot be looked at: {error}; nothing was restarted") from None
    if done.returncode:
        last = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise CommandFailed(f"the new code cannot be imported: {last}; nothing was restarted")


def plan(programs: Sequence[Program], *, with_postgres: bool) -> list[Batch]:
    """Return what is to be restarted, in order: core one by one, links and their feeds one by one, then sessions.

    Args:
        programs: everything supervisord has, in its own order; what is down is left alone.
        with_postgres: restart the embedded database too; everything else waits for it.
    """
    up = [program for program in programs if program.state.is_up]
    core = [program for group in names.OWN_GROUPS for program in up if program.group == group]
    links = [program for program in up if program.process.login is not None]
    links.sort(key=lambda program: (program.group, program.process.kind != "link"))
    batches = [
        Batch(program.process.group, (program.process,))
        for program in (*core, *links)
        if with_postgres or program.process != names.POSTGRES
    ]
    numbers = {program.process.session for program in up}
    for group in map(names.session_group, sorted(number for number in numbers if number is not None)):
        batches.append(Batch(group, tuple(program.process for program in up if program.group == group)))
    return batches


class Rollout:
    """Restarts batches one after the other; `tell` hears what was done.

    `at` is the one it is at, `begun` those that were started anew, `done` those of them that were seen well.
    """

    def __init__(
        self, desk: Desk, seconds: float, tell: Callable[[str], None], *, start_seconds: float = 30.0
    ) -> None:
        self._start_seconds = start_seconds
        self._desk, self._seconds, self._tell = desk, seconds, tell
        self.begun: list[str] = []
        self.done: list[str] = []
        self.at = ""

    def run(self, batches: Sequence[Batch]) -> None:
        """Restart all; what a batch needs of the ones before it is there by then.

        Raises:
            NotWell: one did not come up; those after it were not touched.
            Interrupted: by a Ctrl-C; the one it was at was started again before.
        """
        try:
            self._run(batches)
        except KeyboardInterrupt:
            raise Interrupted from None

    def _run(self, batches: Sequence[Batch]) -> None:
        programs = self._programs()
        traders = {each.process: self._rank(each) for each in programs if each.process.is_trader}
        for batch in batches:
            began, self.at = time.monotonic(), batch.name
            if not self._restart(batch):
                self._tell(f"{batch.name}: ended meanwhile, left alone")
                continue
            self._wait_traders(batch, traders)
            self.done.append(batch.name)
            self._tell(f"{batch.name}: on the new code after {time.monotonic() - began:.1f} s")

    def _restart(self, batch: Batch) -> bool:
        """Restart a batch and wait until it is well; False when it was down already."""
        before = self._members(batch)
        if not any(program.state.is_up for program in before.values()):
            return False
        ranks = {process: self._rank(program) for process, program in before.items()}
        sizes = {process: self._log_size(process) for process in before}
        with uninterrupted():
            try:
                self._stop(batch)
            finally:
                self._start(batch)
                self.begun.append(batch.name)
        self._wait_well(batch, ranks, sizes)
        return True

    def _wait_well(self, batch: Batch, ranks: Mapping[ProcessName, int], sizes: Mapping[ProcessName, int]) -> None:
        pids: dict[ProcessName, set[int]] = {process: set() for process in ranks}
        members, waiting = self._members(batch), list(batch.processes)
        for members in self._looks(batch, self._seconds):
            waiting = [
                process
                for process, program in members.items()
                if not program.pid or self._rank(program) < ranks.get(process, 0)
            ]
            if not waiting and members:
                return
            for process, program in members.items():
                pids.setdefault(process, set()).add(program.pid)
                if _has_failed(program, pids[process]):
                    raise NotWell(self._reason(members.values(), sizes))
        text = ", ".join(waiting) or batch.name
        late = f"{text}: not {_STATES[max(ranks.values())]} within {self._seconds:g} s on the new code"
        raise NotWell(f"{late}; {self._reason(members.values(), sizes)}")

    def _wait_traders(self, batch: Batch, ranks: Mapping[ProcessName, int]) -> None:
        """Wait until no trader is the worse for what was restarted; one that ended meanwhile is not missed."""
        deadline = time.monotonic() + self._seconds
        while worse := [
            program.process
            for program in self._programs()
            if program.process in ranks and program.state.is_up and self._rank(program) < ranks[program.process]
        ]:
            if time.monotonic() > deadline:
                raise NotWell(f"{', '.join(worse)}: not well again {self._seconds:g} s after {batch.name}")
            time.sleep(_LOOK_SECONDS)

    def _stop(self, batch: Batch) -> None:
        for process in reversed(batch.processes):
            self._desk.supervisor.stop(process.group, process.program)
        for members in self._looks(batch, _STOP_SECONDS):
            if all(program.state.is_down for program in members.values()):
                return
        raise NotWell(f"{batch.name}: did not stop within {_STOP_SECONDS:g} s")

    def _start(self, batch: Batch) -> None:
        """Start what is down of a batch, and again while supervisord is away or a process still stops.

        Raises:
            NotWell: not within 30 s; the text says who is down and what to do.
        """
        deadline = time.monotonic() + self._start_seconds
        while True:
            try:
                waiting = self._start_once(batch)
                problem = "still stopping"
            except SupervisorAway as away:
                waiting, problem = list(batch.processes), str(away)
            if not waiting:
                return
            if time.monotonic() > deadline:
                ways = supervisorctl("start", *(process.at_supervisord for process in waiting))
                raise NotWell(f"stopped and not started again: {problem}; {ways}")
            time.sleep(_LOOK_SECONDS)

    def _start_once(self, batch: Batch) -> list[ProcessName]:
        """Start what is down and return who cannot be started yet.

        A session whose group the new code describes otherwise is taken out and added again.
        """
        supervisor, members = self._desk.supervisor, self._members(batch)
        stopping = [process for process, program in members.items() if program.state is ProgramState.STOPPING]
        if stopping:
            return stopping
        if batch.group.session is not None:
            all_down = all(program.state.is_down for program in members.values())
            if not members or (all_down and batch.group in supervisor.reread()):
                supervisor.remove_group(batch.group)
                supervisor.add_group(batch.group)
                return []
        refusals: list[SupervisorRefused] = []
        for process in (process for process, program in members.items() if program.state.is_down):
            try:
                supervisor.start(process.group, process.program)
            except SupervisorRefused as refused:
                refusals.append(refused)
        if refusals:
            raise refusals[0]
        return []

    def _looks(self, batch: Batch, seconds: float) -> Iterator[dict[ProcessName, Program]]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            yield self._members(batch)
            time.sleep(_LOOK_SECONDS)

    def _members(self, batch: Batch) -> dict[ProcessName, Program]:
        found = {program.process: program for program in self._programs()}
        return {process: found[process] for process in batch.processes if process in found}

    def _programs(self) -> list[Program]:
        return self._desk.supervisor.processes()

    def _rank(self, program: Program) -> int:
        """Return how well a process is; one that answers under another pid than supervisord's is not it."""
        try:
            told = self._desk.client.call(program.process, STATUS, NoBody(), 1.0)
        except TradeprocError:
            return 0
        return _STATES.index(told.state) if told.pid == program.pid and told.state in _STATES else 0

    def _log_size(self, process: str) -> int:
        path = self._desk.home.log / f"{process}.log"
        return path.stat().st_size if path.exists() else 0

    def _reason(self, members: Iterable[Program], sizes: Mapping[ProcessName, int]) -> str:
        """Return who does not come up and why; one that was only stopped along with another is not to blame."""
        words = {
            program.process: _last_word(self._said(program.process, sizes.get(program.process, 0)) or program.error)
            for program in members
        }
        worst = min((blame for blame, _ in words.values()), default=0)
        guilty = [f"{process} does not come up: {word}" for process, (blame, word) in words.items() if blame == worst]
        return "; ".join(guilty)

    def _said(self, process: str, since: int) -> str:
        path = self._desk.home.log / f"{process}.log"
        return path.read_bytes()[since:].decode(errors="replace") if path.exists() else ""


def _last_word(text: str) -> tuple[int, str]:
    """Return the last critical line, else the last one, with its weight: the least is the most to blame."""
    lines = [line for line in text.splitlines() if line.strip()]
    critical = [line for line in lines if " CRITICAL " in line]
    if critical:
        return 0, critical[-1]
    was_told_to_stop = any(" stopping process=" in line for line in lines)
    return (1 if lines and not was_told_to_stop else 2), (lines or ["it said nothing"])[-1]


def _has_failed(program: Program, pids: set[int]) -> bool:
    """Tell whether a started program will not come up, by supervisord's word or by its deaths that we saw."""
    if program.state is ProgramState.FATAL:
        return True
    if program.state is ProgramState.EXITED and program.exit_status in (EXIT_DONE, EXIT_HALT):
        return True
    return len(pids - {0}) >= _MOST_PIDS

"""Whether what should run is up: the desk's own processes, and link, account and trader of each session that is due.

A process is up when it runs and says of itself that it is ready, or degraded: that it can work, and what troubles it.
What is not up is told with why, from its log or its own words, and what helps.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradeproc.desk.exit_status import ExitStatus, supervisorctl
from tradeproc.desk.installation import Desk
from tradeproc.desk.listed import SessionListed
from tradeproc.errors import EXIT_DONE, EXIT_HALT, TradeprocError
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import KEEPER
from tradeproc.protocol.process_messages import STATUS
from tradeproc.supervision.client import Program, ProgramState

# these end at once where the configuration wants none of them
_MAY_BE_DONE = (names.POSTGRES, names.LOCAL_BROKER, names.NOTIFIER)
_ANSWER_SECONDS = 1.0
# a line that `procs/entry.py` wrote itself; texts of others cannot begin a line, see `logs.py`
_LAST_WORDS = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z CRITICAL tradeproc\.procs\.entry process_\w+ kind=\w+ error=(.*)"
)
# a process that dies and is started again this often will not come up by waiting
_MOST_PIDS = 3


@dataclass(frozen=True, slots=True)
class ReadinessTiming:
    """How often to look, and what to wait for, in seconds.

    After one that will not come up, `others` is what the others may still need until they say how they are;
    `restart` is how long one that is being restarted may be stopped.
    """

    look: float = 0.2
    others: float = 20.0
    restart: float = 3.0


USUAL = ReadinessTiming()


@dataclass(frozen=True, slots=True)
class NotUp:
    """A process that should be up and is not; `is_final` when waiting cannot help."""

    process: str
    why: str
    remedy: str
    is_final: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"process": self.process, "why": self.why, "remedy": self.remedy}

    def __str__(self) -> str:
        return f"{self.process} is not up: {self.why}; {self.remedy}"


class Readiness:
    """Looks at a desk again and again; made before anything is started, it reads only what the logs say since."""

    def __init__(self, desk: Desk, timing: ReadinessTiming = USUAL) -> None:
        self._desk, self._timing = desk, timing
        self._sizes = {path.name: path.stat().st_size for path in desk.home.log.glob("*.log")}
        self._pids: dict[str, set[int]] = {}
        self._stopped_since: dict[str, float] = {}

    def wait(self, seconds: float, is_meant: Callable[[str], bool] = lambda process: True) -> list[NotUp]:
        """Wait until all is up and return nothing, or in the end what is not.

        Args:
            seconds: how long; less when something will not come up by waiting.
            is_meant: which processes are looked at, by their names.
        """
        deadline = time.monotonic() + seconds
        while missing := [each for each in self.look() if is_meant(each.process)]:
            if any(each.is_final for each in missing):
                deadline = min(deadline, time.monotonic() + self._timing.others)
            if all(each.is_final for each in missing) or time.monotonic() > deadline:
                return missing
            time.sleep(self._timing.look)
        return []

    def look(self) -> list[NotUp]:
        """Return what should be up now and is not."""
        try:
            programs: dict[str, Program] = {program.process: program for program in self._desk.supervisor.processes()}
        except TradeprocError as error:
            # somebody may have stopped it meanwhile; one that is only slow answers the next time
            since = self._stopped_since.setdefault("supervisord", time.monotonic())
            is_gone = time.monotonic() - since > self._timing.restart
            return [NotUp("supervisord", str(error), "scripts/tradectl up starts it", is_final=is_gone)]
        self._stopped_since.pop("supervisord", None)
        own: dict[str, str] = {
            process: "" for process, program in programs.items() if program.group in names.OWN_GROUPS
        }
        missing = list(self._missing(programs, own))
        if any(each.process == KEEPER for each in missing):
            # who should run besides is not known yet
            return missing
        try:
            needed = due(self._desk.sessions())
        except TradeprocError as error:
            return [*missing, NotUp(KEEPER, str(error), self._see(KEEPER))]
        return [*missing, *self._missing(programs, needed)]

    def _missing(self, programs: Mapping[str, Program], wanted: Mapping[str, str]) -> Iterator[NotUp]:
        for process, conflict in wanted.items():
            if conflict:
                yield NotUp(process, conflict, "stop one of the two", is_final=True)
            elif process not in programs:
                yield NotUp(process, "supervisord does not have it yet", self._see(KEEPER))
            elif (found := self._judge(programs[process])) is not None:
                yield found

    def _judge(self, program: Program) -> NotUp | None:
        process, start = program.process, supervisorctl("start", program.process.at_supervisord)
        pids = self._pids.setdefault(process, set())
        pids |= {program.pid} - {0}
        stopped_for = self._stopped_for(program)
        match program.state:
            case ProgramState.EXITED if program.exit_status == EXIT_DONE and process in _MAY_BE_DONE:
                return None
            case ProgramState.EXITED if program.exit_status == EXIT_HALT:
                return NotUp(process, self._why(program), f"mend that, then {start}", is_final=True)
            case ProgramState.FATAL:
                return NotUp(process, self._why(program), f"mend that, then {start}", is_final=True)
            case ProgramState.STOPPED if stopped_for > self._timing.restart:
                return NotUp(process, self._said(process) or "it is stopped", start, is_final=True)
            case ProgramState.RUNNING:
                return self._ask(program, is_dying=len(pids) >= _MOST_PIDS)
            case _:
                is_dying = len(pids) >= _MOST_PIDS
                return NotUp(process, self._why(program), self._see(process), is_final=is_dying)

    def _stopped_for(self, program: Program) -> float:
        """Return for how many seconds a program has been stopped; in a restart with others it is for a moment."""
        now = time.monotonic()
        if program.state is not ProgramState.STOPPED or not program.stopped_at:
            self._stopped_since.pop(program.process, None)
            return 0.0
        return now - self._stopped_since.setdefault(program.process, now)

    def _ask(self, program: Program, *, is_dying: bool) -> NotUp | None:
        process, see = program.process, self._see(program.process)
        try:
            told = self._desk.client.call(process, STATUS, NoBody(), _ANSWER_SECONDS)
        except TradeprocError as error:
            return NotUp(process, self._said(process) or str(error), see, is_final=is_dying)
        is_up = told.state == "ready" or (told.state == "degraded" and process != KEEPER)
        if is_up and told.pid == program.pid:
            return None
        return NotUp(process, told.detail or told.state, see)

    def _why(self, program: Program) -> str:
        return self._said(program.process) or program.error or f"{program.state.value.lower()}, without a word"

    def _said(self, process: str) -> str:
        """Return the newest reason in the log of a process, of those that came since we began to look."""
        return last_reason(self._desk.home.log / f"{process}.log", self._sizes.get(f"{process}.log", 0))

    def _see(self, process: str) -> str:
        return f"see run/log/{process}.log"


def due(sessions: Sequence[SessionListed]) -> dict[str, str]:
    """Return the processes of the sessions that are due, each with why it cannot run where that is known."""
    found: dict[str, str] = {}
    for row in sessions:
        if not row.is_due:
            continue
        if not row.conflict:
            for login in row.logins:
                found[names.link(login)] = ""
        for process in (names.account(row.id), names.trader(row.id)):
            found[process] = row.conflict
    return found


def last_reason(log: Path, since: int) -> str:
    """Return why a process ended, by the last line of its log behind byte `since` that says so, if there is one."""
    try:
        with log.open("rb") as file:
            # a log that is shorter now was begun anew
            file.seek(since if since <= log.stat().st_size else 0)
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    said = [found[1] for line in lines if (found := _LAST_WORDS.match(line))]
    return said[-1] if said else ""


def exit_of_missing(missing: Sequence[NotUp]) -> ExitStatus:
    """Return the exit code of a command that waited: failed for good, or no answer in time."""
    if not missing:
        return ExitStatus.OK
    return ExitStatus.FAILED if any(each.is_final for each in missing) else ExitStatus.NOT_RUNNING

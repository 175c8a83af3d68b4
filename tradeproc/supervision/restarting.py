"""Carries out the restart rules: supervisord's events become events of the rules, and their actions become calls."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.domain.frozen import dataclass
from tradeproc.errors import EXIT_HALT
from tradeproc.home import Home
from tradeproc.protocol import names
from tradeproc.protocol.names import GroupName
from tradeproc.supervision import restarts
from tradeproc.supervision.client import Program, ProgramState, Supervisor, SupervisorAway, SupervisorRefused
from tradeproc.supervision.deaths import Death, read_deaths, stood_at, write_death
from tradeproc.supervision.declared import CAREFUL, DEFAULT, Declaration, Declarations, read_declarations
from tradeproc.supervision.listener import SupervisorEvent
from tradeproc.supervision.plans import note_of, planned
from tradeproc.supervision.repeats import HUNG, UNSAID
from tradeproc.supervision.restarts import Action, Event
from tradeproc.supervision.rules import GroupState, Settings, decide, over, remembered, told_again

log = logging.getLogger(__name__)

Tell = Callable[[str, Action], None]


@dataclass(frozen=True, slots=True)
class ProcessHistory:
    """What is known of a process that died, by its pid: why it was killed, and whether it had done any work."""

    killed: Callable[[int], str] = lambda _: ""
    has_worked: Callable[[int], bool] = lambda _: False


# our own group: supervisord restarts it, and the keeper watches it
_OURS = names.WARDEN.group
UNREAD = "declaration_unread"


class RestartController:
    """All groups of one home under the rules.

    `tell` gets the actions that do not concern supervisord: reports of trouble and halts.
    """

    def __init__(
        self,
        home: Home,
        supervisor: Supervisor,
        settings: Settings,
        chance: Callable[[], float],
        tell: Tell,
        witness: ProcessHistory | None = None,
    ) -> None:
        """Keep whom to ask and to tell; without a `witness` nobody knows what a process did before it died."""
        self._witness = witness or ProcessHistory()
        self._home, self._supervisor, self._settings = home, supervisor, settings
        self._chance, self._tell = chance, tell
        self._declared: Mapping[str, Declaration] = {}
        self._unread: Mapping[str, str] = {}
        self.groups: dict[str, GroupState] = {}
        self._notes: dict[str, str] = {}
        self.is_stopping = False
        self._differing: set[tuple[str, Event]] = set()

    def rebuild(self) -> None:
        """Learn everything from supervisord, as after our own death.

        Raises:
            SupervisorAway: supervisord does not answer.
        """
        programs, self._notes = self._supervisor.processes(), self._supervisor.notes()
        found = read_declarations(self._home)
        # a file that nobody can read any more: supervisord still runs what it said
        lost = {program.group for program in programs} - found.groups.keys() - {_OURS}
        self._declared = found.groups | {group: _careful(group, programs) for group in lost}
        self._tell_unread(found)
        now, wall = _seconds(monotonic_ns()), _seconds(wall_ns())
        for group, declaration in self._declared.items():
            members = [program for program in programs if program.group == group]
            up = frozenset(program.name for program in members if program.state.is_up)
            alive = frozenset(program.name for program in members if not program.state.is_down)
            plans = planned(self._notes.get(group, ""), now, wall)
            self.groups[group] = replace(plans.resumed(declaration, up), stopping=frozenset(plans.to_start) & alive)
            for name in reversed(plans.to_start):
                if name in up:
                    self._perform(group, restarts.TimerFired(), (restarts.Stop(name),))
            self._perform(group, restarts.TimerFired(), told_again(self.groups[group]))
            for program in members:
                self._rebuild(group, program)

    def _rebuild(self, group: str, program: Program) -> None:
        failed = restarts.Failed(program.name, program.error)
        if program.state is ProgramState.FATAL and not self.groups[group].is_held(program.name):
            self._decide(group, failed)
        elif program.state is ProgramState.FATAL:
            alarm = restarts.ReportTrouble(f"cannot_start:{program.name}", program.error)
            self._perform(group, failed, (alarm,))
        elif program.state is ProgramState.EXITED and program.exit_status == EXIT_HALT:
            self._decide(group, restarts.HaltedItself(program.name, self._last_words(program.process)))

    def hear(self, event: SupervisorEvent) -> None:
        """Take one event of supervisord."""
        if event.name == "SUPERVISOR_STATE_CHANGE_STOPPING":
            self.is_stopping = True
        elif event.name in ("PROCESS_GROUP_ADDED", "PROCESS_GROUP_REMOVED"):
            self._read_again()
        elif event.group in self._declared and not self.is_stopping:
            self._differing.clear()
            translated = self._translate(event)
            if translated is not None:
                self._decide(event.group, translated)

    def halted(self, group: str) -> None:
        """Note that the keeper halted the sessions of a group that was given up."""
        if group in self.groups:
            self._decide(group, restarts.EntriesHalted())

    def worked(self, processes: frozenset[str]) -> None:
        """Note which processes have done work in their present life."""
        for group, state in list(self.groups.items()):
            for program, known in state.repeats.items():
                if known.fruitless and GroupName(group).process(program) in processes:
                    self._decide(group, restarts.Worked(program))

    def pass_time(self) -> None:
        """Let the rules of all groups look at the time."""
        if not self.is_stopping:
            for group in list(self.groups):
                self._decide(group, restarts.TimerFired())

    def correct(self, programs: Sequence[Program]) -> None:
        """Compare what we believe with what is; what differs in two looks running was an event that we missed.

        An event between two looks means that others may still be queued behind it: the comparison begins anew then.
        Else the end of a program that we stopped, taken as missed and then heard, would count as a person's wish.
        """
        if self.is_stopping:
            return
        if self._unread:
            self._read_again()  # a person may have mended it
        there = {(program.group, program.name) for program in programs}
        differing: set[tuple[str, Event]] = {
            (group, restarts.Removed(name))
            for group, state in self.groups.items()
            for name in remembered(state)
            if (group, name) not in there
        }
        for program in programs:
            state = self.groups.get(program.group)
            if state is None:
                continue
            name, is_running = program.name, program.state is ProgramState.RUNNING
            if is_running and name not in state.up:
                differing.add((program.group, restarts.CameUp(name)))
            elif program.state.is_down and name in state.up | state.stopping:
                differing.add((program.group, restarts.Stopped(name)))
        for group, event in differing & self._differing:
            if not isinstance(event, restarts.Removed):  # supervisord sends no event for this
                log.warning("event_missed group=%s event=%s", group, event)
            self._decide(group, event)
        self._differing = differing

    def _translate(self, event: SupervisorEvent) -> Event | None:
        program = event.program
        match event.name:
            case "PROCESS_STATE_STARTING":
                return restarts.CameUp(program, is_respawn=event.fields.get("from_state") == "EXITED")
            case "PROCESS_STATE_STOPPED":
                return restarts.Stopped(program)
            case "PROCESS_STATE_FATAL":
                found = self._find(event.group, program)
                return restarts.Failed(program, found.error if found else "")
            case "PROCESS_STATE_EXITED" if event.fields.get("expected") == "0":
                return self._died(event)
            case "PROCESS_STATE_EXITED":
                found = self._find(event.group, program)
                if found is None or found.exit_status != EXIT_HALT:
                    return restarts.Ended(program)
                return restarts.HaltedItself(program, self._last_words(found.process, _pid(event)))
            case _:
                return None

    def _died(self, event: SupervisorEvent) -> restarts.Died:
        """Return a death with its cause: the process's own last words, or what is known of who left none."""
        process, pid = GroupName(event.group).process(event.program), _pid(event)
        cause = self._last_words(process, pid)
        if not cause:
            found = self._find(event.group, event.program)
            code = found.exit_status if found is not None else -1
            killed = self._witness.killed(pid)
            cause = self._hung(process, killed) if killed else _told_by(code)
            told = Death(wall_ns(), pid, cause or UNSAID, code)
            write_death(self._home, process, told)
        log.warning("process_died process=%s pid=%s cause=%s", process, pid, cause or "unknown")
        return restarts.Died(event.program, cause, self._witness.has_worked(pid))

    def _hung(self, process: str, why: str) -> str:
        place = stood_at(self._home, process)
        return f"{HUNG} ({why}){f' in {place}' if place else ''}; its log has its stacks"

    def _last_words(self, process: str, pid: int | None = None) -> str:
        """Return why a process died as it said itself; of the one with a pid, or of the last one."""
        newest = next(iter(read_deaths(self._home, process)), None)
        return newest.reason if newest is not None and pid in (None, newest.pid) else ""

    def _find(self, group: str, name: str) -> Program | None:
        try:
            programs = self._supervisor.processes()
        except SupervisorAway:
            return None
        return next((each for each in programs if (each.group, each.name) == (group, name)), None)

    def _decide(self, group: str, event: Event) -> None:
        state = self.groups.get(group) or GroupState(self._declared[group])
        now = _seconds(monotonic_ns())
        state, actions = decide(state, event, now, self._chance(), self._settings)
        self.groups[group] = state
        # The note is written first: if we die between the two, our successor must know that we stopped it and no
        # person did.
        self._note(group, note_of(state, now, _seconds(wall_ns())))
        self._perform(group, event, actions)

    def _note(self, group: str, note: str) -> None:
        if note != self._notes.get(group, ""):
            self._notes[group] = note
            try:
                self._supervisor.set_note(group, note)
            except (SupervisorAway, SupervisorRefused) as error:
                log.warning("note_unkept group=%s reason=%s", group, error)

    def _perform(self, group: str, event: Event, actions: Sequence[Action]) -> None:
        for action in actions:
            log.info("rule_applied group=%s because=%s action=%s", group, event, action)
            try:
                match action:
                    case restarts.Stop(program):
                        self._supervisor.stop(group, program)
                    case restarts.Start(program):
                        self._supervisor.start(group, program)
                    case _:
                        self._tell(group, action)
            except SupervisorRefused as refused:
                log.warning("action_refused group=%s action=%s reason=%s", group, action, refused)
            except SupervisorAway as away:
                log.warning("action_undone group=%s action=%s reason=%s", group, action, away)

    def _read_again(self) -> None:
        """Take the declarations as they are now; a file that cannot be read leaves its groups as they were."""
        found = read_declarations(self._home)
        lost = {group: each for group, each in self._declared.items() if group not in found.groups and found.unread}
        self._declared = found.groups | lost
        self._tell_unread(found)
        for group in [group for group in self._notes if group not in self._declared]:
            self._note(group, "")
        for group in self.groups.keys() - self._declared.keys():
            self._perform(group, restarts.TimerFired(), over(self.groups[group]))
        self.groups = {
            group: replace(state, declaration=self._declared[group])
            for group, state in self.groups.items()
            if group in self._declared
        }

    def _tell_unread(self, found: Declarations) -> None:
        for group in self._unread.keys() - found.unread.keys():
            self._tell(group, restarts.ReportCleared(UNREAD))
        for group, problem in found.unread.items():
            self._tell(group, restarts.ReportTrouble(UNREAD, problem))
        self._unread = found.unread


def _careful(group: str, programs: Sequence[Program]) -> Declaration:
    members = tuple(program.name for program in programs if program.group == group)
    return Declaration(group, CAREFUL, DEFAULT, members)


def _pid(event: SupervisorEvent) -> int:
    told = event.fields.get("pid", "")
    return int(told) if told.isdecimal() else 0


def _told_by(code: int) -> str:
    # -1 is a signal: supervisord does not say which
    return "" if code <= 0 else f"exit code {code}, without a word"


def _seconds(nanos: int) -> float:
    return nanos / SECOND

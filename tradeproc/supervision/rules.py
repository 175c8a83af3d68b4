"""What follows from a death: pure, `decide` gives one group's next state and actions.

supervisord itself restarts a program that died, at once and for ever. The rules add what it does not know:

    companions   one_for_all and rest_for_one restart with the program that died: stopped last to first, then started
    intensity    more than n deaths in t seconds, or one soon after a hold: the program and its companions are held
                 down, 1 s, 2 s, 4 s … with jitter
    giving up    after too many holds: alarm, entries halted, and a slow retry for ever; nothing stays down silently
    repeats      the same death again and again, however slowly, with no work done between: alarm, see `repeats.py`
    halts        exit 78 wants a person: alarm, no restart

What a person stops stays stopped, and ends our own plans for it. Times are seconds of a clock that never jumps.
"""

from collections.abc import Mapping
from dataclasses import field, replace

from tradeproc.domain.backoff import Backoff
from tradeproc.domain.frozen import dataclass
from tradeproc.protocol.names import GroupName
from tradeproc.supervision import repeats
from tradeproc.supervision.declared import Declaration, RestartStrategy
from tradeproc.supervision.halted_by import BY_TRADER, BY_WARDEN
from tradeproc.supervision.repeats import RepeatedDeaths
from tradeproc.supervision.restarts import (
    Action,
    CameUp,
    Died,
    Ended,
    EntriesHalted,
    Event,
    Failed,
    HaltedItself,
    HaltEntries,
    Removed,
    ReportCleared,
    ReportTrouble,
    Start,
    Stop,
    Stopped,
    TimerFired,
    Worked,
)

# the unit of a group in which all restart together
_ALL = "all"
# programs that died together do not come back together
_JITTER = 0.25


@dataclass(frozen=True, slots=True)
class Settings:
    """Pauses in seconds; `holds` are how many before a group is given up."""

    first: float = 1.0
    most: float = 60.0
    slow: float = 300.0
    holds: int = 6


@dataclass(frozen=True, slots=True)
class Hold:
    """Programs held down until a moment."""

    programs: tuple[str, ...]
    until: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """What restarts together: recent deaths, holds so far, the last bad moment.

    `given_up` says why it was given up, if it was, and `is_halted` that the keeper took the halt that goes with it.
    """

    deaths: tuple[float, ...] = ()
    holds: int = 0
    last: float = 0.0
    given_up: str = ""
    is_halted: bool = False


@dataclass(frozen=True, slots=True)
class GroupState:
    """One group. `up` as supervisord told; `stopping` was asked by us; `to_start` waits for those to be down."""

    declaration: Declaration
    up: frozenset[str] = frozenset()
    stopping: frozenset[str] = frozenset()
    to_start: tuple[str, ...] = ()
    holds: Mapping[str, Hold] = field(default_factory=dict)
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    halted: frozenset[str] = frozenset()
    repeats: Mapping[str, RepeatedDeaths] = field(default_factory=dict)

    def is_held(self, program: str) -> bool:
        """Tell whether we hold a program down."""
        return any(program in hold.programs for hold in self.holds.values())


Decision = tuple[GroupState, tuple[Action, ...]]


def decide(state: GroupState, event: Event, now: float, chance: float, settings: Settings) -> Decision:
    """Return the group's next state and what to do; `chance` is 0 to 1, from the shell's dice."""
    match event:
        case CameUp(program, is_respawn):
            return _started(_begun(state, program, now), program, is_respawn)
        case Died():
            return _counted(state, event, now, chance, settings)
        case Failed(program, reason):
            state = _down(state, program)
            state, actions = _hold(state, program, now, chance, settings)
            return state, (ReportTrouble(f"cannot_start:{program}", reason), *actions)
        case HaltedItself(program, reason):
            state = replace(_down(state, program), halted=state.halted | {program})
            why = reason or "its log says why"
            detail = f"it halted itself (exit 78): {why}; start it again when that is mended"
            return state, (ReportTrouble(f"halted:{program}", detail),)
        case Ended(program):
            return _went_on(_down(state, program))
        case Stopped(program):
            return _stopped(state, program)
        case Removed(program):
            return _removed(state, program)
        case EntriesHalted() | Worked() | TimerFired():
            return _looked(state, event, now)


def _looked(state: GroupState, event: EntriesHalted | Worked | TimerFired, now: float) -> Decision:
    match event:
        case Worked(program):
            return _settled(state, program, now, has_worked=True)
        case EntriesHalted():
            troubles = {unit: replace(each, is_halted=bool(each.given_up)) for unit, each in state.troubles.items()}
            # a trader that comes up without its strategy need not wait for the slow retry
            is_mended = _by(state) == BY_TRADER
            holds = {unit: replace(hold, until=min(hold.until, now)) for unit, hold in state.holds.items()}
            return replace(state, troubles=troubles, holds=holds if is_mended else state.holds), ()
        case TimerFired():
            return _time_passed(state, now)


def told_again(state: GroupState) -> tuple[Action, ...]:
    """Return what a successor says again of what was given up: nobody knows whether it was heard.

    A halt that the keeper took is not repeated: a person may have resumed since.
    """
    actions: list[Action] = []
    for unit, trouble in state.troubles.items():
        if trouble.given_up:
            actions.append(ReportTrouble(f"given_up:{unit}", trouble.given_up))
            actions += [] if trouble.is_halted else [HaltEntries(trouble.given_up, _by(state))]
    for program, known in state.repeats.items():
        if known.is_told:
            actions.append(ReportTrouble(f"dies:{program}", _text(state, program, known)))
    return tuple(actions)


def over(state: GroupState) -> tuple[Action, ...]:
    """Return what ends with a group that was removed: its alarms have no cause any more."""
    names = [f"halted:{program}" for program in sorted(state.halted)]
    for unit, trouble in state.troubles.items():
        names += _names_of(state, unit) if trouble.holds else []
    names += [f"dies:{program}" for program, each in state.repeats.items() if each.is_told]
    return tuple(ReportCleared(name) for name in names)


def remembered(state: GroupState) -> frozenset[str]:
    """Return the programs of which we believe anything that their removal would end."""
    return state.up | state.stopping | state.halted | (state.troubles.keys() - {_ALL}) | state.repeats.keys()


def _removed(state: GroupState, program: str) -> Decision:
    own = {program: state.troubles[program]} if program in state.troubles else {}
    repeats = {program: state.repeats[program]} if program in state.repeats else {}
    ended = over(replace(state, troubles=own, halted=state.halted & {program}, repeats=repeats))
    state = _release(_down(state, program), program)
    state = replace(
        state,
        troubles={unit: each for unit, each in state.troubles.items() if unit not in own},
        halted=state.halted - {program},
        repeats={each: repeat for each, repeat in state.repeats.items() if each != program},
        to_start=tuple(each for each in state.to_start if each != program),
    )
    return state, ended


def _started(state: GroupState, program: str, is_respawn: bool) -> Decision:
    state = replace(state, up=state.up | {program})
    actions: tuple[Action, ...] = ()
    if program in state.halted:
        state = replace(state, halted=state.halted - {program})
        actions = (ReportCleared(f"halted:{program}"),)
    if not state.is_held(program):
        return state, actions
    if is_respawn:
        return replace(state, stopping=state.stopping | {program}), (*actions, Stop(program))
    return _release(state, program), actions


def _counted(state: GroupState, death: Died, now: float, chance: float, settings: Settings) -> Decision:
    """Restart what belongs to a death, and compare it with those before; one on its way down anyway says nothing."""
    is_ours = death.program in state.stopping or state.is_held(death.program)
    state, told = (state, ()) if is_ours else _repeated(state, death, now)
    state, actions = _died(state, death.program, now, chance, settings)
    return state, (*actions, *told)


def _died(state: GroupState, program: str, now: float, chance: float, settings: Settings) -> Decision:
    if program in state.stopping or state.is_held(program):
        # on its way down already; if supervisord starts it again we hear of it
        return _went_on(_down(state, program))
    state = _note_death(_down(state, program), program, now)
    trouble = state.troubles[_unit(state, program)]
    if trouble.holds or len(trouble.deaths) > state.declaration.intensity.restarts:
        state, actions = _hold(state, program, now, chance, settings)
        # before supervisord starts it again
        return replace(state, stopping=state.stopping | {program}), (Stop(program), *actions)
    together = tuple(each for each in state.declaration.companions(program) if each in state.up)
    fresh = tuple(each for each in together if each not in state.stopping)
    state = replace(
        state,
        stopping=state.stopping | set(fresh),
        to_start=_ordered(state, {*state.to_start, *together}),
    )
    return state, tuple(Stop(each) for each in reversed(fresh))


def _hold(state: GroupState, program: str, now: float, chance: float, settings: Settings) -> Decision:
    """Hold a program and its companions down; the pause doubles each time, then giving up makes it slow."""
    unit = _unit(state, program)
    trouble = state.troubles.get(unit, Trouble())
    trouble = replace(trouble, holds=trouble.holds + 1, deaths=(), last=now)
    has_given_up, was_given_up = trouble.holds > settings.holds, bool(trouble.given_up)
    if has_given_up and not was_given_up:
        known = state.repeats.get(program)
        why = f": {known.cause}" if known is not None and known.cause else ""
        reason = f"{state.declaration.group}: {program} died too often; tried again every {settings.slow:g} s{why}"
        trouble = replace(trouble, given_up=reason)
    first, most = (settings.slow, settings.slow) if has_given_up else (settings.first, settings.most)
    pause = Backoff(first, most, jitter=_JITTER).delay(trouble.holds - 1, chance)
    together = state.declaration.companions(program)
    was_running = [each for each in together if each in state.up or each in state.to_start]
    hold = Hold(_ordered(state, {program, *was_running}), now + pause)
    to_stop = [each for each in reversed(hold.programs) if each in state.up and each not in state.stopping]
    state = replace(
        state,
        holds={**state.holds, unit: hold},
        troubles={**state.troubles, unit: trouble},
        stopping=state.stopping | set(to_stop),
        to_start=tuple(each for each in state.to_start if each not in hold.programs),
    )
    actions: tuple[Action, ...] = tuple(Stop(each) for each in to_stop)
    if has_given_up and not was_given_up:
        actions += (ReportTrouble(f"given_up:{unit}", trouble.given_up), HaltEntries(trouble.given_up, _by(state)))
    return state, actions


def _stopped(state: GroupState, program: str) -> Decision:
    # no person stops what is down: a held program is, and of another we are only told twice, and start it in its turn
    if program in state.up - state.stopping and not state.is_held(program):
        state = replace(_down(state, program), to_start=tuple(each for each in state.to_start if each != program))
        state, forgotten = _forgotten(state, program)
        state, actions = _went_on(state)
        return state, (*forgotten, *actions)
    return _went_on(_down(state, program))


def _went_on(state: GroupState) -> Decision:
    """Start what waited for others to be down."""
    if not state.to_start or set(state.to_start) & state.stopping:
        return state, ()
    actions = tuple(Start(each) for each in state.to_start if each not in state.up)
    return replace(state, to_start=()), actions


def _time_passed(state: GroupState, now: float) -> Decision:
    state, begun = _went_on(state)
    actions: list[Action] = list(begun)
    for unit, hold in list(state.holds.items()):
        if now < hold.until or set(hold.programs) & state.stopping:
            continue
        holds = {key: value for key, value in state.holds.items() if key != unit}
        state = replace(state, holds=holds, troubles=_with_last(state, unit, now))
        actions += [Start(each) for each in hold.programs if not state.is_held(each) and each not in state.up]
    for unit, trouble in list(state.troubles.items()):
        calm = now - trouble.last
        if unit not in state.holds and calm > state.declaration.intensity.seconds:
            state = replace(state, troubles={key: value for key, value in state.troubles.items() if key != unit})
            if trouble.holds:
                actions += [ReportCleared(name) for name in _names_of(state, unit)]
    for program in list(state.repeats):
        state, told = _settled(state, program, now)
        actions += told
    return state, tuple(actions)


def _repeated(state: GroupState, death: Died, now: float) -> Decision:
    """Compare a death with those before it, and tell one that repeats without any work between."""
    program, kind = death.program, _kind(state, death.program)
    known = repeats.after_death(state.repeats.get(program), death.cause, now, has_worked=death.has_worked)
    actions: list[Action] = []
    if repeats.is_failing(known, now):
        text = _text(state, program, known)
        if not known.is_told:
            actions.append(ReportTrouble(f"dies:{program}", text))
            known = replace(known, is_told=True)
        if repeats.wants_halt(known, kind, now):
            actions.append(HaltEntries(text, BY_TRADER if kind == "trader" else BY_WARDEN))
            # a person may resume; it is halted again when it goes on so
            known = replace(known, first=now)
    return replace(state, repeats={**state.repeats, program: known}), tuple(actions)


def _by(state: GroupState) -> str:
    """Return in whose name a group's sessions are halted: the trader's, when it dies before it decides a bar."""
    known = state.repeats.get("trader")
    return BY_TRADER if known is not None and repeats.is_fruitless(known) else BY_WARDEN


def _kind(state: GroupState, program: str) -> str:
    return GroupName(state.declaration.group).process(program).kind


def _text(state: GroupState, program: str, known: RepeatedDeaths) -> str:
    return f"{state.declaration.group}: {repeats.told(program, _kind(state, program), known)}"


def _settled(state: GroupState, program: str, now: float, *, has_worked: bool = False) -> Decision:
    """Take note of work, or of time; an alarm whose cause is gone is over."""
    known = state.repeats.get(program)
    if known is None:
        return state, ()
    kind, calm = _kind(state, program), state.declaration.intensity.seconds
    if has_worked or (program in state.up and repeats.has_outlived(known, kind, now, calm)):
        known = repeats.after_work(known)
    actions: tuple[Action, ...] = ()
    if known.is_told and not repeats.is_failing(known, now):
        known, actions = replace(known, is_told=False), (ReportCleared(f"dies:{program}"),)
    if known == state.repeats[program]:
        return state, actions
    rest = {each: repeat for each, repeat in state.repeats.items() if each != program}
    return replace(state, repeats=rest if repeats.is_over(known, now) else {**rest, program: known}), actions


def _begun(state: GroupState, program: str, now: float) -> GroupState:
    known = state.repeats.get(program)
    if known is None:
        return state
    return replace(state, repeats={**state.repeats, program: repeats.after_start(known, now)})


def _forgotten(state: GroupState, program: str) -> Decision:
    """Begin anew with a program that a person took in hand."""
    known = state.repeats.get(program)
    rest = {each: repeat for each, repeat in state.repeats.items() if each != program}
    is_told = known is not None and known.is_told
    return replace(state, repeats=rest), (ReportCleared(f"dies:{program}"),) if is_told else ()


def _names_of(state: GroupState, unit: str) -> list[str]:
    """Return the names of the alarms that a unit's trouble may have raised."""
    members = state.declaration.programs if unit == _ALL else (unit,)
    return [f"given_up:{unit}", *(f"cannot_start:{each}" for each in members)]


def _down(state: GroupState, program: str) -> GroupState:
    return replace(state, up=state.up - {program}, stopping=state.stopping - {program})


def _release(state: GroupState, program: str) -> GroupState:
    """End our holds of a program, because a person took it in hand."""
    holds = {
        unit: replace(hold, programs=tuple(each for each in hold.programs if each != program))
        for unit, hold in state.holds.items()
    }
    return replace(state, holds={unit: hold for unit, hold in holds.items() if hold.programs})


def _note_death(state: GroupState, program: str, now: float) -> GroupState:
    unit = _unit(state, program)
    trouble = state.troubles.get(unit, Trouble())
    recent = tuple(at for at in trouble.deaths if now - at < state.declaration.intensity.seconds)
    trouble = replace(trouble, deaths=(*recent, now), last=now)
    return replace(state, troubles={**state.troubles, unit: trouble})


def _with_last(state: GroupState, unit: str, now: float) -> dict[str, Trouble]:
    return {**state.troubles, unit: replace(state.troubles.get(unit, Trouble()), last=now)}


def _unit(state: GroupState, program: str) -> str:
    """Return whose deaths are counted together."""
    return _ALL if state.declaration.strategy is RestartStrategy.ONE_FOR_ALL else program


def _ordered(state: GroupState, programs: set[str]) -> tuple[str, ...]:
    declared = state.declaration.programs
    return tuple(sorted(programs, key=lambda each: declared.index(each) if each in declared else len(declared)))

"""Restart rules: tables for each strategy, and properties over a model of supervisord that obeys them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.supervision.declared import Declaration, Intensity, RestartStrategy
from tradeproc.supervision.repeats import RepeatedDeaths, told
from tradeproc.supervision.restarts import (
    Action,
    CameUp,
    Died,
    Ended,
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
)
from tradeproc.supervision.rules import GroupState, Settings, decide, over, remembered

PROGRAMS = ("a", "b", "c")
PAUSES = Settings(first=1.0, most=8.0, slow=100.0, holds=4)


def group(strategy: RestartStrategy, *, up: Sequence[str] = PROGRAMS, restarts: int = 3) -> GroupState:
    return GroupState(Declaration("g", strategy, Intensity(restarts, 10.0), PROGRAMS), up=frozenset(up))


def run(state: GroupState, *events: Event, at: float = 0.0) -> tuple[GroupState, list[Action]]:
    actions: list[Action] = []
    for event in events:
        state, more = decide(state, event, at, 0.5, PAUSES)
        actions += more
    return state, actions


@pytest.mark.parametrize(
    ("strategy", "dead", "stopped"),
    [
        (RestartStrategy.ONE_FOR_ONE, "b", []),
        (RestartStrategy.ONE_FOR_ALL, "b", ["c", "a"]),
        (RestartStrategy.REST_FOR_ONE, "a", ["c", "b"]),
        (RestartStrategy.REST_FOR_ONE, "b", ["c"]),
        (RestartStrategy.REST_FOR_ONE, "c", []),
    ],
)
def test_companions_stop_last_to_first_and_start_first_to_last(
    strategy: RestartStrategy, dead: str, stopped: list[str]
) -> None:
    state, actions = run(group(strategy), Died(dead))
    assert actions == [Stop(each) for each in stopped]

    state, actions = run(state, CameUp(dead, is_respawn=True), *[Stopped(each) for each in stopped])

    assert actions == [Start(each) for each in reversed(stopped)]


def test_companions_that_were_down_stay_down() -> None:
    _, actions = run(group(RestartStrategy.ONE_FOR_ALL, up=["a", "b"]), Died("b"), CameUp("b", True), Stopped("a"))

    assert actions == [Stop("a"), Start("a")]


def test_two_that_die_together_do_not_restart_each_other_twice() -> None:
    state, actions = run(group(RestartStrategy.ONE_FOR_ALL, up=["a", "b"]), Died("b"), Died("a"))

    assert actions[0] == Stop("a")
    # a died before it could be stopped: supervisord restarts it, and one Start too many is harmless
    assert actions[1:] == [Start("a")]
    assert not state.stopping


def test_beyond_the_intensity_the_pause_doubles_until_giving_up_and_then_is_slow() -> None:
    state = group(RestartStrategy.ONE_FOR_ONE)
    now, pauses, seen = 0.0, [], []
    dies = ReportTrouble("dies:b", "g: " + told("b", "b", RepeatedDeaths("", 5, 5)))
    for _ in range(3):
        state, actions = run(state, Died("b"), CameUp("b", True), at=now)
        assert actions == []
    for _ in range(7):
        state, actions = run(state, Died("b"), at=now)
        assert actions[0] == Stop("b")
        seen += [each for each in actions[1:] if each != dies]
        pauses.append(state.holds["b"].until - now)
        state, actions = run(state, Stopped("b"), at=now)
        assert actions == []
        now = state.holds["b"].until
        state, actions = run(state, TimerFired(), at=now)
        assert actions == [Start("b")]
        state, _ = run(state, CameUp("b"), at=now)

    assert pauses == [1.0, 2.0, 4.0, 8.0, 100.0, 100.0, 100.0]
    assert [type(action) for action in seen] == [ReportTrouble, HaltEntries]


def test_calm_clears_the_history_and_the_alarm() -> None:
    state, _ = run(group(RestartStrategy.ONE_FOR_ONE, restarts=0), Died("b"), Stopped("b"))
    state, actions = run(state, TimerFired(), CameUp("b"), at=5.0)
    assert actions == [Start("b")]

    state, actions = run(state, TimerFired(), at=14.9)
    assert actions == []
    state, actions = run(state, TimerFired(), at=15.1)

    assert ReportCleared("given_up:b") in actions
    assert not state.troubles


def test_jitter_moves_the_pause_by_a_quarter_at_most() -> None:
    pauses = []
    for chance in (0.0, 0.5, 1.0):
        state, _ = decide(group(RestartStrategy.ONE_FOR_ONE, restarts=0), Died("b"), 0.0, chance, PAUSES)
        pauses.append(state.holds["b"].until)

    assert pauses == [0.75, 1.0, 1.25]


def test_a_held_one_for_all_group_goes_down_and_comes_back_whole() -> None:
    state, actions = run(group(RestartStrategy.ONE_FOR_ALL, restarts=0), Died("b"))
    assert actions == [Stop("b"), Stop("c"), Stop("a")]
    state, actions = run(state, Stopped("b"), Stopped("c"), Stopped("a"), TimerFired(), at=0.5)
    assert actions == []

    state, actions = run(state, TimerFired(), at=1.0)

    assert actions == [Start("a"), Start("b"), Start("c")]


def test_what_supervisord_started_again_in_spite_of_a_hold_is_stopped_again() -> None:
    state, _ = run(group(RestartStrategy.ONE_FOR_ONE, restarts=0), Died("b"), Stopped("b"))

    assert run(state, CameUp("b", is_respawn=True))[1] == [Stop("b")]


def test_what_halted_itself_is_alarmed_and_left_down_until_somebody_starts_it() -> None:
    state, actions = run(group(RestartStrategy.ONE_FOR_ALL), HaltedItself("b"), TimerFired(), at=9e9)
    assert [type(action) for action in actions] == [ReportTrouble]

    _, actions = run(state, CameUp("b"))

    assert actions == [ReportCleared("halted:b")]


def test_the_alarms_of_a_removed_group_are_over() -> None:
    state, raised = run(group(RestartStrategy.ONE_FOR_ONE), HaltedItself("a"), Failed("b", "no such file"))

    names = {alarm.name for alarm in raised if isinstance(alarm, ReportTrouble)}
    assert names <= {action.name for action in over(state) if isinstance(action, ReportCleared)}
    assert over(group(RestartStrategy.ONE_FOR_ONE)) == ()


def test_what_was_known_of_a_program_that_was_removed_is_over_and_the_others_stay() -> None:
    state, raised = run(
        group(RestartStrategy.ONE_FOR_ONE), HaltedItself("a"), Failed("b", "no such file"), HaltedItself("c")
    )

    state, ended = run(state, Removed("a"), Removed("b"))

    names = {alarm.name for alarm in raised if isinstance(alarm, ReportTrouble)} - {"halted:c"}
    assert names == {"halted:a", "cannot_start:b"}
    assert names <= {action.name for action in ended if isinstance(action, ReportCleared)}
    assert ReportCleared("halted:c") not in ended
    assert remembered(state) == {"c"}
    assert run(state, TimerFired(), at=9e9)[1] == [], "no plan is left"


def test_what_is_done_is_left_down() -> None:
    assert run(group(RestartStrategy.ONE_FOR_ALL), Ended("b"), TimerFired(), at=9e9)[1] == []


def test_what_supervisord_cannot_start_is_alarmed_and_tried_again() -> None:
    state, actions = run(group(RestartStrategy.ONE_FOR_ONE), Failed("b", "no such file"))
    assert actions == [ReportTrouble("cannot_start:b", "no such file")]

    assert run(state, TimerFired(), at=1.0)[1] == [Start("b")]


def test_a_person_who_stops_or_starts_ends_our_plans() -> None:
    held, _ = run(group(RestartStrategy.ONE_FOR_ONE, restarts=0), Died("b"), Stopped("b"))
    assert held.is_held("b")

    assert run(held, CameUp("b"))[1] == []
    assert not run(held, CameUp("b"))[0].is_held("b")
    bounced, _ = run(group(RestartStrategy.ONE_FOR_ALL), Died("b"), Stopped("c"), Stopped("b"))
    assert run(bounced, Stopped("a"))[1] == [Start("a"), Start("c")]


def test_a_stop_that_is_heard_of_twice_is_no_persons_wish_and_the_program_is_started_in_its_turn() -> None:
    state, actions = run(group(RestartStrategy.REST_FOR_ONE), Died("b"), CameUp("b", is_respawn=True), Died("a"))
    assert actions == [Stop("c"), Stop("b")]

    assert run(state, Stopped("c"), Stopped("c"), Stopped("b"))[1] == [Start("b"), Start("c")]


# --- a model of supervisord that obeys


@dataclass
class Model:
    """Programs as supervisord has them; an action takes effect and comes back as an event a moment later."""

    state: GroupState
    seed: int
    now: float = 0.0
    starts: list[tuple[float, str]] = field(default_factory=list)
    alarms: set[str] = field(default_factory=set)
    by_hand: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.status = dict.fromkeys(PROGRAMS, "up")

    def tell(self, event: Event) -> None:
        self.state, actions = decide(self.state, event, self.now, self.chance.random(), PAUSES)
        follow: list[Event] = []
        for action in actions:
            match action:
                case Stop(program) if self.status[program] in ("up", "exited"):
                    self.status[program] = "stopped"
                    follow.append(Stopped(program))
                case Start(program) if self.status[program] != "up":
                    assert program not in self.by_hand, "what a person stopped stays stopped"
                    self.up(program)
                    follow.append(CameUp(program))
                case ReportTrouble(name, _):
                    self.alarms.add(name)
                case ReportCleared(name):
                    self.alarms.discard(name)
                case _:
                    pass
        for event in follow:
            self.tell(event)

    def up(self, program: str) -> None:
        self.status[program] = "up"
        self.starts.append((self.now, program))

    def die(self, program: str) -> None:
        if self.status[program] != "up":
            return
        self.status[program] = "exited"
        self.tell(Died(program))
        if self.status[program] == "exited":
            self.up(program)
            self.tell(CameUp(program, is_respawn=True))

    def stop_by_hand(self, program: str) -> None:
        # supervisord refuses to stop what is down, and tells nobody
        if self.status[program] == "up":
            self.by_hand.add(program)
            self.status[program] = "stopped"
            self.tell(Stopped(program))

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 0.5, end)
            self.tell(TimerFired())


steps = st.lists(
    st.one_of(
        st.tuples(st.just("die"), st.sampled_from(PROGRAMS)),
        st.tuples(st.just("hand"), st.sampled_from(PROGRAMS)),
        st.tuples(st.just("time"), st.sampled_from(["0.3", "1", "7", "120"])),
    ),
    max_size=40,
)


@given(st.sampled_from(list(RestartStrategy)), steps, st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_whatever_happened_all_is_up_again_after_calm_but_what_a_person_stopped(
    strategy: RestartStrategy, happened: list[tuple[str, str]], seed: int
) -> None:
    model = Model(group(strategy), seed)
    for what, which in happened:
        if what == "die":
            model.die(which)
        elif what == "hand":
            model.stop_by_hand(which)
        else:
            model.pass_time(float(which))

    model.pass_time(400.0)

    assert {program for program, status in model.status.items() if status == "up"} == set(PROGRAMS) - model.by_hand
    assert not model.state.holds
    assert not model.state.troubles
    assert not model.alarms


@given(st.sampled_from(list(RestartStrategy)), st.sampled_from(PROGRAMS), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_what_always_dies_is_tried_ever_slower_and_never_given_up_silently(
    strategy: RestartStrategy, broken: str, seed: int
) -> None:
    model = Model(group(strategy), seed)
    for _ in range(2000):
        model.die(broken)
        model.pass_time(0.5)

    tries = [at for at, program in model.starts if program == broken]
    early, late = [at for at in tries if at < 100], [at for at in tries if at >= 500]
    assert len(early) <= 3 + 1 + PAUSES.holds * 2 + 2
    assert 2 <= len(late) <= 2 * 500 / (0.75 * PAUSES.slow) + 2
    assert any(name.startswith("given_up:") for name in model.alarms)
    others = [program for program in PROGRAMS if program != broken]
    if strategy is RestartStrategy.ONE_FOR_ONE:
        assert not [program for _, program in model.starts if program in others]


@given(st.sampled_from(PROGRAMS), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_within_the_intensity_one_for_all_restarts_each_exactly_once_a_death(dead: str, deaths: int) -> None:
    model = Model(group(RestartStrategy.ONE_FOR_ALL), 1)
    for _ in range(deaths):
        model.die(dead)
        model.pass_time(1.0)

    for program in PROGRAMS:
        assert len([1 for _, started in model.starts if started == program]) == deaths

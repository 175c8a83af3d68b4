"""What a warden planned goes on under its successor."""

from tradeproc.supervision.declared import Declaration, Intensity, RestartStrategy
from tradeproc.supervision.plans import Plans, note_of, planned
from tradeproc.supervision.restarts import (
    CameUp,
    Died,
    EntriesHalted,
    HaltEntries,
    ReportCleared,
    ReportTrouble,
    Start,
    Stopped,
    TimerFired,
)
from tradeproc.supervision.rules import GroupState, Settings, decide, told_again

DECLARED = Declaration("g", RestartStrategy.ONE_FOR_ALL, Intensity(0, 10.0), ("a", "b"))
PAUSES = Settings(first=8.0)


def test_a_hold_survives_with_the_time_that_is_left_and_its_history() -> None:
    state, _ = decide(GroupState(DECLARED, up=frozenset("ab")), Died("b"), 100.0, 0.5, PAUSES)
    note = note_of(state, 101.0, 5001.0)

    plans = planned(note, 7.0, 5003.0)
    resumed = plans.resumed(DECLARED, frozenset())

    assert resumed.holds["all"].until == 7.0 + 5.0
    assert resumed.troubles["all"].holds == 1
    assert decide(resumed, TimerFired(), 11.9, 0.5, PAUSES)[1] == ()
    assert decide(resumed, TimerFired(), 12.1, 0.5, PAUSES)[1] == (Start("a"), Start("b"))


def test_what_somebody_started_meanwhile_is_not_held() -> None:
    state, _ = decide(GroupState(DECLARED, up=frozenset("ab")), Died("b"), 100.0, 0.5, PAUSES)

    resumed = planned(note_of(state, 100.0, 0.0), 0.0, 0.0).resumed(DECLARED, frozenset("b"))

    assert resumed.holds["all"].programs == ("a",)


def test_an_unfinished_restart_is_finished() -> None:
    declared = Declaration("g", RestartStrategy.ONE_FOR_ALL, Intensity(5, 10.0), ("a", "b"))
    state, _ = decide(GroupState(declared, up=frozenset("ab")), Died("b"), 0.0, 0.5, PAUSES)
    state, _ = decide(state, CameUp("b", True), 0.0, 0.5, PAUSES)

    resumed = planned(note_of(state, 0.0, 0.0), 9.0, 9.0).resumed(declared, frozenset("b"))

    assert decide(resumed, TimerFired(), 9.0, 0.5, PAUSES)[1] == (Start("a"),)


def given_up(*, is_halted: bool) -> GroupState:
    """Return a group that was given up and is up again by a slow retry, as the next warden finds it."""
    pauses, now = Settings(first=1.0, most=1.0, slow=100.0, holds=2), 0.0
    state = GroupState(DECLARED, up=frozenset("ab"))
    for _ in range(3):
        for event in (Died("b"), Stopped("a"), Stopped("b")):
            state, _ = decide(state, event, now, 0.5, pauses)
        now = state.holds["all"].until
        for event in (TimerFired(), CameUp("a"), CameUp("b")):
            state, _ = decide(state, event, now, 0.5, pauses)
    if is_halted:
        state, _ = decide(state, EntriesHalted(), now, 0.5, pauses)
    assert not state.holds
    return planned(note_of(state, now, 9000.0), 7.0, 9001.0).resumed(DECLARED, state.up)


def test_between_a_retry_and_calm_the_history_survives_and_calm_begins_anew() -> None:
    resumed = given_up(is_halted=False)
    assert decide(resumed, TimerFired(), 16.9, 0.5, PAUSES)[0].troubles == resumed.troubles
    calm, actions = decide(resumed, TimerFired(), 17.1, 0.5, PAUSES)

    assert not calm.troubles
    assert actions == tuple(ReportCleared(name) for name in ("given_up:all", "cannot_start:a", "cannot_start:b"))
    dead, _ = decide(resumed, Died("b"), 8.0, 0.5, Settings(first=1.0, slow=100.0, holds=2))
    assert dead.holds["all"].until == 108.0


def test_what_was_given_up_is_told_again_but_a_halt_that_the_keeper_took_is_not() -> None:
    alarm, *halts = told_again(given_up(is_halted=False))
    assert isinstance(alarm, ReportTrouble)
    assert halts == [HaltEntries(alarm.detail)]

    assert told_again(given_up(is_halted=True)) == (alarm,)
    assert told_again(GroupState(DECLARED)) == ()


def test_what_was_given_up_and_dies_on_is_not_told_a_second_time() -> None:
    _, actions = decide(given_up(is_halted=True), Died("b"), 8.0, 0.5, Settings(holds=2))

    assert not [action for action in actions if isinstance(action, ReportTrouble | HaltEntries)]


def test_a_note_does_not_change_by_itself() -> None:
    state, _ = decide(GroupState(DECLARED, up=frozenset("ab")), Died("b"), 100.0, 0.5, PAUSES)

    assert note_of(state, 101.0, 5001.0) == note_of(state, 102.0, 5002.000001)


def test_no_plans_are_no_note_and_a_note_that_cannot_be_read_is_no_plan() -> None:
    state, _ = decide(GroupState(DECLARED, up=frozenset("ab")), Stopped("b"), 0.0, 0.5, PAUSES)

    assert note_of(state, 0.0, 0.0) == ""
    for note in ("", "{", "[]", '{"holds": {"all": {}}, "to_start": []}'):
        assert planned(note, 0.0, 0.0) == Plans()

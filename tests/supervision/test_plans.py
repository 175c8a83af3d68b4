"""What a warden planned goes on under its successor."""

from tradeproc.supervision.declared import Declaration, Intensity, Strategy
from tradeproc.supervision.plans import Plans, note_of, planned
from tradeproc.supervision.restarts import Died, Start, Started, Stopped, TimePassed
from tradeproc.supervision.rules import GroupState, Settings, decide

DECLARED = Declaration("g", Strategy.ONE_FOR_ALL, Intensity(0, 10.0), ("a", "b"))
PAUSES = Settings(first=8.0)


def test_a_hold_survives_with_the_time_that_is_left_and_its_history() -> None:
    state, _ = decide(GroupState(DECLARED, up=frozenset("ab")), Died("b"), 100.0, 0.5, PAUSES)
    note = note_of(state, 101.0, 5001.0)

    plans = planned(note, 7.0, 5003.0)
    resumed = plans.resumed(DECLARED, frozenset())

    assert resumed.holds["all"].until == 7.0 + 5.0
    assert resumed.troubles["all"].holds == 1
    assert decide(resumed, TimePassed(), 11.9, 0.5, PAUSES)[1] == ()
    assert decide(resumed, TimePassed(), 12.1, 0.5, PAUSES)[1] == (Start("a"), Start("b"))


def test_what_somebody_started_meanwhile_is_not_held() -> None:
    state, _ = decide(GroupState(DECLARED, up=frozenset("ab")), Died("b"), 100.0, 0.5, PAUSES)

    resumed = planned(note_of(state, 100.0, 0.0), 0.0, 0.0).resumed(DECLARED, frozenset("b"))

    assert resumed.holds["all"].programs == ("a",)


def test_an_unfinished_restart_is_finished() -> None:
    declared = Declaration("g", Strategy.ONE_FOR_ALL, Intensity(5, 10.0), ("a", "b"))
    state, _ = decide(GroupState(declared, up=frozenset("ab")), Died("b"), 0.0, 0.5, PAUSES)
    state, _ = decide(state, Started("b", True), 0.0, 0.5, PAUSES)

    resumed = planned(note_of(state, 0.0, 0.0), 9.0, 9.0).resumed(declared, frozenset("b"))

    assert decide(resumed, TimePassed(), 9.0, 0.5, PAUSES)[1] == (Start("a"),)


def test_no_plans_are_no_note_and_a_note_that_cannot_be_read_is_no_plan() -> None:
    state, _ = decide(GroupState(DECLARED, up=frozenset("ab")), Stopped("b"), 0.0, 0.5, PAUSES)

    assert note_of(state, 0.0, 0.0) == ""
    for note in ("", "{", "[]", '{"holds": {"all": {}}, "to_start": []}'):
        assert planned(note, 0.0, 0.0) == Plans()

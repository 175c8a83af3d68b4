"""Deaths that repeat with the same cause and no work between are a failure however slow; a table, and a property."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.procs.__main__ import KINDS
from tradeproc.supervision import repeats
from tradeproc.supervision.declared import Declaration, Intensity, RestartStrategy
from tradeproc.supervision.halted_by import BY_TRADER
from tradeproc.supervision.plans import note_of, planned
from tradeproc.supervision.repeats import (
    WORK,
    RepeatedDeaths,
    after_death,
    after_work,
    is_failing,
    is_over,
    wants_halt,
)
from tradeproc.supervision.restarts import (
    BY_WARDEN,
    Action,
    CameUp,
    Died,
    EntriesHalted,
    Event,
    HaltedItself,
    HaltEntries,
    ReportCleared,
    ReportTrouble,
    Start,
    Stop,
    Stopped,
    TimerFired,
    Worked,
)
from tradeproc.supervision.rules import GroupState, Settings, Trouble, decide, over, told_again

MINUTE, HOUR = 60.0, 3600.0
CAUSE = "KeyError: 'x' (mine.py, line 7, on_candle)"


def after(*deaths: tuple[str, bool], every: float = HOUR) -> RepeatedDeaths:
    known = None
    for number, (cause, has_worked) in enumerate(deaths):
        known = after_death(known, cause, number * every, has_worked=has_worked)
    assert known is not None
    return known


IDLE, BUSY, MUTE = (CAUSE, False), (CAUSE, True), ("", False)
OTHER = ("Outage: gone", False)


@pytest.mark.parametrize(
    ("deaths", "fails"),
    [
        ([IDLE] * 2, False),
        ([IDLE] * 3, True),
        ([BUSY] * 3, False),
        ([BUSY, IDLE, IDLE], True),
        ([IDLE, IDLE, BUSY], False),
        ([IDLE, IDLE, BUSY, IDLE], False),
        ([IDLE, OTHER, IDLE, OTHER], False),
        ([IDLE, OTHER, IDLE, OTHER, IDLE], True),
        ([BUSY] * 5, True),
        ([("", True)] * 9, False),
        ([MUTE] * 4, False),
        ([MUTE] * 5, True),
        ([("price 4800 at 0x7f3a", False), ("price 4801.25 at 0x81ff", False), ("price 9 at 0x1", False)], True),
    ],
)
def test_what_is_a_failure(deaths: list[tuple[str, bool]], fails: bool) -> None:
    assert is_failing(after(*deaths), HOUR * (len(deaths) - 1)) == fails


@given(st.floats(1.0, 30 * 86_400.0))
def test_the_same_cause_without_work_is_a_failure_however_slow(every: float) -> None:
    assert is_failing(after(IDLE, IDLE, IDLE, every=every), 2 * every)


def test_the_same_cause_with_work_between_is_over_when_a_day_has_passed() -> None:
    known = after_work(after(*[BUSY] * 5))

    assert is_failing(known, 5 * HOUR)
    assert not is_failing(known, 30 * HOUR)
    assert is_over(known, 30 * HOUR)


@pytest.mark.parametrize(("kind", "halts"), [("trader", True), ("account", True), ("link", False), ("jobs", False)])
def test_only_a_session_whose_own_process_fails_for_some_time_enters_no_more(kind: str, halts: bool) -> None:
    quick, slow = after(*[IDLE] * 3, every=10.0), after(*[IDLE] * 3, every=MINUTE)

    assert not wants_halt(quick, kind, 20.0)
    assert wants_halt(slow, kind, 2 * MINUTE) == halts
    assert not wants_halt(after(*[BUSY] * 9), kind, 9 * HOUR)


def test_every_kind_of_process_has_its_work() -> None:
    assert set(WORK) == set(KINDS) - {"warden"}


# --- in the rules of a group

DECLARED = Declaration("session-7", RestartStrategy.ONE_FOR_ALL, Intensity(5, 60.0), ("account", "trader"))
PAUSES = Settings()


class Group:
    """A group under the rules, with a supervisord that does what it is told."""

    def __init__(self) -> None:
        self.state = GroupState(DECLARED, up=frozenset(DECLARED.programs))
        self.now = 0.0
        self.said: list[Action] = []

    def tell(self, *events: Event) -> None:
        for event in events:
            self.state, actions = decide(self.state, event, self.now, 0.5, PAUSES)
            for action in actions:
                match action:
                    case Stop(program):
                        self.tell(Stopped(program))
                    case Start(program):
                        self.tell(CameUp(program))
                    case _:
                        self.said.append(action)

    def die(
        self, cause: str = CAUSE, *, has_worked: bool = False, after: float = MINUTE, program: str = "trader"
    ) -> None:
        self.now += after
        self.tell(TimerFired(), Died(program, cause, has_worked), CameUp(program, is_respawn=True))


TEXT = f"session-7: trader died 3 times of the same cause, and in none of these lives a bar was decided: {CAUSE}"


def test_a_trader_that_dies_on_each_bar_is_told_once_and_halted_with_its_reason() -> None:
    group = Group()
    for _ in range(5):
        group.die()

    alarms = [action for action in group.said if isinstance(action, ReportTrouble)]
    halts = [action for action in group.said if isinstance(action, HaltEntries)]
    assert alarms == [ReportTrouble("dies:trader", TEXT)]
    assert halts[0] == HaltEntries(TEXT, BY_TRADER)
    assert group.state.up == frozenset(DECLARED.programs), "it is not held down: its position is watched"


def test_the_first_work_ends_the_alarm() -> None:
    group = Group()
    for _ in range(3):
        group.die()

    group.tell(Worked("trader"))

    assert group.said[-1] == ReportCleared("dies:trader")
    group.die(has_worked=True)
    assert group.said[-1] == ReportCleared("dies:trader")


@pytest.mark.parametrize(("program", "ends"), [("account", True), ("trader", False)])
def test_a_life_twice_as_long_as_those_before_ends_the_alarm_but_not_of_a_trader_whose_market_may_be_closed(
    program: str, ends: bool
) -> None:
    group = Group()
    for _ in range(3):
        group.die(program=program)
    assert isinstance(group.said[0], ReportTrouble)

    group.now += 1.9 * MINUTE
    group.tell(TimerFired())
    assert ReportCleared(f"dies:{program}") not in group.said
    group.now += 0.2 * MINUTE
    group.tell(TimerFired())

    assert (ReportCleared(f"dies:{program}") in group.said) == ends


def test_a_person_who_stops_it_begins_anew_and_so_does_a_group_that_goes() -> None:
    group = Group()
    for _ in range(3):
        group.die()
    assert ReportCleared("dies:trader") in over(group.state)

    group.tell(Stopped("trader"), CameUp("trader"))

    assert group.said[-1] == ReportCleared("dies:trader")
    assert not group.state.repeats


def test_a_death_on_the_way_down_is_nobodys() -> None:
    group = Group()
    group.state, _ = decide(group.state, Died("account", CAUSE), 0.0, 0.5, PAUSES)

    group.state, _ = decide(group.state, Died("trader", "killed by us"), 0.0, 0.5, PAUSES)

    assert set(group.state.repeats) == {"account"}


def test_the_count_and_the_alarm_outlive_the_warden() -> None:
    group = Group()
    for _ in range(2):
        group.die()
    note = note_of(group.state, group.now, 5000.0)

    group.state = planned(note, 7.0, 5060.0).resumed(DECLARED, group.state.up)
    group.now = 7.0
    group.die()

    assert group.said == [ReportTrouble("dies:trader", TEXT), HaltEntries(TEXT, BY_TRADER)]
    again = planned(note_of(group.state, 0.0, 0.0), 0.0, 0.0).resumed(DECLARED, group.state.up)
    assert told_again(again) == (ReportTrouble("dies:trader", TEXT),)


def test_an_older_note_is_still_read() -> None:
    assert planned('{"holds": {}, "to_start": ["a"], "troubles": {}}', 0.0, 0.0).to_start == ("a",)


def test_a_trader_that_is_given_up_before_it_decides_a_bar_comes_up_without_its_strategy_at_once() -> None:
    group = Group()
    while not any(isinstance(action, HaltEntries) for action in group.said):
        group.die(after=0.1)
        group.now = max((hold.until for hold in group.state.holds.values()), default=group.now)
        group.tell(TimerFired())
        assert len(group.said) < 40
    reports = [action for action in group.said if isinstance(action, ReportTrouble)]
    [given_up] = [report for report in reports if report.name == "given_up:all"]
    assert given_up.detail.endswith(CAUSE)
    assert {action.by for action in group.said if isinstance(action, HaltEntries)} == {BY_TRADER}

    group.die(after=0.1)
    group.tell(EntriesHalted(), TimerFired())

    assert group.state.up == frozenset(DECLARED.programs)


def test_a_group_that_is_given_up_for_another_program_is_halted_by_the_warden() -> None:
    state, said = GroupState(DECLARED, up=frozenset(DECLARED.programs)), []
    for number in range(40):
        for event in (Died("account", CAUSE, True), Stopped("trader"), Stopped("account"), TimerFired()):
            state, actions = decide(state, event, 1000.0 * number, 0.5, Settings(holds=0))
            said += [action for action in actions if isinstance(action, HaltEntries)]
        state = replace(state, troubles={"all": Trouble(holds=1)}, up=frozenset(DECLARED.programs))

    assert {halt.by for halt in said} == {BY_WARDEN}


def test_a_process_that_halts_itself_says_why() -> None:
    group = Group()

    group.tell(HaltedItself("account", "NoSession: there is no session 7"))

    assert "NoSession: there is no session 7; start it again" in str(group.said[-1])


def test_the_text_of_a_daily_death_says_so() -> None:
    known = after(*[BUSY] * 5)

    assert repeats.told("bars-ESH24-1m", "bars", known).startswith("bars-ESH24-1m died 5 times within a day of")

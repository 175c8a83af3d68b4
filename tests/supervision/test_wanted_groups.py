"""The keeper's steps lead to the wanted groups and leave all others alone."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.supervision.client import Program, ProgramState
from tradeproc.supervision.wanted_groups import (
    AddLink,
    AddSession,
    RemoveFile,
    RemoveGroup,
    StartLink,
    Step,
    StopGroup,
    WantedSession,
    reconcile,
    without_conflicts,
)

RUNNING, STOPPED, EXITED, STOPPING = (
    ProgramState.RUNNING,
    ProgramState.STOPPED,
    ProgramState.EXITED,
    ProgramState.STOPPING,
)


def program(group: str, name: str, state: ProgramState = RUNNING, code: int = 0) -> Program:
    return Program(group, name, state, 1 if state is RUNNING else 0, code, 1, 0, "", "")


def session(number: int, state: ProgramState = RUNNING) -> list[Program]:
    return [program(f"session-{number}", name, state) for name in ("account", "trader")]


ONE = WantedSession(1, "paper", "A", "ES")
TWO = WantedSession(2, "paper", "B", "ES")
CORE = [program("core", "keeper"), program("warden", "warden")]


def test_the_link_comes_before_its_sessions_and_is_shared() -> None:
    assert reconcile([ONE, TWO], CORE, []) == [AddLink("paper"), AddSession(1), AddSession(2)]


def test_nothing_is_done_when_all_agrees() -> None:
    running = [*CORE, *session(1), program("link-paper", "link"), program("link-paper", "orders-A")]

    assert reconcile([ONE], running, ["session-1", "link-paper"]) == []


def test_a_link_that_ended_idle_is_started_for_a_new_session_but_a_halted_one_is_left_down() -> None:
    idle, halted = program("link-paper", "link", EXITED, 0), program("link-paper", "link", EXITED, 78)

    assert reconcile([ONE], [idle], []) == [StartLink("paper"), AddSession(1)]
    assert reconcile([ONE], [halted], []) == [AddSession(1)]


def test_what_a_person_stopped_stays_stopped() -> None:
    running = [*session(1, STOPPED), program("link-paper", "link", STOPPED)]

    assert reconcile([ONE], running, ["session-1", "link-paper"]) == []


def test_a_link_is_not_started_again_and_again_for_a_session_that_a_person_stopped() -> None:
    idle = program("link-paper", "link", EXITED, 0)

    assert reconcile([ONE], [*session(1, STOPPED), idle], ["session-1"]) == []
    assert reconcile([ONE, TWO], [*session(1, STOPPED), *session(2), idle], ["session-1"]) == [StartLink("paper")]


def test_an_unwanted_session_is_stopped_then_awaited_then_removed() -> None:
    link = [program("link-paper", "link")]

    assert reconcile([], [*session(1), *link], []) == [StopGroup("session-1")]
    assert reconcile([], [*session(1, STOPPING), *link], []) == []
    assert reconcile([], [*session(1, STOPPED), *link], []) == [RemoveGroup("session-1")]


def test_a_link_that_nobody_wants_ends_by_itself_and_only_its_remains_are_cleared() -> None:
    feed = program("link-paper", "orders-A")

    assert reconcile([], [program("link-paper", "link"), feed], []) == []
    assert reconcile([], [program("link-paper", "link", EXITED), feed], []) == [StopGroup("link-paper")]
    assert reconcile([], [program("link-paper", "link", EXITED)], []) == [RemoveGroup("link-paper")]


def test_a_file_left_without_group_is_removed_unless_it_is_somebody_elses() -> None:
    assert reconcile([], CORE, ["session-9", "link-old", "sockets", "mine"]) == [
        RemoveFile("link-old"),
        RemoveFile("session-9"),
    ]


def test_one_account_and_product_has_one_session_and_the_running_one_keeps_it() -> None:
    same = replace(TWO, account="A")

    assert without_conflicts([same, ONE], []) == ([ONE], {2: 1})
    assert without_conflicts([same, ONE], ["session-2"]) == ([same], {1: 2})
    assert without_conflicts([ONE, TWO], []) == ([ONE, TWO], {})
    assert without_conflicts([ONE, replace(TWO, account="A", login="other")], []) == ([ONE], {2: 1})
    nasdaq = replace(TWO, account="A", root="NQ")
    assert without_conflicts([ONE, nasdaq], []) == ([ONE, nasdaq], {})


class Model:
    """What supervisord would make of the steps; stopping takes one look longer."""

    def __init__(self, programs: list[Program], files: set[str]) -> None:
        self.programs, self.files = programs, files

    def take(self, step: Step) -> None:
        match step:
            case AddLink(login):
                self.files.add(f"link-{login}")
                self.programs.append(program(f"link-{login}", "link"))
            case AddSession(number):
                self.files.add(f"session-{number}")
                self.programs += session(number)
            case StartLink(login):
                self._set(f"link-{login}", EXITED, RUNNING)
            case StopGroup(group):
                self._set(group, RUNNING, STOPPING)
            case RemoveGroup(group):
                assert all(each.state.is_down for each in self.programs if each.group == group)
                self.programs = [each for each in self.programs if each.group != group]
                self.files.discard(group)
            case RemoveFile(group):
                self.files.discard(group)

    def turn(self) -> None:
        """Stopping ends; a link that nobody wants ends idle."""
        self.programs = [replace(each, state=STOPPED) if each.state is STOPPING else each for each in self.programs]

    def _set(self, group: str, before: ProgramState, after: ProgramState) -> None:
        self.programs = [
            replace(each, state=after) if each.group == group and each.state is before else each
            for each in self.programs
        ]


states = st.sampled_from([RUNNING, STOPPED, EXITED, STOPPING, ProgramState.FATAL])
worlds = st.tuples(
    st.dictionaries(st.integers(1, 4), st.lists(states, min_size=2, max_size=2)),
    st.dictionaries(st.sampled_from(["paper", "live"]), st.lists(states, min_size=1, max_size=3)),
    st.sets(st.sampled_from(["session-1", "session-3", "session-9", "link-paper", "link-gone"])),
    st.dictionaries(st.integers(1, 4), st.sampled_from(["paper", "live"])),
)


@given(worlds)
@settings(max_examples=150, deadline=None)
def test_from_any_state_the_wanted_groups_come_and_no_wanted_process_is_touched(
    world: tuple[dict[int, list[ProgramState]], dict[str, list[ProgramState]], set[str], dict[int, str]],
) -> None:
    sessions, links, files, running = world
    programs = list(CORE)
    for number, found in sessions.items():
        programs += [program(f"session-{number}", name, state) for name, state in zip("at", found, strict=True)]
    for login, found in links.items():
        names = ["link", "orders-A", "bars-ESH24-1m"]
        programs += [program(f"link-{login}", name, state) for name, state in zip(names, found, strict=False)]
    model = Model(programs, set(files))
    wanted = [WantedSession(number, login, f"A{number}", "ES") for number, login in running.items()]
    mine = {each.group for each in wanted} | {f"link-{each.login}" for each in wanted}

    for _ in range(6):
        before = [each for each in model.programs if each.group in mine and each.state is RUNNING]
        for step in reconcile(wanted, model.programs, model.files):
            model.take(step)
        assert all(each in model.programs for each in before)
        assert all(each in model.programs for each in CORE)
        model.turn()

    groups = {each.group for each in model.programs}
    assert mine <= groups
    assert {group for group in groups if group.startswith("session-")} == {each.group for each in wanted}
    for group in groups - mine:
        assert group in ("core", "warden") or any(
            each.name == "link" and each.state is RUNNING for each in model.programs if each.group == group
        )
    assert reconcile(wanted, model.programs, model.files) == []


APART = replace(ONE, data_login="data")


def test_a_session_has_the_link_of_its_orders_and_that_of_its_bars_both_before_itself() -> None:
    assert reconcile([APART], CORE, []) == [AddLink("data"), AddLink("paper"), AddSession(1)]
    assert reconcile([replace(APART, data_login="paper")], CORE, []) == [AddLink("paper"), AddSession(1)]


def test_a_session_has_the_link_of_its_witness_too_once_where_it_serves_something_else_as_well() -> None:
    witnessed = replace(ONE, witness_login="other")

    assert reconcile([witnessed], CORE, []) == [AddLink("other"), AddLink("paper"), AddSession(1)]
    assert reconcile([replace(APART, witness_login="paper")], CORE, []) == reconcile([APART], CORE, [])


def test_a_data_link_that_ended_idle_is_started_for_a_session_and_goes_when_none_needs_it() -> None:
    paper, idle = program("link-paper", "link"), program("link-data", "link", EXITED, 0)
    running = [*session(1), *session(2), paper, idle]

    assert reconcile([APART, TWO], running, []) == [StartLink("data")]
    assert reconcile([APART, TWO], [*session(1, STOPPED), *session(2), paper, idle], []) == []
    assert reconcile([ONE, TWO], running, []) == [RemoveGroup("link-data")]

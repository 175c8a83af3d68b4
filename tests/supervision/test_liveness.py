"""Hung processes are found by silence and by standstill, and nobody else is."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.protocol.names import ProcessName
from tradeproc.supervision.liveness import Hung, Limits, Liveness, Running

LIMITS = Limits(hung=10.0, start=45.0, by_kind={"trader": 8.0})
TRADER, LINK = "session-1.trader", "link-paper.link"


def watched(*processes: str) -> Liveness:
    liveness = Liveness(LIMITS)
    liveness.running({process: Running(number) for number, process in enumerate(processes, 1)}, 0.0)
    return liveness


def look_until(liveness: Liveness, start: float, end: float, beating: dict[str, int] | None = None) -> list[Hung]:
    """Look once a second; `beating` processes turn their loop each second."""
    found = []
    for second in range(int(start), int(end) + 1):
        for process, pid in (beating or {}).items():
            liveness.heard(process, pid, second, float(second))
        found += liveness.hung(float(second))
    return found


def test_who_beats_and_turns_is_never_hung() -> None:
    assert look_until(watched(TRADER, LINK), 0, 300, {TRADER: 1, LINK: 2}) == []


def test_silence_is_found_after_the_limit_of_the_kind_and_told_once() -> None:
    liveness = watched(TRADER, LINK)
    look_until(liveness, 0, 5, {TRADER: 1, LINK: 2})

    assert look_until(liveness, 6, 13, {LINK: 2}) == []
    assert look_until(liveness, 14, 60, {LINK: 2}) == [Hung(TRADER, 1, "no heartbeat for 8 s")]


def test_who_was_killed_in_its_start_gets_more_time_for_the_next_until_it_has_beaten() -> None:
    liveness = watched(LINK)
    killed_after = []
    for pid in range(2, 6):
        begun = pid * 1000
        liveness.running({}, begun - 1.0)
        liveness.hung(float(begun))
        liveness.running({LINK: Running(pid)}, float(begun))
        found: list[Hung] = []
        while not found:
            begun += 1
            found = liveness.hung(float(begun))
        killed_after.append(begun - pid * 1000)
    liveness.running({LINK: Running(9)}, 9000.0)
    liveness.heard(LINK, 9, 1, 9150.0)

    assert killed_after == [46, 91, 181, 181]
    liveness.hung(10_000.0)
    liveness.running({LINK: Running(10)}, 10_000.0)
    assert [each.pid for each in look_until(liveness, 10_000, 10_046)] == [10]


def test_heartbeats_without_a_turning_loop_are_no_life() -> None:
    liveness = watched(LINK)
    found = []
    for second in range(30):
        liveness.heard(LINK, 1, 7, float(second))
        found += liveness.hung(float(second))

    assert [hung.reason for hung in found] == ["heartbeats, but its loop stands still for 10 s"]


def test_the_silence_of_all_who_were_heard_is_known() -> None:
    liveness = watched(TRADER, LINK, "core.jobs")
    look_until(liveness, 0, 5, {TRADER: 1, LINK: 2})
    look_until(liveness, 6, 8, {LINK: 2})

    assert liveness.silence(8.25) == {TRADER: 3.2, LINK: 0.2}

    liveness.running({TRADER: Running(9), LINK: Running(2)}, 8.5)
    assert liveness.silence(8.5) == {LINK: 0.5}


def test_a_process_that_never_begins_to_beat_is_found() -> None:
    assert look_until(watched(TRADER), 0, 45) == []
    assert [hung.process for hung in look_until(watched(TRADER), 0, 46)] == [TRADER]
    assert look_until(watched("core.postgres"), 0, 120) == []


def first_seen(process: str, age: float) -> Liveness:
    """Be a watcher that begins when the process is this old."""
    liveness = Liveness(LIMITS)
    liveness.running({process: Running(1, age)}, 0.0)
    return liveness


def test_a_new_watcher_gives_no_one_a_second_start() -> None:
    # older than its start may take: as any silence, from when the watcher began to look
    assert look_until(first_seen(TRADER, 3600.0), 0, 8) == []
    assert look_until(first_seen(TRADER, 3600.0), 0, 9) == [Hung(TRADER, 1, "no heartbeat in the 8 s that it had")]
    assert look_until(first_seen("core.postgres", 3600.0), 0, 10) == []
    assert look_until(first_seen("core.postgres", 3600.0), 0, 11)
    # still starting: what is left of it
    assert look_until(first_seen(TRADER, 25.0), 0, 20) == []
    assert look_until(first_seen(TRADER, 25.0), 0, 21)
    assert look_until(first_seen("core.postgres", 25.0), 0, 575) == []
    assert look_until(first_seen("core.postgres", 25.0), 0, 576)


def test_an_age_below_zero_is_a_clock_that_jumped_and_no_reason_to_wait_longer() -> None:
    assert look_until(first_seen(TRADER, -9e9), 0, 45) == []
    assert look_until(first_seen(TRADER, -9e9), 0, 46)


@given(st.sampled_from([TRADER, LINK, "core.postgres"]), st.floats(-1e9, 1e9))
@settings(max_examples=60, deadline=None)
def test_whatever_the_age_silence_is_found_and_never_before_the_limit_of_the_kind(process: str, age: float) -> None:
    liveness = first_seen(process, age)
    limit = LIMITS.hung_after(ProcessName(process).kind)

    assert look_until(liveness, 0, int(limit)) == []
    assert len(look_until(liveness, int(limit) + 1, 601)) == 1


def test_a_restart_begins_anew_and_a_predecessors_heartbeat_does_not_count() -> None:
    liveness = watched(TRADER)
    look_until(liveness, 0, 5, {TRADER: 1})
    liveness.running({TRADER: Running(99)}, 6.0)

    assert look_until(liveness, 6, 50, {TRADER: 1}) == []
    assert [hung.pid for hung in look_until(liveness, 51, 53, {TRADER: 1})] == [99]


def test_who_was_stopped_is_not_watched() -> None:
    liveness = watched(TRADER)
    look_until(liveness, 0, 5, {TRADER: 1})
    liveness.running({}, 6.0)

    assert look_until(liveness, 6, 100) == []


def test_a_watcher_that_did_not_run_itself_blames_nobody_for_that_time() -> None:
    liveness = watched(TRADER)
    look_until(liveness, 0, 5, {TRADER: 1})

    assert liveness.hung(500.0) == []
    assert look_until(liveness, 501, 507) == []
    assert [hung.process for hung in look_until(liveness, 508, 512)] == [TRADER]


def test_the_kind_is_read_off_the_name() -> None:
    assert ProcessName("link-paper.bars-ESH24-1m").kind == "bars"
    assert ProcessName("session-12.trader").kind == "trader"
    assert ProcessName("core.postgres").kind == "postgres"


def test_work_is_known_of_the_living_and_of_the_dead() -> None:
    liveness = watched(TRADER, LINK)
    liveness.heard(TRADER, 1, 1, 1.0, work=3)
    liveness.heard(LINK, 2, 1, 1.0, work=0)
    assert liveness.working() == {TRADER}

    liveness.running({TRADER: Running(7), LINK: Running(2)}, 2.0)

    assert liveness.working() == frozenset()
    assert [liveness.has_worked(pid) for pid in (1, 2, 7)] == [True, False, False]

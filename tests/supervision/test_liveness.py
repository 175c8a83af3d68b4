"""Hung processes are found by silence and by standstill, and nobody else is."""

from tradeproc.supervision.liveness import Hung, Limits, Liveness, kind_of

LIMITS = Limits(hung=10.0, start=45.0, by_kind={"trader": 8.0})
TRADER, LINK = "session-1.trader", "link-paper.link"


def watched(*processes: str) -> Liveness:
    liveness = Liveness(LIMITS)
    liveness.running({process: number for number, process in enumerate(processes, 1)}, 0.0)
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


def test_heartbeats_without_a_turning_loop_are_no_life() -> None:
    liveness = watched(LINK)
    found = []
    for second in range(30):
        liveness.heard(LINK, 1, 7, float(second))
        found += liveness.hung(float(second))

    assert [hung.reason for hung in found] == ["heartbeats, but its loop stands still for 10 s"]


def test_a_process_that_never_begins_to_beat_is_found() -> None:
    assert look_until(watched(TRADER), 0, 45) == []
    assert [hung.process for hung in look_until(watched(TRADER), 0, 46)] == [TRADER]
    assert look_until(watched("core.postgres"), 0, 120) == []


def test_a_restart_begins_anew_and_a_predecessors_heartbeat_does_not_count() -> None:
    liveness = watched(TRADER)
    look_until(liveness, 0, 5, {TRADER: 1})
    liveness.running({TRADER: 99}, 6.0)

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
    assert kind_of("link-paper.bars-ESH24-1m") == "bars"
    assert kind_of("session-12.trader") == "trader"
    assert kind_of("core.postgres") == "postgres"

"""What the recording shows of a session at a moment; where it shows nothing, one line says why."""

import dataclasses
from pathlib import Path

from tests.desk.test_recorded_life import STRATEGY, home, lived, record
from tradeproc.desk.session_moment import RecordedMoment, recorded_moment
from tradeproc.domain.units import SECOND, Nanos, iso
from tradeproc.home import Home

__all__ = ["home"]
_DAY = 86_400 * SECOND


def test_a_moment_shows_what_the_session_knew_then_and_not_what_came_later(home: Home) -> None:
    desk = lived(home)
    record(home, desk).close()
    times = [now for _, now, _ in desk.history]
    middle, end = times[len(times) // 2], times[-1]

    half, whole = recorded_moment(home, 7, middle), recorded_moment(home, 7, end)

    assert (half.missing, whole.missing, half.life) == ("", "", 1)
    assert half.strategy == "mine.py"
    assert half.state["bars"] < whole.state["bars"]
    assert whole.state["position"] == desk.position
    assert (half.entries, half.why != "") == ("allowed", True)


def test_a_time_without_a_recording_is_one_line_that_says_why(home: Home) -> None:
    assert (
        recorded_moment(home, 7, Nanos(0)).missing
        == "no recording of session 7 is kept, so what it knew is not known"
    )
    desk = lived(home)
    record(home, desk).close()
    began, ended = desk.history[0][1], desk.history[-1][1]

    before = recorded_moment(home, 7, Nanos(began - _DAY))
    after = recorded_moment(home, 7, Nanos(ended + _DAY))

    assert before.missing == f"the oldest life that is recorded began at {iso(Nanos(began + 1))}, after that moment"
    assert after.missing == (
        f"no trader of it was recorded then: the life under lease 1 ends at {iso(ended)}, none has begun since"
    )
    assert (before.state, after.state, after.why) == ({}, {}, "")


def test_between_two_lives_the_next_one_is_named(home: Home) -> None:
    desk = lived(home)
    record(home, desk).close()
    later = Nanos(desk.history[-1][1] + 2 * _DAY)
    record(home, desk, 2, lambda header: dataclasses.replace(header, began_at=later)).close()

    between = recorded_moment(home, 7, Nanos(later - _DAY))

    assert between.missing.endswith(f"the next one began at {iso(later)}")


def test_where_the_strategy_decides_otherwise_now_nothing_is_claimed(home: Home) -> None:
    desk = lived(home)
    record(home, desk).close()
    Path(home.root / "mine.py").write_text(STRATEGY.replace("every: int = 3", "every: int =  4"))

    told = recorded_moment(home, 7, desk.history[-1][1])

    assert told.notes == ["the strategy's file has changed since this life began"]
    assert told.missing.startswith("the engine decides otherwise than the trader did from ")
    assert told.state == RecordedMoment().state

"""The market clock: market time as a function of the monotonic one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.units import SECOND, Nanos
from tradeproc.localbroker.pace import BadSpeed, Pace


def test_at_speed_sixty_a_market_minute_passes_in_a_second() -> None:
    pace = Pace(Nanos(1000), 500, 60.0)

    assert pace.market_at(500 + SECOND) == 1000 + 60 * SECOND


def test_market_time_stands_while_paused_and_goes_on_without_a_jump() -> None:
    pace = Pace(Nanos(0), 0, 2.0).paused(10)

    assert (pace.market_at(10), pace.market_at(1000)) == (20, 20)
    resumed = pace.resumed(1000)
    assert (resumed.market_at(1000), resumed.market_at(1005)) == (20, 30)


def test_another_speed_counts_from_the_moment_of_the_change() -> None:
    pace = Pace(Nanos(0), 0, 1.0).at_speed(10.0, 100)

    assert (pace.market_at(100), pace.market_at(101)) == (100, 110)
    assert pace.paused(100).at_speed(3.0, 200).market_at(300) == 100


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_is_not_positive_is_refused(speed: float) -> None:
    with pytest.raises(BadSpeed, match="pause to stop market time"):
        Pace(Nanos(0), 0, speed)


@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.sampled_from(["pause", "resume", "speed", "look"])), max_size=20)
)
def test_market_time_never_runs_backwards(changes: list[tuple[int, str]]) -> None:
    pace, monotonic, seen = Pace(Nanos(5), 7, 1.5), 7, 5
    for passed, change in changes:
        monotonic += passed
        match change:
            case "pause":
                pace = pace.paused(monotonic)
            case "resume":
                pace = pace.resumed(monotonic)
            case "speed":
                pace = pace.at_speed(pace.speed * 1.5, monotonic)
            case _:
                pass
        assert pace.market_at(monotonic) >= seen
        seen = pace.market_at(monotonic)

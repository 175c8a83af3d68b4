"""Pauses between tries."""

from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.backoff import Backoff


def test_a_pause_grows_from_the_first_to_the_longest() -> None:
    pauses = Backoff(0.25, 10.0, factor=1.5)

    assert [pauses.delay(attempt) for attempt in range(4)] == [0.25, 0.375, 0.5625, 0.84375]
    assert [Backoff(1.0, 60.0).delay(attempt) for attempt in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_chance_moves_a_pause_to_both_sides() -> None:
    pauses = Backoff(8.0, 8.0, jitter=0.25)

    assert [pauses.delay(0, chance) for chance in (0.0, 0.5, 1.0)] == [6.0, 8.0, 10.0]


@given(st.integers(0, 10**9), st.floats(0, 1))
def test_a_pause_is_never_shorter_than_the_first_nor_longer_than_the_most(attempt: int, chance: float) -> None:
    assert 1.0 <= Backoff(1.0, 60.0).delay(attempt, chance) <= 60.0
    assert 0.75 <= Backoff(1.0, 60.0, jitter=0.25).delay(attempt, chance) <= 75.0

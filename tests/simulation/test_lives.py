"""Whatever goes wrong in a simulated life, nothing happens that never may; `scripts/simulate` lives many more."""

import pytest

from tradeproc.simulation.campaign import Campaign

LIVES = 75
"""Lives in each of the tests; more of them are shared by the workers of a test run."""


@pytest.mark.parametrize("part", range(4))
def test_no_life_breaks_an_invariant(part: int) -> None:
    outcomes = list(Campaign(seed=1 + part * LIVES, count=LIVES).outcomes())

    assert [(each.seed, each.invariant, each.detail) for each in outcomes if each.invariant] == []
    assert sum(each.fills for each in outcomes) > LIVES
    assert sum(each.blows for each in outcomes) > 5 * LIVES


def test_several_sessions_at_one_broker_and_long_lives_hold_too() -> None:
    lives = [*Campaign(seed=1, count=10, sessions=3).outcomes(), *Campaign(seed=1, count=2, minutes=180).outcomes()]

    assert [(each.seed, each.invariant, each.detail) for each in lives if each.invariant] == []
    assert all(each.events for each in lives)

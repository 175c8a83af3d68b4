"""Whatever goes wrong in a simulated life, nothing happens that never may; `scripts/simulate` lives many more."""

import pytest

from tradeproc.simulation.campaign import Campaign

LIVES = 250
"""Lives in each of the tests; more of them are shared by the workers of a test run."""

ONCE_BROKEN = (1015568, 2011229, 2011741, 2012592, 2015443, 3000242, 7002439)
"""Seeds of long campaigns whose lives have broken an invariant."""


@pytest.mark.parametrize("part", range(4))
def test_no_life_breaks_an_invariant(part: int) -> None:
    outcomes = list(Campaign(seed=1 + part * LIVES, count=LIVES).outcomes())

    assert [(each.seed, each.invariant, each.detail) for each in outcomes if each.invariant] == []
    assert sum(each.fills for each in outcomes) > LIVES
    assert sum(each.blows for each in outcomes) > 5 * LIVES


@pytest.mark.parametrize("seed", ONCE_BROKEN)
def test_a_life_that_broke_an_invariant_once_holds(seed: int) -> None:
    (life,) = Campaign(seed=seed, count=1).outcomes()

    assert (life.invariant, life.detail) == ("", "")


def test_several_sessions_at_one_broker_and_long_lives_hold_too() -> None:
    lives = [*Campaign(seed=1, count=10, sessions=3).outcomes(), *Campaign(seed=1, count=2, minutes=180).outcomes()]

    assert [(each.seed, each.invariant, each.detail) for each in lives if each.invariant] == []
    assert all(each.events for each in lives)

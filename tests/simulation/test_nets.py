"""Sessions in a portfolio, with loss limits, adopting or rolled: lives hold, and bugs put there on purpose show."""

import random
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import pytest

from tradeproc.domain.roll_steps import RollStep
from tradeproc.domain.session import StopPolicy
from tradeproc.domain.units import MINUTE, Nanos
from tradeproc.engine import latched_by, loss_limits, reservations
from tradeproc.procs.portfolio import ledger
from tradeproc.procs.portfolio.ledger_values import Ledger, LedgerEffect
from tradeproc.simulation.scenario import Scenario, in_portfolio, rolling, scenario
from tradeproc.simulation.troubles import Blow, Mishap
from tradeproc.simulation.world import World

Patch = pytest.MonkeyPatch
MOST_LIVES = 40


def hot(seed: int) -> Scenario:
    """Return three sessions whose portfolio is often full."""
    drawn = replace(scenario(seed, sessions=3, minutes=8), losses=MappingProxyType({}), adopts=False, patient=False)
    return in_portfolio(drawn, 1 + seed % 3, random.Random(seed), 24)


def losing(seed: int) -> Scenario:
    """Return a session that may not lose much."""
    limits = MappingProxyType({"max_daily_loss": 100, "max_losses_in_row": 2})
    return replace(scenario(seed, minutes=20), losses=limits, contracts=0)


def adopting(seed: int) -> Scenario:
    """Return a session that takes over what others did."""
    return replace(scenario(seed), adopts=True, adopt_ticks=(0, 20)[seed % 2], policies=(list(StopPolicy)[seed % 3],))


def rolled(seed: int) -> Scenario:
    """Return a session that is asked to roll every minute until it has."""
    plain = replace(scenario(seed, minutes=8), contracts=0, rolls=False, largest=5)
    drawn = rolling(plain, random.Random(seed), 24)
    asked = [Blow(at, Mishap.ROLLED) for at in range(MINUTE, drawn.length, MINUTE)]
    return replace(drawn, blows=tuple(sorted((*drawn.blows, *asked), key=lambda blow: blow.at)))


@pytest.mark.parametrize("lives", [hot, losing, adopting, rolled], ids=lambda each: each.__name__)
def test_no_life_with_a_net_breaks_an_invariant(lives: Callable[[int], Scenario]) -> None:
    worlds = [World(lives(seed)) for seed in range(1, 13)]
    outcomes = [world.run() for world in worlds]

    assert [(each.seed, each.invariant, each.detail) for each in outcomes if each.invariant] == []
    if lives is hot:
        offices = [world.office for world in worlds if world.office is not None]
        assert sum(each.granted for each in offices) > 20
        assert sum(each.refused for each in offices) > 20
    if lives is rolled:
        rolls = [roll for world in worlds for roll in world.ledger.sessions[0].rolls.values()]
        assert any(roll.step is RollStep.ROLLED and roll.entry_orders for roll in rolls)
    if lives is losing:
        latched = [change for world in worlds for change in world.ledger.sessions[0].latch_changes]
        assert any(change.by == latched_by.LIMIT for change in latched)


def grant_all(patch: Patch) -> None:
    patch.setattr(ledger, "_too_hot", lambda *_: "")


def forget_what_was_granted(patch: Patch) -> None:
    answers = ledger._answers

    def forgetful(known: Ledger, now: Nanos) -> list[LedgerEffect]:
        found = answers(known, now)
        known.reservations.clear()
        return found

    patch.setattr(ledger, "_answers", forgetful)


def wait_for_ever(patch: Patch) -> None:
    patch.setattr(reservations, "on_time", lambda turn: None)


def watch_no_loss(patch: Patch) -> None:
    patch.setattr(loss_limits, "reached", lambda *_: None)


BUGS: list[tuple[Callable[[Patch], None], Callable[[int], Scenario], str]] = [
    (grant_all, hot, "never above"),
    (forget_what_was_granted, hot, "never above"),
    (wait_for_ever, hot, "never waiting"),
    (watch_no_loss, losing, "never above"),
]


@pytest.mark.parametrize(("plant", "lives", "invariant"), BUGS, ids=lambda value: getattr(value, "__name__", None))
def test_a_bug_in_a_net_is_found(
    plant: Callable[[Patch], None], lives: Callable[[int], Scenario], invariant: str, monkeypatch: Patch
) -> None:
    plant(monkeypatch)

    assert any(World(lives(seed)).run().invariant == invariant for seed in range(1, MOST_LIVES))

"""A fault that is not survived costs a line of the table, not the campaign."""

import random
from pathlib import Path

import pytest

from tests.chaos import troubles
from tests.chaos.campaign import Campaign, chaotic_desk
from tests.chaos.draws import draw
from tests.chaos.scene import Missed, Scene
from tests.chaos.troubles import Trouble, step_clock

pytestmark = pytest.mark.drill

KINDS = ("unsurvived", "unended", "missed", "kill_warden")


def unsurvived(scene: Scene, _: random.Random) -> Trouble:
    scene.desk.cut_power()
    raise AssertionError("its orphans live on")


def unended(scene: Scene, _: random.Random) -> Trouble:
    step_clock(scene.desk, 600)
    scene.desk.broker.fault("401", target="requests", count=None)
    raise TimeoutError("nobody answered")


def missed(scene: Scene, _: random.Random) -> Trouble:
    raise Missed("nothing ran into it")


def test_a_fault_that_fails_halfway_is_a_violation_and_the_desk_is_well_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for maker in (unsurvived, unended, missed):
        monkeypatch.setitem(troubles.MAKERS, maker.__name__, (1, maker))
    # the fault that must pass comes last, behind all that fail
    seed = next(seed for seed in range(1000) if draw(seed, len(KINDS), KINDS).kinds == ("kill_warden",))

    with chaotic_desk(tmp_path / "desk") as desk:
        results = {result.kind: result for result in Campaign(desk, seed, kinds=KINDS).run(len(KINDS) - 1)}

    assert "AssertionError: its orphans live on" in results["unsurvived"].violations
    assert results["unended"].violations == ("TimeoutError: nobody answered",)
    assert results["missed"].is_void
    assert not results["warden killed"].violations

"""What a seed and a number name, without a desk."""

import random
from pathlib import Path

from tests.chaos.draws import Draw, draw, is_apart, second_scene
from tests.chaos.scene import Scene
from tests.chaos.troubles import MAKERS, Trouble
from tests.drills.desk import Desk
from tradeproc.testing.desk import ACCOUNTS

KINDS = tuple(MAKERS)


def drawn(seed: int, numbers: range) -> list[tuple[tuple[str, ...], float]]:
    return [(found.kinds, found.chance.random()) for found in (draw(seed, number, KINDS) for number in numbers)]


def test_a_campaign_begins_with_one_fault_of_each_kind_in_an_order_of_its_seed() -> None:
    first, second = ([kinds for kinds, _ in drawn(seed, range(1, len(KINDS) + 1))] for seed in (5, 6))

    assert sorted(first) == sorted(second) == sorted((kind,) for kind in KINDS)
    assert first != second


def test_a_seed_and_a_number_name_one_fault_whatever_came_before() -> None:
    assert drawn(5, range(1, 100))[60:] == drawn(5, range(61, 100))
    assert drawn(5, range(61, 100)) != drawn(6, range(61, 100))


def test_about_one_fault_in_ten_is_double_and_the_second_leaves_the_first_in_effect() -> None:
    doubles = [kinds for kinds, _ in drawn(5, range(100, 1100)) if len(kinds) == 2]

    assert 60 < len(doubles) < 140
    assert all(is_apart(*kinds) for kinds in doubles)


def test_a_fault_chooses_among_the_processes_that_are_configured_not_among_those_that_live(tmp_path: Path) -> None:
    scene = Scene(Desk(tmp_path / "desk"), {ACCOUNTS[0]: 1, ACCOUNTS[1]: 2})

    assert len(scene.processes) == 18
    assert scene.processes == sorted(scene.processes)
    assert "core.keeper" not in scene.sparing(lambda name: name.startswith("core.")).processes


def test_the_second_fault_spares_what_would_end_the_first(tmp_path: Path) -> None:
    scene = Scene(Desk(tmp_path / "desk"), {ACCOUNTS[0]: 1, ACCOUNTS[1]: 2})

    def left(kind: str, subject: str, second: str) -> set[str]:
        drawn = Draw((kind, second), random.Random(1))
        return set(second_scene(scene, Trouble(kind, subject, ""), drawn).processes)

    assert not {name for name in left("freeze", "session-1.trader", "kill") if name.startswith("session-1.")}
    assert "core.tokens" in left("database_gone", "core.postgres", "kill")
    assert "core.postgres" not in left("database_gone", "core.postgres", "kill")
    assert "session-1.trader" in left("database_gone", "core.postgres", "kill")
    assert "session-1.account" not in left("drop_order_frames", "orders_stream", "kill")
    assert "link-paper.link" not in left("drop_order_frames", "orders_stream", "freeze")
    assert "link-paper.link" in left("drop_order_frames", "orders_stream", "kill")
    assert "core.keeper" not in left("freeze_warden", "warden.warden", "freeze")

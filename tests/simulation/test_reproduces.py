"""Equal seeds live equal lives, to the last effect, in every process."""

import os
import subprocess
import sys

from tradeproc.simulation.campaign import Campaign
from tradeproc.simulation.scenario import scenario
from tradeproc.simulation.story import Story

SEEDS = (3, 53, 246)
SCRIPT = """
import sys
from tradeproc.simulation.scenario import scenario
from tradeproc.simulation.story import Story
for seed in map(int, sys.argv[1:]):
    story = Story(scenario(seed, sessions=2))
    print(story.live())
    print(story.table(newest=1_000_000))
"""


def lived(hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, SEEDS)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_seed_lives_the_same_life_whatever_the_order_of_sets_is() -> None:
    first = lived("1")

    assert first == lived("2")
    assert first.count("send ") > 10
    assert len(first.splitlines()) > 500


def test_another_seed_lives_another_life() -> None:
    assert scenario(1) == scenario(1)
    assert scenario(1) != scenario(2)
    assert len({str(life) for life in Campaign(seed=1, count=5).outcomes()}) == 5


def test_watching_a_life_does_not_change_it() -> None:
    campaign = Campaign(seed=53, count=1)

    assert Story(campaign.scenario(53)).live() == campaign.live(53)


def test_some_processes_live_the_same_lives_as_one() -> None:
    def counted(jobs: int) -> str:
        command = [sys.executable, "-m", "tradeproc.simulation", "--seed", "5", "--count", "6", "--jobs", str(jobs)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.partition(";")[0]

    alone = counted(1)

    assert counted(2) == alone
    assert alone.startswith("6 lives, ")

"""A desk killed at steps of every kind of process and operation; `scripts/chaos --steps` does it at each step."""

from pathlib import Path

import pytest

from tests.steps.kills import PROCESSES, play_all, some_of_each_kind, stepped_desk
from tests.steps.order_path import OPERATIONS

# it is one of the longest: a busy machine needs more than the usual time
pytestmark = [pytest.mark.drill, pytest.mark.timeout(700)]


def test_a_process_killed_at_a_step_of_the_order_path_loses_doubles_and_uncovers_nothing(tmp_path: Path) -> None:
    with stepped_desk(tmp_path / "desk", patience=6.0) as stepped:
        cases = some_of_each_kind(stepped.cases())
        results = play_all(stepped, cases)

    assert not [violation for result in results for violation in result.violations]
    reached = [result.case for result in results if not result.is_void]
    assert {case.kind for case in reached} == set(PROCESSES)
    assert {case.operation for case in cases} == {each for each in OPERATIONS if each}

"""A short campaign with a fixed seed; the long ones are run with scripts/chaos."""

from pathlib import Path

import pytest

from tests.chaos.campaign import Campaign, chaotic_desk, line_of

pytestmark = pytest.mark.drill

FAULTS, SEED = 8, 11


def test_nothing_is_lost_doubled_uncovered_or_orphaned_in_a_short_campaign(tmp_path: Path) -> None:
    with chaotic_desk(tmp_path / "desk") as desk:
        results = Campaign(desk, SEED).run(FAULTS)

    assert len(results) == FAULTS
    assert not [line_of(result) for result in results if result.violations]

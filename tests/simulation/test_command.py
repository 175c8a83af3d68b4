"""`scripts/simulate` from its arguments to its exit status, also over the prices of a real tape."""

from pathlib import Path

import pytest

import tradeproc.localbroker
from tradeproc.engine import limits
from tradeproc.simulation.__main__ import main, steps_of

TAPE = next((Path(tradeproc.localbroker.__file__).parent / "tapes").glob("*.csv.gz"))


def test_some_lives_over_a_real_tape_end_well_and_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "--count", "2", "--tape", str(TAPE), "--show"]) == 0

    said = capsys.readouterr().out
    assert "2 lives, " in said
    assert "broken: none" in said
    assert "seed 3: " in said


def test_a_life_that_breaks_is_told_with_its_seed_and_its_story_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_too_large", lambda *_: None)

    assert main(["--seed", "1", "--count", "3", "--minutes", "10", "--shrink"]) == 1

    said = capsys.readouterr().out
    assert "never above: " in said
    assert "## never above" in said


def test_the_price_of_a_tape_moves_by_whole_ticks_and_not_far() -> None:
    steps = steps_of(TAPE)

    assert len(steps) > 100
    assert all(isinstance(step, int) for step in steps)
    assert max(map(abs, steps)) < 100
    assert any(steps)

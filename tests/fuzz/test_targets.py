"""Some thousands of inputs for every parser, the same ones in every run; scripts/fuzz gives them more."""

from random import Random

import pytest

from tests.fuzz import harness, mutations
from tests.fuzz.harness import Target
from tests.fuzz.targets import TARGETS

COUNT = 4000


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_whatever_comes_is_read_or_refused(target: Target) -> None:
    report = harness.run(target, seed=6, count=COUNT)

    assert not report.findings, report.story()
    assert report.refused < report.inputs, "nothing is ever read: the shapes are not real ones"


def test_the_same_seed_and_number_give_the_same_input() -> None:
    first, again = list[str](), list[str]()
    for drawn in (first, again):
        harness.run(Target("any", lambda random: mutations.raw(random, b"abc"), drawn.append), count=50)

    assert first == again
    assert len(set(first)) > 25


def test_an_error_that_is_not_the_parsers_own_is_found_once_with_its_input() -> None:
    def read(value: int) -> None:
        if value > 1:
            raise KeyError(value)
        if value == 1:
            raise ValueError(value)

    report = harness.run(Target("any", lambda random: random.randrange(4), read, (ValueError,)), count=100)

    (finding,) = report.findings.values()
    assert finding.what.startswith("KeyError at tests/fuzz/test_targets.py")
    assert finding.count + report.refused < report.inputs == 100
    assert report.refused > 0
    again = Random(f"any 1 {finding.first}").randrange(4)
    assert finding.shown == repr(again)


def test_a_parser_that_does_not_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "LONGEST_SECONDS", 0.05)

    def read(value: int) -> None:
        while value:
            pass

    report = harness.run(Target("any", lambda random: 1, read), count=1)

    assert "TookTooLong" in report.story()

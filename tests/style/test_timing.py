"""Durations are given to what waits; no test changes a constant of a module to be quick."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
# the fuzz harness is a test's own part
OWN = {"fuzz/test_targets.py"}


def test_no_test_patches_a_duration() -> None:
    pattern = re.compile(r"setattr\([^)]*?\b_?[A-Z_]*(?:SECONDS|_NS|PATIENCE|PAUSE|AFTER|BUDGET|EVERY)\b", re.DOTALL)
    patched = {str(path.relative_to(TESTS)) for path in TESTS.rglob("*.py") if pattern.search(path.read_text())}

    assert patched <= OWN

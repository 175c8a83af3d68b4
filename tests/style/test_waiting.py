"""Tests wait for conditions, with `tradeproc/testing/waiting.py`; a sleep of a fixed time proves nothing."""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("tests", "examples", "tradeproc/testing")

# how often a file may sleep, and why; a sleep in the text of a program that a test starts is that program's own
REVIEWED = {
    "tests/chaos/campaign.py": (
        3,
        "a fault comes at a moment drawn from the seed; many conditions are watched at once",
    ),
    "tests/chaos/trouble.py": (1, "looks whether a fault was hit, and asks the broker meanwhile"),
    "tests/procs/trader/test_trading.py": (1, "a strategy that is slow, which is what the test is about"),
    "tradeproc/testing/waiting.py": (1, "the one place"),
}


def sleeps(source: str) -> int:
    """Return how often a module itself sleeps, by whatever name it has of `time.sleep`."""
    tree = ast.parse(source)
    own = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
        if alias.name == "sleep"
    }
    return sum(
        (isinstance(node.func, ast.Attribute) and ast.unparse(node.func) == "time.sleep")
        or (isinstance(node.func, ast.Name) and node.func.id in own)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    )


def test_no_test_sleeps_but_those_that_were_reviewed() -> None:
    found = Counter(
        {
            str(path.relative_to(ROOT)): sleeps(path.read_text())
            for folder in FOLDERS
            for path in sorted((ROOT / folder).rglob("*.py"))
        }
    )

    assert +found == {file: count for file, (count, _) in REVIEWED.items()}


def test_a_sleep_is_found_by_each_of_its_names() -> None:
    assert sleeps("import time\ntime.sleep(1)\ntime.sleep(2)\n") == 2
    assert sleeps("from time import sleep as nap\nnap(1)\n") == 1
    assert sleeps("import asyncio\nasyncio.sleep(1)\nprogram = 'time.sleep(600)'\n") == 0

"""A tape of a whole trading day, so that a desk can be broken many times before it ends."""

import random
from datetime import UTC, datetime
from pathlib import Path

from tradeproc.testing import candles

NAME = "ESH24_drill.csv"
_OPENS = datetime(2024, 1, 2, 23, 1, tzinfo=UTC)
_CLOSES = datetime(2024, 1, 3, 21, 55, tzinfo=UTC)
_EVERY_SECONDS = 6
_SECOND = 1_000_000_000


def write_tape(folder: Path) -> str:
    """Write a random walk of ES, the same each time, and return the file's name."""
    chance = random.Random(7)
    first, last = (int(at.timestamp()) for at in (_OPENS, _CLOSES))
    ticks = 4800 * 4
    trades = []
    for second in range(first, last, _EVERY_SECONDS):
        ticks += chance.choice((-1, 0, 0, 1))
        trades.append((second * _SECOND, f"{ticks / 4:.2f}", chance.randint(2, 20)))
    return candles.write_tape(folder / NAME, trades).name

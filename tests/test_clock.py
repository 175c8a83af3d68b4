"""The clock that does not jump, and the one that notices jumps; with a stepped clock in a process of its own."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tradeproc import clock
from tradeproc.domain.units import Nanos

SCRIPT = """
import struct, sys
from pathlib import Path
from tradeproc import clock
steady, watch = clock.SteadyClock(), clock.StepWatch()
first = steady.now()
Path(sys.argv[1]).open("r+b").write(struct.pack("<q", 600 * clock.SECOND))
wall, steadily = clock.wall_ns() - first, steady.now() - first
print(round(wall / clock.SECOND), round(steadily / clock.SECOND), round(watch.step()))
print(watch.step())
clock.SteadyClock.DOUBT_NS = 0
steady.now(); steady.now()
print(round((steady.now() - first) / clock.SECOND))
"""


def test_a_step_is_noticed_once_ignored_at_first_and_believed_when_it_lasts(tmp_path: Path) -> None:
    step = tmp_path / "step"
    step.write_bytes(struct.pack("<q", 0))

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(step)],
        env={**os.environ, "TRADEPROC_CLOCK_STEP": str(step)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["600", "0", "600", "0.0", "600"]


def test_a_step_backwards_that_lasts_ends_the_process_instead_of_stopping_its_deadlines() -> None:
    wall, monotonic = 10_000 * clock.SECOND, 0
    steady = clock.SteadyClock(lambda: Nanos(wall), lambda: monotonic)
    wall, monotonic = wall - 3_600 * clock.SECOND, 10 * clock.SECOND
    assert steady.now() == 10_010 * clock.SECOND

    wall, monotonic = wall + 61 * clock.SECOND, 71 * clock.SECOND

    with pytest.raises(clock.ClockSetBack, match="set back by 3610 s"):
        steady.now()

"""The clock that does not jump, and the one that notices jumps; with a stepped clock in a process of its own."""

import os
import struct
import subprocess
import sys
from pathlib import Path

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

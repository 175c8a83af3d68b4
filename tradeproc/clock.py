"""The only reader of time.

`wall_ns` is UTC and may jump; it stamps records. `monotonic_ns` never jumps and is the same for all
processes of one machine; deadlines, heartbeats and lag use it. Market time is never read here: it
comes with the events and may run faster than both.
"""

import mmap
import os
import time

from tradeproc.domain.units import Nanos

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


def _open_step() -> mmap.mmap | None:
    """Return the drilled clock step, a file of one int64 of nanoseconds; only the fault campaign sets it."""
    path = os.environ.get("TRADEPROC_CLOCK_STEP")
    if not path:
        return None
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)


_step = _open_step()


def wall_ns() -> Nanos:
    """Return UTC nanoseconds since the epoch; may jump when the machine's clock is set."""
    if _step is not None:
        return Nanos(time.time_ns() + int.from_bytes(_step[:8], "little", signed=True))
    return Nanos(time.time_ns())


def monotonic_ns() -> int:
    """Return nanoseconds that never run backwards, comparable between processes of one machine."""
    return time.monotonic_ns()

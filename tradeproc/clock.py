"""The only reader of time.

`wall_ns` is UTC and may jump; it stamps records. `monotonic_ns` never jumps and is the same for all
processes of one machine; deadlines, heartbeats and lag use it. Market time is never read here: it
comes with the events and may run faster than both.
"""

import time

from tradeproc.domain.units import Nanos

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


def wall_ns() -> Nanos:
    """Return UTC nanoseconds since the epoch; may jump when the machine's clock is set."""
    return Nanos(time.time_ns())


def monotonic_ns() -> int:
    """Return nanoseconds that never run backwards, comparable between processes of one machine."""
    return time.monotonic_ns()

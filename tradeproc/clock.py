"""The only reader of time.

`wall_ns` is UTC and may jump; it stamps records. `monotonic_ns` never jumps and is the same for all
processes of one machine; deadlines, heartbeats and lag use it. Market time is never read here: it
comes with the events and may run faster than both.
"""

import mmap
import os
import time
from collections.abc import Callable

from tradeproc.domain.units import SECOND as SECOND
from tradeproc.domain.units import Nanos
from tradeproc.errors import Fault

MILLISECOND = 1_000_000


def _open_step() -> mmap.mmap | None:
    """Return the clock step that a fault campaign sets, in a file of one little-endian int64 of nanoseconds."""
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


class ClockSetBack(Fault):
    """The machine's clock was set back and stayed so; caught by the entry point: the process begins anew.

    Whoever has moments of the future in its memory would wait for them to come again, an hour if need be.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the machine's clock was set back by {seconds:.0f} s; the process begins anew")


class SteadyClock:
    """Wall time that does not jump: a step of the machine's clock is believed only after it has lasted for 60 s.

    Deadlines and the times by which a lost order is found again must not move because somebody set the clock.
    """

    DOUBT_NS = 60 * SECOND

    def __init__(self, wall: Callable[[], Nanos] = wall_ns, monotonic: Callable[[], int] = monotonic_ns) -> None:
        """Begin with the present step between the two clocks; a simulation has clocks of its own."""
        self._wall, self._monotonic = wall, monotonic
        self._origin = wall() - monotonic()
        self._doubted_since: int | None = None

    def now(self) -> Nanos:
        """Return UTC nanoseconds, never fewer than before by more than a second.

        Raises:
            ClockSetBack: a step backwards has lasted for 60 s.
        """
        monotonic = self._monotonic()
        origin = self._wall() - monotonic
        if abs(origin - self._origin) <= SECOND:
            self._origin, self._doubted_since = origin, None
        elif self._doubted_since is None:
            self._doubted_since = monotonic
        elif monotonic - self._doubted_since > self.DOUBT_NS:
            if origin < self._origin:
                raise ClockSetBack((self._origin - origin) / SECOND)
            self._origin, self._doubted_since = origin, None
        return Nanos(self._origin + monotonic)


class StepWatch:
    """Notices that the wall clock was set."""

    def __init__(self) -> None:
        self._origin = wall_ns() - monotonic_ns()

    def step(self) -> float:
        """Return by how many seconds the wall clock was set since the last look; 0 for less than a second."""
        origin = wall_ns() - monotonic_ns()
        step, self._origin = (origin - self._origin) / SECOND, origin
        return step if abs(step) >= 1.0 else 0.0

"""What a process says about itself once a second, and when asked."""

import os
from collections.abc import Callable

from tradeproc.bus.codec import Body
from tradeproc.clock import wall_ns

STATES = ("starting", "ready", "degraded", "stopping")


class Vitals:
    """State, progress and lag of one process.

    `loop` counts turns of its loop and `last_event_at` is when it last did something of worth: a process whose
    heartbeats go on while these stand still is alive but stuck.
    """

    def __init__(self, process: str) -> None:
        self.process = process
        self.state, self.detail = "starting", ""
        self._started_at = wall_ns()
        self._last_event_at: int | None = None
        self._market_at: int | None = None
        self._lag = 0
        self._sources: list[Callable[[], Body]] = []

    def note_event(self, market_at: int | None, sent_at: int | None) -> None:
        """Take note of progress."""
        now = wall_ns()
        self._last_event_at = now
        if market_at is not None:
            self._market_at = market_at
        if sent_at is not None:
            self._lag = max(self._lag, now - sent_at)

    def add_source(self, source: Callable[[], Body]) -> None:
        """Take the numbers of `source` into every report."""
        self._sources.append(source)

    def forget_lag(self) -> None:
        """Begin a new second."""
        self._lag = 0

    def body(self, epoch: int, loop: int) -> Body:
        """Return the report."""
        statistics: Body = {}
        for source in self._sources:
            statistics.update(source())
        return {
            "process": self.process,
            "pid": os.getpid(),
            "kind": self.process.partition(".")[2].partition("-")[0],
            "state": self.state,
            "detail": self.detail,
            "started_at": self._started_at,
            "at": wall_ns(),
            "last_event_at": self._last_event_at,
            "market_at": self._market_at,
            "lag_ns": self._lag,
            "loop": loop,
            "epoch": epoch,
            "statistics": statistics,
        }

"""What a process says about itself once a second, and when asked."""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Final, get_args

from tradeproc.bus.codec import Body
from tradeproc.clock import wall_ns
from tradeproc.domain.units import Nanos
from tradeproc.protocol.names import ProcessName
from tradeproc.protocol.process_messages import Heartbeat, ProcessState, Status

STATES: Final = get_args(ProcessState)


class Vitals:
    """State, progress and lag of one process.

    `loop` counts turns of its loop and `last_event_at` is when it last handled an event: a process whose
    heartbeats go on while these stand still is alive but stuck. `loop` also stands still while a thread of the
    process is stuck, because the work of that thread is not done then. `at` is the last heartbeat, also in an answer
    to `status`.
    """

    def __init__(self, process: str) -> None:
        self.process = process
        self.state: ProcessState = "starting"
        self.detail = ""
        self._started_at = self._beat_at = wall_ns()
        self._last_event_at: Nanos | None = None
        self._market_at: Nanos | None = None
        self._lag = 0
        self._work = 0
        self._sources: list[Callable[[], Body]] = []
        self._threads: dict[str, Callable[[], bool]] = {}
        self._loop = 0

    def note_event(self, market_at: int | None, sent_at: int | None) -> None:
        """Take note of progress."""
        now = wall_ns()
        self._last_event_at = now
        if market_at is not None:
            self._market_at = Nanos(market_at)
        if sent_at is not None:
            self._lag = max(self._lag, now - sent_at)

    def note_work(self) -> None:
        """Count a piece of the work that the process is there for."""
        self._work += 1

    def add_source(self, source: Callable[[], Body]) -> None:
        """Take the numbers of `source` into every report."""
        self._sources.append(source)

    def add_thread(self, name: str, is_stuck: Callable[[], bool]) -> None:
        """Count a thread's work as progress of the process."""
        self._threads[name] = is_stuck

    def note_beat(self) -> None:
        """Note a heartbeat that is about to be published."""
        self._beat_at = wall_ns()

    def forget_lag(self) -> None:
        """Begin a new second of counting."""
        self._lag = 0

    def status(self, epoch: int, loop: int) -> Status:
        """Return the report."""
        statistics: Body = {}
        stuck = [name for name, is_stuck in self._threads.items() if is_stuck()]
        if stuck:
            statistics["stuck_threads"] = stuck
        else:
            self._loop = loop
        for source in self._sources:
            statistics.update(source())
        process = ProcessName(self.process)
        return Status(
            process=process,
            pid=os.getpid(),
            kind=process.kind,
            state=self.state,
            detail=self.detail,
            started_at=self._started_at,
            at=self._beat_at,
            last_event_at=self._last_event_at,
            market_at=self._market_at,
            lag_ns=self._lag,
            loop=self._loop,
            work=self._work,
            epoch=epoch,
            statistics=statistics,
        )

    def heartbeat(self, epoch: int, loop: int, topics: Mapping[str, int]) -> Heartbeat:
        """Return the report with the last number of each topic."""
        status = self.status(epoch, loop)
        return Heartbeat(**{field.name: getattr(status, field.name) for field in fields(Status)}, topics=topics)

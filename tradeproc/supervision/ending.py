"""Stopping everything within a bounded time, however many processes do not react.

supervisord stops one group after the other and waits for each: with a deaf program in every group the limits add up.
Here all sessions stop at once, and supervisord kills what of them still runs after 3 s. When that time is over and no
session runs any more, all else is stopped at once, and killed after 6.5 s: the core outlives every trader. A trader
that even SIGKILL does not end, because it waits for a broken disk, holds up the others for 4.5 s and no longer. This
runs in supervisord's own process: it must stay small.
"""

import time
from collections.abc import Callable
from typing import Any

from supervisor import events
from supervisor.states import ProcessStates, SupervisorStates

from tradeproc.protocol.names import GroupName

# With up to a second for each turn of supervisord's loop, this is well below the 10 s that a shutdown may take.
HURRY_SECONDS, LATEST_HURRY_SECONDS, KILL_SECONDS = 3.0, 4.5, 6.5


class ShutdownStep:
    """What supervisord's loop does in each turn once it is told to stop; a reload takes as long as it takes."""

    def __init__(self, supervisord: Any, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._supervisord, self._monotonic = supervisord, monotonic
        self._began: float | None = None
        self._killed: set[int] = set()
        events.subscribe(events.SupervisorStoppingEvent, lambda _: self._begin())

    def _begin(self) -> None:
        self._began = self._monotonic()
        for group in self._sessions():
            group.stop_all()

    def turn(self) -> None:
        """Hurry when it is time; called in each turn of supervisord's loop."""
        if self._began is None or self._supervisord.options.mood >= SupervisorStates.RUNNING:
            return
        lasts = self._monotonic() - self._began
        if lasts < HURRY_SECONDS:
            return
        if lasts < LATEST_HURRY_SECONDS and any(group.get_unstopped_processes() for group in self._sessions()):
            return
        for group in self._supervisord.process_groups.values():
            group.stop_all()
            for process in group.processes.values():
                if lasts >= KILL_SECONDS and process.get_state() == ProcessStates.STOPPING:
                    self._let_be_killed(process)

    def _sessions(self) -> list[Any]:
        groups = self._supervisord.process_groups
        return [group for name, group in groups.items() if GroupName(name).session is not None]

    def _let_be_killed(self, process: Any) -> None:
        if process.pid not in self._killed:
            self._killed.add(process.pid)
            process.delay = 0  # its time to stop is over: supervisord kills it in this turn

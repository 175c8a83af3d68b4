"""The end of everything within a bound, however many do not listen.

supervisord stops one group after the other and waits for each: with a deaf program in every group the limits add up.
Here all sessions stop at once; after 3 s whatever still runs is stopped too, and after 6 s it is killed. Runs in
supervisord's own process: it must stay small.
"""

import time
from typing import Any

from supervisor import events
from supervisor.states import ProcessStates, SupervisorStates

from tradeproc.protocol.names import GroupName

# with up to a second for each turn of supervisord's loop, well below the 10 s that a shutdown may take
HURRY_SECONDS, KILL_SECONDS = 3.0, 6.0


class Ending:
    """What supervisord's loop does in each turn once it is told to stop; a reload takes as long as it takes."""

    def __init__(self, supervisord: Any) -> None:
        self._supervisord = supervisord
        self._began: float | None = None
        self._killed: set[int] = set()
        events.subscribe(events.SupervisorStoppingEvent, lambda _: self._begin())

    def _begin(self) -> None:
        self._began = time.monotonic()
        for name, group in self._supervisord.process_groups.items():
            if GroupName(name).session is not None:
                group.stop_all()

    def turn(self) -> None:
        """Hurry when it is time; called in each turn of supervisord's loop."""
        if self._began is None or self._supervisord.options.mood >= SupervisorStates.RUNNING:
            return
        lasts = time.monotonic() - self._began
        if lasts < HURRY_SECONDS:
            return
        for group in self._supervisord.process_groups.values():
            group.stop_all()
            for process in group.processes.values():
                if lasts >= KILL_SECONDS and process.get_state() == ProcessStates.STOPPING:
                    self._let_be_killed(process)

    def _let_be_killed(self, process: Any) -> None:
        if process.pid not in self._killed:
            self._killed.add(process.pid)
            process.delay = 0  # its patience is over: supervisord kills it in this very turn

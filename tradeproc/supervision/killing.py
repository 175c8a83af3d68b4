"""Ends a process that hangs: first it dumps the stacks of its threads into its log, then it is killed."""

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from functools import partial

from tradeproc.supervision.client import Supervisor, SupervisorAway
from tradeproc.supervision.liveness import Hung

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 1.0


class Killer:
    """Kills by pid, and only while supervisord says that the pid is still that process's own."""

    def __init__(
        self, supervisor: Supervisor, after: Callable[[float, Callable[[], None]], object], dump_seconds: float
    ) -> None:
        """Keep how to wait.

        Args:
            supervisor: knows whose a pid is.
            after: runs an action once, some seconds later.
            dump_seconds: how long after the dump it is killed.
        """
        self._supervisor, self._after, self._dump_seconds = supervisor, after, dump_seconds
        self.kills = 0

    def kill(self, hung: Hung) -> None:
        """Let it dump, then kill it; supervisord starts it again."""
        log.error("process_hung process=%s pid=%d reason=%s", hung.process, hung.pid, hung.reason)
        self.kills += 1
        end = partial(self._signal, hung, signal.SIGKILL)
        self._signal(hung, signal.SIGUSR1, lambda: self._after(self._dump_seconds, end))

    def _signal(self, hung: Hung, number: signal.Signals, then: Callable[[], object] | None = None) -> None:
        """Send a signal, as soon as supervisord can say that the pid is still its own, and go on with `then`."""
        try:
            programs = self._supervisor.processes()
        except SupervisorAway as away:
            # try again here, because a process that hangs is reported only once
            log.warning("signal_delayed process=%s signal=%s reason=%s", hung.process, number.name, away)
            self._after(_AGAIN_SECONDS, partial(self._signal, hung, number, then))
            return
        if any((each.process, each.pid) == (hung.process, hung.pid) for each in programs):
            with contextlib.suppress(ProcessLookupError):
                os.kill(hung.pid, number)
            if then is not None:
                then()

"""Starting supervisord in the background of a home, and ending it: each returns when it is so.

All else asks a supervisord that runs, see `client.py`. Here are its files prepared, its process started and its end
waited for, so that whoever starts a desk (tradectl, the quickstart, the benchmarks) does it in the same way.
"""

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tradeproc.errors import Outage, Refusal
from tradeproc.home import Home
from tradeproc.supervision.client import Supervisor, SupervisorAway, SupervisorStopping
from tradeproc.supervision.groups import prepare


class SupervisordRefused(Refusal):
    """supervisord cannot be started here, or ended at once; the text is what it said. Caught by the command."""


class SupervisordLate(Outage):
    """supervisord did not begin to answer, or did not end, in its time; caught by the command that waited."""


@dataclass(frozen=True, slots=True)
class DaemonTiming:
    """How long to wait for supervisord, and how often to look, in seconds.

    `end` is also the patience with a former supervisord that is on its way down; `ending.py` bounds that to ten.
    """

    start: float = 60.0
    end: float = 20.0
    look: float = 0.1


USUAL = DaemonTiming()


class Daemon:
    """The supervisord of one home, which may run or not."""

    def __init__(self, home: Home, timing: DaemonTiming = USUAL) -> None:
        self._home, self._timing = home, timing
        self._supervisor = Supervisor(home)

    def start(self) -> bool:
        """Start supervisord and wait until it answers; False when it runs already.

        One that is on its way down is waited for first.

        Raises:
            SupervisordRefused: it cannot be started, or ended at once.
            SupervisordLate: it does not answer, or its predecessor does not end.
            UnsafeFolder: a folder of the home is not ours alone.
        """
        if self._supervisor.is_up():
            return False
        self._wait("the former supervisord has ended", lambda: not self._answers(), self._timing.end)
        prepare(self._home)
        self._spawn()
        self._wait("supervisord answers", self._supervisor.is_up, self._timing.start)
        return True

    def stop(self) -> bool:
        """Stop supervisord with all that it runs, and wait until it is gone; False when it was not running.

        Raises:
            SupervisordLate: it did not end.
        """
        if not self._answers():
            return False
        pid = self.pid()
        if self._supervisor.is_up():
            # somebody else may just have told it
            with suppress(SupervisorAway):
                self._supervisor.shutdown()
        self._wait("supervisord has ended", lambda: not self._answers() and not _lives(pid), self._timing.end)
        self._home.forget_short_sockets()
        return True

    def pid(self) -> int:
        """Return supervisord's process id from its pid file, 0 when there is none."""
        try:
            return int((self._home.run / "supervisord.pid").read_text())
        except (OSError, ValueError):
            return 0

    def _spawn(self) -> None:
        home = self._home
        program = home.root / ".venv/bin/python"
        if not program.exists():
            raise SupervisordRefused(f"there is no {program}; scripts/quickstart sets everything up")
        done = subprocess.run(
            [str(program), "-m", "supervisor.supervisord", "-c", str(home.plain_root / "supervisord.conf")],
            cwd=home.root,
            env=dict(os.environ, TRADEPROC_HOME=str(home.root)),
            capture_output=True,
            text=True,
            check=False,
            # a Ctrl-C is for us: supervisord ends when it is told to
            start_new_session=True,
        )
        if done.returncode:
            raise SupervisordRefused(f"supervisord did not start: {(done.stdout + done.stderr).strip()}")

    def _answers(self) -> bool:
        """Tell whether there is a supervisord, also one that is on its way down."""
        try:
            self._supervisor.processes()
        except SupervisorStopping:
            return True
        except SupervisorAway:
            return False
        return True

    def _wait(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise SupervisordLate(
                    f"waited {seconds:.0f} s and still not: {what}; see run/log and scripts/tradectl status"
                )
            time.sleep(self._timing.look)


def _lives(pid: int) -> bool:
    """Tell whether a process runs; one that ended and that nobody collects, as in a container, does not."""
    if not pid:
        return False
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except (OSError, IndexError):
        return True

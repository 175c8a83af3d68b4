"""Which processes hang: pure, from heartbeats. A process must beat, and its loop must turn between two beats."""

from collections.abc import Mapping
from dataclasses import field

from tradeproc.domain.frozen import dataclass
from tradeproc.protocol.names import ProcessName

# a watcher that itself did not run for this long cannot blame others for its silence, seconds
_OWN_GAP = 2.0
_KEPT_PIDS = 1000
# the first start of an embedded database, or one after a crash, takes as long as it takes, seconds
_SLOW_STARTERS = {"postgres": 600.0}
# by how much the time until the first heartbeat may grow for a process that was killed before it
_MOST_PATIENT = 4.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: of silence or standstill before a process counts as hung, by kind; and until its first heartbeat."""

    hung: float
    start: float
    by_kind: Mapping[str, float] = field(default_factory=dict)

    def hung_after(self, kind: str) -> float:
        """Return the limit of a kind."""
        return self.by_kind.get(kind, self.hung)

    def patience(self, kind: str, age: float) -> float:
        """Return how long a process may take until its first heartbeat.

        What is left of its start-up time, or the limit of any silence, whichever is more.
        """
        left = max(self.start, _SLOW_STARTERS.get(kind, 0.0)) - max(age, 0.0)
        return max(left, self.hung_after(kind))


@dataclass(frozen=True, slots=True)
class Running:
    """A process that runs, and for how many seconds already, by a clock that may jump: less than 0 is not known."""

    pid: int
    age: float = 0.0


@dataclass(slots=True)
class _Watched:
    pid: int
    since: float
    patience: float
    heard_at: float | None = None
    loop: int = -1
    turned_at: float = 0.0
    work: int = 0
    is_reported: bool = False


@dataclass(frozen=True, slots=True)
class Hung:
    """A process that must be killed, and why, for the log."""

    process: str
    pid: int
    reason: str


class Liveness:
    """Remembers heartbeats; times are seconds of a clock that never jumps, given by the caller."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._watched: dict[str, _Watched] = {}
        self._looked_at: float | None = None
        self._work: dict[int, int] = {}
        self._slow: dict[str, float] = {}

    def running(self, processes: Mapping[str, Running], now: float) -> None:
        """Take which processes run; another pid is another process with a fresh start.

        One whose life before was killed because it had not beaten yet has twice the time, at most four times: on a
        machine that is overloaded, as after a boot, it would otherwise be killed for ever in the midst of its start.
        """
        for process in [process for process in self._watched if process not in processes]:
            del self._watched[process]
        for process, each in processes.items():
            known = self._watched.get(process)
            if known is None or known.pid != each.pid:
                self._watched[process] = _Watched(
                    each.pid,
                    now,
                    self._limits.patience(ProcessName(process).kind, each.age) * self._slow.get(process, 1.0),
                )

    def heard(self, process: str, pid: int, loop: int, now: float, work: int = 0) -> None:
        """Take a heartbeat; one of a predecessor is not counted."""
        watched = self._watched.get(process)
        if watched is None or watched.pid != pid:
            return
        watched.heard_at = now
        watched.work = work
        self._slow.pop(process, None)
        if work:
            # asked for after its death, when another pid may be watched already
            self._work.pop(pid, None)
            self._work[pid] = work
            if len(self._work) > _KEPT_PIDS:
                del self._work[next(iter(self._work))]
        if loop != watched.loop:
            watched.loop, watched.turned_at = loop, now

    def has_worked(self, pid: int) -> bool:
        """Tell whether a process, which may be dead, said that it had done any work."""
        return pid in self._work

    def working(self) -> frozenset[str]:
        """Return the processes that have done work in their present life."""
        return frozenset(process for process, each in self._watched.items() if each.work)

    def beating(self) -> dict[str, int]:
        """Return the processes whose heartbeat was heard since their start, with their pids."""
        return {process: each.pid for process, each in self._watched.items() if each.heard_at is not None}

    def silence(self, now: float) -> dict[str, float]:
        """Return for how many seconds each process has not beaten, of those heard since their start."""
        heard = {process: each.heard_at for process, each in self._watched.items() if each.heard_at is not None}
        return {str(process): round(max(now - at, 0.0), 1) for process, at in heard.items()}

    def hung(self, now: float) -> list[Hung]:
        """Return who hangs, each process once."""
        if self._looked_at is not None and now - self._looked_at > _OWN_GAP:
            self._forgive(now - self._looked_at)
        self._looked_at = now
        found = []
        for process, watched in self._watched.items():
            reason = self._reason(process, watched, now)
            if reason and not watched.is_reported:
                watched.is_reported = True
                if watched.heard_at is None:
                    self._slow[process] = min(self._slow.get(process, 1.0) * 2, _MOST_PATIENT)
                found.append(Hung(process, watched.pid, reason))
        return found

    def _reason(self, process: str, watched: _Watched, now: float) -> str:
        kind = ProcessName(process).kind
        limit = self._limits.hung_after(kind)
        if watched.heard_at is None:
            patience = watched.patience
            return f"no heartbeat in the {patience:g} s that it had" if now - watched.since > patience else ""
        if now - watched.heard_at > limit:
            return f"no heartbeat for {limit:g} s"
        return f"heartbeats, but its loop stands still for {limit:g} s" if now - watched.turned_at > limit else ""

    def _forgive(self, gap: float) -> None:
        """Do not count the time in which we did not run ourselves as anybody's silence."""
        for watched in self._watched.values():
            watched.since += gap
            watched.turned_at += gap
            if watched.heard_at is not None:
                watched.heard_at += gap

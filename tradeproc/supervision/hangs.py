"""Watches heartbeats and kills processes that hang: the warden does it for all others, the keeper for the warden."""

from collections.abc import Iterable, Mapping

from tradeproc.bus.codec import Envelope
from tradeproc.bus.node import Node
from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.config import SupervisionConfig
from tradeproc.protocol.process_messages import LifeSign
from tradeproc.supervision.client import Program, ProgramState, Supervisor
from tradeproc.supervision.killing import Killer
from tradeproc.supervision.liveness import Limits, Liveness, Running

_KEPT_REASONS = 100


class Hangs:
    """Hears heartbeats and kills processes that hang; its owner subscribes, and says which processes run."""

    def __init__(self, node: Node, supervisor: Supervisor, settings: SupervisionConfig) -> None:
        self._liveness = Liveness(Limits(settings.hung_seconds, settings.start_seconds, settings.hung))
        self._reasons: dict[int, str] = {}
        self._killer = Killer(supervisor, node.after, settings.dump_seconds)

    @property
    def kills(self) -> int:
        """Return how many processes were killed."""
        return self._killer.kills

    def beating(self) -> dict[str, int]:
        """Return the processes whose heartbeat was heard since their start, with their pids."""
        return self._liveness.beating()

    def silence(self) -> dict[str, float]:
        """Return for how many seconds each process has not beaten, of those heard since their start."""
        return self._liveness.silence(_now())

    def hear(self, envelope: Envelope[LifeSign]) -> None:
        """Take a heartbeat."""
        sign = envelope.body
        self._liveness.heard(envelope.publisher, sign.pid, sign.loop, _now(), sign.work)

    def look(self, running: Mapping[str, Running]) -> None:
        """Take which processes run, and kill those that hang."""
        now = _now()
        self._liveness.running(running, now)
        for hung in self._liveness.hung(now):
            self._reasons[hung.pid] = hung.reason
            if len(self._reasons) > _KEPT_REASONS:
                del self._reasons[next(iter(self._reasons))]
            self._killer.kill(hung)

    def reason_of(self, pid: int) -> str:
        """Return why a process was killed, empty when it was not by us."""
        return self._reasons.get(pid, "")

    def has_worked(self, pid: int) -> bool:
        """Tell whether a process, which may be dead, said that it had done any work."""
        return self._liveness.has_worked(pid)

    def working(self) -> frozenset[str]:
        """Return the processes that have done work in their present life."""
        return self._liveness.working()


def running_of(programs: Iterable[Program]) -> dict[str, Running]:
    """Return the processes that run, by name; supervisord knows their age, also of those older than we are."""
    wall = wall_ns() / SECOND
    running = [each for each in programs if each.state is ProgramState.RUNNING and each.pid]
    return {each.process: Running(each.pid, wall - each.started_at) for each in running}


def _now() -> float:
    return monotonic_ns() / SECOND

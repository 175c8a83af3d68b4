"""Who watches the watcher: the keeper kills a warden that hangs; the warden watches everybody else."""

from tradeproc.bus.codec import Envelope
from tradeproc.bus.node import Node
from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.config import SupervisionConfig
from tradeproc.supervision.client import ProgramState, Supervisor, SupervisorAway
from tradeproc.supervision.killing import Killer
from tradeproc.supervision.liveness import Limits, Liveness

WARDEN = "warden.warden"
_LOOK_SECONDS = 1.0


class WardenWatch:
    """Listens to the warden's heartbeat, whether there is a database or not."""

    def __init__(self, node: Node, supervisor: Supervisor, settings: SupervisionConfig) -> None:
        self._liveness = Liveness(Limits(settings.hung_seconds, settings.start_seconds, settings.hung))
        self._killer = Killer(supervisor, node.after, settings.dump_seconds)
        self._supervisor = supervisor
        node.subscribe(WARDEN, "heartbeat", self._hear)
        node.every(_LOOK_SECONDS, self._look)
        node.add_statistics(lambda: {"warden_heard": self._liveness.beating().get(WARDEN)})

    def _look(self) -> None:
        try:
            programs = self._supervisor.processes()
        except SupervisorAway:
            return
        running = {
            each.process: each.pid
            for each in programs
            if each.process == WARDEN and each.state is ProgramState.RUNNING and each.pid
        }
        self._liveness.running(running, _now())
        for hung in self._liveness.hung(_now()):
            self._killer.kill(hung)

    def _hear(self, envelope: Envelope) -> None:
        body = envelope.body
        self._liveness.heard(envelope.publisher, int(body["pid"]), int(body["loop"]), _now())


def _now() -> float:
    return monotonic_ns() / SECOND

"""Who watches the watcher: the keeper kills a warden that hangs; the warden watches everybody else."""

from tradeproc.bus.node import Node
from tradeproc.config import SupervisionConfig
from tradeproc.protocol import names
from tradeproc.protocol.process_messages import LIFE_SIGN
from tradeproc.supervision.client import Supervisor, SupervisorAway
from tradeproc.supervision.hangs import Hangs, running_of

_LOOK_SECONDS = 1.0


class WardenWatch:
    """Listens to the warden's heartbeat, whether there is a database or not."""

    def __init__(self, node: Node, supervisor: Supervisor, settings: SupervisionConfig) -> None:
        self._hangs = Hangs(node, supervisor, settings)
        self._supervisor = supervisor
        node.subscribe(names.WARDEN, LIFE_SIGN, self._hangs.hear)
        node.every(_LOOK_SECONDS, self._look)
        node.add_statistics(
            lambda: {"warden_heard": self._hangs.beating().get(names.WARDEN), "silence": self._hangs.silence()}
        )

    def _look(self) -> None:
        try:
            programs = self._supervisor.processes()
        except SupervisorAway:
            return
        self._hangs.look({process: each for process, each in running_of(programs).items() if process == names.WARDEN})

"""`warden.warden`: supervisord's event listener; restarts what belongs together, gives up loudly, kills what hangs.

Owns the restart rules and the watch over heartbeats. Hears supervisord's events on standard input (standard output is
the protocol, so logs go to standard error) and every process's heartbeat on the bus. Says `alarm`. When it dies,
supervisord's own restarts go on, and its successor rebuilds everything from supervisord.
"""

import logging
import random
import shutil
from collections.abc import Sequence

from tradeproc import config
from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.config import Config, SupervisionConfig
from tradeproc.home import Home, find_home
from tradeproc.procs.session_start import database_of
from tradeproc.procs.warden.alarms import Alarms, tell_of_disk
from tradeproc.procs.warden.halts import Halts
from tradeproc.protocol import names
from tradeproc.protocol.process_messages import LIFE_SIGN
from tradeproc.supervision import restarts
from tradeproc.supervision.client import Supervisor, SupervisorAway
from tradeproc.supervision.hangs import Hangs, running_of
from tradeproc.supervision.listener import EventListener
from tradeproc.supervision.restarting import ProcessHistory, RestartController
from tradeproc.supervision.restarts import Action
from tradeproc.supervision.rules import Settings

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.25
_LOOK_SECONDS = 1.0
_DISK_SECONDS = 15.0
_MEGABYTE = 1 << 20


class Warden:
    """Rules, watch and alarms on one loop."""

    def __init__(self, node: Node, home: Home, settings: Config) -> None:
        self._node, self._home, self._settings = node, home, settings
        self._supervisor = Supervisor(home)
        self._alarms = Alarms(node, database_of(settings, home), settings.database.connect_seconds)
        self._hangs = Hangs(node, self._supervisor, settings.supervision)
        witness = ProcessHistory(self._hangs.reason_of, self._hangs.has_worked)
        self._controller = RestartController(
            home, self._supervisor, _pauses(settings.supervision), random.random, self._tell, witness
        )
        self._halts = Halts(node, self._controller.halted)
        self._listener = EventListener(self._controller.hear, lambda: node.stop(0))
        self._heard: set[str] = set()
        node.add_statistics(self._statistics)
        node.add_socket(self._listener.input, self._listener.read)
        node.every(_TICK_SECONDS, self._controller.pass_time)
        node.every(_LOOK_SECONDS, self._look)
        node.every(_DISK_SECONDS, self._look_at_disk)
        node.on_stop(self._alarms.close)

    def begin(self) -> None:
        """Rebuild from supervisord, then begin to listen."""
        try:
            self._controller.rebuild()
        except SupervisorAway as away:
            log.warning("rebuild_later reason=%s", away)
            self._node.after(_LOOK_SECONDS, self.begin)
            return
        self._look_at_disk()
        # all alarms that still have a cause have been raised again by now
        self._alarms.forget_others()
        self._listener.begin()
        self._node.set_state("ready")

    def _statistics(self) -> Body:
        return {
            "events": self._listener.events,
            "killed_hung": self._hangs.kills,
            "beating": self._hangs.beating(),
            "silence": self._hangs.silence(),
            "held": sorted(group for group, state in self._controller.groups.items() if state.holds),
        }

    # --- actions of the rules that are not for supervisord

    def _tell(self, group: str, action: Action) -> None:
        match action:
            case restarts.ReportTrouble(name, detail):
                self._alarms.raise_alarm(group, name, detail)
            case restarts.ReportCleared(name):
                self._alarms.clear(group, name)
            case restarts.HaltEntries(reason, by):
                self._halts.halt_group(group, reason, by)
            case restarts.Stop() | restarts.Start():
                raise AssertionError(f"{action} is for supervisord")

    # --- hung processes

    def _look(self) -> None:
        """See which processes run, listen to new ones, and kill those that hang."""
        try:
            programs = self._supervisor.processes()
        except SupervisorAway as away:
            log.warning("supervisor_away reason=%s", away)
            return
        if self._controller.is_stopping:
            return
        running = running_of(programs)
        running.pop(names.WARDEN, None)
        for process in running.keys() - self._heard:
            self._heard.add(process)
            self._node.subscribe(process, LIFE_SIGN, self._hangs.hear)
        for process in self._heard - {each.process for each in programs}:
            self._heard.discard(process)
            self._node.unsubscribe(process, LIFE_SIGN)
        self._controller.correct(programs)
        self._hangs.look(running)
        self._controller.worked(self._hangs.working())
        self._node.note_event()

    def _look_at_disk(self) -> None:
        free = shutil.disk_usage(self._home.run).free // _MEGABYTE
        tell_of_disk(self._alarms, self._home.run, free, self._settings.health)


def _pauses(settings: SupervisionConfig) -> Settings:
    return Settings(settings.backoff_first_seconds, settings.backoff_most_seconds, settings.slow_retry_seconds)


def main(arguments: Sequence[str]) -> int:
    """Run the warden until supervisord ends it."""
    del arguments
    home = find_home()
    settings = config.load(home)
    node = Node(names.WARDEN, Directory(home.sockets))
    warden = Warden(node, home, settings)
    node.after(0.0, warden.begin)
    node.run()
    return node.exit_status

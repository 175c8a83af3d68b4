"""`core.keeper`: sees that exactly the sessions that should run have their groups, and serves tradectl.

Owns which groups supervisord has. Hears the warden's heartbeat; reads what should be from the database once a second
and asks supervisord for what is. A session with a schedule should run while that says so. Says `session` when one
changes. When it dies, running sessions are not touched; commands get no answer until it is back. While the database
is away no group is started or stopped, because nobody knows what should run.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from tradeproc import config
from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Node
from tradeproc.clock import wall_ns
from tradeproc.config import Config
from tradeproc.errors import Refusal
from tradeproc.home import Home, find_home
from tradeproc.procs.keeper.acknowledge import register_acknowledge
from tradeproc.procs.keeper.aside_watch import AsideWatch
from tradeproc.procs.keeper.commands import Commands
from tradeproc.procs.keeper.latches import Latches
from tradeproc.procs.keeper.lists import register_lists
from tradeproc.procs.keeper.portfolios import PortfolioCommands
from tradeproc.procs.keeper.schedule import Schedules
from tradeproc.procs.keeper.session_checks import Checks
from tradeproc.procs.keeper.sessions import SessionView, wanted_of
from tradeproc.procs.keeper.warden_watch import WardenWatch
from tradeproc.procs.market_hours_file import follow_market_hours
from tradeproc.procs.session_start import database_of
from tradeproc.protocol import names
from tradeproc.protocol.process_messages import ProcessState
from tradeproc.protocol.scopes import Scope
from tradeproc.protocol.session_messages import SESSION, SessionBody, SessionsBody
from tradeproc.store import DatabaseDown, SessionRow, Store
from tradeproc.supervision.client import SupervisorAway, SupervisorRefused
from tradeproc.supervision.groups_shell import GroupsShell
from tradeproc.supervision.wanted_groups import without_conflicts

log = logging.getLogger(__name__)

LOOK_SECONDS, _AGAIN_SECONDS = 1.0, 0.25
CONFLICT = "session_conflict"


class Keeper:
    """Looks once a second, and at once after a command."""

    def __init__(self, node: Node, home: Home, settings: Config, store: Store) -> None:
        self.node, self.home, self.settings, self.store = node, home, settings, store
        self.groups = GroupsShell(home)
        self.latches = Latches(node, store, home)
        self.schedules = Schedules(node, store)
        self.view = SessionView()
        self._aside = AsideWatch(store, home.groups)
        self._told: dict[int, SessionBody] = {}
        self._conflicts: dict[int, int] = {}
        # the sessions whose alarm may stand; None before the database was asked
        self._alarmed: set[int] | None = None
        self._migrating: Future[list[str]] | None = None
        self._is_prepared = False
        self._looks = 0
        self._said = ("", "")
        self._lane = ThreadPoolExecutor(1, "migration")
        node.on_stop(lambda: self._lane.shutdown(wait=False))
        node.add_statistics(lambda: {"looks": self._looks})
        node.snapshot(SESSION, lambda: SessionsBody(tuple(self._told.values())))

    def look(self) -> None:
        """Compare what should be with what is, and take the next steps."""
        self._looks += 1
        self.home.keep_names()
        try:
            if not self._prepare():
                self._say("starting", "the schema of the database is brought up to date")
                return
            # latches come first: a session that cannot be read must not hold up a halt
            self.latches.keep_promises()
            rows = self.store.sessions()
            self.view.latches = {latch.scope: latch.state for latch in self.latches.standing()}
            self.view.portfolios = self._portfolios()
        except DatabaseDown as down:
            self._say("degraded", f"database: {down}")
            return
        except Refusal as refusal:
            self._say("degraded", f"a session in the database cannot be read: {refusal}")
            return
        try:
            self._agree(rows)
        except SupervisorAway as away:
            self._say("degraded", str(away))
            return
        self._aside.look()
        self._tell(rows)
        self._say("ready")
        self.node.note_work()

    def look_again(self) -> None:
        """Look sooner while something is away."""
        if self._said[0] != "ready":
            self.look()

    def _prepare(self) -> bool:
        """Bring the schema up to date, on a thread because that may take long, and store our logins; done once."""
        if self._is_prepared:
            return True
        if self._migrating is None:
            self._migrating = self._lane.submit(self.store.migrate)
            self._migrating.add_done_callback(self._migrated)
        if not self._migrating.done():
            return False
        migrating, self._migrating = self._migrating, None
        migrating.result()
        for login in self.settings.logins.values():
            self.store.save_login(login.name, login.broker, login.environment.value, login.base_url)
        self._is_prepared = True
        return True

    def _migrated(self, migrating: Future[list[str]]) -> None:
        # after a success look at once; a database that is away is asked again by the regular look
        if migrating.exception() is None:
            self.node.post(self.look)

    def _portfolios(self) -> Mapping[int, str]:
        """Return the portfolios of sessions where a latch of one makes that worth the question."""
        if all(Scope(scope).portfolio is None for scope in self.view.latches):
            return {}
        return {each.session: each.portfolio for each in self.store.portfolios.sessions()}

    def _agree(self, rows: Sequence[SessionRow]) -> None:
        programs = self.groups.programs()
        wanted = [wanted_of(row) for row in self.schedules.due(rows, programs, wall_ns())]
        allowed, conflicts = without_conflicts(wanted, {program.group for program in programs})
        self._note_conflicts(conflicts)
        if self.groups.step(allowed, programs):
            programs = self.groups.programs()
        self.view.seen(programs, conflicts)

    def _note_conflicts(self, conflicts: dict[int, int]) -> None:
        for session, holder in conflicts.items():
            if self._conflicts.get(session) != holder:
                detail = f"session {holder} trades the same account and product; this one is not started"
                log.error("session_conflict session=%d holder=%d", session, holder)
                try:
                    self.store.save_alarm(session, CONFLICT, detail, wall_ns(), names.KEEPER)
                except DatabaseDown as down:
                    # the next look finds the same and tries again
                    log.warning("alarm_unsaved session=%d reason=%s", session, down)
                    return
                self._conflicts = {**self._conflicts, session: holder}
        self._conflicts = conflicts
        self._clear_conflicts()

    def _clear_conflicts(self) -> None:
        """Take back the alarms of sessions that have no conflict any more, also those of a keeper before us."""
        if self._alarmed is not None and self._alarmed <= self._conflicts.keys():
            self._alarmed = set(self._conflicts)
            return
        try:
            rows = self.store.alarms(only_standing=True)
            standing = {row.session for row in rows if row.name == CONFLICT and row.session is not None}
            for session in standing - self._conflicts.keys():
                self.store.clear_alarms(session, CONFLICT, wall_ns())
        except DatabaseDown as down:
            log.warning("alarms_not_cleared reason=%s", down)
            return
        self._alarmed = set(self._conflicts)

    def _tell(self, rows: Sequence[SessionRow]) -> None:
        bodies = {row.id: self.view.body(row) for row in rows}
        for session, body in bodies.items():
            if self._told.get(session) != body:
                self.node.publish(SESSION, body)
                self.node.note_event()
        self._told = bodies

    def _say(self, state: ProcessState, detail: str = "") -> None:
        if trouble := self.latches.unstored.trouble:
            state, detail = "degraded", f"{trouble}; {detail}" if detail else trouble
        if (state, detail) != self._said:
            self._said = (state, detail)
            log.info("keeper_state state=%s detail=%s", state, detail)
            if state == "ready":
                # an older supervisord does not know this call, and one that is away does not need it
                with suppress(SupervisorAway, SupervisorRefused):
                    self.groups.supervisor.say_ready()
        self.node.set_state(state, detail)


def main(arguments: Sequence[str]) -> int:
    """Run the keeper until SIGTERM."""
    del arguments
    home = find_home()
    settings = config.load(home)
    node = Node(names.KEEPER, Directory(home.sockets))
    store = Store(database_of(settings, home), connect_timeout=settings.database.connect_seconds)
    keeper = Keeper(node, home, settings, store)
    follow_market_hours(node, home)
    WardenWatch(node, keeper.groups.supervisor, settings.supervision)
    checks = Checks(node, home, keeper.groups)
    Commands(node, store, checks, keeper.groups, keeper.view, keeper.look)
    PortfolioCommands(node, store)
    register_lists(node, store)
    register_acknowledge(node, store)
    node.every(LOOK_SECONDS, keeper.look)
    node.every(_AGAIN_SECONDS, keeper.look_again)
    node.after(0.0, keeper.look)
    node.on_stop(checks.close)
    node.run()
    store.close()
    return node.exit_status

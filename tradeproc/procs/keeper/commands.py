"""Sessions on command: list, create, start, stop, remove. Stores what is wanted; the keeper brings it about."""

import logging
import time
from collections.abc import Callable
from functools import partial

from tradeproc import config
from tradeproc.bus.node import Answered, Deferred, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.clock import wall_ns
from tradeproc.config import BadConfig, Config
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.wanted import RUNNING, next_change, wanted_now
from tradeproc.errors import Outage, Refusal
from tradeproc.home import Home
from tradeproc.procs.keeper.lists import number
from tradeproc.procs.keeper.schedule import FLATTENING
from tradeproc.procs.keeper.session_checks import CheckResult, Checks, Venue
from tradeproc.procs.keeper.sessions import SessionView, wanted_of
from tradeproc.protocol import names
from tradeproc.protocol import session_messages as sessions
from tradeproc.protocol.session_messages import (
    CreateSession,
    Named,
    OfSession,
    OneSession,
    RemovedSession,
    RemovedSessions,
    RemoveSession,
    SessionCreated,
    SessionsBody,
    SessionStarted,
    SessionStopped,
    StopSession,
)
from tradeproc.protocol.trader_messages import STOP, StopTrading, TradingStateNow
from tradeproc.store import SessionRow, Store
from tradeproc.supervision.client import Program, SupervisorAway
from tradeproc.supervision.groups_shell import GroupsShell
from tradeproc.supervision.wanted_groups import is_done

log = logging.getLogger(__name__)

# a living trader answers at once; how long it may take to get flat is decided by the asker
_TOLD_SECONDS = 5.0
_LOOK_SECONDS = 0.25


class NotNow(Refusal):
    """A command that does not fit the session's present; answered as refused, in one line."""


class Commands:
    """The methods about sessions."""

    def __init__(
        self,
        node: Node,
        store: Store,
        checks: Checks,
        groups: GroupsShell,
        view: SessionView,
        look: Callable[[], None],
    ) -> None:
        self._node, self._store, self._checks = node, store, checks
        self._groups, self._view, self._look = groups, view, look
        node.handle(sessions.SESSIONS, lambda _: SessionsBody(tuple(view.body(row) for row in store.sessions())))
        node.handle(sessions.ONE_SESSION, lambda asked: OneSession(view.body(store.session(_number(asked)))))
        node.handle(sessions.REMOVED, self._removed)
        node.handle_timed(sessions.CREATE, self._create)
        node.handle(sessions.START, self._start)
        node.handle_timed(sessions.STOP, self._stop)
        node.handle(sessions.REMOVE, self._remove)

    def _removed(self, asked: Named) -> RemovedSessions:
        return RemovedSessions(tuple(RemovedSession(**row) for row in self._store.removed_sessions(asked.named)))

    # --- create and remove

    def _create(self, wish: CreateSession, seconds: float) -> Deferred[SessionCreated]:
        ends_at = time.monotonic() + seconds
        spec = SessionSpec.from_dict(wish.spec)
        configured = _config(self._groups.home)
        configured.check_session(spec)
        login = configured.login(spec.login)
        data_login = configured.login(spec.login_of_data)
        # the logins may have been configured since our start, and the rows of accounts refer to them
        for each in (data_login, login):
            self._store.save_login(each.name, each.broker, each.environment.value, each.base_url)
        known = [row.account for row in self._store.accounts(spec.login)]
        deferred = Deferred[SessionCreated]()

        def decide(verdict: CheckResult) -> None:
            if verdict.refusal:
                deferred.refuse(verdict.refusal)
                return
            try:
                if verdict.accounts:
                    self._store.save_accounts(spec.login, verdict.accounts)
                session = self._store.create_session(spec, key=wish.key)
            except Outage as outage:
                deferred.fail(str(outage))
                return
            log.info("session_created session=%d name=%s", session, spec.name)
            deferred.answer(SessionCreated(session, verdict.unchecked))
            self._look()

        market = Venue(spec.root, login.broker, data_login.broker)
        self._checks.check(spec, market, known, partial(_until, ends_at), decide)
        return deferred

    def _remove(self, asked: RemoveSession) -> OfSession:
        row = self._store.session(_number(asked))
        if row.desired != "stopped":
            raise NotNow(f"session {row.id} is {'to run' if row.desired == RUNNING else row.desired}; stop it first")
        if self._view.has_group(row.id):
            raise NotNow(f"session {row.id} is still stopping; try again in a moment")
        if not asked.abandon and (left := self._left(row.id)):
            raise NotNow(
                f"session {row.id} still has {left}, as the database knows; nobody would look after that, and its "
                "portfolio would count it no more: start it and stop it with --flatten, or remove it with --abandon"
            )
        self._store.remove_session(row.id)
        log.info("session_removed session=%d", row.id)
        self._look()
        return OfSession(row.id)

    def _left(self, session: int) -> str:
        """Return what a session has at the broker as the database knows it, empty for nothing."""
        held = [
            f"{each.position.quantity:+d} {each.position.contract}"
            for each in self._store.positions(session)
            if each.position.quantity
        ]
        orders = len(self._store.open_orders(session))
        return " and ".join([*held, f"{orders} open orders"] if orders else held)

    # --- start and stop

    def _start(self, asked: OfSession) -> SessionStarted:
        row = self._store.session(_number(asked))
        if row.desired == FLATTENING:
            raise NotNow(f"session {row.id} is getting flat and then stops; start it after that, or stop it as it is")
        _config(self._groups.home).check_session(row.spec)
        self._refuse_a_second(row)
        self._store.set_desired(row.id, "running")
        log.info("session_wanted session=%d", row.id)
        try:
            self._groups.start(row.id, row.spec.logins)
        except SupervisorAway as away:
            log.warning("start_later session=%d reason=%s", row.id, away)
        self._look()
        now = wall_ns()
        starts_at = None if wanted_now(row.spec, "running", now) else next_change(row.spec, "running", now)
        return SessionStarted(row.id, "running", starts_at)

    def _refuse_a_second(self, row: SessionRow) -> None:
        mine = wanted_of(row)
        for other in self._store.sessions():
            theirs = wanted_of(other)
            is_same = (theirs.account, theirs.root) == (mine.account, mine.root)
            if other.id != row.id and is_same and (other.desired != "stopped" or self._view.has_group(other.id)):
                raise NotNow(
                    f"session {other.id} ({other.spec.name}) trades {mine.root} in account {mine.account} already; "
                    "stop it first"
                )

    def _stop(self, wish: StopSession, seconds: float) -> SessionStopped | Deferred[SessionStopped]:
        ends_at = time.monotonic() + seconds
        row = self._store.session(_number(wish))
        if not wish.flatten:
            return self._stopped(row.id)
        # stored before anything else: whichever process dies from here on, the session gets flat and trades no more
        is_kept = row.desired != "stopped" and self._may_have_trader(row.id)
        if is_kept and row.desired != FLATTENING:
            self._store.set_desired(row.id, FLATTENING)
            log.info("session_unwanted session=%d: to be flat first", row.id)
        wanted = StopTrading(wish.by or "operator", flatten=True, pid=self._pid(row.id))
        deferred = Deferred[SessionStopped]()

        def replied(reply: Reply[TradingStateNow]) -> None:
            match reply:
                case Answered():
                    self._wait_flat(row, deferred, ends_at, _until(ends_at))
                case NoAnswer(reason) | RequestWasRefused(reason) if is_kept and (
                    isinstance(reply, NoAnswer) or self._pid(row.id) != wanted.pid
                ):
                    # the trader may have heard and be getting flat: to take that back would let it run again; one
                    # that has begun since then is told as well
                    deferred.refuse(
                        f"session {row.id} is not stopped yet, because its trader did not answer: {reason}; the "
                        "keeper tells it again until it is flat and stops; "
                        f"session stop {row.id} alone stops it as it is"
                    )
                case RequestWasRefused(reason) | NoAnswer(reason):
                    still = self._take_back(row)
                    deferred.refuse(
                        f"session {row.id} is not stopped, because its trader did not flatten: {reason}{still}"
                    )

        patience = max(0.0, min(_TOLD_SECONDS, seconds))
        self._node.request(names.trader(row.id), STOP, wanted, seconds=patience, on_reply=replied)
        return deferred

    def _take_back(self, row: SessionRow) -> str:
        """Let the session run again; return what the answer must add when the database does not take that."""
        try:
            if self._store.session(row.id).desired == FLATTENING:
                self._store.set_desired(row.id, row.desired)
        except (Outage, Refusal) as error:
            log.warning("stop_not_taken_back session=%d reason=%s", row.id, error)
            return f"; the keeper tells it again until it is flat and stops, because {error}"
        return ""

    def _wait_flat(self, row: SessionRow, deferred: Deferred[SessionStopped], ends_at: float, given: float) -> None:
        """Look until the trader has ended, which it does when it is flat; the keeper's own look does the rest.

        `ends_at` is the latest moment for an answer, in seconds of the monotonic clock; `given` is how many seconds
        were left at the beginning.
        """
        if self._has_ended(row.id):
            try:
                deferred.answer(self._stopped(row.id))
            except Outage as outage:
                deferred.fail(f"session {row.id} is flat; that it has stopped is stored later: {outage}")
        elif _until(ends_at) > _LOOK_SECONDS:
            self._node.after(_LOOK_SECONDS, lambda: self._wait_flat(row, deferred, ends_at, given))
        else:
            deferred.refuse(
                f"session {row.id} is not flat after {given:.0f} s; it enters no more, goes on getting flat, "
                "and stops then"
            )

    def _may_have_trader(self, session: int) -> bool:
        try:
            trader = self._trader(session)
        except SupervisorAway:
            return True
        return trader is not None and trader.state.is_up

    def _pid(self, session: int) -> int:
        try:
            trader = self._trader(session)
        except SupervisorAway:
            return 0
        return 0 if trader is None else trader.pid

    def _has_ended(self, session: int) -> bool:
        try:
            trader = self._trader(session)
            if trader is not None:
                return is_done(trader)
            # its group is gone because the keeper saw it end, or because supervisord has just begun anew
            return self._store.session(session).desired == "stopped"
        except Outage:
            return False

    def _trader(self, session: int) -> Program | None:
        name = names.trader(session)
        return next((program for program in self._groups.programs() if program.process == name), None)

    def _stopped(self, session: int) -> SessionStopped:
        self._store.set_desired(session, "stopped")
        log.info("session_unwanted session=%d: its working orders and position stay at the broker", session)
        self._look()
        return SessionStopped(session, "stopped")


def _number(asked: OfSession | RemoveSession | StopSession) -> int:
    return number(asked.session, "session")


def _until(ends_at: float) -> float:
    return ends_at - time.monotonic()


def _config(home: Home) -> Config:
    """Return the configuration as it is now: a login added since our start counts.

    Raises:
        NotNow: it cannot be read; the person who asked learns why, and the keeper lives on.
    """
    try:
        return config.load(home)
    except BadConfig as bad:
        raise NotNow(str(bad)) from None

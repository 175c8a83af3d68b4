"""Halt, reduce, resume, flatten: told to the traders at once, and kept in the database so that it lasts.

The traders are told first and without asking the database: a kill switch must not wait for a database. A latch that
is not stored yet lies in a file (`store/kept.py`), which traders read beside the database; it is stored as soon as
the database takes it. A file that cannot be read halts the host, with an alarm, until a person resumes.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial

from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Answered, Deferred, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.texts import storable
from tradeproc.engine.latched_by import EXTERNAL, INERT_STOP, LIMIT, ROLL
from tradeproc.errors import Refusal
from tradeproc.home import Home
from tradeproc.procs.keeper.lists import number
from tradeproc.procs.keeper.unstored import Unstored
from tradeproc.protocol import names, scopes
from tradeproc.protocol.definitions import Method
from tradeproc.protocol.scopes import BadScope, Scope
from tradeproc.protocol.switch_messages import (
    LOGIN_SWITCHES,
    SCOPE_SWITCHES,
    SWITCHES,
    StandingLatch,
    SwitchThrown,
    ThrowLoginSwitch,
    ThrowScopeSwitch,
    ThrowSwitch,
    TraderHeard,
)
from tradeproc.protocol.trader_messages import FLATTEN, HALT, REDUCE, RESUME, Switch, TradingStateNow
from tradeproc.store import DatabaseDown, Latch, SessionRow, Store

log = logging.getLogger(__name__)

_STATES = {"halt": "halted", "reduce": "reducing", "resume": "active"}
_OF_TRADER: Mapping[str, Method[Switch, TradingStateNow]] = {
    each.name: each for each in (HALT, REDUCE, RESUME, FLATTEN)
}
_ANSWER_SECONDS = 3.0
_AnySwitch = ThrowSwitch | ThrowLoginSwitch | ThrowScopeSwitch


class ReasonNeeded(Refusal):
    """A resume without a reason where one is needed; caught by the bus, told to the person."""

    def __init__(self, scope: str, trouble: str) -> None:
        whose = Scope(scope).in_words
        super().__init__(f"{whose}: {trouble}; look at it, then resume it with --reason WHY")


class Latches:
    """The switches of the host, of logins and of single sessions."""

    def __init__(self, node: Node, store: Store, home: Home) -> None:
        self._node, self._store, self._directory = node, store, Directory(home.sockets)
        self.unstored = Unstored(store, home)
        for name in _STATES:
            node.handle_timed(SWITCHES[name], partial(self._switch, name))
            node.handle_timed(LOGIN_SWITCHES[name], partial(self._switch, name))
            node.handle_timed(SCOPE_SWITCHES[name], partial(self._switch, name))
        node.handle_timed(SWITCHES["flatten"], self._flatten)

    def keep_promises(self) -> None:
        """Store the latches that the database has not seen yet.

        Raises:
            DatabaseDown: it is still away.
        """
        self.unstored.store_all()

    def standing(self) -> list[Latch]:
        """Return the latches that count, stored or not yet.

        Raises:
            DatabaseDown: the database is away.
        """
        return self.unstored.standing()

    def _switch(self, name: str, thrown: _AnySwitch, seconds: float) -> Deferred[SwitchThrown]:
        told = _Told(_scope(thrown), *_words(thrown), seconds)
        if name == "resume":
            self._check_reason(told)
        kept = _Kept()
        deferred = self._fan_out(name, told, kept)
        kept.latch = self._latch(told, _STATES[name])
        kept.standing = self._standing(told.scope)
        return deferred

    def _flatten(self, thrown: ThrowSwitch, seconds: float) -> Deferred[SwitchThrown]:
        """Halt entries, because the strategy would enter again otherwise, and get flat."""
        told, kept = _Told(_scope(thrown), *_words(thrown), seconds), _Kept()
        self._fan_out("halt", told, _Kept())
        deferred = self._fan_out("flatten", told, kept)
        kept.latch = self._latch(told, "halted")
        kept.standing = self._standing(told.scope)
        return deferred

    def _check_reason(self, told: "_Told") -> None:
        """Lift a latch that a trader has set by itself only for a reason: somebody must have looked.

        It is one for a change by no order of ours, a loss limit, a roll that went wrong or an inert stop. The host
        never has one. While the database is away, any other may be one.

        Raises:
            ReasonNeeded: there is none.
        """
        scope = told.scope
        if told.reason.strip() or scope == scopes.HOST:
            return
        try:
            rules = (INERT_STOP,) if scope.login is not None else (EXTERNAL, LIMIT, ROLL)
            latched = next(filter(None, (self._store.latched_by(scope, rule) for rule in rules)), None)
        except DatabaseDown as down:
            raise ReasonNeeded(scope, f"unknown why it is latched, as the database is away ({down.reason})") from None
        if latched is not None:
            raise ReasonNeeded(scope, f"it is latched: {latched}")

    def _latch(self, told: "_Told", state: str) -> str:
        log.warning("latch_set scope=%s state=%s by=%s reason=%s", told.scope, state, told.by, told.reason)
        return self.unstored.set(told.scope, state, told.by, told.reason)

    def _standing(self, scope: Scope) -> tuple[StandingLatch, ...] | None:
        """Return the latches other than active that count for `scope`, for the host those of all; None: unknown."""
        if self.unstored.is_waiting:
            # the database has just not answered; a switch does not wait for it twice
            return None
        try:
            latches = self.standing()
            rows = self._store.sessions()
            found = None if scope.session is None else self._store.portfolios.of_session(scope.session)
        except (DatabaseDown, Refusal):
            # for example a session that cannot be read: the switch is thrown all the same
            return None
        closed = [latch for latch in latches if latch.state != "active"]
        portfolio = "" if found is None else found.spec.name
        return tuple(
            StandingLatch(each.scope, each.state)
            for each in closed
            if _counts(Scope(each.scope), scope, rows, portfolio)
        )

    def _fan_out(self, method: str, told: "_Told", kept: "_Kept") -> Deferred[SwitchThrown]:
        """Tell the traders of a scope; the answer says who heard it, and what `kept` holds when all have replied."""
        deferred = Deferred[SwitchThrown]()
        sessions = self._sessions(told.scope)
        results: dict[int, TraderHeard | None] = {}

        def answer() -> None:
            heard = tuple(found for session in sessions if (found := results[session]) is not None)
            deferred.answer(SwitchThrown(told.scope, kept.latch, kept.standing, heard))

        def replied(session: int, reply: Reply[TradingStateNow]) -> None:
            match reply:
                case Answered(now) if not now.is_concerned:
                    results[session] = None
                case Answered(now):
                    results[session] = TraderHeard(session, True, trading_state=now.trading_state)
                case RequestWasRefused(reason) | NoAnswer(reason):
                    log.warning("switch_unheard method=%s session=%d reason=%s", method, session, reason)
                    results[session] = TraderHeard(session, False, reason=reason)
            if len(results) == len(sessions):
                answer()

        seconds = max(0.0, min(_ANSWER_SECONDS, told.seconds))
        for session in sessions:
            process, heard = names.trader(session), partial(replied, session)
            switch = Switch(told.by, told.reason, told.scope)
            self._node.request(process, _OF_TRADER[method], switch, seconds=seconds, on_reply=heard)
        if not sessions:
            self._node.after(0.0, answer)
        return deferred

    def _sessions(self, scope: Scope) -> list[int]:
        # The sockets are listed, not supervisord's programs: that works while supervisord is away, and finds traders
        # that have lost it.
        there = self._directory.processes()
        present = sorted(each.trader_of for each in there if each.trader_of is not None)
        is_of_all = scope.session is None
        return [session for session in present if is_of_all or scope == scopes.of_session(session)]


@dataclass(frozen=True, slots=True)
class _Told:
    """A switch as it was thrown: what it means, by whom and why, and for how many seconds its asker waits."""

    scope: Scope
    by: str
    reason: str
    seconds: float


@dataclass(slots=True)
class _Kept:
    """How safe a latch is and which ones stand; filled in after the traders have been told."""

    latch: str = ""
    standing: tuple[StandingLatch, ...] | None = None


def _counts(latched: Scope, thrown: Scope, rows: Sequence[SessionRow], portfolio: str) -> bool:
    """Tell whether a latch counts where a switch was thrown: for a session, what it belongs to, or the host with all.

    `portfolio` is that of the session, empty for none.
    """
    if latched == thrown:
        return True
    if thrown.session is not None:
        logins = next((row.spec.logins for row in rows if row.id == thrown.session), ())
        account = next((row.spec.account for row in rows if row.id == thrown.session), None)
        return latched.concerns(thrown.session, logins, portfolio, account)
    if thrown.kind != scopes.HOST:
        # its sessions may have other logins, portfolios and accounts beside: only the host counts for all of them
        return latched == scopes.HOST
    return latched.session is None or latched.session in {row.id for row in rows}


def _scope(thrown: _AnySwitch) -> Scope:
    if isinstance(thrown, ThrowScopeSwitch):
        return _shared(thrown.scope)
    if isinstance(thrown, ThrowLoginSwitch):
        return Scope.parse(scopes.of_login(thrown.login))
    return scopes.HOST if thrown.session is None else scopes.of_session(number(thrown.session, "session"))


def _shared(named: str) -> Scope:
    """Return the scope of a portfolio or an account.

    Raises:
        BadScope: it is another one, which a method of its own is for.
    """
    scope = Scope.parse(named)
    if scope.portfolio is None and scope.account is None:
        raise BadScope(named)
    return scope


def _words(thrown: _AnySwitch) -> tuple[str, str]:
    """Return who throws the switch and why; a missing or odd text here must not hold up a halt."""
    return storable(str(thrown.by or "operator")), storable(str(thrown.reason or ""))

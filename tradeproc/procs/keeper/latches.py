"""Halt, reduce, resume, flatten: told to the traders at once, and kept in the database so that it lasts.

The traders are told first and without asking the database: a switch that waits for a database is none. A latch that
is not stored yet lies in a file (`store/kept.py`), which traders read beside the database; it is stored as soon as
the database takes it. A file that cannot be read halts the host, with an alarm, until a person resumes.
"""

import logging
from functools import partial

from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Answered, Deferred, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.bus.serving import seconds_left
from tradeproc.domain.texts import storable
from tradeproc.engine.turn import EXTERNAL
from tradeproc.errors import Refusal
from tradeproc.home import Home
from tradeproc.procs.keeper.lists import number
from tradeproc.procs.keeper.unstored import Unstored
from tradeproc.protocol import names, scopes
from tradeproc.protocol.scopes import Scope
from tradeproc.store import DatabaseDown, Latch, Store

log = logging.getLogger(__name__)

_STATES = {"halt": "halted", "reduce": "reducing", "resume": "active"}
_ANSWER_SECONDS = 3.0


class ReasonNeeded(Refusal):
    """A resume without a reason where one is needed; caught by the bus, told to the person."""

    def __init__(self, scope: str, trouble: str) -> None:
        whose = Scope(scope).in_words
        super().__init__(f"{whose}: {trouble}; look at it, then resume it with --reason WHY")


class Latches:
    """The switches of the host and of single sessions."""

    def __init__(self, node: Node, store: Store, home: Home) -> None:
        self._node, self._store, self._directory = node, store, Directory(home.sockets)
        self.unstored = Unstored(store, home)
        for method in _STATES:
            node.handle(method, partial(self._switch, method))
        node.handle("flatten", self._flatten)

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

    def _switch(self, method: str, body: Body) -> Deferred[Body]:
        scope = _scope(body)
        if method == "resume":
            self._check_reason(scope, body)
        answer: Body = {"scope": scope}
        deferred = self._fan_out(method, scope, body, answer)
        answer["latch"] = self._latch(scope, _STATES[method], body)
        answer["standing"] = self._standing(scope)
        return deferred

    def _flatten(self, body: Body) -> Deferred[Body]:
        """Halt entries, or the strategy would enter again, and get flat."""
        scope = _scope(body)
        answer: Body = {"scope": scope}
        self._fan_out("halt", scope, body, {})
        deferred = self._fan_out("flatten", scope, body, answer)
        answer["latch"] = self._latch(scope, "halted", body)
        answer["standing"] = self._standing(scope)
        return deferred

    def _check_reason(self, scope: str, body: Body) -> None:
        """Lift the latch of a change by no order of ours only for a reason: somebody has looked.

        It is one of a session. While the database is away, any may be such a latch.

        Raises:
            ReasonNeeded: there is none.
        """
        if _words(body)[1].strip() or scope == scopes.HOST:
            return
        try:
            latched = self._store.latched_by(scope, EXTERNAL)
        except DatabaseDown as down:
            raise ReasonNeeded(scope, f"unknown why it is latched, as the database is away ({down.reason})") from None
        if latched is not None:
            raise ReasonNeeded(scope, f"it is latched: {latched}")

    def _latch(self, scope: str, state: str, body: Body) -> str:
        by, reason = _words(body)
        log.warning("latch_set scope=%s state=%s by=%s reason=%s", scope, state, by, reason)
        return self.unstored.set(scope, state, by, reason)

    def _standing(self, scope: str) -> list[Body] | None:
        """Return the latches that close more than nothing, for a session or for the host and all; None: unknown."""
        if self.unstored.is_waiting:
            # the database has just not answered; a switch does not wait for it twice
            return None
        try:
            latches = self.standing()
            sessions = (
                {scopes.of_session(row.id) for row in self._store.sessions()} if scope == scopes.HOST else {scope}
            )
        except (DatabaseDown, Refusal):
            # a session that cannot be read, say: the switch is thrown all the same
            return None
        closed = [latch for latch in latches if latch.state != "active"]
        meant = [each for each in closed if each.scope in sessions or Scope(each.scope).session is None]
        return [{"scope": each.scope, "state": each.state} for each in meant]

    def _fan_out(self, method: str, scope: str, body: Body, answer: Body) -> Deferred[Body]:
        """Tell the traders that the scope means; the answer says who heard it."""
        deferred = Deferred[Body]()
        sessions = self._sessions(scope)
        results: dict[int, Body] = {}

        def replied(session: int, reply: Reply[Body]) -> None:
            match reply:
                case Answered(told):
                    results[session] = {"session": session, "ok": True, "trading_state": told.get("trading_state")}
                case RequestWasRefused(reason) | NoAnswer(reason):
                    log.warning("switch_unheard method=%s session=%d reason=%s", method, session, reason)
                    results[session] = {"session": session, "ok": False, "reason": reason}
            if len(results) == len(sessions):
                deferred.answer({**answer, "sessions": [results[one] for one in sessions]})

        by, reason = _words(body)
        params = {"scope": scope, "by": by, "reason": reason}
        seconds = max(0.0, min(_ANSWER_SECONDS, seconds_left(body)))
        for session in sessions:
            self._node.request(
                names.trader(session),
                method,
                params,
                seconds=seconds,
                on_reply=partial(replied, session),
            )
        if not sessions:
            self._node.after(0.0, lambda: deferred.answer({**answer, "sessions": []}))
        return deferred

    def _sessions(self, scope: str) -> list[int]:
        # sockets rather than supervisord's list: it works while supervisord is away, and finds orphans too
        there = self._directory.processes()
        present = sorted(each.trader_of for each in there if each.trader_of is not None)
        return [session for session in present if scope in (scopes.HOST, scopes.of_session(session))]


def _scope(body: Body) -> str:
    session = body.get("session")
    return scopes.HOST if session is None else scopes.of_session(number(session, "session"))


def _words(body: Body) -> tuple[str, str]:
    """Return who throws the switch and why; no word of it may hold up a halt."""
    return storable(str(body.get("by") or "operator")), storable(str(body.get("reason") or ""))

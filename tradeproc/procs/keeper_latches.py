"""Halt, reduce, resume, flatten: told to the traders at once, and kept in the database so that it lasts.

The traders are told first and without asking the database: a switch that waits for a database is none. A latch that
cannot be stored yet is kept in a file and stored when the database is back; traders read stored latches themselves.
"""

import logging
import re
from functools import partial
from pathlib import Path

import orjson

from tradeproc.bus.codec import Body
from tradeproc.bus.node import Answered, Deferred, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.home import Home
from tradeproc.procs.keeper_lists import number
from tradeproc.store import DatabaseDown, Store

log = logging.getLogger(__name__)

_STATES = {"halt": "halted", "reduce": "reducing", "resume": "active"}
_ANSWER_SECONDS = 3.0
_TRADER = re.compile(r"session-(\d+)\.trader")


class Latches:
    """The switches of the host and of single sessions."""

    def __init__(self, node: Node, store: Store, home: Home) -> None:
        self._node, self._store, self._sockets = node, store, home.sockets
        self._file = home.journal / "latches.json"
        self._unstored: dict[str, list[str]] = _read(self._file)
        for method in _STATES:
            node.handle(method, partial(self._switch, method))
        node.handle("flatten", self._flatten)

    def keep_promises(self) -> None:
        """Store the latches that the database has not seen yet.

        Raises:
            DatabaseDown: it is still away.
        """
        for scope, (state, by, reason) in list(self._unstored.items()):
            self._store.set_latch(scope, state, by, reason)
            del self._unstored[scope]
            self._write()
            log.info("latch_stored scope=%s state=%s by=%s", scope, state, by)

    def _switch(self, method: str, body: Body) -> Deferred:
        scope = _scope(body)
        answer: Body = {"scope": scope}
        deferred = self._fan_out(method, scope, body, answer)
        answer["latch"] = self._latch(scope, _STATES[method], body)
        answer["standing"] = self._standing(scope)
        return deferred

    def _flatten(self, body: Body) -> Deferred:
        """Halt entries, or the strategy would enter again, and get flat."""
        scope = _scope(body)
        answer: Body = {"scope": scope}
        self._fan_out("halt", scope, body, {})
        deferred = self._fan_out("flatten", scope, body, answer)
        answer["latch"] = self._latch(scope, "halted", body)
        answer["standing"] = self._standing(scope)
        return deferred

    def _latch(self, scope: str, state: str, body: Body) -> str:
        by, reason = str(body.get("by") or "operator"), str(body.get("reason") or "")
        log.warning("latch_set scope=%s state=%s by=%s reason=%s", scope, state, by, reason)
        self._unstored[scope] = [state, by, reason]
        is_kept = self._write()
        try:
            self.keep_promises()
        except DatabaseDown as down:
            log.warning("latch_unstored scope=%s reason=%s", scope, down)
            return "kept until the database is back" if is_kept else "not stored"
        return "stored"

    def _standing(self, scope: str) -> list[Body] | None:
        """Return the latches that close more than nothing, for a session or for the host and all; None: unknown."""
        if self._unstored:
            # the database has just not answered; a switch does not wait for it twice
            return None
        try:
            latches = self._store.latches()
            sessions = {f"session:{row.id}" for row in self._store.sessions()} if scope == "host" else {scope}
        except DatabaseDown:
            return None
        closed = [latch for latch in latches if latch.state != "active"]
        meant = [each for each in closed if each.scope in sessions or not each.scope.startswith("session:")]
        return [{"scope": each.scope, "state": each.state} for each in meant]

    def _fan_out(self, method: str, scope: str, body: Body, answer: Body) -> Deferred:
        """Tell the traders that the scope means; the answer says who heard it."""
        deferred = Deferred()
        sessions = self._sessions(scope)
        results: dict[int, Body] = {}

        def replied(session: int, reply: Reply) -> None:
            match reply:
                case Answered(told):
                    results[session] = {"session": session, "ok": True, "trading_state": told.get("trading_state")}
                case RequestWasRefused(reason) | NoAnswer(reason):
                    log.warning("switch_unheard method=%s session=%d reason=%s", method, session, reason)
                    results[session] = {"session": session, "ok": False, "reason": reason}
            if len(results) == len(sessions):
                deferred.answer({**answer, "sessions": [results[one] for one in sessions]})

        params = {"scope": scope, "by": str(body.get("by") or "operator"), "reason": str(body.get("reason") or "")}
        for session in sessions:
            self._node.request(
                f"session-{session}.trader",
                method,
                params,
                seconds=_ANSWER_SECONDS,
                on_reply=partial(replied, session),
            )
        if not sessions:
            self._node.after(0.0, lambda: deferred.answer({**answer, "sessions": []}))
        return deferred

    def _sessions(self, scope: str) -> list[int]:
        # sockets rather than supervisord's list: it works while supervisord is away, and finds orphans too
        names = [path.name.removesuffix(".rpc") for path in self._sockets.glob("session-*.trader.rpc")]
        present = sorted(int(found[1]) for name in names if (found := _TRADER.fullmatch(name)))
        return [session for session in present if scope in ("host", f"session:{session}")]

    def _write(self) -> bool:
        fresh = self._file.with_suffix(".new")
        try:
            fresh.write_bytes(orjson.dumps(self._unstored))
            fresh.replace(self._file)
        except OSError as error:
            # a full disk must not stop a halt
            log.warning("latches_unwritten file=%s reason=%s", self._file, error)
            return False
        return True


def _scope(body: Body) -> str:
    session = body.get("session")
    return "host" if session is None else f"session:{number(session, 'session')}"


def _read(file: Path) -> dict[str, list[str]]:
    try:
        kept = orjson.loads(file.read_bytes())
        return {str(scope): [str(state), str(by), str(reason)] for scope, (state, by, reason) in kept.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError):
        log.exception("latches_unreadable file=%s", file)
        return {}

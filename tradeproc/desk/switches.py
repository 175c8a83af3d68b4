"""Halt, reduce, resume and flatten on their way to the traders: by the keeper, which stores the latch, or straight.

A kill switch must not need the keeper or the database: when the keeper does not answer, each trader that is there is
told. The latch is then written into the database from here if no keeper lives and the database answers; else what was
told ends with the trader's life.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from tradeproc.clock import wall_ns
from tradeproc.desk.exit_status import CommandFailed, NotRunning
from tradeproc.desk.installation import Desk
from tradeproc.errors import Outage, Refusal
from tradeproc.protocol import names, scopes
from tradeproc.protocol.names import KEEPER
from tradeproc.protocol.scopes import Scope
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
from tradeproc.protocol.trader_messages import FLATTEN, HALT, REDUCE, Switch
from tradeproc.store.rows import Latch
from tradeproc.store.store import Store

STORED, UNSTORED = "stored", "not stored"
_KEEPER_SECONDS = 8.0
_TRADER_SECONDS = 4.0
_AT_ONCE = 16
_BY = "tradectl"
# what a trader may be told without a keeper: a latch is lifted by the keeper alone
_STRAIGHT = frozenset({"halt", "reduce", "flatten"})
_STATES = {"halt": "halted", "reduce": "reducing", "flatten": "halted"}
_DATABASE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Thrown:
    """What became of a switch; `trouble` says why the keeper could not be asked, and is empty when it answered."""

    scope: Scope
    latch: str
    standing: tuple[StandingLatch, ...] | None
    sessions: tuple[TraderHeard, ...]
    trouble: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        sessions = [_heard_to_dict(each) for each in self.sessions]
        standing = None if self.standing is None else [asdict(each) for each in self.standing]
        if self.trouble:
            told = {"scope": str(self.scope), "sessions": sessions, "latch": self.latch, "standing": standing}
            return {**told, "trouble": self.trouble}
        return {"scope": str(self.scope), "latch": self.latch, "standing": standing, "sessions": sessions}


def _heard_to_dict(heard: TraderHeard) -> dict[str, Any]:
    said = {"trading_state": heard.trading_state} if heard.ok else {"reason": heard.reason}
    return {"session": heard.session, "ok": heard.ok, **said}


def throw(
    desk: Desk,
    name: str,
    session: int | None,
    reason: str,
    login: str | None = None,
    shared: Scope | None = None,
) -> Thrown:
    """Throw a switch and return what the keeper, or the traders, say to it.

    It is thrown for one session, one login, a portfolio or an account (`shared`), or the desk.

    Raises:
        NotRunning: the keeper is away, and no trader can be told in its place.
        CommandFailed: the keeper refused.
    """
    try:
        answer = _ask_keeper(desk, name, session, reason, login, shared)
    except NotRunning as away:
        return _straight(desk, name, scope_of(session, login, shared), reason, away)
    there = desk.traders()
    unheard = [one.session for one in answer.sessions if not one.ok and one.session in there]
    again = {one.session: one for one in _tell(desk, name, answer.scope, unheard, reason)}
    # a socket without a process is no trader: it was killed, and nobody has come after it
    sessions = (again.get(one.session, one) for one in answer.sessions)
    heard = tuple(one for one in sessions if one.ok or one.session in there)
    return Thrown(answer.scope, answer.latch, answer.standing, heard)


def _ask_keeper(
    desk: Desk, name: str, session: int | None, reason: str, login: str | None, shared: Scope | None
) -> SwitchThrown:
    if shared is not None:
        method = SCOPE_SWITCHES[name]
        return desk.ask(KEEPER, method, ThrowScopeSwitch(shared, _BY, reason), seconds=_KEEPER_SECONDS)
    if login is None:
        return desk.ask(KEEPER, SWITCHES[name], ThrowSwitch(session, _BY, reason), seconds=_KEEPER_SECONDS)
    of_login = LOGIN_SWITCHES[name]
    try:
        return desk.ask(KEEPER, of_login, ThrowLoginSwitch(login, _BY, reason), seconds=_KEEPER_SECONDS)
    except CommandFailed as refused:
        if of_login.name not in str(refused):
            raise
        # it names the method that it does not have, because the running keeper is of an earlier version
        raise CommandFailed(
            f"the running keeper knows no switches of logins yet; scripts/tradectl upgrade, or {name} with --session"
        ) from None


def scope_of(session: int | None, login: str | None, shared: Scope | None) -> Scope:
    """Return what a switch is thrown for; see `throw`."""
    if shared is not None:
        return shared
    if login is not None:
        return scopes.of_login(login)
    return scopes.HOST if session is None else scopes.of_session(session)


def _straight(desk: Desk, name: str, scope: Scope, reason: str, away: NotRunning) -> Thrown:
    if name not in _STRAIGHT:
        raise away
    traders = [each for each in desk.traders() if scope.session in (None, each)]
    latch = _store(desk, Latch(str(scope), _STATES[name], _BY, reason, wall_ns()))
    if not traders and latch == UNSTORED:
        whose = "" if scope.session is None else f" of {scope.in_words}"
        raise NotRunning(f"{away}; no trader{whose} runs that could be told in its place, and nothing is stored")
    return Thrown(scope, latch, None, tuple(_tell(desk, name, scope, traders, reason)), str(away))


def _store(desk: Desk, latch: Latch) -> str:
    """Write a latch in the place of a keeper that does not live; one that lives may keep a newer one in its file."""
    if desk.is_alive(KEEPER):
        return UNSTORED
    store = Store(desk.database_url, connect_timeout=_DATABASE_SECONDS, answer_timeout=_DATABASE_SECONDS)
    try:
        store.keep_latch(latch)
    except (Outage, Refusal):
        return UNSTORED
    finally:
        store.close()
    return STORED


def _tell(desk: Desk, name: str, scope: Scope, sessions: Sequence[int], reason: str) -> list[TraderHeard]:
    """Tell traders all at the same time, that one which hangs delays none; a second time does no harm."""
    if not sessions or name not in _STRAIGHT:
        return []
    client = desk.client

    def tell(session: int) -> TraderHeard | None:
        trader, switch = names.trader(session), Switch(_BY, reason, scope)
        try:
            told = client.call(trader, REDUCE if name == "reduce" else HALT, switch, _TRADER_SECONDS)
            if name == "flatten":
                # flat without a halt would enter again
                told = client.call(trader, FLATTEN, switch, _TRADER_SECONDS)
        except (Outage, Refusal) as error:
            return TraderHeard(session, False, reason=str(error))
        if not told.is_concerned:
            return None  # a login's switch is told to all: this one needs another login
        return TraderHeard(session, True, trading_state=told.trading_state)

    with ThreadPoolExecutor(min(len(sessions), _AT_ONCE)) as lanes:
        return [heard for heard in lanes.map(tell, sessions) if heard is not None]

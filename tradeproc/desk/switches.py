"""Halt, reduce, resume and flatten on their way to the traders: by the keeper, which stores the latch, or straight.

A kill switch must not need the keeper or the database: when the keeper does not answer, each trader that is there is
told. What is told so ends with the trader's life, because only the keeper stores latches.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from tradeproc.desk.exit_status import NotRunning
from tradeproc.desk.installation import Desk
from tradeproc.errors import Outage, Refusal
from tradeproc.protocol import names, scopes
from tradeproc.protocol.names import KEEPER
from tradeproc.protocol.scopes import Scope
from tradeproc.protocol.switch_messages import SWITCHES, StandingLatch, ThrowSwitch, TraderHeard

STORED, UNSTORED = "stored", "not stored"
_KEEPER_SECONDS = 8.0
_TRADER_SECONDS = 4.0
_AT_ONCE = 16
_BY = "tradectl"
# what a trader is told, in this order: flat without a halt would enter again
_TOLD = {"halt": ("halt",), "reduce": ("reduce",), "flatten": ("halt", "flatten")}


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


def throw(desk: Desk, name: str, session: int | None, reason: str) -> Thrown:
    """Throw a switch for one session, or for the desk, and return what the keeper, or the traders, say to it.

    Raises:
        NotRunning: the keeper is away, and no trader can be told in its place.
        CommandFailed: the keeper refused.
    """
    try:
        answer = desk.ask(KEEPER, SWITCHES[name], ThrowSwitch(session, _BY, reason), seconds=_KEEPER_SECONDS)
    except NotRunning as away:
        return _straight(desk, name, session, reason, away)
    there = desk.traders()
    unheard = [one.session for one in answer.sessions if not one.ok and one.session in there]
    again = {one.session: one for one in _tell(desk, name, answer.scope, unheard, reason)}
    # a socket without a process is no trader: it was killed, and nobody has come after it
    sessions = (again.get(one.session, one) for one in answer.sessions)
    heard = tuple(one for one in sessions if one.ok or one.session in there)
    return Thrown(answer.scope, answer.latch, answer.standing, heard)


def _straight(desk: Desk, name: str, session: int | None, reason: str, away: NotRunning) -> Thrown:
    if name not in _TOLD:
        raise away
    traders = [each for each in desk.traders() if session in (None, each)]
    if not traders:
        whose = "" if session is None else f" of session {session}"
        raise NotRunning(f"{away}; no trader{whose} runs that could be told in its place, and nothing is stored")
    scope = scopes.HOST if session is None else scopes.of_session(session)
    return Thrown(scope, UNSTORED, None, tuple(_tell(desk, name, scope, traders, reason)), str(away))


def _tell(desk: Desk, name: str, scope: Scope, sessions: Sequence[int], reason: str) -> list[TraderHeard]:
    """Tell traders all at the same time, that one which hangs delays none; a second time does no harm."""
    if not sessions or name not in _TOLD:
        return []
    client = desk.client

    def tell(session: int) -> TraderHeard:
        told: dict[str, Any] = {}
        try:
            for method in _TOLD[name]:
                params = {"by": _BY, "reason": reason, "scope": scope}
                told = client.call(names.trader(session), method, params, _TRADER_SECONDS)
        except (Outage, Refusal) as error:
            return TraderHeard(session, False, reason=str(error))
        return TraderHeard(session, True, trading_state=told.get("trading_state"))

    with ThreadPoolExecutor(min(len(sessions), _AT_ONCE)) as lanes:
        return list(lanes.map(tell, sessions))

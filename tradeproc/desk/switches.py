"""Halt, reduce, resume and flatten on their way to the traders: by the keeper, which stores the latch, or straight.

A kill switch must not need the keeper or the database: when the keeper does not answer, each trader that is there is
told. What is told so ends with the trader's life, because only the keeper stores latches.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tradeproc.desk.exit_status import NotRunning
from tradeproc.desk.installation import Desk
from tradeproc.errors import Outage, Refusal
from tradeproc.protocol import names, scopes
from tradeproc.protocol.names import KEEPER

STORED, UNSTORED = "stored", "not stored"
_KEEPER_SECONDS = 8.0
_TRADER_SECONDS = 4.0
_AT_ONCE = 16
# what a trader is told, in this order: flat without a halt would enter again
_TOLD = {"halt": ("halt",), "reduce": ("reduce",), "flatten": ("halt", "flatten")}


def throw(desk: Desk, name: str, session: int | None, reason: str) -> dict[str, Any]:
    """Throw a switch for one session, or for the desk, and return the keeper's answer or one of the same shape.

    Raises:
        NotRunning: the keeper is away, and no trader can be told in its place.
        CommandFailed: the keeper refused.
    """
    params: dict[str, Any] = {"by": "tradectl", "reason": reason}
    wanted = params if session is None else {**params, "session": session}
    try:
        answer = desk.ask(KEEPER, name, wanted, seconds=_KEEPER_SECONDS)
    except NotRunning as away:
        return _straight(desk, name, session, params, away)
    there = desk.traders()
    unheard = [one["session"] for one in answer["sessions"] if not one["ok"] and one["session"] in there]
    again = {one["session"]: one for one in _tell(desk, name, answer["scope"], unheard, params)}
    # a socket without a process is no trader: it was killed, and nobody has come after it
    sessions = [again.get(one["session"], one) for one in answer["sessions"]]
    return {**answer, "sessions": [one for one in sessions if one["ok"] or one["session"] in there]}


def _straight(desk: Desk, name: str, session: int | None, params: dict[str, Any], away: NotRunning) -> dict[str, Any]:
    if name not in _TOLD:
        raise away
    traders = [each for each in desk.traders() if session in (None, each)]
    if not traders:
        whose = "" if session is None else f" of session {session}"
        raise NotRunning(f"{away}; no trader{whose} runs that could be told in its place, and nothing is stored")
    scope = scopes.HOST if session is None else scopes.of_session(session)
    sessions = _tell(desk, name, scope, traders, params)
    return {"scope": scope, "sessions": sessions, "latch": UNSTORED, "standing": None, "trouble": str(away)}


def _tell(desk: Desk, name: str, scope: str, sessions: Sequence[int], params: dict[str, Any]) -> list[dict[str, Any]]:
    """Tell traders all at the same time, that one which hangs delays none; a second time does no harm."""
    if not sessions or name not in _TOLD:
        return []
    client = desk.client

    def tell(session: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        try:
            for method in _TOLD[name]:
                told = client.call(names.trader(session), method, {**params, "scope": scope}, _TRADER_SECONDS)
        except (Outage, Refusal) as error:
            return {"session": session, "ok": False, "reason": str(error)}
        return {"session": session, "ok": True, "trading_state": told.get("trading_state")}

    with ThreadPoolExecutor(min(len(sessions), _AT_ONCE)) as lanes:
        return list(lanes.map(tell, sessions))

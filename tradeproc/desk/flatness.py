"""Whether the sessions that were told to get flat are flat.

A command that reports it is believed, so it must be so.
"""

import time
from collections.abc import Collection

from tradeproc.desk.exposure import TRADER, Open
from tradeproc.desk.installation import Desk
from tradeproc.errors import TradeprocError
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.trader_messages import ASK_STATE, SessionState

FLAT_SECONDS = 12.0
_ASK_SECONDS, _PAUSE_SECONDS = 2.0, 0.2


def not_flat_yet(
    desk: Desk, sessions: Collection[int], seconds: float = FLAT_SECONDS
) -> tuple[dict[int, tuple[Open, str]], list[int]]:
    """Wait until the traders of these sessions are flat and nothing of theirs works.

    Returns those that are not, each with its trader's own summary, and those whose trader does not answer: it may
    have died with the closing, so nobody knows whether they are flat.
    """
    left = dict.fromkeys(sessions)
    found: dict[int, tuple[Open, str]] = {}
    silent: dict[int, None] = {}
    deadline = time.monotonic() + seconds
    while left:
        for session in list(left):
            state = _state(desk, session)
            found.pop(session, None)
            silent.pop(session, None)
            if state is None:
                silent[session] = None
            elif _is_open(state):
                found[session] = (Open(session, state.contract, state.position, TRADER), _why(state))
            else:
                left.pop(session)
        if time.monotonic() > deadline:
            break
        time.sleep(_PAUSE_SECONDS if left else 0)
    return found, list(silent)


def _state(desk: Desk, session: int) -> SessionState | None:
    try:
        return desk.client.call(names.trader(session), ASK_STATE, NoBody(), _ASK_SECONDS)
    except TradeprocError:
        return None


def _is_open(state: SessionState) -> bool:
    """Tell whether a trader has something open, or the broker has not told it as closed since the command."""
    return bool(state.position or state.orders or state.closing or not state.reconciled)


def _why(state: SessionState) -> str:
    """Return what a trader says of a closing that takes long."""
    if stuck := state.alarms.get("close_stuck"):
        return stuck.removeprefix("not flat yet: ")
    if not state.reconciled:
        return "the broker has not confirmed orders and position"
    if state.orders:
        return f"{len(state.orders)} of its orders still work"
    return "its exit is on the way" if state.position else "the broker has not told the position since"

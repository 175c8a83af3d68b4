"""Finds the session that a person names, also one that was removed, or while the database or the keeper is away.

Commands that act look a session up in the database or not at all (`Desk.session`); this is for those that only show.
"""

from dataclasses import dataclass

from tradeproc.desk.exit_status import CommandFailed, NotFound, NotRunning
from tradeproc.desk.installation import Desk
from tradeproc.desk.listed import SessionListed, listed
from tradeproc.errors import TradeprocError
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import KEEPER
from tradeproc.protocol.session_messages import REMOVED, SESSION, Named
from tradeproc.protocol.trader_messages import ASK_STATE

_SECONDS = 2.0
# what a trader says of its session, used when the keeper's row is not to be had
_OF_TRADER = ("name", "login", "data_login", "account", "contract", "minutes", "strategy", "trading_state")


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A session's row; `away` says why it may be old, empty when it is as the database has it now."""

    row: SessionListed
    away: str = ""


def find(desk: Desk, named: str) -> FoundSession:
    """Return the session with this number or name; of several removed ones with a name the newest.

    Raises:
        NotFound: there is none, and never was.
        WrongUsage: several sessions have this name.
        NotRunning: nobody who could know it is there.
    """
    try:
        return FoundSession(desk.session(named))
    except NotFound:
        rows = _removed(desk, named)
        if not rows:
            raise
        return FoundSession(rows[-1])
    except NotRunning as away:
        for row in (*_last_known(desk), *_of_traders(desk)):
            if named in (str(row.id), row.name):
                return FoundSession(row, str(away))
        raise


def _removed(desk: Desk, named: str) -> list[SessionListed]:
    """Return the removed sessions with this number or name, oldest first."""
    try:
        told = desk.ask(KEEPER, REMOVED, Named(named)).sessions
    except CommandFailed:
        # a keeper of an older version, in the midst of an upgrade
        return []
    return [listed(each) for each in told]


def _last_known(desk: Desk) -> list[SessionListed]:
    """Return the sessions as the keeper knew them before its database went away."""
    if not desk.is_alive(KEEPER):
        return []
    try:
        told = desk.client.snapshot(KEEPER, SESSION, _SECONDS)
    except TradeprocError:
        return []
    return [listed(each) for each in told.sessions]


def _of_traders(desk: Desk) -> list[SessionListed]:
    """Return the sessions whose traders are there, as far as they tell."""
    rows = []
    for number in desk.traders():
        try:
            told = desk.client.call(names.trader(number), ASK_STATE, NoBody(), _SECONDS)
        except TradeprocError:
            continue
        rows.append(
            SessionListed.of({"id": number, "state": "running", **{key: getattr(told, key) for key in _OF_TRADER}})
        )
    return rows

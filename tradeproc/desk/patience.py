"""Waits until a desk has reached a state, with a limit, and notices early when it never will."""

import time
from collections.abc import Callable

from tradeproc.desk.exit_status import CommandFailed, NotRunning
from tradeproc.desk.installation import Desk
from tradeproc.errors import TradeprocError
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import KEEPER
from tradeproc.protocol.process_messages import STATUS

Condition = Callable[[], bool]

_LOOK_SECONDS = 0.1


def keeper_answers(desk: Desk) -> bool:
    """Tell whether the keeper has the database, has told it the logins, and has looked at what should run."""
    try:
        return desk.ask(KEEPER, STATUS, NoBody()).state == "ready"
    except TradeprocError:
        return False


def wait_until(what: str, condition: Condition, seconds: float, trouble: Callable[[], str] = lambda: "") -> None:
    """Look again until a condition holds; `trouble` says in one line why it never will, and is empty before that.

    Raises:
        NotRunning: it did not within `seconds`.
        CommandFailed: there was trouble.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if reason := trouble():
            raise CommandFailed(reason)
        if time.monotonic() > deadline:
            raise NotRunning(f"waited {seconds:.0f} s and still not: {what}; see run/log and scripts/tradectl status")
        time.sleep(_LOOK_SECONDS)

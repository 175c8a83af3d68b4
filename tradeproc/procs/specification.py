"""What a session's processes wait for at their start: the database that says what the session is."""

import logging
from collections.abc import Callable

from tradeproc.bus.node import Node
from tradeproc.config import load
from tradeproc.errors import Halt
from tradeproc.home import Home
from tradeproc.store.database import DatabaseDown
from tradeproc.store.embedded import database_url
from tradeproc.store.rows import SessionRow
from tradeproc.store.store import Store, UnknownSession

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 0.5


class NoSession(Halt):
    """The session this process was started for is not in the database; caught by the entry point."""


def database_of(home: Home) -> str:
    """Return the url of the database: the configured one, else the embedded one."""
    return load(home).external_database() or database_url(home)


def when_known(node: Node, home: Home, session: int, begin: Callable[[SessionRow], None]) -> None:
    """Call `begin` once with what the database says of the session; a database that is away only delays it.

    Raises:
        BadConfig: the configuration cannot be used.
    """
    try:
        store = Store(database_of(home))
    except Halt:
        node.close()  # it is not running yet, which would do that
        raise

    def look() -> None:
        try:
            row = store.session(session)
        except DatabaseDown as down:
            node.set_state("starting", f"waiting for the database: {down}")
            node.after(_AGAIN_SECONDS, look)
            return
        except UnknownSession as unknown:
            raise NoSession(str(unknown)) from None
        store.close()
        begin(row)

    node.after(0.0, look)

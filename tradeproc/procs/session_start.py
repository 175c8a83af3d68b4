"""How the processes of a session begin.

They read what the session is from the database, and wait until it answers.
"""

import logging
from collections.abc import Callable, Sequence

from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Node
from tradeproc.config import Config, load
from tradeproc.errors import Halt
from tradeproc.home import Home, find_home
from tradeproc.protocol import names
from tradeproc.store.database import DatabaseDown
from tradeproc.store.embedded import database_url
from tradeproc.store.rows import SessionRow
from tradeproc.store.store import Store, UnknownSession

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 0.5

Begin = Callable[[Node, Home, Config, SessionRow], None]
"""Called with the node, the home, the configuration and the session's row."""


class NoSession(Halt):
    """The session this process was started for is not in the database; caught by the entry point."""


def database_of(settings: Config, home: Home) -> str:
    """Return the url of the database: the configured one, else the embedded one."""
    return settings.external_database() or database_url(home)


def run_session(kind: str, arguments: Sequence[str], begin: Begin) -> int:
    """Run the account manager or trader of a session; `begin` is called once, with the session's row.

    Raises:
        BadConfig: the configuration cannot be used; nothing was bound yet.
        NoSession: there is no such session.
    """
    session = _session_of(kind, arguments)
    home = find_home()
    config = load(home)
    node = Node(names.session_group(session).process(kind), Directory(home.sockets))
    _when_known(node, database_of(config, home), session, lambda row: begin(node, home, config, row))
    node.run()
    return node.exit_status


def _session_of(kind: str, arguments: Sequence[str]) -> int:
    if len(arguments) == 1 and arguments[0].isdecimal():
        return int(arguments[0])
    # only here: it takes 0.3 MB and is needed only to tell a person what is wrong with a command line
    import argparse

    parser = argparse.ArgumentParser(prog=f"tradeproc.procs {kind}")
    parser.add_argument("session", type=int, help="number of the trading session")
    session: int = parser.parse_args(arguments).session
    return session


def _when_known(node: Node, url: str, session: int, begin: Callable[[SessionRow], None]) -> None:
    """Call `begin` once with what the database says of the session; a database that is away only delays it."""
    store = Store(url)

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

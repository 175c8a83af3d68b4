"""`core.postgres`: the embedded database, kept up. With an external database configured it has nothing to do.

Owns the server's process and data folder. Says `heartbeat` only. When it dies, the server shuts down with it;
traders put their rows into journals, entries wait, exits go on.
"""

import logging
from collections.abc import Sequence

from tradeproc import config
from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Node
from tradeproc.errors import EXIT_DONE, EXIT_FAULT
from tradeproc.home import find_home
from tradeproc.protocol import names
from tradeproc.store.embedded import EmbeddedServer, database_url
from tradeproc.store.migrate import migrate
from tradeproc.store.server_probe import ServerProbe

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
# recovery after a crash must not be cut short, since it would begin anew; the warden waits longer than this
_START_SECONDS = 590.0
# a server that gives no answer at all for so long, not even a refusal, counts as frozen
_DEAF_SECONDS = 20.0


def main(arguments: Sequence[str]) -> int:
    """Run the server until SIGTERM; end with 0 at once when an external database is configured."""
    del arguments
    home = find_home()
    if config.load(home).external_database():
        log.info("database_external nothing_to_run=1")
        return EXIT_DONE
    node = Node(names.POSTGRES, Directory(home.sockets))
    server = EmbeddedServer(home)
    try:
        server.start(_START_SECONDS)
        migrate(database_url(home))

        def look() -> None:
            code = server.exit_code()
            if code is not None:
                log.error("database_ended code=%d", code)
                node.stop(EXIT_FAULT)
            else:
                node.note_work()

        node.every(_LOOK_SECONDS, look)
        node.add_thread("server", ServerProbe(database_url(home), _DEAF_SECONDS).is_deaf)
        node.on_stop(server.stop)
        node.add_statistics(lambda: {"server_pid": server.pid})
        node.set_state("ready")
        node.run()
    finally:
        server.stop()
        node.close()
    return node.exit_status

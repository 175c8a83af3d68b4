"""`localbroker.localbroker`: the broker on this machine, in TradeStation's dialect, on 127.0.0.1.

Owns its port and `run/localbroker` (journal, sign-in key): killed and started again it knows every order it had
confirmed. Says `heartbeat` only, from a side thread that ends when the event loop is stuck, so that silence tells.
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from urllib.parse import urlsplit

from tradeproc import config
from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Node
from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.config import Config
from tradeproc.errors import EXIT_DONE
from tradeproc.home import Home, find_home
from tradeproc.localbroker.desk import Desk
from tradeproc.localbroker.oauth import OAuthSettings
from tradeproc.localbroker.server import ServerSettings, serve
from tradeproc.localbroker.tape import located

PROCESS = "localbroker.localbroker"

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_STUCK_SECONDS = 5.0
_JOIN_SECONDS = 1.0


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM; end with 0 at once when the configuration does not want it."""
    del arguments
    home = find_home()
    found = config.load(home)
    if not found.localbroker.enabled:
        log.info("localbroker_disabled nothing_to_run=1")
        return EXIT_DONE
    pulse = Pulse(home)
    try:
        serve(settings_of(home, found), pulse.start)
    finally:
        pulse.end()
    return pulse.exit_status


def settings_of(home: Home, found: Config) -> ServerSettings:
    """Return how the configuration wants the local broker; its clients are those of the logins that point to it."""
    wanted = found.localbroker
    return ServerSettings(
        home.run / "localbroker",
        wanted.port,
        located(wanted.tape, home.root),
        wanted.speed,
        wanted.history_minutes,
        wanted.accounts,
        oauth=OAuthSettings({"local": "local", **_clients(found)}),
    )


def _clients(found: Config) -> dict[str, str]:
    clients: dict[str, str] = {}
    for login in found.logins.values():
        is_ours = urlsplit(login.auth_url).port == found.localbroker.port
        if is_ours and login.client_id and login.client_id.public and login.client_secret:
            clients[login.client_id.public] = login.client_secret.public
    return clients


class Pulse:
    """The heartbeat of a server that has an event loop of its own."""

    def __init__(self, home: Home) -> None:
        self._directory = Directory(home.sockets)
        self._made: Future[Node] = Future()
        self._thread: threading.Thread | None = None

    @property
    def exit_status(self) -> int:
        """Return the exit code that the node asks for."""
        return self._made.result().exit_status if self._thread is not None else EXIT_DONE

    def start(self, port: int, desk: Desk) -> None:
        """Begin to beat; called once the server listens.

        Raises:
            NameTaken: another local broker of this home lives.
        """
        self._thread = threading.Thread(target=self._run, args=(port, desk), name="pulse", daemon=True)
        self._thread.start()
        self._made.result()

    def end(self) -> None:
        """Stop beating and give the name back."""
        if self._thread is not None and self._made.exception() is None:
            self._made.result().stop()
            self._thread.join(_JOIN_SECONDS)

    def _run(self, port: int, desk: Desk) -> None:
        try:
            node = Node(PROCESS, self._directory)
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the node
            self._made.set_exception(error)
            return

        def look() -> None:
            if monotonic_ns() - desk.pumped_at > _STUCK_SECONDS * SECOND:
                log.error("localbroker_stuck seconds=%.1f", (monotonic_ns() - desk.pumped_at) / SECOND)
                node.stop()
                return
            node.note_event(desk.played_at)

        node.add_statistics(lambda: {"port": port, "streams": len(desk.streams.open), "requests": desk.served})
        node.every(_LOOK_SECONDS, look)
        node.set_state("ready", f"port {port}")
        self._made.set_result(node)
        node.run()

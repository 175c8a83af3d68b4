"""`localbroker.localbroker`: the broker on this machine, in TradeStation's dialect, on 127.0.0.1.

Owns its port and `run/localbroker` (journal, sign-in key): killed and started again it knows every order it had
confirmed. Says `heartbeat` only, from a side thread that ends when the event loop is stuck, so that silence tells; it
beats also while a large tape is read, and says when the tape has ended.
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from urllib.parse import urlsplit

from tradeproc import config
from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.config import Config
from tradeproc.errors import EXIT_DONE
from tradeproc.home import Home, find_home
from tradeproc.localbroker.chosen import Choice, chosen
from tradeproc.localbroker.context import ServerContext
from tradeproc.localbroker.server import ServerSettings, serve
from tradeproc.localbroker.tape import located
from tradeproc.market.tape_files.file_reading import TapeHints
from tradeproc.procs.market_hours_file import follow_market_hours
from tradeproc.protocol import names

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_STUCK_SECONDS = 5.0
_JOIN_SECONDS = 1.0
# reading a large tape from a slow disk stays within this; what takes longer is stuck
_READING_SECONDS = 120.0
_TAPE_IS_OVER = "the tape is over; scripts/tradectl localbroker rewind begins it again"


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM; end with 0 at once when the configuration does not want it."""
    del arguments
    home = find_home()
    found = config.load(home)
    if not found.localbroker.enabled:
        log.info("localbroker_disabled nothing_to_run=1")
        return EXIT_DONE
    pulse = HeartbeatThread(home)
    try:
        serve(settings_of(home, found), pulse.listen, pulse.hear)
    finally:
        pulse.end()
    return pulse.exit_status


def settings_of(home: Home, found: Config) -> ServerSettings:
    """Return how the configuration wants the local broker; its clients are those of the logins that point to it."""
    wanted, folder = found.localbroker, folder_of(home)
    tape = chosen(folder, configured_tape(home, found))
    return ServerSettings(
        folder,
        wanted.port,
        tape.tape,
        tape.reading,
        wanted.speed,
        wanted.history_minutes,
        wanted.accounts,
        sign_in={"clients": {"local": "local", **_clients(found)}},
    )


def folder_of(home: Home) -> Path:
    """Return where the local broker keeps its journal, its key, and which tape was chosen for it."""
    return home.run / "localbroker"


def configured_tape(home: Home, found: Config) -> Choice:
    """Return the tape that the configuration names."""
    wanted = found.localbroker
    reading = TapeHints(wanted.tape_zone, wanted.tape_stamp, wanted.tape_contract, wanted.tape_dates)
    return Choice(located(wanted.tape, home.root), reading)


def _clients(found: Config) -> dict[str, str]:
    clients: dict[str, str] = {}
    for login in found.logins.values():
        is_ours = urlsplit(login.auth_url).port == found.localbroker.port
        if is_ours and login.client_id and login.client_id.public:
            clients[login.client_id.public] = login.client_secret.public if login.client_secret else ""
    return clients


class HeartbeatThread:
    """The heartbeat of a server that has an event loop of its own."""

    def __init__(self, home: Home) -> None:
        self._home, self._directory = home, Directory(home.sockets)
        self._made: Future[Node] = Future()
        self._thread: threading.Thread | None = None
        self._context: ServerContext | None = None
        self._port = self._rows = 0
        self._read_at = monotonic_ns()

    @property
    def exit_status(self) -> int:
        """Return the exit code that the node asks for."""
        return self._made.result().exit_status if self._thread is not None else EXIT_DONE

    def hear(self, rows: int) -> None:
        """Take note of how far the tape was read; the first call begins to beat.

        Raises:
            NameTaken: another local broker of this home lives.
        """
        self._rows, self._read_at = rows, monotonic_ns()
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._thread.start()
        self._made.result()

    def listen(self, port: int, context: ServerContext) -> None:
        """Take note that the server listens."""
        self._port, self._context = port, context
        self._made.result().post(self._look)

    def end(self) -> None:
        """Stop beating and give the name back."""
        if self._thread is not None and self._made.exception() is None:
            self._made.result().stop()
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        try:
            node = Node(names.LOCAL_BROKER, self._directory)
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the node
            self._made.set_exception(error)
            return
        node.add_statistics(self._statistics)
        node.every(_LOOK_SECONDS, self._look)
        follow_market_hours(node, self._home)
        self._made.set_result(node)
        node.run()

    def _look(self) -> None:
        """Say how it goes; end when the event loop, or the reading of the tape, stands still."""
        node, context = self._made.result(), self._context
        at, patience = (self._read_at, _READING_SECONDS) if context is None else (context.pumped_at, _STUCK_SECONDS)
        if monotonic_ns() - at > patience * SECOND:
            log.error("localbroker_stuck seconds=%.1f", (monotonic_ns() - at) / SECOND)
            node.stop()
            return
        if context is None:
            node.set_state("starting", f"reads the tape: {self._rows:,} rows so far" if self._rows else "")
            return
        node.note_event(context.played_at)
        node.note_work()
        over = f"{_TAPE_IS_OVER}; " if context.market.is_over else ""
        node.set_state("ready", f"{over}port {self._port}")

    def _statistics(self) -> Body:
        context = self._context
        if context is None:
            return {"tape_rows": self._rows}
        tape = {"tape": context.market.tape.name, "tape_is_over": context.market.is_over}
        return {"port": self._port, "streams": len(context.streams.open), "requests": context.served, **tape}

"""The running server: one event loop on 127.0.0.1 that plays the tape and answers until it is told to stop."""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvicorn

from tradeproc.domain.units import Money
from tradeproc.errors import Fault, Halt
from tradeproc.exchange.matching import Rules
from tradeproc.folders import make_private
from tradeproc.localbroker.app import make_app
from tradeproc.localbroker.client_bounds import BoundedProtocol
from tradeproc.localbroker.context import ServerContext
from tradeproc.localbroker.control_key import make_key
from tradeproc.localbroker.dialects import TRADESTATION, dialect_of
from tradeproc.localbroker.market import Market, MarketSettings
from tradeproc.localbroker.streams import HEARTBEAT_SECONDS
from tradeproc.localbroker.tape import SHIPPED, open_tape
from tradeproc.market.tape_files.file_reading import NOTHING_SAID, TapeHints

HOST = "127.0.0.1"

# how often the tape is advanced: a due tick waits no longer than this, and a turn without ticks costs little
_PUMP_SECONDS = 0.02
_PUMP_PAUSED_SECONDS = 0.1
_FAREWELL_SECONDS = 1
_KEEP_ALIVE_SECONDS = 75

log = logging.getLogger(__name__)


class PortTaken(Halt):
    """Another program listens on our port; caught by the entry point."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} on {HOST} is taken; end the other program or set port in [localbroker]")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How a local broker is run. `port` 0 means any free port; `folder` holds its keys and its journal.

    `tape` is "shipped", "generated:ESH24:7" (contract and seed) or a path; `reading` is what such a file does not
    say. Each account starts with `cash` USD. `paused` means that market time stands still until it is resumed. A
    stream sends a heartbeat after `heartbeat` seconds of silence.
    """

    folder: Path
    port: int = 0
    tape: str = SHIPPED
    reading: TapeHints = NOTHING_SAID
    speed: float = 60.0
    history_minutes: float = 20.0
    accounts: tuple[str, ...] = ("SIM0000001F",)
    cash: Money = Money(Decimal(100_000))
    paused: bool = False
    heartbeat: float = HEARTBEAT_SECONDS
    rules: Rules = field(default_factory=Rules)
    dialect: str = TRADESTATION
    sign_in: Mapping[str, Any] = field(default_factory=dict)


class _Server(uvicorn.Server):
    """Leaves signals to us, and lets streams say farewell before it waits for its connections to end."""

    def __init__(self, config: uvicorn.Config, before_shutdown: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_shutdown = before_shutdown

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._before_shutdown()
        await super().shutdown(sockets)


def serve(
    settings: ServerSettings,
    ready: Callable[[int, ServerContext], None],
    heard: Callable[[int], None] = lambda rows: None,
) -> None:
    """Serve until SIGTERM, SIGINT or the control API says stop; `ready` is called with the port once it listens.

    `heard` is called with the number of rows read from the tape's file so far; the first call, with 0, says that the
    port is ours.

    Raises:
        PortTaken: somebody else listens on the port.
    """
    # before the port is opened, so that a client that reaches it finds the key of the control API
    make_private(settings.folder)
    make_key(settings.folder)
    listener = listen(settings.port)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        heard(0)
        asyncio.run(_serve(settings, listener, ready, heard))
    finally:
        listener.close()


def listen(port: int) -> socket.socket:
    """Return a listening socket on loopback.

    Raises:
        PortTaken: somebody else listens on the port.
    """
    # asyncio sets TCP_NODELAY on accepted connections only if the protocol is named; else answers take 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(port) from None
        raise
    return listener


def open_context(settings: ServerSettings, heard: Callable[[int], None] = lambda rows: None) -> ServerContext:
    """Return the state of a server, continued from its folder's journal if there is one."""
    make_private(settings.folder)
    accounts: Mapping[str, Money] = {account.upper(): settings.cash for account in settings.accounts}
    market = Market(
        open_tape(settings.tape, settings.reading, heard),
        MarketSettings(accounts, settings.speed, settings.history_minutes, settings.rules),
        journal=settings.folder / "journal",
    )
    if settings.paused:
        market.pause()
    dialect = dialect_of(settings.dialect)
    sign_in = dialect.sign_in(settings.folder, settings.sign_in)
    return ServerContext(market, sign_in, dialect.forms, settings.heartbeat, make_key(settings.folder))


async def _serve(
    settings: ServerSettings,
    listener: socket.socket,
    ready: Callable[[int, ServerContext], None],
    heard: Callable[[int], None],
) -> None:
    context = open_context(settings, heard)
    config = uvicorn.Config(
        make_app(context, dialect_of(settings.dialect)),
        http=BoundedProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_FAREWELL_SECONDS,
    )
    server = _Server(config, context.signals.close)

    def stop() -> None:
        server.should_exit = True

    context.stop = stop
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    port: int = listener.getsockname()[1]
    log.info(
        "localbroker_started port=%d tape=%s accounts=%d", port, context.market.tape.name, len(settings.accounts)
    )
    for warning in context.market.tape.warnings:
        log.warning("tape_warning tape=%s text=%s", context.market.tape.name, warning)
    pump = asyncio.create_task(_pump(context, server))
    ready(port, context)
    try:
        await server.serve(sockets=[listener])
    finally:
        pump.cancel()
        context.market.close()
    failure = None if pump.cancelled() or not pump.done() else pump.exception()
    if failure is not None:
        raise PumpBroke(failure) from failure
    log.info("localbroker_stopped port=%d", port)


class PumpBroke(Fault):
    """Playing the tape failed; the process dies and is restarted from its journal."""

    def __init__(self, failure: BaseException) -> None:
        super().__init__(f"playing the tape failed: {failure!r}")


async def _pump(context: ServerContext, server: _Server) -> None:
    try:
        while True:
            context.advance()
            await asyncio.sleep(_PUMP_PAUSED_SECONDS if context.market.pace.is_paused else _PUMP_SECONDS)
    finally:
        # without ticks there is no market, so the server must end rather than go on answering
        server.should_exit = True

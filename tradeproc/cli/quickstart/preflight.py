"""What the quickstart makes sure of before it starts or removes anything."""

import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from tradeproc.cli import configured, tables
from tradeproc.config import read_session
from tradeproc.desk.exit_status import CommandFailed
from tradeproc.desk.installation import Desk
from tradeproc.domain.session import SessionSpec
from tradeproc.engine.events import TradingState
from tradeproc.localbroker.chosen import Choice
from tradeproc.procs.keeper.session_checks import Venue, try_strategy
from tradeproc.procs.localbroker.main import configured_tape
from tradeproc.procs.session_start import database_of
from tradeproc.protocol.scopes import Scope
from tradeproc.store import Store
from tradeproc.store.kept import all_latches
from tradeproc.strategies.loading import build_arguments, load_strategy

NAME = "quickstart"
LIFT = "scripts/tradectl up && scripts/tradectl resume && scripts/stop"
_EXAMPLE = "example.toml"
_HERE = ("127.0.0.1", "localhost")
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def check(desk: Desk, tape: Choice | None = None) -> None:
    """Refuse a desk that the quickstart cannot or must not use; `tape` is played instead of the configured one.

    Raises:
        CommandFailed: it is up, trades elsewhere than at the local broker, or its port is taken.
        BadConfig, BadTape: its configuration cannot be used.
    """
    if desk.supervisor.is_up():
        raise CommandFailed("the desk is up already; look with scripts/tradectl status, end it with scripts/stop")
    check_is_local(desk)
    # one that an earlier quickstart chose is not played again
    configured.check(desk, tape or configured_tape(desk.home, desk.config))
    port = desk.config.localbroker.port
    if not is_free(port):
        raise CommandFailed(
            f"port {port} of this machine is taken; write another one in conf/tradeproc.toml: [localbroker] "
            "port, and the same in base_url and auth_url of [logins.paper]"
        )


def check_is_local(desk: Desk) -> None:
    """Refuse a desk that can reach any broker but the local one: the quickstart begins a new market and new books.

    Raises:
        CommandFailed: names the login, or that there is no local broker.
    """
    configured = desk.config.localbroker
    if not configured.enabled:
        raise CommandFailed(
            "the quickstart needs the local broker; in conf/tradeproc.toml: [localbroker] enabled = true"
        )
    local = tuple(f"http://{host}:{configured.port}/" for host in _HERE)
    for name, login in desk.config.logins.items():
        if urlsplit(login.base_url).hostname in _HERE and not f"{login.base_url}/".startswith(local):
            raise CommandFailed(
                f"login {name} of conf/tradeproc.toml is at {login.base_url}, and the local broker at port "
                f"{configured.port}; write the same port in [localbroker] port, and in base_url and auth_url of "
                f"[logins.{name}]"
            )
        if not f"{login.base_url}/".startswith(local):
            raise CommandFailed(
                f"login {name} of conf/tradeproc.toml is not at the local broker, and the quickstart is only for a "
                "desk that trades nowhere else; use a second copy of tradeproc, or scripts/tradectl up"
            )


def check_may_trade(desk: Desk) -> None:
    """Refuse a desk whose trading somebody halted or reduced: the session would look on and trade nothing.

    Raises:
        CommandFailed: names who did it, and what lifts it.
    """
    with closing(Store(database_of(desk.config, desk.home))) as store:
        latches = [latch for latch in all_latches(store, desk.home) if Scope(latch.scope).session is None]
    for latch in latches:
        if latch.state != TradingState.ACTIVE:
            by = f"by {latch.by}: {latch.reason}" if latch.reason else f"by {latch.by}"
            since = f"{latch.state} since {tables.when(latch.at)} UTC ({by})"
            raise CommandFailed(f"trading on this desk is {since}, so nothing would be traded; lift it with: {LIFT}")


def installation(desk: Desk) -> str:
    """Return what the orders of this desk's database have in common: how their ids begin."""
    with closing(Store(database_of(desk.config, desk.home))) as store:
        return store.installation()


def specification(desk: Desk, strategy: str, try_seconds: float = 20.0) -> SessionSpec:
    """Return the example session of a strategy, or the first example with a strategy of somebody's own.

    One of somebody's own is tried first, and may take `try_seconds` for it.

    Raises:
        BadStrategy, BadSpecification: it cannot be loaded, does not take the example's arguments, or does not begin.
        NotAllowedHere: this desk does not allow the example.
    """
    folder = desk.home.conf / "sessions"
    table = read_session(folder / _EXAMPLE).to_dict() | {"arguments": {}}
    for path in sorted(folder.glob("*.toml")):
        spec = read_session(path)
        if spec.strategy == strategy:
            table = spec.to_dict()
    place = strategy.partition(":")[0]
    if place.endswith(".py"):
        # one that hangs, or ends its process, does so where nobody misses it
        example = SessionSpec.from_dict(table)
        brokers = (desk.config.login(login).broker for login in (example.login, example.login_of_data))
        try_strategy(strategy, Path.cwd(), table["arguments"], Venue(example.root, *brokers), seconds=try_seconds)
    loaded = load_strategy(strategy)
    build_arguments(loaded, table["arguments"])
    if place.endswith(".py"):
        strategy = f"{Path(place).expanduser().resolve()}:{type(loaded).__name__}"
    spec = SessionSpec.from_dict(table | {"name": NAME, "strategy": strategy})
    desk.config.check_session(spec)
    return spec


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


# --- Ctrl-C


def interrupt_on_signals() -> None:
    """Let every wish to end be a KeyboardInterrupt, so that what was started is stopped."""
    for each in _ENDS:
        signal.signal(each, _interrupt)


def ignore_signals() -> None:
    """Let nothing stop the stopping: a second Ctrl-C must not leave half of it running."""
    for each in _ENDS:
        signal.signal(each, signal.SIG_IGN)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold a Ctrl-C back until the end of the block."""
    held: list[int] = []
    former = {each: signal.signal(each, lambda number, _: held.append(number)) for each in _ENDS}
    try:
        yield
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)
    if held:
        raise KeyboardInterrupt

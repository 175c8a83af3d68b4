"""`scripts/quickstart`: a whole unattended trading session on the local broker, from nothing to the day's trades.

Everything runs for real: supervisord, every process, ZeroMQ, PostgreSQL, TradeStation's wire protocol; only the host
is this machine and the money is not.
"""

import argparse
import shutil
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from tradeproc.cli import tables
from tradeproc.cli.commands import book, desks
from tradeproc.cli.desk import KEEPER, Desk
from tradeproc.cli.exits import CommandFailed, Exit, exit_of, one_line
from tradeproc.cli.watch import Watch, first_screen, show
from tradeproc.config import read_session
from tradeproc.domain.session import SessionSpec
from tradeproc.errors import TradeprocError
from tradeproc.home import find_home
from tradeproc.localbroker.client import LocalBroker

NAME = "quickstart"
_READY_SECONDS = 90.0
_TRADES_SECONDS = 15.0
_EXAMPLE = "example.toml"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the quickstart's options."""
    parser = argparse.ArgumentParser(
        prog="scripts/quickstart",
        description="Run a whole trading session on an hour of real ES trades, on this machine, without an account.",
        epilog="exit codes: 0 ok, 1 failed, 2 wrong usage, 3 no answer, 130 Ctrl-C",
    )
    parser.add_argument("--speed", type=_speed, default=60.0, metavar="X", help="market seconds per second (60)")
    parser.add_argument(
        "--strategy",
        default="moving_average_cross",
        metavar="NAME|FILE",
        help="moving_average_cross, opening_range_breakout, donchian_atr, or your own file.py",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave everything running afterwards; scripts/stop ends it"
    )
    parser.add_argument("--plain", action="store_true", help="lines instead of the full-screen view")
    return parser


def _speed(word: str) -> float:
    speed = float(word)
    if not 0 < speed <= 3600:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 3600, not {word}")
    return speed


class Quickstart:
    """The steps, each told as it happens."""

    def __init__(self, desk: Desk, options: argparse.Namespace) -> None:
        self.desk, self.options = desk, options
        width = None if sys.stdout.isatty() else 120
        self.console = Console(width=width, force_terminal=False if options.plain else None)
        self.broker = LocalBroker(f"http://127.0.0.1:{desk.config.localbroker.port}")
        self._began = time.monotonic()

    def run(self) -> int:
        """Run the session to the end of the tape and return the exit code."""
        self._check()
        spec = specification(self.desk, self.options.strategy)
        is_done = False
        try:
            self._start()
            session = self._create(spec)
            self._watch(session)
            self._finish(session)
            is_done = True
        finally:
            self.broker.close()
            # what did not come to its end is not kept
            if not (is_done and self.options.keep):
                self._stop()
        return Exit.OK

    def _step(self, text: str) -> None:
        self.console.print(f"[{time.monotonic() - self._began:5.1f} s] {text}", highlight=False, markup=False)

    def _check(self) -> None:
        """Refuse before anything is started or removed.

        Raises:
            CommandFailed: the desk is up, trades elsewhere than at the local broker, or its port is taken.
        """
        if desks.is_up(self.desk):
            raise CommandFailed("the desk is up already; look with scripts/tradectl status, end it with scripts/stop")
        check_is_local(self.desk)
        port = self.desk.config.localbroker.port
        if not is_free(port):
            raise CommandFailed(
                f"port {port} of this machine is taken; write another one in conf/tradeproc.toml: [localbroker] "
                "port, and the same in base_url and auth_url of [logins.paper]"
            )

    def _start(self) -> None:
        home = self.desk.home
        home.make_folders()
        # a tape plays once; a new quickstart begins with a new broker, whose accounts are flat
        shutil.rmtree(home.run / "localbroker", ignore_errors=True)
        self._step("starting supervisord with the local broker, PostgreSQL and the core processes")
        desks.start_supervisord(self.desk)
        self._wait("the local broker answers", self._hold_market)
        self._step("the local broker speaks TradeStation's protocol on 127.0.0.1; its market waits")
        self._wait("the keeper answers", lambda: desks.keeper_answers(self.desk))
        self._step("PostgreSQL and the keeper are up")

    def _wait(self, what: str, condition: desks.Condition) -> None:
        desks.wait_until(what, condition, _READY_SECONDS, lambda: desks.halted(self.desk))

    def _hold_market(self) -> bool:
        try:
            self.broker.pause()
        except TradeprocError:
            return False
        return True

    def _create(self, spec: SessionSpec) -> int:
        for row in self.desk.sessions():
            if row["desired"] == "running":
                self.desk.ask(KEEPER, "stop", {"session": row["id"]}, seconds=30.0)
                self._wait(f"session {row['id']} has stopped", partial(self._has_stopped, row["id"]))
                self._step(f"session {row['id']} ({row['name']}) stopped: the local broker began anew")
        session = int(self.desk.ask(KEEPER, "create", {"spec": spec.to_dict()}, seconds=30.0)["session"])
        self.desk.ask(KEEPER, "start", {"session": session})
        self._step(f"session {session}: {spec.strategy} on {spec.contract}, {spec.minutes} min bars, {spec.account}")
        self._wait("the trader is ready", lambda: self._is_ready(session))
        self._step("the trader has its history and has compared orders and position with the broker")
        return session

    def _has_stopped(self, session: int) -> bool:
        try:
            return bool(self.desk.session(str(session))["state"] == "stopped")
        except TradeprocError:
            return False

    def _is_ready(self, session: int) -> bool:
        try:
            told = self.desk.client.call(f"session-{session}.trader", "status", {}, 1.0)
            return bool(told["state"] == "ready")
        except TradeprocError:
            return False

    def _watch(self, session: int) -> None:
        self.broker.speed(self.options.speed)
        self.broker.resume()
        self._step(f"the market runs, {self.options.speed:g} times as fast as the clock")
        row = self.desk.session(str(session))
        screen = first_screen(row, speed=self.options.speed, hint="Ctrl-C stops everything")
        with closing(Watch(self.desk, session, str(row["login"]), screen)) as watch:
            show(watch, self.console, lambda _: self._is_over())

    def _is_over(self) -> bool:
        try:
            return bool(self.broker.status()["over"])
        except TradeprocError:
            return False

    def _finish(self, session: int) -> None:
        """Close what is open, wait for the trades, and compare with the broker's own books."""
        self._step("the tape has ended; closing what is open")
        order = {"session": session, "by": NAME, "reason": "end of the tape"}
        self.desk.ask(KEEPER, "flatten", order, seconds=30.0)
        self._wait("the session is flat", lambda: self._is_flat(session))
        fills = book.ask_rows(self.desk, "fills", session=str(session))
        with suppress(TradeprocError):
            desks.wait_until("the trades are computed", lambda: self._are_computed(session, fills), _TRADES_SECONDS)
        trades = book.with_market_times(book.ask_rows(self.desk, "trades", session=str(session)), fills)
        self.console.print()
        self.console.print(book.render("trades", tables.TRADES, trades))
        self.console.print(self._compared(fills), highlight=False)
        if not self.options.keep:
            # it is over; the next start of this desk is not to bring it back
            self.desk.ask(KEEPER, "stop", {"session": session}, seconds=30.0)
        self.console.print(_FURTHER if self.options.keep else _AGAIN, highlight=False)

    def _is_flat(self, session: int) -> bool:
        try:
            state = self.desk.ask(f"session-{session}.trader", "state")
        except TradeprocError:
            return False
        return bool(state["position"] == 0 and not state["orders"])

    def _are_computed(self, session: int, fills: Sequence[dict[str, Any]]) -> bool:
        bought = sum(int(fill["quantity"]) for fill in fills if fill["side"] == "buy")
        trades = book.ask_rows(self.desk, "trades", session=str(session))
        return sum(int(trade["quantity"]) for trade in trades) >= bought

    def _compared(self, fills: Sequence[dict[str, Any]]) -> str:
        """Return one line that says whether database and broker have the same books."""
        told = filled(fills, "broker_id")
        theirs = filled(self.broker.ledger()["fills"], "order_id")
        if told == theirs:
            return f"{len(fills)} fills in the database, the same orders and quantities in the broker's own books."
        return f"The books differ: {sorted(told.items() ^ theirs.items())}; please report this."

    def _stop(self) -> None:
        # a second Ctrl-C must not leave half of it running
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._step("stopping everything")
        desks.stop_supervisord(self.desk)
        self._step("nothing is left running")


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
    local = (f"http://127.0.0.1:{configured.port}", f"http://localhost:{configured.port}")
    for name, login in desk.config.logins.items():
        if not login.base_url.startswith(local):
            raise CommandFailed(
                f"login {name} of conf/tradeproc.toml is not at the local broker, and the quickstart is only for a "
                "desk that trades nowhere else; use a second copy of tradeproc, or scripts/tradectl up"
            )


def specification(desk: Desk, strategy: str) -> SessionSpec:
    """Return the example session of a strategy, or the first example with a strategy of somebody's own."""
    folder = desk.home.conf / "sessions"
    for path in sorted(folder.glob("*.toml")):
        spec = read_session(path)
        if spec.strategy == strategy:
            return SessionSpec.from_dict(spec.to_dict() | {"name": NAME})
    place, colon, attribute = strategy.partition(":")
    if place.endswith(".py"):
        strategy = f"{Path(place).expanduser().resolve()}{colon}{attribute}"
    table = read_session(folder / _EXAMPLE).to_dict()
    return SessionSpec.from_dict(table | {"name": NAME, "strategy": strategy, "arguments": {}})


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def filled(fills: Sequence[dict[str, Any]], key: str) -> dict[str, int]:
    """Return the filled quantity of each order, named by `key`."""
    total: dict[str, int] = {}
    for fill in fills:
        total[str(fill[key])] = total.get(str(fill[key]), 0) + int(fill["quantity"])
    return total


_AGAIN = """
Look further: scripts/quickstart --keep leaves it running; then scripts/tradectl status, orders, trades, tail, --help.
Other strategies: --strategy opening_range_breakout, --strategy donchian_atr, or a file of yours; see README.md.
"""
_FURTHER = """
Everything still runs: scripts/tradectl status, orders, trades, divergences, watch, tail, --help;
supervisorctl -c supervisord.conf status. scripts/stop ends it.
"""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the quickstart and return its exit code."""
    options = make_parser().parse_args(argv)
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _interrupt)
    try:
        with Desk(find_home()) as desk:
            return Quickstart(desk, options).run()
    except TradeprocError as error:
        print(f"quickstart: {one_line(error)}", file=sys.stderr)
        return exit_of(error)
    except KeyboardInterrupt:
        print("quickstart: interrupted; everything is stopped", file=sys.stderr)
        return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())

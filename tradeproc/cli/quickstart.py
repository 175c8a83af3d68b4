"""`scripts/quickstart`: a whole unattended trading session on the local broker, from nothing to the day's trades.

Everything runs for real: supervisord, every process, ZeroMQ, PostgreSQL, TradeStation's wire protocol; only the host
is this machine and the money is not.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from tradeproc.cli import tables
from tradeproc.cli.commands import book, desks
from tradeproc.cli.desk import KEEPER, Desk
from tradeproc.cli.exits import CommandFailed, Exit, exit_of, one_line
from tradeproc.cli.watch import Watch, show
from tradeproc.config import read_session
from tradeproc.domain.instruments import Contract, instrument
from tradeproc.domain.session import SessionSpec
from tradeproc.errors import TradeprocError
from tradeproc.home import find_home
from tradeproc.localbroker.client import LocalBroker

NAME = "quickstart"
_READY_SECONDS = 90.0
_TRADES_SECONDS = 15.0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the quickstart's options."""
    parser = argparse.ArgumentParser(
        prog="scripts/quickstart",
        description="Run a whole trading session on an hour of real ES trades, on this machine, without an account.",
    )
    parser.add_argument("--speed", type=float, default=60.0, metavar="X", help="market seconds per second (60)")
    parser.add_argument("--strategy", default="moving_average_cross", help="an example by name, or your file.py")
    parser.add_argument(
        "--keep", action="store_true", help="leave everything running afterwards; scripts/stop ends it"
    )
    parser.add_argument("--plain", action="store_true", help="lines instead of the full-screen view")
    return parser


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
        if desks.is_up(self.desk):
            raise CommandFailed("the desk is up already; look with scripts/tradectl status, end it with scripts/stop")
        try:
            self._start()
            session = self._create()
            self._watch(session)
            self._finish(session)
        finally:
            self._stop()
        return Exit.OK

    def _step(self, text: str) -> None:
        self.console.print(f"[{time.monotonic() - self._began:5.1f} s] {text}", highlight=False, markup=False)

    def _start(self) -> None:
        home = self.desk.home
        home.make_folders()
        # a tape plays once; a new quickstart begins with a new broker, whose accounts are flat
        shutil.rmtree(home.run / "localbroker", ignore_errors=True)
        self._step("starting supervisord with the local broker, PostgreSQL and the core processes")
        desks.start_supervisord(self.desk)
        desks.wait_until("the local broker answers", self._hold_market, _READY_SECONDS)
        self._step("the local broker speaks TradeStation's protocol on 127.0.0.1; its market waits")
        desks.wait_until("the keeper answers", lambda: desks.keeper_answers(self.desk), _READY_SECONDS)
        self._step("PostgreSQL and the keeper are up")

    def _hold_market(self) -> bool:
        try:
            self.broker.pause()
        except TradeprocError:
            return False
        return True

    def _create(self) -> int:
        for row in self.desk.sessions():
            if row["desired"] == "running":
                self.desk.ask(KEEPER, "stop", {"session": row["id"]}, seconds=30.0)
        spec = self._specification()
        session = int(self.desk.ask(KEEPER, "create", {"spec": spec.to_dict()})["session"])
        self.desk.ask(KEEPER, "start", {"session": session})
        self._step(f"session {session}: {spec.strategy} on {spec.contract}, {spec.minutes} min bars, {spec.account}")
        desks.wait_until("the trader is ready", lambda: self._is_ready(session), _READY_SECONDS)
        self._step("the trader has its history and has compared orders and position with the broker")
        return session

    def _specification(self) -> SessionSpec:
        """Return the example session, with the strategy that was asked for."""
        table = read_session(self.desk.home.conf / "sessions" / "example.toml").to_dict()
        if self.options.strategy != table["strategy"]:
            table |= {"strategy": self.options.strategy, "arguments": {}}
        return SessionSpec.from_dict(table | {"name": NAME})

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
        product = instrument(Contract.parse(row["contract"]).root)
        title = f"tradeproc · session {session} · {row['strategy']} · {row['contract']} {row['minutes']} min"
        decimals = max(0, -int(product.tick_size.normalize().as_tuple().exponent))
        watch = Watch(self.desk, session, title, speed=self.options.speed, decimals=decimals)
        show(watch, self.console, lambda _: self._is_over())

    def _is_over(self) -> bool:
        try:
            return bool(self.broker.status()["over"])
        except TradeprocError:
            return False

    def _finish(self, session: int) -> None:
        """Close what is open, wait for the trades, and compare with the broker's own books."""
        self._step("the tape has ended; closing what is open")
        self.desk.ask(KEEPER, "flatten", {"session": session, "by": NAME, "reason": "end of the tape"}, seconds=30.0)
        desks.wait_until("the session is flat", lambda: self._is_flat(session), _READY_SECONDS)
        fills = book.ask_rows(self.desk, "fills", session=str(session))
        desks.wait_until("the trades are computed", lambda: self._are_computed(session, fills), _TRADES_SECONDS)
        trades = book.ask_rows(self.desk, "trades", session=str(session))
        self.console.print()
        self.console.print(book.render("trades", tables.TRADES, trades))
        self.console.print(self._compared(session, fills), highlight=False)
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

    def _compared(self, session: int, fills: Sequence[dict[str, Any]]) -> str:
        """Return one line that says whether database and broker have the same books."""
        told = {(str(fill["broker_id"]), int(fill["quantity"])) for fill in fills}
        theirs = {(str(fill["order_id"]), int(fill["quantity"])) for fill in self.broker.ledger()["fills"]}
        if told == theirs:
            return f"{len(fills)} fills in the database, the same {len(theirs)} in the broker's own books."
        return f"The books differ: {sorted(told ^ theirs)}; please report this."

    def _stop(self) -> None:
        self.broker.close()
        if self.options.keep:
            return
        self._step("stopping everything")
        desks.stop_supervisord(self.desk)
        self._step("nothing is left running")


_AGAIN = """
Look further: scripts/quickstart --keep leaves it running; then scripts/tradectl status, orders, trades, tail, --help.
Other strategies: --strategy opening_range_breakout, --strategy donchian_atr, or a file of yours; see README.md.
"""
_FURTHER = """
Everything still runs: scripts/tradectl status, orders, trades, divergences, tail, --help; supervisorctl -c
supervisord.conf status. scripts/stop ends it.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the quickstart and return its exit code."""
    options = make_parser().parse_args(argv)
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

"""`scripts/quickstart`: a whole unattended trading session on the local broker, from nothing to the day's trades.

Everything runs for real: supervisord, every process, ZeroMQ, PostgreSQL, TradeStation's wire protocol; only the host
is this machine and the money is not.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any, TypeVar

from rich.console import Console

from tradeproc.cli import reader, tables
from tradeproc.cli.commands import desks, records
from tradeproc.cli.commands.tape import add_options
from tradeproc.cli.quickstart import preflight
from tradeproc.cli.quickstart.foreign_tape import ForeignTape, fitted, foreign_tape
from tradeproc.cli.quickstart.life import QuickstartLock, SupervisordLife, claimed
from tradeproc.cli.quickstart.run_report import AGAIN, FURTHER, after_deaths, filled, fills_of, verdict
from tradeproc.cli.watch import Watch, first_screen, show
from tradeproc.cli.why import needed_by
from tradeproc.clock import wall_ns
from tradeproc.desk.exit_status import CommandFailed, ExitStatus, exit_of, one_line
from tradeproc.desk.installation import ANSWER_SECONDS, Desk
from tradeproc.desk.patience import Condition, keeper_answers, wait_until
from tradeproc.domain.book import Fill, Trade
from tradeproc.domain.orders import Side
from tradeproc.domain.session import SessionSpec
from tradeproc.errors import TradeprocError
from tradeproc.folders import keep_to_ourselves
from tradeproc.home import find_home
from tradeproc.localbroker.chosen import choose
from tradeproc.localbroker.client import LocalBroker
from tradeproc.localbroker.control_key import key_file_of
from tradeproc.procs.localbroker.main import configured_tape, folder_of
from tradeproc.protocol import names, session_messages
from tradeproc.protocol.book_messages import DECISIONS, FILLS, TRADES, ListDecisions, ListRows, StoredDecisionCounts
from tradeproc.protocol.definitions import Method, NoBody
from tradeproc.protocol.process_messages import STATUS
from tradeproc.protocol.session_messages import CREATE, REMOVE, START, STOP, CreateSession, OfSession, StopSession
from tradeproc.protocol.switch_messages import SWITCHES, ThrowSwitch
from tradeproc.protocol.trader_messages import ASK_STATE
from tradeproc.supervision.daemon import Daemon
from tradeproc.supervision.deaths import read_deaths

Q = TypeVar("Q")
A = TypeVar("A")

_READY_SECONDS = 90.0
_STREAMS_SECONDS = 15.0
_TRADES_SECONDS = 15.0
# the trader may be a bar or two behind a fast tape
_QUIET_SECONDS = 1.0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the quickstart's options."""
    parser = argparse.ArgumentParser(
        prog="scripts/quickstart",
        description="Run a whole trading session on an hour of real ES trades, on this machine, without an account.",
        epilog="exit codes: 0 ok, 1 refused, failed, nothing but refused decisions, or the books differ, "
        "2 wrong usage, 3 no answer, 130 Ctrl-C",
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
    parser.add_argument("--tape", metavar="FILE", help="your own trades or bars, of most vendors as they come")
    add_options(parser)
    parser.add_argument("--plain", action="store_true", help="lines instead of the full-screen view")
    return parser


def _speed(word: str) -> float:
    try:
        speed = float(word)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 3600:
        raise argparse.ArgumentTypeError(f"must be a number above 0 and at most 3600, not {word}")
    return speed


class NotOurs(CommandFailed):
    """The desk that a quickstart started was stopped by somebody; another one may run, which is not its."""

    def __init__(self) -> None:
        super().__init__(
            "the desk that this quickstart started was stopped meanwhile, so it ends and touches nothing"
        )


class Quickstart:
    """The steps, each told as it happens."""

    def __init__(self, desk: Desk, options: argparse.Namespace) -> None:
        self.desk, self.options = desk, options
        width = None if sys.stdout.isatty() else 120
        self.console = Console(width=width, force_terminal=False if options.plain else None)
        self._began, self._began_at = time.monotonic(), wall_ns()
        self._broker = LocalBroker(f"http://127.0.0.1:{desk.config.localbroker.port}", key_file_of(desk.home))
        self._session = 0
        # decided in the present life of the trader
        self._bars = 0
        self._life: SupervisordLife | None = None

    @property
    def broker(self) -> LocalBroker:
        """Return the local broker of the desk that this quickstart started, and of no other.

        Raises:
            NotOurs: that desk is gone.
        """
        self._check_ours()
        return self._broker

    def run(self) -> int:
        """Run the session to the end of the tape and return the exit code."""
        with claimed(self.desk.home) as (claim, left):
            if left is not None:
                self._step("a quickstart that was killed left its desk running; that is stopped first")
                Daemon(self.desk.home).stop()
            return self._run(claim)

    def _run(self, claim: QuickstartLock) -> int:
        tape = foreign_tape(self.options)
        preflight.check(self.desk, None if tape is None else tape.choice)
        spec = preflight.specification(self.desk, self.options.strategy)
        if tape is not None:
            spec = fitted(spec, tape, self.desk)
            for line in tape.lines:
                self._step(line)
        is_done = False
        try:
            self._start(tape, claim)
            session = self._create(spec)
            self._watch(session)
            agrees = self._finish(session)
            is_done = True
        finally:
            self._broker.close()
            # what did not come to its end is not kept
            if is_done and self.options.keep:
                claim.kept()
            else:
                self._stop()
        return ExitStatus.OK if agrees else ExitStatus.FAILED

    def _step(self, text: str) -> None:
        self.console.print(f"[{time.monotonic() - self._began:5.1f} s] {text}", highlight=False, markup=False)

    def _check_ours(self) -> None:
        if self._life is not None and self._life.is_over:
            raise NotOurs

    def _ask(self, process: str, method: Method[Q, A], question: Q, seconds: float = ANSWER_SECONDS) -> A:
        """Return what a process of our desk answers, and of no other."""
        self._check_ours()
        return self.desk.ask(process, method, question, seconds=seconds)

    def _start(self, tape: ForeignTape | None, claim: QuickstartLock) -> None:
        home = self.desk.home
        home.make_folders()
        # a tape plays once; a new quickstart begins with a new broker, whose accounts are flat
        shutil.rmtree(folder_of(home), ignore_errors=True)
        if tape is not None:
            choose(folder_of(home), tape.choice, configured_tape(home, self.desk.config))
        self._step("starting supervisord, the local broker, PostgreSQL, the core")
        with preflight.uninterrupted():
            if not Daemon(self.desk.home).start():
                raise CommandFailed("somebody else has just started this desk; end it with scripts/stop")
            self._life = SupervisordLife.of(self.desk.supervisor.pid())
            if self._life is None:
                raise NotOurs
            claim.began(self._life)
        self._wait("the local broker answers", self._hold_market)
        self._step("the local broker speaks TradeStation's protocol; its market waits")
        self._wait("the keeper answers", lambda: keeper_answers(self.desk))
        self._step("PostgreSQL and the keeper are up")
        preflight.check_may_trade(self.desk)

    def _wait(self, what: str, condition: Condition) -> None:
        def trouble() -> str:
            self._check_ours()
            return desks.halted(self.desk)

        wait_until(what, condition, _READY_SECONDS, trouble)

    def _hold_market(self) -> bool:
        try:
            self.broker.pause()
        except TradeprocError:
            return False
        return True

    def _create(self, spec: SessionSpec) -> int:
        self._clear()
        session = self._ask(names.KEEPER, CREATE, CreateSession(spec.to_dict()), 30.0).session
        self._session = session
        self._ask(names.KEEPER, START, OfSession(session))
        self._step(f"session {session}: {spec.strategy} on {spec.contract}, {spec.minutes} min bars, {spec.account}")
        self._wait("the trader is ready", lambda: self._is_ready(session))
        self._step("the trader has its history, and agrees with the broker")
        # a market that runs before its stream is up has entries refused; a tape without history has none to be up
        with suppress(TradeprocError):
            wait_until("entries are allowed", partial(self._may_enter, session), _STREAMS_SECONDS)
        return session

    def _clear(self) -> None:
        """Stop what ran, because the local broker began anew, and take earlier quickstarts off the list."""
        for row in self.desk.sessions():
            number, is_ours = row.id, row.name == preflight.NAME
            if row.desired != "stopped":
                self._ask(names.KEEPER, STOP, StopSession(number), 30.0)
                self._wait(f"session {number} has stopped", partial(self._has_stopped, number))
                self._step(f"session {number} ({row.name}) stopped: the local broker began anew")
            if is_ours:
                self._wait(f"session {number} is off the list", partial(self._is_removed, number))

    def _is_removed(self, session: int) -> bool:
        try:
            # the broker began anew: what the database knows of a position is not there any more
            self._ask(names.KEEPER, REMOVE, session_messages.RemoveSession(session, abandon=True))
        except CommandFailed:
            # its group is still being taken down
            return False
        return True

    def _has_stopped(self, session: int) -> bool:
        try:
            return self.desk.session(str(session)).state == "stopped"
        except TradeprocError:
            return False

    def _is_ready(self, session: int) -> bool:
        try:
            return self.desk.client.call(names.trader(session), STATUS, NoBody(), 1.0).state == "ready"
        except TradeprocError:
            return False

    def _may_enter(self, session: int) -> bool:
        try:
            return self.desk.client.call(names.trader(session), ASK_STATE, NoBody(), 1.0).entries == "allowed"
        except TradeprocError:
            return False

    def _watch(self, session: int) -> None:
        self.broker.speed(self.options.speed)
        self.broker.resume()
        self._step(f"the market runs, {self.options.speed:g} times as fast as the clock")
        row = self.desk.session(str(session))
        screen = first_screen(row, speed=self.options.speed, hint="Ctrl-C stops everything")
        with closing(Watch(self.desk, session, row.logins, screen)) as watch:
            show(watch, self.console, lambda _: self._is_over())

    def _is_over(self) -> bool:
        self._check_ours()
        try:
            return bool(self.broker.status()["over"])
        except TradeprocError:
            return False

    def _finish(self, session: int) -> bool:
        """Close what is open, wait for the trades, and tell whether they agree with the broker's own books."""
        self._settle(session)
        self._step("the tape has ended; closing what is open")
        order = ThrowSwitch(session, preflight.NAME, "end of the tape")
        self._ask(names.KEEPER, SWITCHES["flatten"], order, 30.0)
        self._wait("the session is flat", lambda: self._is_flat(session))
        fills = self.desk.ask(names.KEEPER, FILLS, ListRows(session)).fills
        with suppress(TradeprocError):
            wait_until("the trades are computed", lambda: self._are_computed(session, fills), _TRADES_SECONDS)
        trades = records.with_market_times(self._trades(session), fills)
        self.console.print()
        self.console.print(records.render("trades", tables.DAY_TRADES, trades))
        told = filled((fill.broker_id, fill.quantity) for fill in fills)
        theirs = filled((fill["order_id"], fill["quantity"]) for fill in self._brokers_fills(session))
        if told != theirs:
            differences = sorted(told.items() ^ theirs.items())
            self.console.print(f"The books differ: {differences}; please report this.", highlight=False, markup=False)
        else:
            same = f"{len(fills)} fills in the database, the same in the broker's own books."
            self.console.print(f"{same} Times are market time, UTC.", highlight=False)
        is_well = self._tell_decisions(session)
        self.console.print(FURTHER if self.options.keep else AGAIN, highlight=False)
        return told == theirs and is_well

    def _settle(self, session: int) -> None:
        """Wait until the trader has decided on its last bar, and its decisions are in the database."""
        seen, since = (-1, -1, -1), time.monotonic()

        def is_settled() -> bool:
            nonlocal seen, since
            told = self.desk.ask(names.trader(session), ASK_STATE, NoBody()).decisions
            counts = self.desk.ask(names.KEEPER, DECISIONS, ListDecisions(session, 1)).counts
            now = (told.bars, told.failed, told.wanted)
            self._bars = now[0]
            if now != seen:
                seen, since = now, time.monotonic()
            is_quiet = time.monotonic() - since > _QUIET_SECONDS
            return is_quiet and counts is not None and counts.wanted + counts.failed >= now[1] + now[2]

        with suppress(TradeprocError):
            wait_until("the decisions are written", is_settled, _TRADES_SECONDS)

    def _brokers_fills(self, session: int) -> list[dict[str, Any]]:
        """Return what the broker's books have of this session's orders, whoever else traded there before."""
        return fills_of(self.broker.ledger(), f"{preflight.installation(self.desk)}{session}-")

    def _tell_decisions(self, session: int) -> bool:
        """Say what the strategy wanted and did not get; a session that could not trade did not end well."""
        told = self._ask(names.KEEPER, DECISIONS, ListDecisions(session, 1000, refused=True))
        ending = verdict(told.counts or StoredDecisionCounts(0, 0, 0), told.decisions, session)
        for line in ending.lines:
            self.console.print(line, highlight=False, markup=False)
        return self._tell_deaths(session) and ending.is_well

    def _tell_deaths(self, session: int) -> bool:
        """Say which of the session's processes died meanwhile, and why."""
        row, home = self.desk.session(str(session)), self.desk.home
        found = [
            (process, death)
            for process in needed_by(row)
            for death in reversed(read_deaths(home, process))
            if death.at >= self._began_at
        ]
        ending = after_deaths(found, names.trader(session), self._bars)
        for line in ending.lines:
            self.console.print(line, highlight=False, markup=False)
        return ending.is_well

    def _is_flat(self, session: int) -> bool:
        try:
            state = self.desk.ask(names.trader(session), ASK_STATE, NoBody())
        except TradeprocError:
            return False
        return state.position == 0 and not state.orders

    def _trades(self, session: int) -> Sequence[Trade]:
        return self.desk.ask(names.KEEPER, TRADES, ListRows(session)).trades

    def _are_computed(self, session: int, fills: Sequence[Fill]) -> bool:
        bought = sum(fill.quantity for fill in fills if fill.side is Side.BUY)
        return sum(trade.quantity for trade in self._trades(session)) >= bought

    def _stop(self) -> None:
        preflight.ignore_signals()
        if self._life is None or self._life.is_over:
            self._step("there is no desk of this quickstart; nothing is touched")
            return
        self._step("stopping everything")
        with suppress(TradeprocError):
            # it is over; the next start of this desk is not to bring it back
            if self._session:
                self._ask(names.KEEPER, STOP, StopSession(self._session))
        Daemon(self.desk.home).stop()
        self._step("nothing is left running")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the quickstart and return its exit code."""
    return reader.run(partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    keep_to_ourselves()
    options = make_parser().parse_args(argv)
    preflight.interrupt_on_signals()
    try:
        with Desk(find_home()) as desk:
            return Quickstart(desk, options).run()
    except TradeprocError as error:
        print(f"quickstart: {one_line(error)}", file=sys.stderr)
        return exit_of(error)
    except KeyboardInterrupt as told:
        is_told = told.args == ("SIGTERM",)
        why = "told to stop by scripts/stop in another terminal, or by a kill" if is_told else "interrupted"
        print(f"quickstart: {why}; everything is stopped", file=sys.stderr)
        return ExitStatus.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())

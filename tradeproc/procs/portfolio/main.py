"""`core.portfolio`: sums up what the traders of this host report, grants heat, and holds the host's trading state.

Owns the sums. Hears `state` and `heat_report` of every trader; reads from the database which sessions should report,
which portfolios there are and which latches are set. Says `portfolio` and `portfolios_heat` once a second. When it
dies, sums are unknown until the traders have reported again, and entries of portfolios wait for that; exits do not.
Traders go on with the latches they read themselves.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields

from tradeproc import config
from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Envelope
from tradeproc.bus.node import Node
from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.domain.wanted import wanted_now
from tradeproc.errors import Refusal
from tradeproc.home import Home, find_home
from tradeproc.procs.portfolio.heat_server import HeatServer
from tradeproc.procs.portfolio.joint_rows import NO_ACCOUNTS, AccountLimits
from tradeproc.procs.portfolio.sums import Report, most_severe, sum_up
from tradeproc.procs.session_start import database_of
from tradeproc.protocol import names, scopes
from tradeproc.protocol.portfolio_messages import (
    ASK_PORTFOLIO,
    ASK_TRADING_STATE,
    PORTFOLIO,
    HostTradingState,
    PortfolioState,
    Sums,
)
from tradeproc.protocol.trader_messages import STATE, SessionState
from tradeproc.store import DatabaseDown, Store
from tradeproc.store.kept import all_latches

log = logging.getLogger(__name__)

_PATIENCE = 5 * SECOND
_FORGOTTEN = 60 * SECOND
_SUMS = tuple(field.name for field in fields(Sums))


class Portfolio:
    """The sessions of this host, together."""

    def __init__(
        self,
        node: Node,
        directory: Directory,
        store: Store,
        home: Home,
        accounts: Mapping[str, AccountLimits] = NO_ACCOUNTS,
    ) -> None:
        self._node, self._directory, self._store, self._home = node, directory, store, home
        self._reports: dict[int, Report] = {}
        self._heat = HeatServer(node, store, accounts)
        self._heard: set[str] = set()
        self._expected: list[int] | None = None
        self._latches: list[str] | None = None
        self._database = "not asked yet"
        node.handle(ASK_PORTFOLIO, lambda _: self.body())
        node.handle(ASK_TRADING_STATE, lambda _: self.trading_state())
        node.snapshot(PORTFOLIO, self.body)
        node.every(1.0, self._look)
        node.every(0.25, self._look_again)
        node.after(0.0, self._look)

    def body(self) -> PortfolioState:
        """Return the sum, and the host's trading state beside it."""
        total = sum_up(self._reports, self._expected, monotonic_ns(), patience=_PATIENCE)
        host = self.trading_state()
        return PortfolioState(
            **{name: getattr(total, name) for name in _SUMS},
            trading_state=host.trading_state,
            is_known=host.is_known,
            database=self._database,
        )

    def trading_state(self) -> HostTradingState:
        """Return active, reducing or halted; before the latches are known, halted: unknown is not allowed."""
        if self._latches is None:
            return HostTradingState("halted", is_known=False)
        return HostTradingState(most_severe(self._latches), is_known=True)

    def _look(self) -> None:
        self._read()
        for process in self._directory.processes():
            if process.is_trader and process not in self._heard:
                self._heard.add(process)
                self._node.subscribe(process, STATE, self._hear)
                self._heat.follow(process)
        self._forget()
        body = self.body()
        self._node.publish(PORTFOLIO, body)
        missing = ", ".join(f"session {session}" for session in body.missing)
        if self._database != "up":
            self._node.set_state("degraded", f"database: {self._database}")
        else:
            told = (f"not reported: {missing}" if missing else "", *self._heat.troubles())
            self._node.set_state("ready", "; ".join(filter(None, told)))

    def _look_again(self) -> None:
        """Look again sooner while the database is away."""
        if self._database != "up":
            self._look()

    def _hear(self, envelope: Envelope[SessionState]) -> None:
        self._reports[envelope.body.session] = Report(envelope.body, monotonic_ns())
        self._node.note_event(sent_at=envelope.sent_at)
        self._node.note_work()

    def _read(self) -> None:
        """Read what should report and what is latched; the last known stands while the database is away."""
        try:
            # who lives is asked before the rows are read: what a trader wrote before it was gone is then among them
            now, alive = wall_ns(), self._directory.processes()
            rows = self._store.sessions()
            self._expected = [row.id for row in rows if wanted_now(row.spec, row.desired, now)]
            self._latches = [
                latch.state for latch in all_latches(self._store, self._home) if latch.scope == scopes.HOST
            ]
            # last, because a portfolio that cannot be read must not keep the latches from being known
            self._heat.read(rows, alive, lambda: all_latches(self._store, self._home))
            self._database = "up"
        except (DatabaseDown, Refusal) as error:
            # a refusal too: on a new desk the tables may not be there yet
            self._database = str(error)

    def _forget(self) -> None:
        """Drop sessions whose process is gone and that have not reported for a minute."""
        now = monotonic_ns()
        for session, report in list(self._reports.items()):
            process = names.trader(session)
            if now - report.at > _FORGOTTEN and process not in self._directory.processes():
                del self._reports[session]
                self._node.unsubscribe(process, STATE)
                self._heat.forget(process)
                self._heard.discard(process)


def main(arguments: Sequence[str]) -> int:
    """Run the portfolio server until SIGTERM."""
    del arguments
    home = find_home()
    settings = config.load(home)
    store = Store(database_of(settings, home), connect_timeout=settings.database.connect_seconds)
    directory = Directory(home.sockets)
    node = Node(names.PORTFOLIO, directory)
    accounts = {name: AccountLimits(each.limits, each.currency) for name, each in settings.accounts.items()}
    Portfolio(node, directory, store, home, accounts)
    node.run()
    store.close()
    return node.exit_status

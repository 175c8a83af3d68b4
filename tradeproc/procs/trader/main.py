"""`session-<id>.trader`: the only trader of one trading session.

Start, in this order: the database says what the session is; the lease makes us its only trader; rows that waited in
the journal are written; then `trading.py` follows the bars, compares the contract's terms, fetches history, and asks
the broker for orders and position. A database that is away delays all this and never fails it. While another trader
of the session lives, on whatever host, ours stands by and does nothing; it takes over when the other's lease falls.
"""

import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import replace

import tradeproc
from tradeproc.bus.node import Node
from tradeproc.clock import monotonic_ns, wall_ns
from tradeproc.config import Config
from tradeproc.domain.book import Fill
from tradeproc.domain.market_hours import market_hours
from tradeproc.engine import events, strategy
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import KeepLatch
from tradeproc.engine.events import TradingState
from tradeproc.engine.recording import Header
from tradeproc.engine.remembered import KnownRows, remembered
from tradeproc.engine.state import Setup, State, new_state
from tradeproc.engine.turn import KEPT_IDS, KEPT_ORDERS
from tradeproc.home import Home
from tradeproc.procs.market_hours_file import follow_market_hours
from tradeproc.procs.session_start import database_of, run_session
from tradeproc.procs.trader import commands
from tradeproc.procs.trader.audit_trail import CONNECT_SECONDS, AuditTrail
from tradeproc.procs.trader.heat_reporter import terms_of
from tradeproc.procs.trader.known_losses import known_losses
from tradeproc.procs.trader.recorder import Recorder
from tradeproc.procs.trader.trading import Trader
from tradeproc.protocol import names
from tradeproc.store.database import DatabaseDown
from tradeproc.store.journal import Journal, JournalInUse, journal_path
from tradeproc.store.kept import kept_file
from tradeproc.store.lease import Lease, LeaseTaken
from tradeproc.store.rows import Latch, SessionRow
from tradeproc.store.store import Store
from tradeproc.strategies.loading import build_arguments, digest_of_file, load_strategy
from tradeproc.supervision.halted_by import BY_TRADER

log = logging.getLogger(__name__)

# when one of these latched a session, its strategy is not called before a person resumes
_SWITCH_OFF = (strategy.BY, BY_TRADER)
_AGAIN_SECONDS, _STANDBY_SECONDS = 0.5, 1.0


class TraderStart:
    """From the session's row to a trader that lives: lease, journal, what the database knows."""

    def __init__(self, node: Node, home: Home, config: Config, row: SessionRow) -> None:
        self.node, self.home, self.row = node, home, row
        self.store = Store(database_of(config, home), connect_timeout=CONNECT_SECONDS)
        self.strategy = load_strategy(row.spec.strategy, home.root)
        # now, because its file may be changed while we wait for the database
        self.strategy_digest = digest_of_file(self.strategy)
        self.arguments = build_arguments(self.strategy, row.spec.arguments)
        # the number tells us from a process with the same pid on a host with the same name
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{monotonic_ns() % 0xFFFF:04x}"
        self.is_account_limited = row.spec.account in config.accounts
        self._behind = ""

    def try_to_begin(self) -> None:
        """Begin, or try again soon when the database is away or another trader has the session.

        Raises:
            LeaseTaken: the session was removed meanwhile.
        """
        try:
            lease = Lease.acquire(self.store.url, self.row.id, self.holder, connect_timeout=CONNECT_SECONDS)
            journal = Journal(
                journal_path(self.home.journal, self.row.id), wait_seconds=0.2, owner=names.trader(self.row.id)
            )
        except LeaseTaken as taken:
            if not taken.holder:
                raise
            self._stand_by(taken)
        except DatabaseDown as down:
            self._wait(f"waiting for the database: {down}")
        except (JournalInUse, OSError) as unusable:
            lease.release()
            self._wait(f"waiting for the journal: {unusable}")
        else:
            audit = AuditTrail(self.store, journal, lease, self.row.id, self.holder, kept_file(self.home))
            try:
                self._begin(audit)
            except DatabaseDown as down:
                audit.close()
                self._wait(f"waiting for the database: {down}")
            except OSError as error:
                # for example a full disk, onto which the journal cannot put aside a row that the database refused
                audit.close()
                self._wait(f"waiting for the journal: {error}")

    def _wait(self, reason: str) -> None:
        self.node.set_state("starting", reason)
        self.node.after(_AGAIN_SECONDS, self.try_to_begin)

    def _stand_by(self, taken: LeaseTaken) -> None:
        if taken.holder != self._behind:
            self._behind = taken.holder
            log.warning("standing_by session=%d behind=%s", self.row.id, taken.holder)
        self.node.set_state("starting", f"standing by: {taken}")
        self.node.after(_STANDBY_SECONDS, self.try_to_begin)

    def _begin(self, audit: AuditTrail) -> None:
        row, store = self.row, self.store
        audit.journal.replay(store)
        store.get_ready()
        fills = store.fills(row.id)
        setup = Setup(
            session=row.id,
            fence=audit.fence,
            installation=store.installation(),
            spec=row.spec,
            strategy=self.strategy,
            arguments=self.arguments,
            session_opened_at=market_hours(row.spec.calendar).session_opened_at,
            hours=market_hours(row.spec.calendar),
        )
        heat = terms_of(store, row, is_account_limited=self.is_account_limited)
        portfolio = "" if heat.terms is None else heat.terms.portfolio
        latches = audit.latches(row.spec.logins, portfolio, row.spec.account)
        state = new_state(setup, {latch.scope: TradingState(latch.state) for latch in latches})
        started = replace(
            _known(store, row, fills, latches),
            losses=known_losses(store, row, fills, audit.clock.now()),
        )
        _forget_alarms(audit)
        recorder = Recorder(self.home.recordings, _header(setup, state, self.strategy_digest))
        rolls, volumes = store.rolls(row.id), store.roll_volumes(row.id)
        trader = Trader(self.node, row, audit, state, fills, recorder, rolls, volumes)
        commands.register(trader)
        follow_market_hours(self.node, self.home)
        trader.begin(started, heat)
        log.info("session_started session=%d fence=%d known_orders=%d", row.id, audit.fence, len(started.orders))


def _header(setup: Setup, state: State, strategy_digest: str) -> Header:
    return Header(
        session=setup.session,
        fence=setup.fence,
        installation=setup.installation,
        spec=setup.spec.to_dict(),
        latches=dict(state.engine.latches),
        began_at=wall_ns(),
        program=tradeproc.__version__,
        strategy_digest=strategy_digest,
    )


def _forget_alarms(audit: AuditTrail) -> None:
    """Clear what an earlier life of the trader left standing: what still holds is raised again."""
    ours = {name.value for name in AlarmName}
    for alarm in audit.store.alarms(audit.session, only_standing=True):
        if alarm.name in ours:
            audit.clear_alarm(alarm.name, audit.clock.now())


def _known(store: Store, row: SessionRow, fills: Sequence[Fill], latches: Sequence[Latch] = ()) -> events.Started:
    """Return our copy of orders and position, as the database has it."""
    saved = [each for each in store.positions(row.id) if each.position.contract == row.spec.contract]
    kept = [KeepLatch(each.scope, TradingState(each.state), each.by, each.reason, each.at) for each in latches]
    rows = KnownRows(
        orders=store.orders(row.id, limit=KEPT_ORDERS),
        open_orders=store.open_orders(row.id),
        fills=fills,
        saved_at=saved[0].at if saved else None,
        claimed=store.claimed(row.id, limit=KEPT_IDS),
        latches=kept,
        rolls=store.rolls(row.id),
    )
    return remembered(row.id, row.spec, rows, _SWITCH_OFF)


def main(arguments: Sequence[str]) -> int:
    """Run the trader of a session."""
    return run_session("trader", arguments, lambda *given: TraderStart(*given).try_to_begin())

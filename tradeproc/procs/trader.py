"""`session-<id>.trader`: the only trader of one trading session.

Start, in this order: the database says what the session is; the lease makes us its only trader; rows that waited in
the journal are written; then `trading.py` follows the bars, fetches history, and asks the broker for orders and
position. A database that is away delays all this and never fails it.
"""

import argparse
import logging
import os
import socket
from collections.abc import Sequence

from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Node
from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.domain.book import Fill
from tradeproc.domain.market_hours import market_hours
from tradeproc.engine import events
from tradeproc.engine.events import TradingState
from tradeproc.engine.state import Setup, new_state
from tradeproc.engine.turn import KEPT_ORDERS
from tradeproc.home import Home, find_home
from tradeproc.procs import trader_commands
from tradeproc.procs.ledger import CONNECT_SECONDS, Ledger
from tradeproc.procs.specification import database_of, when_known
from tradeproc.procs.trading import Trader, read_latches
from tradeproc.store.database import DatabaseDown
from tradeproc.store.journal import Journal, JournalInUse
from tradeproc.store.lease import Lease, LeaseTaken
from tradeproc.store.rows import SessionRow
from tradeproc.store.store import Store
from tradeproc.strategies.loading import build_arguments, load_strategy

log = logging.getLogger(__name__)

# how long a predecessor may take to let go of the lease before we say that there is another trader
_LEASE_SECONDS = 10


class Beginning:
    """From the session's row to a trader that lives: lease, journal, what the database knows."""

    def __init__(self, node: Node, home: Home, row: SessionRow) -> None:
        self.node, self.home, self.row = node, home, row
        self.store = Store(database_of(home), connect_timeout=CONNECT_SECONDS)
        self.strategy = load_strategy(row.spec.strategy, home.root)
        self.arguments = build_arguments(self.strategy, row.spec.arguments)
        self._give_up_at = monotonic_ns() + _LEASE_SECONDS * SECOND

    def try_to_begin(self) -> None:
        """Begin, or try again soon when the database is away or a predecessor is not gone yet.

        Raises:
            LeaseTaken: another trader of this session lives.
        """
        holder = f"{socket.gethostname()}:{os.getpid()}"
        try:
            lease = Lease.acquire(self.store.url, self.row.id, holder, connect_timeout=CONNECT_SECONDS)
            journal = Journal(self.home.journal / f"session-{self.row.id}.jsonl")
        except LeaseTaken as taken:
            if monotonic_ns() > self._give_up_at:
                raise
            self._wait(str(taken))
        except DatabaseDown as down:
            self._wait(f"waiting for the database: {down}")
        except JournalInUse as used:
            lease.release()
            self._wait(str(used))
        else:
            ledger = Ledger(self.store, journal, lease, self.row.id, holder)
            try:
                self._begin(ledger)
            except DatabaseDown as down:
                ledger.close()
                self._wait(f"waiting for the database: {down}")

    def _wait(self, reason: str) -> None:
        self.node.set_state("starting", reason)
        self.node.after(0.5, self.try_to_begin)

    def _begin(self, ledger: Ledger) -> None:
        row, store = self.row, self.store
        ledger.journal.replay(store)
        fills = store.fills(row.id)
        setup = Setup(
            session=row.id,
            fence=ledger.fence,
            installation=store.installation(),
            spec=row.spec,
            strategy=self.strategy,
            arguments=self.arguments,
            session_opened_at=market_hours(row.spec.calendar).session_opened_at,
        )
        state = new_state(setup, {latch.scope: TradingState(latch.state) for latch in read_latches(store, row.id)})
        started = _known(store, row, fills)
        trader = Trader(self.node, row, ledger, state, fills)
        trader_commands.register(trader)
        trader.begin(started)
        log.info("session_started session=%d fence=%d known_orders=%d", row.id, ledger.fence, len(started.orders))


def _known(store: Store, row: SessionRow, fills: Sequence[Fill]) -> events.Started:
    """Return our copy: open orders and the newest ended ones, the last position, fills booked after it was saved."""
    newest = store.orders(row.id, limit=KEPT_ORDERS)
    known = {order.id for order in newest}
    older = [order for order in store.open_orders(row.id) if order.id not in known]
    saved = [each for each in store.positions(row.id) if each.position.contract == row.spec.contract]
    if not saved:
        return events.Started((*older, *newest), None, tuple(fills))
    later = tuple(fill for fill in fills if fill.at > saved[0].at)
    return events.Started((*older, *newest), saved[0].position, later)


def main(arguments: Sequence[str]) -> int:
    """Run the trader of a session."""
    parser = argparse.ArgumentParser(prog="tradeproc.procs trader")
    parser.add_argument("session", type=int, help="number of the trading session")
    session: int = parser.parse_args(arguments).session
    home = find_home()
    node = Node(f"session-{session}.trader", Directory(home.sockets))
    when_known(node, home, session, lambda row: Beginning(node, home, row).try_to_begin())
    node.run()
    return node.exit_status

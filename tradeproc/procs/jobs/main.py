"""`core.jobs`: the work that must not slow a trader down. It computes round-trip trades from fills.

Owns the job queue's worker. Hears of new fills through the queue (a trigger asks for a session's trades in the
transaction that books its fill) and looks itself once a minute; writes the trades, and replays journals that dead
processes left. Says `heartbeat` only. When it dies, trades are computed later and nothing is lost.
"""

import logging
from collections.abc import Sequence

from tradeproc import config
from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Node
from tradeproc.clock import wall_ns
from tradeproc.errors import Refusal, exit_code
from tradeproc.home import Home, find_home
from tradeproc.procs.jobs.queue_worker import JobRunner, QueueWorker
from tradeproc.procs.session_start import database_of
from tradeproc.protocol import names
from tradeproc.store import Store, round_trips
from tradeproc.store.journal import replay_left

log = logging.getLogger(__name__)

_PATIENT = 30.0


class Jobs:
    """The tasks and their numbers; its methods run on the worker's threads, one at a time."""

    def __init__(self, home: Home, url: str) -> None:
        self._home, self._url = home, url
        self.computed, self.computed_at = 0, 0

    def compute_trades(self, session: int) -> None:
        """Compute the trades of a session from all its fills."""
        store = Store(self._url, answer_timeout=_PATIENT)
        try:
            self._compute(store, session)
        finally:
            store.close()

    def sweep(self) -> None:
        """Do what no job did: sessions with fills that nobody counted, journals that nobody will replay."""
        store = Store(self._url, answer_timeout=_PATIENT)
        try:
            replay_left(self._home.journal, store)
            for session in store.sessions_with_new_fills():
                try:
                    self._compute(store, session)
                except Refusal:
                    log.exception("trades_not_computed session=%d", session)
        finally:
            store.close()

    def statistics(self) -> dict[str, object]:
        """Return what heartbeats tell."""
        return {"computations": self.computed, "computed_at": self.computed_at}

    def _compute(self, store: Store, session: int) -> None:
        fills = store.fills(session)
        changed = store.save_trades(session, round_trips(fills), fills_seen=len(fills))
        self.computed, self.computed_at = self.computed + 1, wall_ns()
        log.info("trades_computed session=%d fills=%d changed=%d", session, len(fills), changed)


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM."""
    del arguments
    home = find_home()
    url = database_of(config.load(home), home)
    node = Node(names.JOBS, Directory(home.sockets))
    jobs = Jobs(home, url)

    def tell(reason: str) -> None:
        node.post(lambda: node.set_state("degraded" if reason else "ready", reason))

    def give_up(error: Exception) -> None:
        log.error("jobs_given_up reason=%s", error, exc_info=error)
        node.stop(exit_code(error))

    def work(session: int) -> None:
        jobs.compute_trades(session)
        node.post(node.note_event)
        node.note_work()

    def sweep() -> None:
        jobs.sweep()
        node.note_work()

    worker = QueueWorker(url, JobRunner(work, sweep), tell, give_up)
    node.add_statistics(jobs.statistics)
    node.on_stop(worker.stop)
    node.add_thread("queue", worker.is_stuck)
    worker.start()
    node.run()
    return node.exit_status

"""The job queue's worker: procrastinate on a thread of its own; it comes back by itself when the database does.

Jobs are only hints that something is to be done: each task reads what is there and may run twice, late or not at
all, because a sweep once a minute finds what no job did.
"""

import asyncio
import logging
import threading
from collections.abc import Callable

import procrastinate
import psycopg
from procrastinate.jobs import Status

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.domain.backoff import Backoff
from tradeproc.domain.frozen import dataclass
from tradeproc.errors import Outage
from tradeproc.store import Store

log = logging.getLogger(__name__)

_PAUSES = Backoff(0.2, 15.0, factor=1.5)
_OPEN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class JobRunner:
    """What the worker does, on threads of the worker: `trades` of one session, and the `sweep`."""

    trades: Callable[[int], None]
    sweep: Callable[[], None]


class QueueWorker:
    """A worker that runs until `stop`.

    `tell` is called with "" when the worker works, and with the reason when it does not; `give_up` is called with an
    error that waiting cannot mend.
    """

    def __init__(
        self,
        url: str,
        work: JobRunner,
        tell: Callable[[str], None],
        give_up: Callable[[Exception], None],
        stuck_seconds: float = 60.0,
    ) -> None:
        self._stuck_seconds = stuck_seconds
        self._url, self._work, self._tell, self._give_up = url, work, tell, give_up
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._knocked_at, self._has_answered = monotonic_ns(), True
        self._thread = threading.Thread(target=self._run, name="queue", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, seconds: float = 0.25) -> None:
        """Let the running job end, then leave; one that takes longer than `seconds` is done by the next worker."""
        self._is_stopping = True
        self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())
        self._thread.join(seconds)
        if self._thread.is_alive():
            log.warning("queue_slow_to_stop")

    def is_stuck(self) -> bool:
        """Tell whether the thread's loop has not turned for `stuck_seconds`.

        Each call also asks the loop for a sign of life, so it must be called again and again.
        """
        if self._has_answered:
            self._knocked_at, self._has_answered = monotonic_ns(), False
            try:
                self._loop.call_soon_threadsafe(self._answer)
            except RuntimeError:
                self._has_answered = True  # the loop has ended, and its owner was told
        return monotonic_ns() - self._knocked_at > self._stuck_seconds * SECOND

    def _answer(self) -> None:
        self._has_answered = True

    def _run(self) -> None:
        self._task = self._loop.create_task(self._keep_working())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 the thread's end: whoever owns it must know why
            self._give_up(error)
        finally:
            log.info("queue_stopped")
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _keep_working(self) -> None:
        failures = 0
        while True:
            try:
                await asyncio.to_thread(self._prepare)
                failures = 0
                await self._work_until_it_breaks()
                reason = "the worker ended"
            except (Outage, psycopg.Error, procrastinate.exceptions.ProcrastinateException, OSError) as error:
                reason = _sentence(error)
            if self._is_stopping:
                return  # the cancel was lost in an error of the same moment, for example when the database ends too
            pause = _PAUSES.delay(failures)
            log.warning("queue_waits seconds=%.1f reason=%s", pause, reason)
            self._tell(reason)
            await asyncio.sleep(pause)
            failures += 1

    def _prepare(self) -> None:
        store = Store(self._url)
        store.migrate()
        store.close()

    async def _work_until_it_breaks(self) -> None:
        connector = procrastinate.PsycopgConnector(
            conninfo=self._url, min_size=1, max_size=3, timeout=_OPEN_SECONDS, reconnect_timeout=_OPEN_SECONDS
        )
        app = procrastinate.App(connector=connector)
        self._add_tasks(app)
        async with app.open_async():
            await self._clear_stalled(app)
            await asyncio.to_thread(self._work.sweep)
            self._tell("")
            await app.run_worker_async(
                install_signal_handlers=False, delete_jobs="always", shutdown_graceful_timeout=1, concurrency=1
            )

    def _add_tasks(self, app: procrastinate.App) -> None:
        @app.task(name="trades")
        def trades(session: int) -> None:
            self._work.trades(session)

        @app.periodic(cron="* * * * *")
        @app.task(name="sweep", queueing_lock="sweep")
        async def sweep(timestamp: int) -> None:
            del timestamp
            await self._clear_stalled(app)
            await asyncio.to_thread(self._work.sweep)

    async def _clear_stalled(self, app: procrastinate.App) -> None:
        """Forget jobs of workers that died; the sweep does what they did not."""
        for job in await app.job_manager.get_stalled_jobs():
            log.warning("job_forgotten task=%s", job.task_name)
            await app.job_manager.finish_job(job, Status.FAILED, delete_job=True)


def _sentence(error: BaseException) -> str:
    """Return why the queue cannot work: the library's own errors say nothing, but the errors they came from do."""
    while isinstance(error, procrastinate.exceptions.ProcrastinateException) and error.__cause__ is not None:
        error = error.__cause__
    words = str(error).strip().partition("\n")[0]
    return f"the job queue waits for the database: {words or type(error).__name__}"

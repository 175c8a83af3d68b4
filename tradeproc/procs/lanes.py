"""Threads for calls that may hang.

A call that was not begun in time is never begun, and `close` waits for a bounded time.

The threads are daemons: a call that never returns does not keep the process from ending.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import field
from queue import Empty, SimpleQueue

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.domain.frozen import dataclass

log = logging.getLogger(__name__)

# a call with less time left than this is not begun
LEAST_SECONDS = 0.2
_WAITED = "it waited too long behind others"


@dataclass(frozen=True, slots=True)
class _Task:
    give_up_at: int
    run: Callable[[float], None]
    too_late: Callable[[str], None]
    is_taken: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> bool:
        """Tell whether the caller is the first one here: only that one may begin the task or give it up."""
        return self.is_taken.acquire(blocking=False)

    def give_up(self) -> None:
        """Tell that its time passed while it waited, unless a thread has begun with it."""
        if self.take():
            self.too_late(_WAITED)


class Lanes:
    """A few threads over one queue, first come, first served."""

    def __init__(self, name: str, count: int) -> None:
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._is_closed = False
        self._due: dict[str, int] = {}
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(
        self, seconds: float, run: Callable[[float], None], too_late: Callable[[str], None]
    ) -> Callable[[], None]:
        """Let a thread call `run` with the seconds that are left of `seconds`, or `too_late` with a reason.

        Exactly one of the two is called. While all threads are busy, none of them can report that the time is over:
        call the returned function for that, from any thread; it calls `too_late` unless a thread has begun the task.
        `run` is called in one of the threads, `too_late` there or in the thread that gives up or closes.
        """
        task = _Task(monotonic_ns() + int(seconds * SECOND), run, too_late)
        if self._is_closed:
            if task.take():
                too_late("it is stopping")
        else:
            self._queue.put(task)
        return task.give_up

    def has_free(self) -> bool:
        """Tell whether a thread waits for a task; that stays so until a task is submitted."""
        return not self._is_closed and len(self._due) + self._queue.qsize() < len(self._threads)

    def is_stuck(self, seconds: float) -> bool:
        """Tell whether a call still runs `seconds` after its time was over."""
        late = monotonic_ns() - int(seconds * SECOND)
        return any(due < late for due in list(self._due.values()))

    def close(self, seconds: float) -> bool:
        """Begin nothing more, wait up to `seconds` for what has begun, and tell whether all of it has ended."""
        self._is_closed = True
        waiting = []
        while (task := self._next()) is not None:
            waiting.append(task)
        for _ in self._threads:
            self._queue.put(None)
        for task in waiting:
            if task.take():
                task.too_late("it is stopping")
        deadline = monotonic_ns() + int(seconds * SECOND)
        for thread in self._threads:
            thread.join(max(0.0, (deadline - monotonic_ns()) / SECOND))
        return not any(thread.is_alive() for thread in self._threads)

    def _next(self) -> _Task | None:
        try:
            return self._queue.get_nowait()
        except Empty:
            return None

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            if not task.take():
                continue
            left = (task.give_up_at - monotonic_ns()) / SECOND
            self._due[threading.current_thread().name] = max(task.give_up_at, monotonic_ns())
            try:
                if left < LEAST_SECONDS:
                    task.too_late(_WAITED)
                else:
                    task.run(left)
            except Exception:
                log.exception("lane_task_failed")
            finally:
                del self._due[threading.current_thread().name]

"""What is due when; pure: time comes in as monotonic ns."""

import heapq
import itertools
from collections.abc import Callable

MILLISECOND = 1_000_000


class Timer:
    """One appointment, once or again and again; `cancel` works at any moment, also from within its action."""

    __slots__ = ("action", "due", "interval", "is_cancelled")

    def __init__(self, due: int, interval: int | None, action: Callable[[], None]) -> None:
        self.due, self.interval, self.action = due, interval, action
        self.is_cancelled = False

    def cancel(self) -> None:
        """Make sure that it does not run again."""
        self.is_cancelled = True


class Timers:
    """A heap of appointments. A repeating one that was late runs once, not once for each time it missed."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._counter = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due: int, action: Callable[[], None], interval: int | None = None) -> Timer:
        """Return an appointment at `due`, repeated each `interval` ns if one is given."""
        timer = Timer(due, interval, action)
        heapq.heappush(self._heap, (due, next(self._counter), timer))
        return timer

    def wait_ms(self, now: int, longest: int) -> int:
        """Return how many ms to sleep until something is due, rounded up, `longest` at most."""
        heap = self._heap
        while heap and heap[0][2].is_cancelled:
            heapq.heappop(heap)
        if not heap:
            return longest
        return max(0, min(longest, -((now - heap[0][0]) // MILLISECOND)))

    def run_due(self, now: int) -> None:
        """Run what is due; what an action adds at or before `now` waits for the next call."""
        heap = self._heap
        due: list[Timer] = []
        while heap and heap[0][0] <= now:
            timer = heapq.heappop(heap)[2]
            if not timer.is_cancelled:
                due.append(timer)
        for timer in due:
            if timer.is_cancelled:
                continue
            if timer.interval is not None:
                timer.due += timer.interval
                if timer.due <= now:
                    timer.due = now + timer.interval
                heapq.heappush(heap, (timer.due, next(self._counter), timer))
            timer.action()

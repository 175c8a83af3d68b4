"""Virtual time: what happens next, on a clock that only the simulation turns.

Actions at one moment run in the order in which they were put down, so that equal seeds give equal lives.
"""

import heapq
from collections.abc import Callable

from tradeproc.domain.units import Nanos

Action = Callable[[], None]


class Agenda:
    """The actions to come, and the two clocks of the simulated machine.

    `now` is monotonic and begins at zero. `wall` is the machine's own clock, which somebody may set; `truth` is the
    time that everybody else has.
    """

    __slots__ = ("_actions", "_count", "_start", "now", "wall_step")

    def __init__(self, start: Nanos) -> None:
        self.now = 0
        self.wall_step = 0
        self._start = start
        self._actions: list[tuple[int, int, Action]] = []
        self._count = 0

    @property
    def truth(self) -> Nanos:
        """Return UTC as the broker and the exchange have it."""
        return Nanos(self._start + self.now)

    @property
    def wall(self) -> Nanos:
        """Return UTC as the machine's clock says."""
        return Nanos(self._start + self.now + self.wall_step)

    def monotonic(self) -> int:
        """Return nanoseconds since the beginning, which never run backwards."""
        return self.now

    def wall_now(self) -> Nanos:
        """Return `wall`, as a function for whoever wants a clock."""
        return Nanos(self._start + self.now + self.wall_step)

    def at(self, moment: int, action: Action) -> None:
        """Do something at a moment of `now`; one that is past means at once, after what runs now."""
        self._count += 1
        heapq.heappush(self._actions, (moment if moment > self.now else self.now, self._count, action))

    def after(self, nanoseconds: int, action: Action) -> None:
        """Do something later; less than nothing means at once."""
        self._count += 1
        moment = self.now + nanoseconds if nanoseconds > 0 else self.now
        heapq.heappush(self._actions, (moment, self._count, action))

    def run_until(self, end: int) -> None:
        """Let time pass up to `end`, and do what falls due."""
        actions, pop = self._actions, heapq.heappop
        while actions and actions[0][0] <= end:
            self.now, _, action = pop(actions)
            action()
        self.now = end

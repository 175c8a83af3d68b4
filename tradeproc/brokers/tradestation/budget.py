"""How many questions TradeStation answers in which time; orders never wait for this budget.

Each group of endpoints has a quota per user and key, so each login has a budget. The budget is a little below the
quota and over a sliding window, so it keeps both the fixed windows of older documents and the refill of newer ones.

Source: TradeStation API v3, "Rate Limiting" (resource categories and quotas).
"""

import threading
from collections import deque
from enum import Enum

from tradeproc.clock import SECOND, monotonic_ns


class Resource(Enum):
    """A group of endpoints with a quota of its own: (questions, seconds)."""

    ACCOUNTS = ("accounts", 240, 300)
    ORDERS = ("orders", 240, 300)
    BALANCES = ("balances", 240, 300)
    POSITIONS = ("positions", 240, 300)
    BARS = ("bars", 480, 300)
    SYMBOLS = ("symbols", 80, 60)


class Budget:
    """Counts questions and says how long the next one has to wait; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[Resource, deque[int]] = {resource: deque() for resource in Resource}
        self._held_until: dict[Resource, int] = {}
        self._taken = dict.fromkeys(Resource, 0)

    def take(self, resource: Resource) -> float:
        """Count a question that may be asked now and return 0, or return the seconds to wait before the next try."""
        _, questions, seconds = resource.value
        with self._lock:
            now = monotonic_ns()
            held = self._held_until.get(resource, 0) - now
            if held > 0:
                return held / SECOND
            asked = self._asked[resource]
            while asked and asked[0] <= now - seconds * SECOND:
                asked.popleft()
            if len(asked) >= questions:
                return (asked[0] + seconds * SECOND - now) / SECOND
            asked.append(now)
            self._taken[resource] += 1
            return 0.0

    def taken(self, resource: Resource) -> int:
        """Return how many questions of this group were counted since the start."""
        with self._lock:
            return self._taken[resource]

    def hold(self, resource: Resource, seconds: float) -> None:
        """Allow no question of this group for some seconds, because the broker asked for that."""
        with self._lock:
            until = monotonic_ns() + int(seconds * SECOND)
            self._held_until[resource] = max(until, self._held_until.get(resource, 0))

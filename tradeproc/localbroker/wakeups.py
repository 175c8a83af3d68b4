"""Waking the streams: each waits here for changes of its topics, for its next heartbeat, or for its client to leave.

Single-threaded, on the event loop. Ringing a topic costs nothing for those who do not listen to it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

FAULTS = "faults"
"""The topic that rings when faults are set or cleared."""


class Waiter:
    """One waiting stream. News that comes while it is awake is not lost: the next wait returns at once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.has_left = False

    async def wait(self, seconds: float) -> None:
        """Return at the next news, or after `seconds`."""
        timer = asyncio.get_running_loop().call_later(max(seconds, 0), self._event.set)
        try:
            await self._event.wait()
        finally:
            timer.cancel()
            self._event.clear()

    def wake(self) -> None:
        """Wake it, or make its next wait return at once."""
        self._event.set()

    def leave(self) -> None:
        """Note that the client has gone."""
        self.has_left = True
        self._event.set()


class ChangeSignals:
    """Topics with the streams that wait for them.

    `is_closing`: the server is about to end, and streams say farewell.
    """

    def __init__(self) -> None:
        self._waiters: dict[str, set[Waiter]] = defaultdict(set)
        self.is_closing = False

    def listen(self, waiter: Waiter, topics: Iterable[str]) -> None:
        """Wake the waiter when one of the topics rings."""
        for topic in topics:
            self._waiters[topic].add(waiter)

    def forget(self, waiter: Waiter) -> None:
        """Never wake it again."""
        for waiters in self._waiters.values():
            waiters.discard(waiter)

    def ring(self, topic: str) -> None:
        """Wake all that listen to the topic."""
        for waiter in self._waiters.get(topic, ()):
            waiter.wake()

    def ring_all(self) -> None:
        """Wake everybody: a fault was set or cleared, or the server ends."""
        for topic in self._waiters:
            self.ring(topic)

    def close(self) -> None:
        """Tell every stream that the server ends."""
        self.is_closing = True
        self.ring_all()

"""How streams wait: each for changes of its topics, for its next heartbeat, or for its client to leave.

Everything runs on the event loop's thread. Notifying a topic costs nothing for streams that do not listen to it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

FAULTS = "faults"
"""The topic that is notified when faults are set or cleared."""


class Waiter:
    """One stream that waits. A change while it does not wait is not lost: its next wait returns at once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.has_left = False

    async def wait(self, seconds: float) -> None:
        """Return at the next change, or after `seconds`."""
        timer = asyncio.get_running_loop().call_later(max(seconds, 0), self._event.set)
        try:
            await self._event.wait()
        finally:
            timer.cancel()
            self._event.clear()

    def wake(self) -> None:
        """End its wait, or make its next one return at once."""
        self._event.set()

    def leave(self) -> None:
        """Note that the client has gone."""
        self.has_left = True
        self._event.set()


class ChangeSignals:
    """Topics with the streams that wait for them.

    `is_closing` is True once the server is about to end, so that streams say farewell to their clients.
    """

    def __init__(self) -> None:
        self._waiters: dict[str, set[Waiter]] = defaultdict(set)
        self.is_closing = False

    def listen(self, waiter: Waiter, topics: Iterable[str]) -> None:
        """Wake the waiter when one of the topics changes."""
        for topic in topics:
            self._waiters[topic].add(waiter)

    def forget(self, waiter: Waiter) -> None:
        """Stop waking the waiter."""
        for waiters in self._waiters.values():
            waiters.discard(waiter)

    def notify(self, topic: str) -> None:
        """Wake all who listen to the topic."""
        for waiter in self._waiters.get(topic, ()):
            waiter.wake()

    def notify_all(self) -> None:
        """Wake all who listen to any topic, because a fault was set or cleared, or the server ends."""
        for topic in self._waiters:
            self.notify(topic)

    def close(self) -> None:
        """Tell every stream that the server ends."""
        self.is_closing = True
        self.notify_all()

"""Reads a stream in a thread of its own, so that a test can wait for an event instead of sleeping."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tradeproc.brokers.contract import Stream, StreamEnded, StreamEvent

PATIENCE = 30.0
T = TypeVar("T")


class HeardEvents:
    """All events of a stream so far; grows while its thread reads."""

    def __init__(self, stream: Stream) -> None:
        self.events: list[StreamEvent] = []
        self._stream = stream
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        """Begin to read; the thread ends with the stream."""
        self._thread.start()

    def wait_for(self, kind: type[T], fits: Callable[[T], bool] = lambda event: True) -> T:
        """Return the first event of a kind that fits, waiting for it."""
        found: list[T] = []

        def look() -> bool:
            found.extend(event for event in self.events if isinstance(event, kind) and fits(event))
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(look, PATIENCE), f"no {kind.__name__} that fits among {self.events[-20:]}"
        return found[0]

    def end(self) -> StreamEnded:
        """Return how it ended, waiting for it; nothing may follow."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the stream did not end"
        *others, last = self.events
        assert isinstance(last, StreamEnded)
        assert not any(isinstance(event, StreamEnded) for event in others)
        return last

    def _read(self) -> None:
        for event in self._stream:
            with self._changed:
                self.events.append(event)
                self._changed.notify_all()


@contextmanager
def listening(stream: Stream) -> Iterator[HeardEvents]:
    """Listen to a stream for the length of the block; leaving it closes the stream and waits for its end."""
    heard = HeardEvents(stream)
    heard.start()
    try:
        yield heard
    finally:
        stream.close()
        heard.end()

"""A process of the bus that a test plays itself: a real node on real sockets, in a thread."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.testing.waiting import wait_until

T = TypeVar("T")
DEADLINE = 20.0


class Actor:
    """A node in a thread; `error` is what it died of."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=node.name, daemon=True)

    def _run(self) -> None:
        try:
            self.node.run()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.error = error

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def do(self, action: Callable[[], T]) -> T:
        """Run a function on the node's own thread and return its result."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(action())
            except BaseException as error:  # noqa: BLE001 - handed to the test
                future.set_exception(error)

        self.node.post(run)
        return future.result(DEADLINE)

    def hold(self) -> threading.Event:
        """Stop the node's loop, as SIGSTOP would stop its process, until the event is set."""
        go_on = threading.Event()

        def wait() -> None:
            go_on.wait(DEADLINE)

        self.node.post(wait)
        return go_on

    def turns(self, seconds: float, times: int) -> None:
        """Return when a timer of `seconds`, set now on the node's loop, has rung `times` times.

        A timer of the node's own with the same period has rung at least `times - 1` times meanwhile, so what it would
        have done is done.
        """
        rung: list[int] = []
        self.do(lambda: self.node.every(seconds, lambda: rung.append(1)))
        wait_until(f"{times} turns of {self.node.name}", lambda: len(rung) >= times)

    def stands_in(self, function: str) -> bool:
        """Tell whether the node's thread is inside a function of this name right now."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        while frame is not None and frame.f_code.co_name != function:
            frame = frame.f_back
        return frame is not None

    def stop(self) -> None:
        """End it in order, as SIGTERM would."""
        self.node.stop()
        self.join()

    def join(self) -> None:
        self._thread.join(DEADLINE)
        assert not self.is_alive, f"{self.node.name} does not end"


@contextmanager
def acting(folder: Path, name: str, handlers: dict[str, Callable[[Body], Body]]) -> Iterator[None]:
    """Be a process that answers, for the length of the block; `folder` holds the sockets."""
    actor = Actor(Node(name, Directory(folder)))
    for method, handler in handlers.items():
        actor.node.handle(method, handler)
    actor.start()
    try:
        yield
    finally:
        actor.stop()

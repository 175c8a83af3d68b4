"""A process of the bus that a test plays itself: a real node on real sockets, in a thread."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node

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

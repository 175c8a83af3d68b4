"""Work that its caller must not wait for: it runs on a thread, and its result is asked for later."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def begun(name: str, work: Callable[[], T]) -> Future[T]:
    """Do `work` on a daemon thread, which does not keep the process from ending.

    What it raises is raised where the result is asked for.
    """
    made: Future[T] = Future()

    def run() -> None:
        try:
            made.set_result(work())
        except Exception as error:  # noqa: BLE001 raised where the result is asked for
            made.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return made

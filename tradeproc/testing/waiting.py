"""Wait for a condition, never for a fixed time.

To show that something does not happen, wait for a later event that could only come after it, then look. Sleeping and
then looking proves nothing, because on a slow machine the test would pass even if the event came later.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from tradeproc.errors import TradeprocError

T = TypeVar("T")


class Late(AssertionError):
    """A condition did not come true in time."""


def wait_until(
    what: str,
    condition: Callable[[], T],
    seconds: float = 90.0,
    *,
    every: float = 0.005,
    not_yet: tuple[type[Exception], ...] = (TradeprocError,),
) -> T:
    """Return the first true value of `condition` within a generous deadline.

    It is evaluated every `every` seconds. An error of `not_yet` counts as not yet true, any other ends the wait.

    Raises:
        Late: it did not become true; the text has the last value or error.
    """
    end = time.monotonic() + seconds
    seen: object = None
    while True:
        try:
            value = condition()
            if value:
                return value
            seen = value
        except not_yet as error:
            seen = error
        if time.monotonic() >= end:
            raise Late(f"{what} not within {seconds} s; last seen {seen!r}")
        time.sleep(every)

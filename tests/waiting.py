"""Wait for what must come true: on a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

from tradeproc.errors import TradeprocError

T = TypeVar("T")


def wait_until(what: str, condition: Callable[[], T], seconds: float = 90.0) -> T:
    """Return the first true value within a generous deadline; an error of ours while asking counts as not yet."""
    end = time.monotonic() + seconds
    seen: object = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
            seen = value
        except TradeprocError as error:
            seen = error
        time.sleep(0.005)
    raise AssertionError(f"{what} not within {seconds} s; last seen {seen!r}")

"""Wait for what must come true: on a condition, never for a time.

That something does not happen is shown by a later event that could not have come before it: wait for the later event,
then look. Sleeping and looking once shows nothing: a slow machine makes it pass, whatever is wrong.
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

    It is asked every `every` seconds; an error of `not_yet` while asking counts as not yet true, any other ends the
    wait.

    Raises:
        Late: it did not come true; the text has what was seen last.
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

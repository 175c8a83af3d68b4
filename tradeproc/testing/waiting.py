"""Wait for what must come true: on a condition, never for a time.

That something does not happen is shown by a later event that could not have come before it (`wait_until` the later
event, then look), or by looking until a time is over (`stays`), never by sleeping and looking once.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from tradeproc.errors import TradeprocError

T = TypeVar("T")


class Late(AssertionError):
    """A condition did not come true in time, or did not hold for as long as it should."""


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


def stays(what: str, condition: Callable[[], object], seconds: float, *, every: float = 0.005) -> None:
    """Look at `condition` all the time for `seconds`, and fail at the first look at which it is not true.

    Use it only where no later event can show that nothing came. It sees every moment of the time and not only its
    end; a machine that is slow makes it look at less, and never makes it fail.

    Raises:
        Late: it was not true at one of the looks.
    """
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if not value:
            raise Late(f"{what} did not stay for {seconds} s; seen {value!r}")
        if time.monotonic() >= end:
            return
        time.sleep(every)

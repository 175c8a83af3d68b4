"""How much time a request still has, on both sides; it travels in the header and nowhere else.

Processes of one machine share the monotonic clock, so the server knows how old a request is however long it lay
in a queue. A request from another machine counts from its arrival.

Whoever works at a request, or forwards it, may use all that is left but a small part, in which the answer travels
back. Each process on the way keeps that part by itself, so an answer, or the word that there is none, reaches each
asker before it gives up, however many processes forward the request.
"""

import functools
import uuid
from pathlib import Path
from typing import Any

from tradeproc.bus.codec import Request
from tradeproc.clock import SECOND, monotonic_ns

# the way back of an answer: this share of what the asker gave, and never more than so many seconds
RETURN_SHARE, RETURN_SECONDS = 0.25, 1.0
# nobody works at a request for longer, however long its asker says that it waits
LONGEST_SECONDS = 120.0

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@functools.cache
def machine() -> int:
    """Return a number that all processes sharing our monotonic clock have in common."""
    try:
        return uuid.UUID(_BOOT.read_text().strip()).int & (2**64 - 1)
    except (OSError, ValueError):
        return uuid.getnode()


def new_request(number: int, method: str, body: Any, seconds: float) -> Request:
    """Return a request that nobody wants answered after `seconds`."""
    return Request(number, max(0, int(seconds * SECOND)), monotonic_ns(), machine(), method, body)


def is_expired(request: Request) -> bool:
    """Tell whether its asker has given up already."""
    return monotonic_ns() > gives_up_at(request)


def gives_up_at(request: Request) -> int:
    """Return when its asker gives up, by our monotonic clock."""
    return (request.sent_at if request.machine == machine() else monotonic_ns()) + request.budget


def work_ends_at(request: Request) -> int:
    """Return until when it may be worked at or wait for others, by our monotonic clock.

    An answer given then still reaches its asker in time.
    """
    way_back = min(int(request.budget * RETURN_SHARE), int(RETURN_SECONDS * SECOND))
    return min(gives_up_at(request) - way_back, monotonic_ns() + int(LONGEST_SECONDS * SECOND))

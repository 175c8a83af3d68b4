"""How much time a request still has, on both sides.

Processes of one machine share the monotonic clock, so the server knows how old a request is however long it lay
in a queue. A request from another machine counts from its arrival.
"""

import functools
import uuid
from pathlib import Path

from tradeproc.bus.codec import Body, Request
from tradeproc.clock import SECOND, monotonic_ns

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@functools.cache
def machine() -> int:
    """Return a number that all processes sharing our monotonic clock have in common."""
    try:
        return uuid.UUID(_BOOT.read_text().strip()).int & (2**64 - 1)
    except (OSError, ValueError):
        return uuid.getnode()


def new_request(number: int, method: str, body: Body, seconds: float) -> Request:
    """Return a request that nobody wants answered after `seconds`."""
    return Request(number, max(0, int(seconds * SECOND)), monotonic_ns(), machine(), method, body)


def is_expired(request: Request) -> bool:
    """Tell whether its asker has given up already."""
    return monotonic_ns() > gives_up_at(request)


def gives_up_at(request: Request) -> int:
    """Return when its asker gives up, by our monotonic clock."""
    return (request.sent_at if request.machine == machine() else monotonic_ns()) + request.budget

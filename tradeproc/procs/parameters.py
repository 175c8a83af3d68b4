"""Reading the parameters of a request: one clear line for what is missing."""

import math

from tradeproc.bus.codec import Body
from tradeproc.errors import Refusal


class BadRequest(Refusal):
    """A request that lacks something or names what is not there; answered as refused."""


def text(body: Body, key: str) -> str:
    """Return a parameter that must be a text and not empty.

    Raises:
        BadRequest: it is missing.
    """
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{key}: missing")
    return value


def number(body: Body, key: str, default: float | None = None, *, most: float = 1e9) -> float:
    """Return a parameter that must be a number above 0 and not above `most`, or `default` where it is left out.

    Raises:
        BadRequest: it is missing, no number, or out of range.
    """
    value = body.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadRequest(f"{key}: expected a number, found {str(value)[:40]!r}")
    if not 0 < value <= most:
        raise BadRequest(f"{key}: {value:g} is not above 0 and up to {most:g}")
    return value


def whole(body: Body, key: str, *, most: int) -> int:
    """Return a parameter that must be a whole number from 1 to `most`.

    Raises:
        BadRequest: it is missing, no whole number, or out of range.
    """
    value = number(body, key, most=most)
    if value != int(value):
        raise BadRequest(f"{key}: expected a whole number, found {value:g}")
    return int(value)


def texts(body: Body, key: str, *, most: int) -> list[str]:
    """Return a parameter that must be a list of up to `most` texts, empty where it is left out.

    Raises:
        BadRequest: it is something else.
    """
    value = body.get(key, [])
    if not isinstance(value, list) or len(value) > most or not all(isinstance(each, str) and each for each in value):
        raise BadRequest(f"{key}: expected a list of up to {most} texts")
    return value

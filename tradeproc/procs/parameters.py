"""Reading the parameters of a request: one clear line for what is missing."""

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

"""Errors and lists as the API writes them.

Source: tradestation.md, "Error body".
"""

from collections.abc import Mapping
from typing import Any

TITLES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "BadRequest",
    429: "TooManyRequests",
    500: "InternalServerError",
    501: "NotImplemented",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}


def refusal(title: str, message: str, **more: str) -> dict[str, str]:
    """Return an error object as the API writes it."""
    return {**more, "Error": title, "Message": message}


def listing(key: str, found: list[dict[str, Any]], errors: list[dict[str, str]]) -> Mapping[str, Any]:
    """Return a list answer; errors stand beside what was found, with status 200."""
    return {key: found, "Errors": errors}

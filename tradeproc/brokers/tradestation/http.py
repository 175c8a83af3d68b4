"""What the REST client and the streams share: how a request is written, and by whom.

Source: TradeStation API v3, "HTTP Requests" (bearer token, JSON).
"""

import re

from tradeproc import __version__
from tradeproc.brokers.http_origin import Origin

USER_AGENT = f"tradeproc/{__version__}"
# a blank or a line end would end the path and begin something else
_PATH = re.compile(r"[!-~]*")
# a token holds nothing else; a line end in it would begin another header
_TOKEN = re.compile(r"[!-~]+")


def request_bytes(
    origin: Origin, method: str, path: str, headers: str, token: str, content: bytes | None = None
) -> bytes | None:
    """Return a request as it is written; None if the path or the token holds what cannot be.

    `headers` are whole lines, each with its end; the one that carries the access token is added.
    """
    if not _PATH.fullmatch(path) or not _TOKEN.fullmatch(token):
        return None
    told = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content is not None else ""
    head = f"{method} {origin.prefix}{path or '/'} HTTP/1.1\r\nHost: {origin.name}\r\n"
    head += f"{headers}Authorization: Bearer {token}\r\n{told}"
    return b"%b%b\r\n%b" % (head.encode("ascii"), origin.extra, content or b"")

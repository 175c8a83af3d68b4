"""The ping of a dead man's switch: tells a service outside that the check ran, and with which exit code.

The service raises the alarm when pings stop: that is how a machine that is off, or a cron that does
nothing, is found.
"""

import threading
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tradeproc.config import Secret
from tradeproc.domain.records import BadValue

SECONDS = 5.0
_MOST_BYTES = 10_000


def address(url: str | None, file: str | None, root: Path) -> str:
    """Return where to ping, or an empty text when nothing is to be pinged; `file` has it, relative to `root`.

    Raises:
        BadValue: the file cannot be read or is open to others, or it is no address. The text never has the address.
    """
    found = url or ""
    if file:
        found = Secret(file=file).read(root)
    if not found:
        return ""
    try:
        parts = urlsplit(found)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_address = False
    if not is_address or not found.isprintable() or " " in found:
        raise BadValue("ping", "must be an address that begins with https:// or http://")
    return found.rstrip("/")


def ping(url: str, code: int, report: str, seconds: float = SECONDS) -> str:
    """Send `report` to `<url>/<code>`; return an empty text, or in words why nobody took it. Never takes longer."""
    told = [f"no answer within {seconds:g} s"]

    def send() -> None:
        try:
            answer = httpx.post(f"{url}/{code}", content=report.encode()[:_MOST_BYTES], timeout=seconds)
            told[0] = "" if answer.is_success else f"answered {answer.status_code}"
        except httpx.TimeoutException:
            return
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # the text of an error may name the address, which is a secret
            told[0] = type(error).__name__

    # a server that sends a byte now and then would hold up the call beyond its own deadlines
    sender = threading.Thread(target=send, name="ping", daemon=True)
    sender.start()
    sender.join(seconds)
    return told[0]

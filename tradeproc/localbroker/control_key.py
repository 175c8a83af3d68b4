"""The key of the control API: a file that only the user of the local broker may read, made at its start."""

import contextlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from tradeproc.domain.hosts import is_loopback
from tradeproc.folders import write_private
from tradeproc.home import Home

HEADER = "x-local-key"
_FILE = "control.key"
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")


def key_file(folder: Path) -> Path:
    """Return where the key of a local broker is; `folder` is that of its journal."""
    return folder / _FILE


def key_file_of(home: Home) -> Path:
    """Return where the key of a home's local broker is."""
    return key_file(home.run / "localbroker")


def make_key(folder: Path) -> str:
    """Return the key of a folder; make a new one if there is none, or if it has not the form of a random key."""
    file = key_file(folder)
    with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
        if _KEY.fullmatch(key := file.read_text().strip()):
            return key
    key = secrets.token_urlsafe(32)
    write_private(file, key)
    return key


def trouble(headers: Mapping[str, str], key: str) -> str:
    """Return why a control request is refused, empty when it is not.

    A web page of somebody else, open in a browser here, can send requests to this machine. Such a request names the
    page's origin; or, if the page's own name resolves to this machine, it names that as the host.
    """
    host, origin = headers.get("host", ""), headers.get("origin")
    if not is_loopback(f"http://{host}"):
        return "Name this machine as 127.0.0.1 or localhost."
    if origin is not None and not (urlsplit(origin).scheme in ("http", "https") and is_loopback(origin)):
        return "No page of another host controls the local broker."
    if not hmac.compare_digest(headers.get(HEADER, "").encode(errors="replace"), key.encode()):
        return f"The control API wants the key of run/localbroker/{_FILE} in the header {HEADER}."
    return ""

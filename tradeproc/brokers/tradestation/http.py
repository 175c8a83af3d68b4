"""httpx without its command line, and what the REST client and the streams share.

`import httpx` loads its optional command line whenever rich, click and pygments are installed, and our own screens
need these. That would cost every feed and link five megabytes and forty milliseconds, so it is kept from being
loaded.

Source: TradeStation API v3, "HTTP Requests" (bearer token, JSON).
"""

import logging
import sys
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None is how the import system says "not here"

import httpx  # noqa: E402

from tradeproc import __version__  # noqa: E402
from tradeproc.domain.hosts import is_loopback  # noqa: E402

__all__ = ["USER_AGENT", "error_text", "httpx", "proxy_for"]

USER_AGENT = f"tradeproc/{__version__}"
logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it logs every request


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a host, None if there is none or the host is this machine."""
    host = urlsplit(url).hostname or ""
    if is_loopback(url) or proxy_bypass(host):
        return None
    return getproxies().get(urlsplit(url).scheme)


def error_text(error: Exception) -> str:
    """Return an error of the HTTP library as one short line; never holds a header, so never a token."""
    return f"{type(error).__name__}: {error}"[:300] if str(error) else type(error).__name__

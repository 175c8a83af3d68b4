"""Where HTTP requests go: the server of an address, and the proxy that the environment names for it."""

import base64
import os
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from tradeproc.domain.hosts import is_loopback
from tradeproc.errors import Outage

_PORTS = {"http": 80, "https": 443}


class NoConnection(Outage):
    """There is no connection, so that certainly nothing was sent; caught by the client that wanted one."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests go: a server, and the proxy before it if the environment names one.

    Through a proxy, requests to a plain server name it in full (`prefix`) and carry the proxy's password (`extra`);
    to an encrypted server the proxy only passes bytes on.
    """

    host: str
    port: int
    is_encrypted: bool
    name: str
    proxy: tuple[str, int] | None = None
    proxy_password: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the origin of an address.

        Raises:
            NoConnection: it is none that can be reached.
        """
        scheme, host, port = _parts(url)
        at = bracketed(host) if port == _PORTS[scheme] else f"{bracketed(host)}:{port}"
        proxy = proxy_for(url)
        if proxy is None:
            return cls(host, port, scheme == "https", at)
        proxy_scheme, proxy_host, proxy_port = _parts(proxy if "://" in proxy else f"http://{proxy}")
        if proxy_scheme != "http":
            raise NoConnection("a proxy that is itself encrypted is not supported; name it with http://")
        return cls(host, port, scheme == "https", at, (proxy_host, proxy_port), _password(proxy))

    @property
    def prefix(self) -> str:
        """Return what stands before the path in the first line of a request."""
        return f"http://{self.name}" if self.proxy is not None and not self.is_encrypted else ""

    @property
    def extra(self) -> bytes:
        """Return the header lines that the way there needs."""
        return self.proxy_password if not self.is_encrypted else b""


def _parts(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname or ""
        if not host.isascii():
            host = host.encode("idna").decode()
        port = parts.port or _PORTS[scheme]
    except (ValueError, KeyError) as error:
        # what stands before an @ is a password, and the error may quote a piece of it
        why = f": {error}" if "@" not in url else ""
        raise NoConnection(f"{_without_password(url)!r} is no address of a web server{why}") from None
    if not host:
        raise NoConnection(f"{_without_password(url)!r} names no host")
    return scheme, host, port


def _without_password(url: str) -> str:
    """Return an address for people, who may put it into a log or a report."""
    before, at, host = url.rpartition("@")
    return f"{before.split('://', 1)[0]}://…@{host}" if at else url


def bracketed(host: str) -> str:
    """Return a host as an address names it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _password(proxy: str) -> bytes:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.username is None:
        return b""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return b"Proxy-Authorization: Basic " + base64.b64encode(pair) + b"\r\n"


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a host, None if there is none or the host is this machine."""
    if is_loopback(url) or not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # four megabytes, which few desks need

    if proxy_bypass(urlsplit(url).hostname or ""):
        return None
    named = getproxies()
    return named.get(urlsplit(url).scheme) or named.get("all")

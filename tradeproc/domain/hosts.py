"""Which hosts are this machine: one answer for money, proxies and plain http alike."""

from urllib.parse import urlsplit

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_loopback(url: str) -> bool:
    """Tell whether the host of an address is this machine."""
    return urlsplit(url).hostname in _LOOPBACK

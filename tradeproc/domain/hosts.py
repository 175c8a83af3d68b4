"""Which hosts are this machine: one answer for money, proxies and plain http alike."""

from urllib.parse import urlsplit

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_loopback(url: str) -> bool:
    """Tell whether the host of an address is this machine; what is no address is not."""
    try:
        return urlsplit(url).hostname in _LOOPBACK
    except ValueError:
        return False


def is_address(url: str) -> bool:
    """Tell whether a text is an address with a host, and a port that can be one."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False

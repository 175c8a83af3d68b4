"""Which hosts are this machine; the checks of real money, proxies and plain http all use this answer."""

from urllib.parse import urlsplit

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_loopback(url: str) -> bool:
    """Tell whether the host of an address is this machine; False for a text that is no address."""
    try:
        return urlsplit(url).hostname in _LOOPBACK
    except ValueError:
        return False


def is_address(url: str) -> bool:
    """Tell whether a text is an address with a host and, if it names a port, a valid one."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False

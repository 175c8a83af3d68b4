"""Telling systemd that the desk lives; does nothing where systemd did not start it."""

import logging
import os
import socket

log = logging.getLogger(__name__)


def notify(text: str) -> bool:
    """Send a state such as `READY=1` or `WATCHDOG=1`; False when nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as plug:
            plug.sendto(text.encode(), address)
    except OSError as error:
        log.warning("systemd_unreachable address=%s reason=%s", address, error)
        return False
    return True

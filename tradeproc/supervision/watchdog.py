"""Telling systemd that the desk is ready, lives, and what of it is not up; silent where systemd did not start it."""

import logging
import os
import socket
import time
from typing import Any

from supervisor.states import ProcessStates

from tradeproc.protocol.names import GroupName

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


READY_SECONDS = 60.0


class SystemdNotifier:
    """Tells systemd of one supervisord: ready when the keeper is, or after a minute; and what is not up."""

    def __init__(self, supervisord: Any) -> None:
        self._supervisord = supervisord
        self._began = time.monotonic()
        self._is_ready = False

    def ready(self) -> None:
        """Say READY: the keeper has the database and has seen to what should run."""
        if not self._is_ready:
            self._is_ready = notify(f"READY=1\nSTATUS={self.status()}")

    def tick(self) -> None:
        """Say that the loop turns and how the desk is; after a minute say READY, or systemd would start all anew."""
        if time.monotonic() - self._began > READY_SECONDS:
            self.ready()
        notify(f"WATCHDOG=1\nSTATUS={self.status()}")

    def status(self) -> str:
        """Return in one line which programs are not up; one that ended with 0 does not count."""
        down = [
            GroupName(group).process(process.config.name).at_supervisord
            for group, members in sorted(self._supervisord.process_groups.items())
            for process in members.processes.values()
            if process.get_state() != ProcessStates.RUNNING
            and not (process.get_state() == ProcessStates.EXITED and process.exitstatus == 0)
        ]
        return f"not up: {', '.join(down)}; see scripts/tradectl status" if down else "every program runs"

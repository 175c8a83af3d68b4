"""A server that an earlier one of us left behind: it is ended before ours starts, and stale lock files go.

PostgreSQL itself trusts a lock file when its process id is alive, whoever that is; after a restart of the machine or
container that is often a stranger.
"""

import logging
import os
import signal
import time
from pathlib import Path

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.errors import Outage

log = logging.getLogger(__name__)


class ServerFailed(Outage):
    """The embedded server cannot be made or does not come up; caught by nobody, supervisord tries again."""


def end_forgotten(data: Path, socket_lock: Path, seconds: float = 20.0) -> None:
    """End a living server of the data folder, then remove lock files that name no such server.

    Raises:
        ServerFailed: it does not end.
    """
    pid = _first_number(data / "postmaster.pid")
    if pid is not None and _serves(pid, data):
        log.warning("database_forgotten pid=%d", pid)
        _end(pid, data, seconds)
    for lock in (data / "postmaster.pid", socket_lock):
        owner = _first_number(lock)
        if owner is not None and not _serves(owner, data):
            lock.unlink(missing_ok=True)


def _end(pid: int, data: Path, seconds: float) -> None:
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        os.kill(pid, how)
        deadline = monotonic_ns() + int(seconds * SECOND)
        while monotonic_ns() < deadline:
            if not _serves(pid, data):
                return
            time.sleep(0.05)
    raise ServerFailed(f"process {pid} still serves {data}")


def _first_number(file: Path) -> int | None:
    try:
        return abs(int(file.read_text().split("\n", 1)[0]))
    except (OSError, ValueError):
        return None


def _serves(pid: int, data: Path) -> bool:
    """Tell whether a living process is the PostgreSQL server of this data folder."""
    process = Path("/proc") / str(pid)
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and words[0].endswith(b"/postgres") and os.fsencode(data) in words

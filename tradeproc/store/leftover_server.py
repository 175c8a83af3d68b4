"""Ends a server that an earlier process of ours left behind, and removes stale lock files, before ours starts.

PostgreSQL itself trusts a lock file when its process id is alive, whoever that is; after a restart of the machine or
container it is often the id of another program.
"""

import contextlib
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
    # backends that are suspended would hold its shared memory for ever, and no new server could start
    backends = _children(pid)
    # a suspended server obeys SIGKILL only
    ways = (signal.SIGKILL,) if _state(pid) == "T" else (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
    for how in ways:
        os.kill(pid, how)
        for backend in backends if how is signal.SIGKILL else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend, how)
        deadline = monotonic_ns() + int(seconds * SECOND)
        while monotonic_ns() < deadline:
            if not _serves(pid, data) and not any(_state(backend) == "T" for backend in backends):
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
        # an earlier version named the folder on the command line; now it is the server's current folder
        is_its = os.fsencode(data) in words or (process / "cwd").readlink() == data.resolve()
    except OSError:
        return False
    return _state(pid) not in ("", "Z") and words[0].endswith(b"/postgres") and is_its


def _children(pid: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            if int(process.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(process.parent.name))
    return found


def _state(pid: int) -> str:
    """Return the kernel's letter for a process: T is stopped, Z ended; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""

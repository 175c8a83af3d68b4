"""At most one living process a name: a lock file beside the sockets, held as long as the process lives.

The kernel drops the lock when the process dies, however it dies. The file holds the pid of the holder and of its
parent: an orphan that hangs does not notice that its parent died, and only its successor can end it.
"""

import contextlib
import fcntl
import logging
import os
import signal
import time
from pathlib import Path

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.errors import Fault

log = logging.getLogger(__name__)

_POLL = 0.05
# how long a killed orphan may take to be gone
_AFTER_KILL_SECONDS = 5.0


class NameTaken(Fault):
    """Another living process has this name; the entry point exits and supervision tries again later."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path.stem}: another process with this name is alive (it holds {path})")


class NameLock:
    """The lock of one process name."""

    def __init__(self, path: Path, patience: float) -> None:
        """Take the lock, waiting up to `patience` seconds for a predecessor that is about to end.

        An orphan that does not end by itself in that time is killed.

        Raises:
            NameTaken: it did not end.
        """
        self.path = path
        taken = self._wait(patience)
        if taken is None and self._kill_orphan():
            taken = self._wait(_AFTER_KILL_SECONDS)
        if taken is None:
            raise NameTaken(path)
        self._fd = taken
        os.ftruncate(taken, 0)
        os.pwrite(taken, f"{os.getpid()} {os.getppid()}".encode(), 0)

    def _wait(self, seconds: float) -> int | None:
        deadline = monotonic_ns() + int(seconds * SECOND)
        while (taken := self._take()) is None and monotonic_ns() < deadline:
            time.sleep(_POLL)
        return taken

    def _kill_orphan(self) -> bool:
        """Kill the holder if it has lost the parent that it had when it took the lock."""
        try:
            holder, parent = (int(word) for word in self.path.read_text().split())
            status = Path(f"/proc/{holder}/stat").read_text()
            if int(status.rpartition(")")[2].split()[1]) == parent:
                return False
            os.kill(holder, signal.SIGKILL)
        except (OSError, ValueError):
            return False  # it has just ended, or this is no Linux
        log.warning("orphan_killed process=%s pid=%d", self.path.stem, holder)
        return True

    def _take(self) -> int | None:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the predecessor may have removed the file between our open and our lock
            if os.fstat(fd).st_ino == self.path.stat().st_ino:
                return fd
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(fd)
        return None

    def leave(self) -> None:
        """Remove the lock file and release the name; idempotent."""
        if self._fd >= 0:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
            os.close(self._fd)
            self._fd = -1

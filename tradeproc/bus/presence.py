"""At most one living process a name: a lock file beside the sockets, held as long as the process lives.

The kernel drops the lock when the process dies, however it dies.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.errors import Fault

_POLL = 0.05


class NameTaken(Fault):
    """Another living process has this name; the entry point exits and supervision tries again later."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path.stem}: another process with this name is alive (it holds {path})")


class Presence:
    """The lock of one process name."""

    def __init__(self, path: Path, patience: float) -> None:
        """Take the lock, waiting up to `patience` seconds for a predecessor that is about to end.

        Raises:
            NameTaken: it did not end.
        """
        self.path = path
        deadline = monotonic_ns() + int(patience * SECOND)
        while (taken := self._take()) is None:
            if monotonic_ns() >= deadline:
                raise NameTaken(path)
            time.sleep(_POLL)
        self._fd = taken

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

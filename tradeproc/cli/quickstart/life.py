"""Which life of a desk a quickstart started: it acts on no other, and there is one quickstart at a time.

A life is one supervisord, from its start to its end. `run/quickstart.lock` is locked for as long as a quickstart
runs and says which process and which life; whatever way that process ends, the lock is free then.
"""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from tradeproc.desk.exit_status import CommandFailed
from tradeproc.home import Home

_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class SupervisordLife:
    """One supervisord; a later process with the same pid began at another moment."""

    pid: int
    began: int

    @classmethod
    def of(cls, pid: int) -> "SupervisordLife | None":
        """Return the life of a running process, None when there is none; one that nobody collects is over."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return None if fields[0] == "Z" else cls(pid, int(fields[19]))
        except (OSError, IndexError, ValueError):
            return None

    @property
    def is_over(self) -> bool:
        """Tell whether it has ended."""
        return SupervisordLife.of(self.pid) != self


class QuickstartLock:
    """The lock of a quickstart that runs here."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._write({"pid": os.getpid(), "desk": None})

    def began(self, life: SupervisordLife) -> None:
        """Note which life this quickstart answers for."""
        self._write({"pid": os.getpid(), "desk": [life.pid, life.began]})

    def kept(self) -> None:
        """Note that the life is somebody else's from now on, as with --keep."""
        self._write({"pid": os.getpid(), "desk": None})

    def _write(self, what: dict[str, Any]) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(orjson.dumps(what))
        self._file.flush()


@contextmanager
def claimed(home: Home, patience: float = 15.0) -> Iterator[tuple[QuickstartLock, SupervisordLife | None]]:
    """Be the only quickstart of a home; yields also the life that a killed one left running, if one did.

    Raises:
        CommandFailed: another one runs, and does not end.
    """
    home.make_folders()
    descriptor = os.open(_path(home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "rb+") as file:
        deadline = time.monotonic() + patience
        while not _lock(file):
            if time.monotonic() > deadline:
                raise CommandFailed("another quickstart runs here; scripts/stop ends it")
            time.sleep(_LOOK_SECONDS)
        left = _left(file)
        yield QuickstartLock(file), left


def end_quickstart(home: Home) -> bool:
    """Tell a quickstart that runs in another terminal to stop everything; False when there is none."""
    with suppress(OSError), _path(home).open("rb") as file:
        if not _lock(file):
            told = _read(file).get("pid")
            if isinstance(told, int) and told > 1:
                with suppress(ProcessLookupError):
                    os.kill(told, signal.SIGTERM)
            return True
    return False


def wait_for_quickstart(home: Home, seconds: float) -> None:
    """Wait until no quickstart runs; one that does not listen has no desk any more, and will find that out."""
    deadline = time.monotonic() + seconds
    with suppress(OSError), _path(home).open("rb") as file:
        while not _lock(file) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)


def _path(home: Home) -> Path:
    return home.run / "quickstart.lock"


def _lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: IO[bytes]) -> dict[str, Any]:
    file.seek(0)
    try:
        found = orjson.loads(file.read())
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _left(file: IO[bytes]) -> SupervisordLife | None:
    match _read(file).get("desk"):
        case [int(pid), int(began)]:
            life = SupervisordLife(pid, began)
            return None if life.is_over else life
        case _:
            return None

"""The journal: an append-only file from which a killed local broker is restored with all that it had confirmed.

One line holds what one call changed, as a JSON list of records of `books.py`. It is written before the call is
answered, so it survives the death of the process, and with `fsync` that of the machine too. A kill during a write can
only leave the last line incomplete; that line was never confirmed, and the next start moves it to `<name>.torn`.
Records that a full disk did not take are written before any later ones.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import orjson

from tradeproc.durable import append_durably, sync_folder
from tradeproc.errors import Halt
from tradeproc.localbroker.books import Record


class BrokenJournal(Halt):
    """A journal that cannot be continued; a person has to decide whether to repair it or to begin a new one."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}")


class BrokerJournal:
    """An open journal. One process at a time writes it."""

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        """Open or create the file; an incomplete last line is moved to `<name>.torn`.

        Raises:
            BrokenJournal: a line before the last is damaged, or the file cannot be opened.
        """
        self.path, self._fsync = path, fsync
        self._unwritten: list[Record] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.exists() else b""
            self.records, whole = _read(path, content)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            if whole < len(content):
                append_durably(path.with_name(path.name + ".torn"), content[whole:] + b"\n")
                os.ftruncate(self._file, whole)
            sync_folder(path.parent)
        except OSError as error:
            raise BrokenJournal(
                path, f"cannot be opened ({error.strerror}); give another place or the rights"
            ) from error

    def write(self, records: Sequence[Record]) -> None:
        """Append the records of one call; returns when the operating system has them.

        Raises:
            OSError: the disk is full or broken; the file is unchanged, and the next write includes these records.
        """
        self._unwritten += records
        before = os.fstat(self._file).st_size
        rest = memoryview(orjson.dumps(self._unwritten) + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if self._fsync:
                os.fsync(self._file)
        except OSError:
            # with half a line in the middle, the journal could not be read at the next start
            os.ftruncate(self._file, before)
            raise
        self._unwritten = []

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def put_aside(path: Path) -> Path | None:
    """Give the journal of a broker that does not run another name, and return it; None when there is no journal."""
    if not path.exists():
        return None
    number = next(each for each in range(1, 1_000_000) if not path.with_suffix(f".{each}").exists())
    return path.rename(path.with_suffix(f".{number}"))


def _read(path: Path, content: bytes) -> tuple[list[Record], int]:
    """Return the records and how many bytes of `content` they take."""
    records: list[Record] = []
    whole = 0
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        try:
            batch = orjson.loads(line) if line.endswith(b"\n") else None
        except orjson.JSONDecodeError:
            batch = None
        if not isinstance(batch, list):
            if whole + len(line) < len(content):
                raise BrokenJournal(path, f"line {number} is damaged; move the file away to begin anew")
            break
        records += batch
        whole += len(line)
    return records, whole

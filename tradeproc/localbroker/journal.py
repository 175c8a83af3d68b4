"""The journal: an append-only file from which a killed local broker comes back with all that it had confirmed.

One line is what one call changed, as a JSON list of records of `books.py`: a kill in the middle of a write tears the
last line only, and a torn line was never confirmed; it is put aside into `<name>.torn`. Lines are written in one
piece before the call is answered; they survive the death of the process, and with `fsync` that of the machine too.
What a full disk did not take is written before anything that comes later.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import orjson

from tradeproc.durable import append_durably, sync_folder
from tradeproc.errors import Halt
from tradeproc.localbroker.books import Record


class BrokenJournal(Halt):
    """A journal that cannot be continued; only a person can say whether to mend it or to begin anew."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}")


class BrokerJournal:
    """An open journal. One process at a time writes it."""

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        """Open or create the file; a torn last line is put aside.

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
            OSError: the disk is full or broken; the file is as it was, and the records go before the next ones.
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
            # half a line would end the books at the next start
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

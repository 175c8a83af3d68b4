"""Rows that could not reach the database: an append-only file, replayed when the database is back.

A line is a checksum and one write as JSON; file and name are on the disk before `append` returns. Nothing is thrown
away: opening changes nothing, and at the replay a line that is damaged goes into `<name>.damaged`, a write that the
database refuses into `<name>.refused`, each with an alarm. Replaying is harmless at any time and any number of times,
but replay before writing to the database again, so that history keeps its order.
"""

import errno
import fcntl
import logging
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.domain.texts import storable
from tradeproc.durable import append_durably, sync_folder
from tradeproc.errors import Outage
from tradeproc.protocol.names import JOBS, GroupName, ProcessName, session_group
from tradeproc.store.database import StatementRefused
from tradeproc.store.store import LeaseLost, Store
from tradeproc.store.writes import NUL, Write, packed

log = logging.getLogger(__name__)

DAMAGED_ALARM, REFUSED_ALARM = "journal_damaged", "journal_refused"
# parameters that the lines of an earlier version lack
_ADDED: Mapping[str, Mapping[str, Any]] = {"save_alarm": {"who": None}}


def journal_path(folder: Path, session: int) -> Path:
    """Return where the journal of a session's trader is."""
    return folder / f"{session_group(session)}.jsonl"


def replay_left(folder: Path, store: Store) -> int:
    """Replay the journals of a folder whose processes are gone; return how many writes there were.

    Raises:
        DatabaseDown: the rest stays where it is.
    """
    done = 0
    for path in sorted(folder.glob("*.jsonl")):
        # only a file that is named after a session is a journal
        is_journal = GroupName(path.stem).session is not None and not path.is_symlink() and path.is_file()
        if not is_journal or path.stat().st_size == 0:
            continue
        try:
            done += _replay_one(path, store)
        except JournalInUse:
            continue
        except OSError as error:
            # for example a full disk: neither the other journals nor the sweep must wait for it
            log.warning("journal_not_replayed path=%s reason=%s", path, error)
    return done


def _replay_one(path: Path, store: Store) -> int:
    journal = Journal(path, wait_seconds=0, owner=JOBS)
    try:
        return journal.replay(store)
    finally:
        journal.close()


class JournalInUse(Outage):
    """Another process has the journal open; caught by whoever wanted to replay it."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: in use by another process")


class Journal:
    """One process's journal of the writes that `Store.write` takes. Locked while it is open.

    `wait_seconds` is how long to wait for the lock, which another process may hold for a moment to replay the file.
    `owner` is the process that opens it: the alarms of lines that are put aside are raised in its name.
    """

    def __init__(self, path: Path, *, wait_seconds: float = 5.0, owner: ProcessName = JOBS) -> None:
        """Open or create the file; what is in it stays as it is.

        Raises:
            JournalInUse: another process has it.
            OSError: it cannot be opened, or the disk does not take its name.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._replayed, self._owner = 0, owner
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._lock(monotonic_ns() + int(wait_seconds * SECOND))
        try:
            # what is appended counts as on the disk only when the name of the file is there too
            sync_folder(path.parent)
        except OSError:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Close the file; what is in it stays."""
        os.close(self._file)

    def is_empty(self) -> bool:
        """Tell whether there is nothing to replay."""
        return os.fstat(self._file).st_size == 0

    def append(self, write: Write) -> None:
        """Keep a write; it survives the death of this process and of the machine, and is done whatever the lease.

        Raises:
            OSError: the disk is full or broken; the file is as it was before.
        """
        write = write.without_fence()
        body = packed([write.statement, write.parameters])
        before = os.fstat(self._file).st_size
        # a line that was torn by a crash must not spoil ours
        line = b"%b%08x %b\n" % (self._end_of_line(before), zlib.crc32(body), body)
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(self._file)
        except OSError:
            # half a line would be taken for damage
            os.ftruncate(self._file, before)
            raise

    def replay(self, store: Store, seconds: float = float("inf")) -> int:
        """Do the kept writes in their order, then empty the file; return how many there were.

        What is damaged or refused is put aside and does not stop the others. After `seconds` it returns, and the next
        call goes on: look at `is_empty`.

        Raises:
            DatabaseDown: what was not done stays in the file.
            OSError: what is to be put aside cannot be; it and what follows stay in the file.
        """
        done, began = 0, monotonic_ns()
        for line, end in self._lines():
            write = read_line(line)
            if write is None:
                self._put_aside(line, ".damaged", DAMAGED_ALARM, "a line cannot be read", store)
            else:
                self._do(write, line, store)
                done += 1
            self._replayed = end
            if (monotonic_ns() - began) / SECOND > seconds:
                return done
        if self._replayed and self._replayed == os.fstat(self._file).st_size:
            os.ftruncate(self._file, 0)
            os.fsync(self._file)
            self._replayed = 0
            log.info("journal_replayed path=%s writes=%d", self.path, done)
        return done

    def _do(self, write: Write, line: bytes, store: Store) -> None:
        try:
            store.write(write)
        except (StatementRefused, LeaseLost) as refused:
            # the write has no fence, so LeaseLost means that this database has no such session: it is another one
            self._put_aside(line, ".refused", REFUSED_ALARM, str(refused), store)

    # --- the file

    def _lock(self, deadline: int) -> None:
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if monotonic_ns() >= deadline:
                    os.close(self._file)
                    raise JournalInUse(self.path) from None
                time.sleep(0.02)

    def _end_of_line(self, size: int) -> bytes:
        return b"\n" if size and os.pread(self._file, 1, size - 1) != b"\n" else b""

    def _lines(self) -> Iterator[tuple[bytes, int]]:
        """Yield the lines that were not replayed yet, and where each ends."""
        end = self._replayed
        for line in self._content()[end:].splitlines(keepends=True):
            end += len(line)
            yield line, end

    def _content(self) -> bytes:
        return os.pread(self._file, os.fstat(self._file).st_size, 0)

    def _put_aside(self, line: bytes, suffix: str, alarm: str, reason: str, store: Store) -> None:
        """Keep a line for a person, and raise an alarm, because a row of the audit trail is missing."""
        aside = self.path.with_suffix(suffix)
        append_durably(aside, line.rstrip(b"\n") + b"\n")
        log.error("journal_line_put_aside path=%s reason=%s", aside, reason)
        session = GroupName(self.path.stem).session
        try:
            if not any(row.name == alarm for row in store.alarms(session, only_standing=True)):
                store.save_alarm(session, alarm, f"{reason}; it is in {aside}", wall_ns(), self._owner)
        except StatementRefused as refused:
            log.warning("alarm_unsaved name=%s reason=%s", alarm, refused)


def read_line(line: bytes) -> Write | None:
    """Return the write that a line holds, its texts storable; None for one that is not as it was written.

    The line may be of an earlier version, which let a NUL through.
    """
    checksum, _, body = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    try:
        statement, parameters = orjson.loads(body)
    except (ValueError, TypeError):
        return None
    if not isinstance(statement, str) or not isinstance(parameters, dict):
        return None
    kept = {key: _storable(value) for key, value in parameters.items()}
    return Write(statement, {**_ADDED.get(statement, {}), **kept})


def _storable(value: Any) -> Any:
    """Return a parameter as PostgreSQL takes it; JSON in a text is decoded for that where it has a NUL."""
    if not isinstance(value, str):
        return value
    if NUL.decode() not in value:
        return storable(value)
    try:
        return packed(orjson.loads(value)).decode()
    except ValueError:
        return storable(value)

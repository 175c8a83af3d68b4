"""The keeper's latches on their way into the database: in its file first, and there until they are stored.

Each is in `store/kept.py`'s file, on the disk, before anybody is told that it is kept. What an earlier keeper left
there is late: what is newer in the database wins over it. A latch that the database refuses stays in the file, where
the traders read it, and there is an alarm.
"""

import logging
import os
from functools import partial
from pathlib import Path

from tradeproc.clock import wall_ns
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.units import Nanos
from tradeproc.durable import remove_durably, sync_folder
from tradeproc.home import Home
from tradeproc.protocol import names, scopes
from tradeproc.store import DatabaseDown, Latch, StatementRefused, Store
from tradeproc.store.kept import kept_file, read_former, read_kept, standing, unread, write_kept

log = logging.getLogger(__name__)

STORED, UNSTORED = "stored", "not stored"
_AWAY = "kept until the database is back"
_REFUSED = "kept on the disk, because the database refuses it"
UNREAD_ALARM, REFUSED_ALARM = "latches_unread", "latch_refused"


class Unstored:
    """The latches that the database has not got, and their file."""

    def __init__(self, store: Store, home: Home) -> None:
        self._store, self._file = store, kept_file(home)
        self._former = home.journal / "latches.json"
        self._latches: dict[str, Latch] = {}
        # scopes whose latch an earlier keeper left
        self._late: set[str] = set()
        self._refusals: dict[str, str] = {}
        # whether the alarm about refusals may stand: an earlier keeper may have raised it for a latch that it left
        self._is_refusal_told = False
        self._alarms: list[tuple[str, str, Nanos]] = []
        # files that could not be read and were not set aside yet
        self._unread: set[Path] = set()
        self._is_written = True
        self._take_over()

    @property
    def is_waiting(self) -> bool:
        """Tell whether there is a latch that waits for the database."""
        return bool(self._latches.keys() - self._refusals.keys())

    @property
    def trouble(self) -> str:
        """Return what a person must look at, empty when there is nothing."""
        return "; ".join(f"the latch of {scope} is not stored: {why}" for scope, why in self._refusals.items())

    def set(self, scope: str, state: str, by: str, reason: str) -> str:
        """Keep a latch and try to store it; return in words how safe it is."""
        self._latches[scope] = Latch(scope, state, by, reason, wall_ns())
        self._late.discard(scope)
        self._refusals.pop(scope, None)
        self._is_written = False
        self._write()
        try:
            self.store_all()
        except DatabaseDown as down:
            log.warning("latch_unstored scope=%s reason=%s", scope, down)
            return _AWAY if self._is_written else UNSTORED
        if scope not in self._latches:
            return STORED
        return _REFUSED if self._is_written else UNSTORED

    def store_all(self) -> None:
        """Store what waits, and write the file again when the disk did not take it.

        Raises:
            DatabaseDown: the rest is kept.
        """
        self._write()
        for scope, latch in list(self._latches.items()):
            try:
                self._store.keep_latch(latch, is_late=scope in self._late)
            except StatementRefused as refused:
                self._note_refusal(scope, refused)
                continue
            self._stored(latch)
        self._write()
        while self._alarms:
            self._tell(*self._alarms[0])
            self._alarms.pop(0)

    def standing(self) -> list[Latch]:
        """Return the latches that count: ours where they are not stored yet.

        Raises:
            DatabaseDown: the database is away.
        """
        return standing(self._store.latches(), Known(tuple(self._latches.values())))

    # --- what an earlier keeper left

    def _take_over(self) -> None:
        for file, left in ((self._former, read_former(self._former)), (self._file, read_kept(self._file))):
            self._add(file, left)
        if self._former.exists() and self._former not in self._unread:
            self._is_written = False
        self._write()

    def _add(self, file: Path, left: Answer[tuple[Latch, ...]]) -> None:
        match left:
            case Known(latches):
                self._latches |= {latch.scope: latch for latch in latches}
                self._late |= {latch.scope for latch in latches}
                self._is_refusal_told |= bool(latches)
            case Unknown(reason):
                log.critical("latches_unread file=%s reason=%s: the host is halted", file, reason)
                safe = unread(reason, wall_ns())
                self._latches[safe.scope] = safe
                self._late.discard(safe.scope)
                self._alarms.append((UNREAD_ALARM, safe.reason, safe.at))
                self._unread.add(file)
                self._is_written = False

    # --- the database

    def _stored(self, latch: Latch) -> None:
        log.info("latch_stored scope=%s state=%s by=%s", latch.scope, latch.state, latch.by)
        del self._latches[latch.scope]
        self._late.discard(latch.scope)
        self._is_written = False
        self._refusals.pop(latch.scope, None)
        if self._is_refusal_told and not self._refusals:
            self._is_refusal_told = False
            self._alarms.append((REFUSED_ALARM, "", wall_ns()))
        if latch.scope == scopes.HOST and latch.state == "active":
            # a person has looked at what the alarm is about
            self._alarms.append((UNREAD_ALARM, "", wall_ns()))

    def _note_refusal(self, scope: str, refused: StatementRefused) -> None:
        if self._refusals.get(scope) != str(refused):
            self._refusals[scope] = str(refused)
            self._is_refusal_told = True
            log.critical("latch_refused scope=%s reason=%s: it holds from %s", scope, refused, self._file)
            self._alarms.append((REFUSED_ALARM, f"{scope}: {refused}; it holds from {self._file}", wall_ns()))

    def _tell(self, name: str, detail: str, at: Nanos) -> None:
        try:
            self._store.clear_alarms(None, name, at)
            if detail:
                self._store.save_alarm(None, name, detail, at, names.KEEPER)
        except StatementRefused as refused:
            log.warning("alarm_unsaved name=%s reason=%s", name, refused)

    # --- the file

    def _write(self) -> None:
        """Bring the file up to date; one that could not be read is kept under another name."""
        if self._is_written:
            return
        try:
            is_unread = self._file in self._unread
            write_kept(self._file, self._latches.values(), partial(_set_aside, self._file) if is_unread else _nothing)
            self._unread.discard(self._file)
            if self._former in self._unread:
                _set_aside(self._former)
                self._former.unlink(missing_ok=True)
                self._unread.remove(self._former)
            elif self._former.exists():
                remove_durably(self._former)
        except OSError as error:
            # a full disk must not stop a halt
            log.warning("latches_unwritten file=%s reason=%s", self._file, error)
            return
        self._is_written = True


def _nothing() -> None:
    """Save nothing, because the file is one of ours."""


def _set_aside(file: Path) -> None:
    """Give a file that is about to be replaced a second name, so that a reader finds it until the moment of that."""
    if not os.path.lexists(file):
        return  # a person has moved it
    at = wall_ns()
    while (aside := file.with_name(f"{file.name}.{at}.unread")).exists():
        at = Nanos(at + 1)
    try:
        os.link(file, aside)
    except OSError:
        # the disk has no hard links, or there is a folder in the file's place
        file.rename(aside)
    sync_folder(file.parent)

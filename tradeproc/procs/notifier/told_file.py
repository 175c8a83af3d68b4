"""What was heard and told, in `run/notifier/told.json`, which the notifier alone writes."""

import logging
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

import orjson

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.records import BadRecord, read_record
from tradeproc.durable import write_durably
from tradeproc.folders import make_private
from tradeproc.procs.notifier.telling import Case, TargetState
from tradeproc.protocol.writing import plain

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ToldRecord:
    """The book, and the state of each target by a fingerprint of its address."""

    book: Mapping[str, Case] = field(default_factory=dict)
    targets: Mapping[str, TargetState] = field(default_factory=dict)


class ToldFile:
    """The file; one that cannot be read is put aside, and what stands is told once more."""

    def __init__(self, folder: Path) -> None:
        make_private(folder)
        self._path = folder / "told.json"
        self._written = ToldRecord()
        self.trouble = ""

    def read(self) -> ToldRecord:
        """Return what was written last, or nothing when there is no file or it is spoilt."""
        try:
            self._written = read_record(ToldRecord, orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return self._written
        except (OSError, ValueError, BadRecord) as error:
            aside = self._path.with_suffix(".json.damaged")
            log.warning("told_file_damaged aside=%s error=%s", aside, type(error).__name__)
            try:
                self._path.replace(aside)
            except OSError as kept:
                log.warning("told_file_not_put_aside reason=%s", kept.strerror)
        return self._written

    def write(self, record: ToldRecord) -> None:
        """Write what changed; a full disk is told in `trouble`, and messages go out all the same."""
        if record == self._written:
            return
        try:
            write_durably(self._path, orjson.dumps(plain(record)))
        except OSError as error:
            self.trouble = f"what was told cannot be written: {error.strerror}"
            return
        self._written, self.trouble = record, ""

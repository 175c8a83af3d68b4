"""Records what a trader's engine is told, so that its life can be replayed: run/recordings/session-<n>/.

The trader's loop only puts an event and its effects into a list; a thread encodes, compresses and writes twice a
second, so neither encoding nor a slow disk holds the trader up. A crash loses that half second, nothing before it.
An event that cannot be encoded, or comes while too many wait for the disk, is dropped and counted, and the recording
says where. Files are gzip, one chain of parts a life:

    <began, ns>-fence<f>.0000.jsonl.gz   the header, then events
    <began, ns>-fence<f>.0001.jsonl.gz   the header again and the next events, once the part before is full

Old lives are deleted by age, and the oldest parts first when a session's recordings grow too large.
"""

import logging
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

from tradeproc.clock import SECOND, wall_ns
from tradeproc.domain.units import Nanos
from tradeproc.engine.effects import Effect
from tradeproc.engine.events import Event
from tradeproc.engine.recording import Header, event_line, header_line, lost_line
from tradeproc.protocol.names import session_group

log = logging.getLogger(__name__)

_ENDING = ".jsonl.gz"
_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 1
_GOODBYE_SECONDS = 2.0
_STEP = 64
_BATCH = 1000
_DAY = 24 * 3600 * SECOND


_Told = tuple[int, Event, Nanos, Sequence[Effect]]
"""How many events were lost before it, the event, its moment, its effects."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept: bytes of a part and of a session, days, and the number of events that may wait."""

    part: int = 16_000_000
    session: int = 256_000_000
    days: int = 30
    waiting: int = 100_000
    write_seconds: float = 0.5


class Recorder:
    """The recording of one life of one trader; `note` is called from its loop only."""

    def __init__(self, folder: Path, header: Header, bounds: Bounds = Bounds()) -> None:
        self._folder = folder / session_group(header.session)
        self._stem = f"{header.began_at:020d}-fence{header.fence}"
        self._bounds = bounds
        self._told: list[_Told] = []
        self._header = header_line(header)
        self._lost = self._part = self._size = 0
        self._file = -1
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._problem = ""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    @property
    def is_behind(self) -> bool:
        """Tell whether something waits to be written."""
        return bool(self._told)

    def note(self, event: Event, now: Nanos, effects: Sequence[Effect]) -> None:
        """Keep an event and what it led to; never blocks and never fails. Nobody may change the values afterwards."""
        if len(self._told) >= self._bounds.waiting:
            self._lost += 1
            return
        lost, self._lost = self._lost, 0
        self._told.append((lost, event, now, effects))

    def close(self) -> None:
        """Write what waits, within two seconds."""
        self._is_over.set()
        self._thread.join(_GOODBYE_SECONDS)

    # --- the thread

    def _work(self) -> None:
        while not self._is_over.wait(self._bounds.write_seconds):
            self._write_waiting()
        self._write_waiting()
        if self._file >= 0:
            self._finish_part()

    def _write_waiting(self) -> None:
        """Write what waits; what could not be written waits on, and goes into a new part."""
        told = self._told[:_BATCH]
        while told:
            try:
                self._append(b"".join(map(_lines, told)))
            except OSError as error:
                if self._problem != str(error):
                    log.warning("recording_unwritten folder=%s reason=%s", self._folder, error)
                self._problem = str(error)
                self._give_up_part()
                return
            self._problem = ""
            del self._told[: len(told)]
            if self._size >= self._bounds.part:
                self._finish_part()
            told = self._told[:_BATCH]

    def _append(self, data: bytes) -> None:
        if self._file < 0:
            self._begin_part()
            data = self._header + data
        packed = self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        before = self._size
        try:
            while packed:
                written = os.write(self._file, packed)
                self._size += written
                packed = packed[written:]
        except OSError:
            # these lines are written again into the next part, and must not stand in both
            os.ftruncate(self._file, before)
            raise

    def _begin_part(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        forget_old(self._folder, self._bounds, wall_ns())
        path = self._folder / f"{self._stem}.{self._part:04d}{_ENDING}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._size = 0
        self._part += 1

    def _finish_part(self) -> None:
        try:
            os.write(self._file, self._packer.flush())
        except OSError as error:
            log.warning("recording_unwritten folder=%s reason=%s", self._folder, error)
        self._give_up_part()

    def _give_up_part(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def lives(folder: Path) -> list[list[Path]]:
    """Return the parts of each life of a session, oldest life first, parts in their order."""
    parts = sorted(folder.glob(f"*{_ENDING}"))
    return [list(group) for _, group in groupby(parts, key=_life_of)]


def lines_of(parts: Sequence[Path]) -> Iterator[bytes]:
    """Yield the lines of one life, its header once; what a crash cut short comes without its newline."""
    for number, part in enumerate(parts):
        is_header = number > 0
        unpacker = zlib.decompressobj(_GZIP)
        rest = b""
        with part.open("rb") as file:
            for data in _unpacked(file, unpacker):
                rest += data
                *whole, rest = rest.split(b"\n")
                for line in whole:
                    if not is_header:
                        yield line + b"\n"
                    is_header = False
        if rest and not is_header:
            yield rest


def _unpacked(file: BinaryIO, unpacker: Any) -> Iterator[bytes]:
    """Yield what a part holds; what is damaged costs only what comes after it.

    Raises:
        zlib.error: from here on it is damaged.
    """
    while chunk := file.read(1 << 20):
        before = unpacker.copy()
        try:
            data = unpacker.decompress(chunk)
        except zlib.error:
            # again in small steps, so that what lies before the damage is read
            for begin in range(0, len(chunk), _STEP):
                yield before.decompress(chunk[begin : begin + _STEP])
            raise
        yield data


def forget_old(folder: Path, bounds: Bounds, now: Nanos) -> None:
    """Delete lives whose last line is too old, then the oldest parts until the rest fits.

    A life that has lost its first part cannot be replayed: its first event is not `Started`.
    """
    kept: list[tuple[Path, int]] = []
    for life in lives(folder):
        if now - life[-1].stat().st_mtime_ns > bounds.days * _DAY:
            for part in life:
                part.unlink(missing_ok=True)
        else:
            kept += [(part, part.stat().st_size) for part in life]
    total = sum(size for _, size in kept)
    for part, size in kept:
        if total <= bounds.session:
            break
        part.unlink(missing_ok=True)
        total -= size


def _lines(told: _Told) -> bytes:
    lost, event, now, effects = told
    before = lost_line(lost, now) if lost else b""
    try:
        return before + event_line(event, now, effects)
    except (TypeError, ValueError, OverflowError) as error:
        # a value from outside that JSON cannot hold
        log.warning("event_unrecorded event=%s reason=%s", type(event).__name__, error)
        return before + lost_line(1, now)


def _life_of(part: Path) -> str:
    return part.name.split(".", 1)[0]

"""Opens a tape's file, plain or packed (.gz, .bz2, .xz, .zip); every error of it is one line.

`tradeproc/market/` reads the content, in many forms. Our own form has a header:

    trades   a time, price, size                            ts_event_ns,price,size,side
    bars     a time (the bar's END), open, high, low, close, volume

The time is `ts_event_ns` (UTC nanoseconds), `timestamp_utc` (text, UTC) or `time` (text with a zone). The contract is
the column `contract`, or the beginning of the file's name (`ESH24_…`, `ESH4_…`). Other columns are ignored.
"""

import bz2
import gzip
import lzma
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

from tradeproc.errors import Halt
from tradeproc.market.tape_files.file_reading import Reading, TapeHints, read
from tradeproc.market.tape_files.lines import Absent, UnreadableTape

# bytes of the file that are read at once; beside the trades, only about so many are in memory
_CHUNK = 1 << 20
_DAMAGES = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


class ByteStream(Protocol):
    """A source of bytes."""

    def read(self, most: int, /) -> bytes:
        """Return the next bytes, none at the end."""


class BadTape(Halt):
    """A tape that cannot be read; the text has file, line and remedy. Only the person who chose the file can act."""

    def __init__(self, path: Path, line: int | None, problem: str) -> None:
        self.path, self.line = path, line
        super().__init__(f"{path}{f', line {line}' if line else ''}: {problem}")


def understand(path: Path, wanted: TapeHints, heard: Callable[[int], None] = lambda rows: None) -> Reading:
    """Return what is in a file; questions may stay open. `heard` is called with the number of rows read so far.

    Raises:
        BadTape: the file cannot be read; the text has file, line and remedy.
    """
    return _understood(path, wanted, lambda chunks: read(chunks, path.name, wanted, heard))


def check_head(path: Path, wanted: TapeHints) -> None:
    """Check that a file exists, and that its header and its first lines can be played.

    More is read only if the first lines do not hold the wanted contract, or no trade at all.

    Raises:
        BadTape: it cannot be played; the text has file, line and remedy.
    """

    def reader(chunks: Iterable[bytes]) -> Reading:
        chunks = iter(chunks)
        begin = list(islice(chunks, 2))
        try:
            return read(_head(begin), path.name, wanted)
        except Absent:
            return read(chain(begin, chunks), path.name, wanted)

    check_answered(path, _understood(path, wanted, reader))


def check_answered(path: Path, reading: Reading) -> None:
    """Check that no question about a file is open.

    Raises:
        BadTape: a question is open; the text says which, and how to answer it.
    """
    if reading.questions:
        keys = "in [localbroker] of conf/tradeproc.toml: tape_zone, tape_stamp, tape_contract, tape_dates"
        raise BadTape(path, None, f"{'; '.join(reading.questions)} ({keys})")


def _understood(path: Path, wanted: TapeHints, reader: Callable[[Iterable[bytes]], Reading]) -> Reading:
    try:
        return reader(_chunks(path))
    except UnreadableTape as bad:
        raise BadTape(path, bad.line, bad.problem) from None
    except _DAMAGES as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadTape(path, None, f"cannot be read ({reason}); is it there, and whole?") from error
    except MemoryError:
        raise BadTape(path, None, "is too large for this machine's memory; cut it") from None


def _chunks(path: Path) -> Iterator[bytes]:
    if not stat.S_ISREG(path.stat().st_mode):
        raise BadTape(path, None, "is no file; give a CSV file, plain or packed")
    with ExitStack() as stack:
        stream = stack.enter_context(path.open("rb"))
        packed = _unpacked(path, stream.read(6), stack)
        if packed is None:
            stream.seek(0)
        while chunk := (packed or stream).read(_CHUNK):
            yield chunk


def _unpacked(path: Path, begin: bytes, stack: ExitStack) -> ByteStream | None:
    """Return the unpacked content of a file, None if it is not packed; its first bytes tell, not its name."""
    if begin.startswith(b"\x1f\x8b"):
        return stack.enter_context(gzip.open(path, "rb"))
    if begin.startswith(b"BZh"):
        return stack.enter_context(bz2.open(path, "rb"))
    if begin == b"\xfd7zXZ\0":
        return stack.enter_context(lzma.open(path, "rb"))
    if begin.startswith(_ZSTANDARD):
        raise BadTape(path, None, "is packed with zstd, which is not read; unpack it first: zstd -d")
    if begin.startswith(b"PK\x03\x04") or (begin.startswith(b"PK") and path.suffix.lower() == ".zip"):
        archive = stack.enter_context(zipfile.ZipFile(path))
        members = [each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__")]
        if len(members) != 1:
            raise BadTape(path, None, f"holds {len(members)} files where one is expected; unpack it and choose")
        return stack.enter_context(archive.open(members[0]))
    return None


def _head(begin: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the whole lines of the first chunk, or all when there is no second."""
    first = b"".join(begin[:1])
    if len(begin) > 1:
        whole = max(first.rfind(b"\n"), first.rfind(b"\r")) + 1
        # in little-endian UTF-16 the newline's second byte, a zero, belongs to it
        first = first[: whole + (1 if first[:2] == b"\xff\xfe" else 0)] if whole else first
    return chain((first,))

"""Latches that are not in the database yet: one file of the keeper, which counts beside the database.

Whoever reads latches reads both, the database and this file, so that a halt that was confirmed holds before the
keeper has stored it, in whatever order the processes come back. A file that is there and cannot be read may have held
a halt, so it counts as a halt of the whole host until a person resumes.
"""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import astuple
from pathlib import Path

import orjson

from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.texts import storable_value
from tradeproc.domain.units import Nanos
from tradeproc.durable import remove_durably, write_durably
from tradeproc.engine.events import TradingState
from tradeproc.home import Home
from tradeproc.protocol import scopes
from tradeproc.store.rows import Latch
from tradeproc.store.store import Store


def kept_file(home: Home) -> Path:
    """Return where the keeper keeps the latches that are not stored yet."""
    return home.latches / "unstored.json"


def write_kept(file: Path, latches: Iterable[Latch], set_aside: Callable[[], None] = lambda: None) -> None:
    """Replace what is kept; the disk has it when this returns. Without latches there is no file.

    `set_aside` saves the old file at the last moment before it goes.

    Raises:
        OSError: the disk did not take it; what was kept before still is.
    """
    rows = [astuple(latch) for latch in latches]
    if not rows:
        # works on a full disk too: what is stored must not be read here again after the next start
        set_aside()
        if file.parent.exists():
            remove_durably(file)
        return
    # a desk that was begun by an earlier version has no such folder
    file.parent.mkdir(mode=0o700, exist_ok=True)
    body = orjson.dumps(storable_value(rows))
    write_durably(file, b"%08x %b\n" % (zlib.crc32(body), body), set_aside)


def read_kept(file: Path) -> Answer[tuple[Latch, ...]]:
    """Return what is kept; Unknown when there is a file and it does not hold what was written."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return Known(())
    except OSError as error:
        return Unknown(f"{file}: {error.strerror}")
    checksum, _, body = content.rstrip(b"\n").partition(b" ")
    if not body or checksum != b"%08x" % zlib.crc32(body):
        return Unknown(f"{file}: {_picture(content)}")
    return _parsed(file, body)


def read_former(file: Path) -> Answer[tuple[Latch, ...]]:
    """Return what the keeper of an earlier version left in its file, which had another place and form."""
    try:
        kept = orjson.loads(file.read_bytes())
        # it has no times; the file was written when the newest of them was set
        rows = [[scope, *row, file.stat().st_mtime_ns] for scope, row in kept.items()]
    except FileNotFoundError:
        return Known(())
    except OSError as error:
        return Unknown(f"{file}: {error.strerror}")
    except (ValueError, AttributeError, TypeError):
        return Unknown(f"{file}: {_picture(file.read_bytes())}")
    return _parsed(file, orjson.dumps(rows))


def standing(stored: Iterable[Latch], kept: Answer[tuple[Latch, ...]]) -> list[Latch]:
    """Return the latches that count: a kept one where it is newer than the stored one of its scope or closes more."""
    found = {latch.scope: latch for latch in stored}
    match kept:
        case Known(latches):
            late = latches
        case Unknown(reason):
            late = (unread(reason, Nanos(0)),)
    for latch in late:
        present = found.get(latch.scope)
        if present is None or latch.at > present.at or _severity(latch) > _severity(present):
            found[latch.scope] = latch
    return list(found.values())


def all_latches(store: Store, home: Home) -> list[Latch]:
    """Return the latches that count, stored or kept.

    Raises:
        DatabaseDown: the database is away.
    """
    # the file is read first: a latch that is stored between the two readings is then found in the database
    kept = read_kept(kept_file(home))
    return standing(store.latches(), kept)


def unread(reason: str, at: Nanos) -> Latch:
    """Return the latch that a file which cannot be read counts as: the host is halted."""
    why = f"{reason}; a halt that was in it may be lost: look at each session, then resume"
    return Latch(scopes.HOST, TradingState.HALTED.value, "keeper", why, at)


def _parsed(file: Path, body: bytes) -> Answer[tuple[Latch, ...]]:
    try:
        latches = tuple(
            Latch(str(scope), TradingState(state).value, str(by), str(reason), Nanos(int(at)))
            for scope, state, by, reason, at in orjson.loads(body)
        )
    except (ValueError, TypeError) as error:
        return Unknown(f"{file}: {error}")
    return Known(latches)


def _picture(content: bytes) -> str:
    return f"{len(content)} bytes that are not what was written" if content else "empty, which it never is"


def _severity(latch: Latch) -> int:
    return TradingState(latch.state).severity

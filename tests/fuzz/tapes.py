"""The exports of vendors, a tape that was chosen, and recordings of a trader's life."""

from random import Random
from typing import Any

import orjson

from tests.engine.test_recording import lived
from tests.fuzz import mutations
from tests.fuzz.files import folder
from tests.fuzz.harness import Target
from tests.market.tape_files.test_file_reading import BARS, TRADES
from tradeproc.bus.codec import encode_body
from tradeproc.domain.units import Nanos
from tradeproc.engine import recording
from tradeproc.localbroker.chosen import Choice, choose, chosen
from tradeproc.market.tape_files.file_reading import TapeHints, read
from tradeproc.market.tape_files.lines import UnreadableTape

_EXPORTS: list[tuple[str, str, TapeHints]] = [each[:3] for each in BARS] + [each[:3] for each in TRADES]
_WORDS = ("", "UTC", "America/Chicago", "Nowhere/At_All", "start", "end", "ESH24", "ESH4=ESH24", "=", "ES.c.0=ESZ99")


def _draw_export(random: Random) -> tuple[str, list[bytes], TapeHints]:
    name, text, wanted = random.choice(_EXPORTS)
    if random.random() < 0.5:
        separator = ";" if ";" in text else ","
        rows = [line.split(separator) for line in text.splitlines()]
        row = random.choice(rows)
        row[random.randrange(len(row))] = random.choice(mutations.TEXTS)
        text = "\n".join(separator.join(row) for row in rows) + random.choice(("\n", ""))
    else:
        text = mutations.lines(random, text)
    if random.random() < 0.2:
        wanted = TapeHints(random.choice(_WORDS), random.choice(_WORDS), random.choice(_WORDS))
    encoding = random.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"))
    content = mutations.raw(random, text.encode(encoding, "replace"), 1)
    return mutations.text(random, name) if random.random() < 0.1 else name, mutations.pieces(random, content), wanted


def _read_export(drawn: tuple[str, list[bytes], TapeHints]) -> None:
    name, chunks, wanted = drawn
    found = read(chunks, name, wanted)
    trades = found.trades
    assert len(trades.times) == len(trades.prices) == len(trades.sizes) == len(trades.which)
    assert (trades.times[1:] >= trades.times[:-1]).all()
    for index in range(min(2, len(trades.times))):
        assert encode_body({"at": int(trades.times[index]), "price": float(trades.prices[index])})


_CONFIGURED = Choice("shipped")


def _draw_choice(random: Random) -> bytes:
    choose(folder(), Choice("x.csv", TapeHints("UTC")), _CONFIGURED)
    found = orjson.dumps(
        mutations.tree(random, (folder() / "tape.json").read_bytes()), option=orjson.OPT_NON_STR_KEYS
    )
    return mutations.raw(random, found, random.randrange(2))


def _read_choice(content: bytes) -> None:
    (folder() / "tape.json").write_bytes(content)
    found = chosen(folder(), _CONFIGURED)
    assert isinstance(found.tape, str)
    assert all(isinstance(each, str) for each in (found.reading.zone, found.reading.stamp, found.reading.contract))


def _lines_of_a_life() -> list[bytes]:
    """Return two events of each kind that a life has."""
    by_kind: dict[str, list[bytes]] = {}
    for event, now, _ in lived(1).history:
        by_kind.setdefault(type(event).__name__, []).append(recording.event_line(event, now, ()))
    return [lines[at] for _, lines in sorted(by_kind.items()) for at in (0, -1)]


_LIVES = _lines_of_a_life()
_HEADER = recording.header_line(recording.Header(1, 2, "here", {"name": "x"}, {}, Nanos(1), "0.1.0"))


def _draw_record(random: Random) -> tuple[bool, bytes]:
    is_header = random.random() < 0.1
    seed = _HEADER if is_header else random.choice(_LIVES)
    if random.random() < 0.3:
        return is_header, mutations.raw(random, seed)
    found: Any = mutations.tree(random, seed)
    return is_header, orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS) + b"\n"


def _read_record(drawn: tuple[bool, bytes]) -> None:
    is_header, line = drawn
    if is_header:
        recording.read_header(line)
        return
    for found in recording.read_events([line]):
        if found.event is not None:
            recording.event_line(found.event, found.now, ())


TARGETS = (
    Target("vendors", _draw_export, _read_export, (UnreadableTape,)),
    Target("chosen", _draw_choice, _read_choice),
    Target("recording", _draw_record, _read_record, (recording.BadRecording,)),
)

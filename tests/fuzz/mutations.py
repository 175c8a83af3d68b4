"""Real shapes made wrong. Everything is drawn from the `Random` that is given, so that it comes again.

Objects are changed by their structure (a value replaced, a key lost, renamed or given twice), texts by lines, words
and characters, bytes by flips, cuts and splices. A few of what is put in are the values that broke parsers before.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any, TypeVar

import orjson

T = TypeVar("T")

# fmt: off
TEXTS = (
    "", " ", "0", "-0", "1", "-1", "2", "0.0", "1e5", "1E-5", "1e400", "-1e-400", "NaN", "sNaN", "nan123", "Infinity",
    "-inf", "9" * 18, "9" * 19, "9" * 40, "1" * 5000, "0." + "3" * 30, "0." + "3" * 70, "-37.63", "5,300.25", "1_000",
    "+5", " 5 ", "0x10", "٣", "１", "²", "½", "true", "None", "null", "{}", "[]", "\0", "a\0b", "\n", "\r\n",
    "\x1b[31m", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "2024-02-30T00:00:00Z", "2024-01-02", "2024-01-02T00:00", "2024-W01-1T00:00:00Z", "1969-12-31T23:59:59Z",
    "2262-04-12T00:00:00Z", "1677-01-01T00:00:00Z", "2026-02-10T15:31:08.123456789Z", "20260210T153108Z", "24:00",
    "ESH24", "ESH26", "@ES", "@", "ES", "ESH2", "esh24", "ESZ99", "ESH0024", "JYH26", "ESH26-ESM26", "H26", "ESH٢٦",
    "../../etc/passwd", "%d", "%(here)s", "%", "${x}", "'; drop table orders; --", "<html>", "[bold]", "\\", '"', "'",
    "\u2028", "\u202e", "é", "e\u0301", "😀", "\ufeff", "\u00a0", "x" * 300, "ſ", "ß", "İ", "BUY", "buy", "Filled",
    "http://[x", "http://127.0.0.1:99999999", "http://127.0.0.1:x", "https://u:p@h/", "//", "file:///", "javascript:",
)
NUMBERS = (
    0, 1, -1, 2, 3, 255, 256, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1,
    0.0, -0.0, 0.5, 1.5, -37.63, 1e-9, 1e18, 1e19, 1e22, 1e300, 1.7976931348623157e308, 5e-324, 4800.25, 1e15 + 0.3,
)
VALUES: tuple[Any, ...] = (
    None, True, False, [], {}, [[]], [{}], {"": ""}, [None], {"a": {"b": {"c": []}}}, ["x"] * 30, [[[[[[]]]]]],
    *NUMBERS, *TEXTS,
)
PIECES = (
    *(text.encode() for text in TEXTS),
    b"\xff", b"\xfe\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\x00", b"\r", b"\n", b"\n\n", b"{", b"}", b'"', b"\\", b",",
    b":", b"\x1f\x8b", b"\\u0000", b'"\\ud800"', b"[" * 200,
    b'{"a":' * 150, b"=", b";", b"#", b"[x]\n", b"\t", b"\x7f", b"\x80",
)
# fmt: on


def value(random: Random) -> Any:
    """Return something that a field does not expect."""
    kind = random.random()
    if kind < 0.75:
        # a copy, or a later change would be seen in other inputs
        return deepcopy(random.choice(VALUES))
    if kind < 0.85:
        return random.randrange(-(2**63), 2**64)
    if kind < 0.95:
        return text(random, "5312.25")
    return [deepcopy(random.choice(VALUES)) for _ in range(random.randrange(4))]


def tree(random: Random, seed: bytes, changes: int = 3) -> Any:
    """Return the JSON of a seed, mostly changed in one to `changes` places."""
    found = orjson.loads(seed)
    for _ in range(random.randrange(changes + 1)):
        found = _changed(random, found)
    return found


def _changed(random: Random, found: Any) -> Any:
    if not isinstance(found, dict | list) or random.random() < 0.01:
        return value(random)
    at: Any = found
    while True:
        inner = list(at.values()) if isinstance(at, dict) else at
        deeper = [each for each in inner if isinstance(each, dict | list) and each]
        if not deeper or random.random() < 0.4:
            break
        at = random.choice(deeper)
    if isinstance(at, dict):
        _change_object(random, at)
    else:
        _change_list(random, at)
    return found


def _change_object(random: Random, at: dict[str, Any]) -> None:
    kind, keys = random.random(), list(at)
    key = random.choice(keys) if keys else ""
    if kind < 0.65 or not keys:
        at[key] = value(random)
    elif kind < 0.78:
        del at[key]
    elif kind < 0.86:
        at[random.choice(keys)] = deepcopy(at[key])
    elif kind < 0.93:
        at[text(random, key)] = at.pop(key)
    elif isinstance(at[key], str):
        at[key] = text(random, at[key])
    else:
        at[random.choice(TEXTS)] = value(random)


def _change_list(random: Random, at: list[Any]) -> None:
    kind, place = random.random(), random.randrange(len(at) + 1)
    if kind < 0.4 or not at:
        at.insert(place, value(random))
    elif kind < 0.7:
        at.insert(place, deepcopy(random.choice(at)))
    elif kind < 0.85:
        del at[place % len(at)]
    else:
        random.shuffle(at)


def text(random: Random, seed: str) -> str:
    """Return a text with one change."""
    at, kind = random.randrange(len(seed) + 1), random.random()
    if kind < 0.4:
        return seed[:at] + random.choice(TEXTS) + seed[at:]
    if kind < 0.6:
        return seed[:at] + seed[at + random.randrange(1, 4) :]
    if kind < 0.75:
        return seed[:at] + chr(_codepoint(random)) + seed[at + 1 :]
    return random.choice(TEXTS) if kind < 0.9 else seed[:at] + seed[: random.randrange(len(seed) + 1)]


def _codepoint(random: Random) -> int:
    found = random.choice((random.randrange(128), random.randrange(0x110000)))
    return 0xFFFD if 0xD800 <= found < 0xE000 else found


def raw(random: Random, seed: bytes, changes: int = 3) -> bytes:
    """Return bytes, mostly changed in one to `changes` places."""
    found = bytearray(seed)
    for _ in range(random.randrange(changes + 1)):
        at, kind = random.randrange(len(found) + 1), random.random()
        if kind < 0.35:
            found[at:at] = random.choice(PIECES)
        elif kind < 0.55:
            del found[at : at + random.choice((1, 1, 2, 8, 64))]
        elif kind < 0.75 and at < len(found):
            found[at] = random.randrange(256)
        elif kind < 0.9:
            start = random.randrange(len(found) + 1)
            found[at:at] = found[start : start + random.choice((1, 4, 32, 200))]
        else:
            del found[at:]
    return bytes(found)


def lines(random: Random, seed: str, changes: int = 3) -> str:
    """Return lines, mostly changed in one to `changes` of them; a line's value is what stands behind `=`."""
    found = seed.split("\n")
    for _ in range(random.randrange(changes + 1)):
        at, kind = random.randrange(len(found)), random.random()
        if kind < 0.15:
            found.insert(at, random.choice(found))
        elif kind < 0.25:
            del found[at]
        elif kind < 0.6:
            found[at] = text(random, found[at])
        else:
            key, sign, _ = found[at].partition("=")
            found[at] = f"{key}{sign}{random.choice((_quoted, _bare))(random)}" if sign else text(random, found[at])
        found = found or [""]
    return "\n".join(found)


def _quoted(random: Random) -> str:
    return '"' + random.choice(TEXTS).replace("\\", "\\\\").replace('"', '\\"').replace("\0", "\\u0000") + '"'


def _bare(random: Random) -> str:
    return random.choice(
        (*TEXTS, "1e999", "-1", "[1, 2]", "{ a = 1 }", "2024-01-01T00:00:00Z", "12:00:00", "true", "inf")
    )


def pieces(random: Random, whole: bytes) -> list[bytes]:
    """Return bytes cut at random places, as a network cuts them."""
    cuts = sorted(random.randrange(len(whole) + 1) for _ in range(random.randrange(6)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


def one_of(seeds: Sequence[bytes], changes: int = 3) -> Callable[[Random], Any]:
    """Return a maker of changed JSON values."""
    return lambda random: tree(random, random.choice(seeds), changes)

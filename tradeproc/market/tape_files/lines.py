"""Chunks of bytes into blocks of whole lines in UTF-8, about as large as a chunk; each line ends with a newline."""

import codecs
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tradeproc.errors import Refusal

LONGEST_LINE = 65_536
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# what may stand after the last line: spaces, empty lines, the end mark of DOS
_TAIL = b" \t\r\n\x1a"


class UnreadableTape(Refusal):
    """Bytes that are no tape; the text names the line and what to do. The code that opened the file catches it."""

    def __init__(self, line: int | None, problem: str) -> None:
        self.line, self.problem = line, problem
        super().__init__(f"{f'line {line}: ' if line else ''}{problem}")


class Absent(UnreadableTape):
    """These bytes do not hold what was asked for; if they are only the beginning of a file, the rest may."""


class Lines(NamedTuple):
    """Whole lines, the last one with its newline, and the number of the first of them."""

    first: int
    raw: bytes


def blocks(chunks: Iterable[bytes]) -> Iterator[Lines]:
    """Yield the lines of a file in blocks, without byte order mark and carriage returns.

    Raises:
        UnreadableTape: a line is too long to be one, or the text is damaged.
    """
    number, rest = 1, b""
    for chunk in _decoded(chunks):
        rest += chunk
        whole = _whole(rest)
        if whole:
            raw = _unified(rest[:whole])
            yield Lines(number, raw)
            number += raw.count(b"\n")
            rest = rest[whole:]
        if len(rest) > LONGEST_LINE:
            raise UnreadableTape(
                number, f"is longer than {LONGEST_LINE} bytes; give a CSV file, one trade or bar a line"
            )
    if rest := _unified(rest).rstrip(_TAIL):
        yield Lines(number, rest + b"\n")


def _whole(raw: bytes) -> int:
    """Return how many bytes are whole lines; a carriage return at the very end may be half of a line end."""
    end = raw.rfind(b"\n") + 1
    return end if end else raw.rfind(b"\r", 0, len(raw) - 1) + 1


def _unified(raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw


def _decoded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    decoder: codecs.IncrementalDecoder | None = None
    is_first = True
    for chunk in chunks:
        if is_first and chunk:
            is_first = False
            if (encoding := _UTF16.get(chunk[:2])) is not None:
                decoder, chunk = codecs.getincrementaldecoder(encoding)(), chunk[2:]
            chunk = chunk.removeprefix(codecs.BOM_UTF8)
        yield chunk if decoder is None else _transcoded(decoder, chunk)
    if decoder is not None:
        yield _transcoded(decoder, b"", is_last=True)


def _transcoded(decoder: codecs.IncrementalDecoder, chunk: bytes, *, is_last: bool = False) -> bytes:
    try:
        return decoder.decode(chunk, is_last).encode()
    except UnicodeError as error:
        raise UnreadableTape(
            None, f"is damaged UTF-16 text ({error.reason if hasattr(error, 'reason') else error})"
        ) from None

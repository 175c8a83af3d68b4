"""A block of lines into cells: where each begins and ends in the bytes, so that no cell is copied.

Cells are read by their form: `4750.25` has the form `0000.00`. A column has few forms, and all cells of one form are
turned into numbers at once. Because of this, a busy day loads in seconds.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeproc.market.tape_files.lines import Lines, UnreadableTape

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

WIDEST_CELL = 64
_NEWLINE, _ZERO = 10, 48
_BLANKS = (32, 9)
# cannot stand in a text that a person exported
_OWN_SEPARATOR = b"\x1f"
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Block:
    """Cells of some rows: `starts`, `ends` are (rows, columns) places in `data`, `lines` the number of each row."""

    data: Bytes
    starts: Integers
    ends: Integers
    lines: Integers

    def __len__(self) -> int:
        return len(self.lines)

    def text(self, row: int, column: int) -> str:
        """Return a cell as text."""
        found = self.data[self.starts[row, column] : self.ends[row, column]].tobytes()
        return found.decode("utf-8", "replace")

    def refuse(self, row: int, column: int, problem: str) -> UnreadableTape:
        """Return the error of a cell; the message is `problem`, followed by the cell's text."""
        text = self.text(row, column)
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        return UnreadableTape(int(self.lines[row]), f"{problem}, not {shown!r}")


class CellForm(NamedTuple):
    """Cells of one form, with their rows; `digits` is (rows, width) and holds the values of their digits."""

    form: str
    rows: Integers
    digits: Bytes

    def number(self, start: int, stop: int) -> Integers:
        """Return the number that the digits from `start` to before `stop` make; at most 18 of them."""
        found = np.zeros(len(self.rows), np.int64)
        for place in range(start, stop):
            found = found * 10 + self.digits[:, place]
        return found


def split(lines: Lines, separator: bytes, columns: int) -> Block:
    """Return the cells of lines that each have `columns` of them; blank lines are left out.

    Raises:
        UnreadableTape: a line has another number of cells, or a NUL byte.
    """
    number, raw = lines
    if (found := raw.find(b"\0")) >= 0:
        line = number + raw.count(b"\n", 0, found)
        raise UnreadableTape(line, "holds a NUL byte: this is no text, or UTF-16 without its mark; export it as CSV")
    plain = raw.replace(b'"', b"") if b'"' in raw else raw
    numbers = np.arange(number, number + plain.count(b"\n"), dtype=np.int64)
    block = _regular(plain, separator, columns, numbers)
    return _one_by_one(lines, separator, columns) if block is None else block


def forms(block: Block, column: int) -> Iterator[CellForm]:
    """Yield the cells of a column grouped by their form, in the order of the first row of each form."""
    starts, widths = block.starts[:, column], block.ends[:, column] - block.starts[:, column]
    rest = np.arange(len(block))
    while len(rest):
        width = int(widths[rest[0]])
        if width > WIDEST_CELL:
            raise block.refuse(
                int(rest[0]), column, f"field {column + 1} is {width} bytes wide; at most {WIDEST_CELL} are read"
            )
        same = rest[widths[rest] == width]
        cells = block.data[starts[same][:, None] + np.arange(width)]
        digits = cells - np.uint8(_ZERO)
        shapes = np.where(digits < 10, np.uint8(_ZERO), cells)
        alike = (shapes == shapes[0]).all(axis=1)
        taken = same[alike]
        yield CellForm(shapes[0].tobytes().decode("latin-1"), taken, digits if alike.all() else digits[alike])
        rest = np.setdiff1d(rest, taken, assume_unique=True) if len(taken) < len(rest) else rest[:0]


def cells_of(line: str, separator: str) -> list[str]:
    """Return the cells of one line, without quotes and blanks around them.

    Raises:
        UnreadableTape: its quotes do not fit.
    """
    try:
        rows = list(csv.reader([line], delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise UnreadableTape(None, f"cannot be split into fields ({error})") from None
    return [cell.strip() for cell in rows[0]] if rows else []


def _regular(raw: bytes, separator: bytes, columns: int, numbers: Integers) -> Block | None:
    """Return the cells, or None when a line has another number of separators."""
    data = np.frombuffer(raw, np.uint8)
    is_end = data == _NEWLINE
    marks = np.flatnonzero(is_end | (data == separator[0]))
    if len(marks) != len(numbers) * columns or not is_end[marks[columns - 1 :: columns]].all():
        return None
    shape = (len(numbers), columns)
    starts = np.concatenate(([0], marks[:-1] + 1)).reshape(shape)
    ends = marks.reshape(shape)
    if b" " in raw or b"\t" in raw:
        return _trimmed(Block(data, starts, ends, numbers))
    return Block(data, starts, ends, numbers)


def _trimmed(block: Block) -> Block | None:
    """Return the cells without blanks around them; None when a cell has too many for this to be fast."""
    data, starts, ends = block.data, block.starts, block.ends
    for _ in range(WIDEST_CELL):
        leading = np.isin(data[starts], _BLANKS) & (starts < ends)
        trailing = np.isin(data[ends - 1], _BLANKS) & (starts < ends)
        if not leading.any() and not trailing.any():
            return Block(data, starts, ends, block.lines)
        starts, ends = starts + leading, ends - (trailing & (ends - starts > leading))
    return None


def _one_by_one(lines: Lines, separator: bytes, columns: int) -> Block:
    """Return the cells of lines that need a slower way: some are blank, or quote their separators."""
    rows: list[bytes] = []
    numbers: list[int] = []
    text = lines.raw.decode("utf-8", "replace").split("\n")
    for number, line in enumerate(text, lines.first):
        if not line.strip():
            continue
        try:
            cells = cells_of(line, separator.decode())
        except UnreadableTape as bad:
            raise UnreadableTape(number, bad.problem) from None
        while len(cells) > columns and not cells[-1]:
            cells.pop()
        if len(cells) != columns:
            has = f"has {len(cells)} field{'s' if len(cells) != 1 else ''}"
            raise UnreadableTape(number, f"{has} where {columns} are expected; mend or remove the line")
        rows.append(_OWN_SEPARATOR.join(re.sub(r"[\x1f\n]", "?", cell).encode() for cell in cells))
        numbers.append(number)
    if not rows:
        none = np.empty((0, columns), np.int64)
        return Block(np.empty(0, np.uint8), none, none, np.empty(0, np.int64))
    found = _regular(b"\n".join(rows) + b"\n", _OWN_SEPARATOR, columns, np.array(numbers, np.int64))
    if found is None:
        raise UnreadableTape(numbers[0], "cannot be split into fields")
    return found

"""The rows of a file as columns, block by block, with their values as written; what they mean is decided later."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tradeproc.market.tape_files.cells import Block, Integers, split
from tradeproc.market.tape_files.columns import Names, Prices, prices, whole
from tradeproc.market.tape_files.date_order import DateOrder
from tradeproc.market.tape_files.formats import OHLC, Layout, recognise
from tradeproc.market.tape_files.lines import Absent, Lines, UnreadableTape, blocks
from tradeproc.market.tape_files.moments import Moments, dates_and_clocks, moments

MOST_ROWS = 40_000_000
_HEAD_LINES = 50
_TRADE = "T"
_SEPARATOR_LINE = re.compile(rb'"?sep=.?"?\n', re.IGNORECASE)


@dataclass(slots=True)
class Rows:
    """All rows: `at` as written (UTC if `has_zone`), `lines` the line of each, `which` the number of its symbol.

    `prices` are open, high, low and close of bars, or the price of trades.
    """

    layout: Layout
    at: Integers
    lines: Integers
    which: Integers
    symbols: Sequence[str]
    prices: Sequence[Prices]
    sizes: Integers
    has_zone: bool
    skipped: int = 0
    warnings: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.at)

    def taken(self, rows: Integers) -> "Rows":
        """Return some of the rows, in the order given."""
        return Rows(
            self.layout,
            self.at[rows],
            self.lines[rows],
            self.which[rows],
            self.symbols,
            [Prices(each.values[rows], each.decimals[rows]) for each in self.prices],
            self.sizes[rows],
            self.has_zone,
            self.skipped,
            self.warnings,
        )


@dataclass(slots=True)
class _Part:
    moments: Moments
    lines: Integers
    which: Integers
    prices: list[Prices]
    sizes: Integers


@dataclass(slots=True)
class _Gathered:
    layout: Layout
    dates: DateOrder
    names: Names = field(default_factory=Names)
    actions: Names = field(default_factory=Names)
    parts: list[_Part] = field(default_factory=list)
    count: int = 0
    skipped: int = 0

    def add(self, lines: Lines) -> None:
        layout = self.layout
        if not lines.raw.strip():
            return
        block = split(lines, layout.separator.encode(), layout.width)
        if "action" in layout.columns and not layout.is_bars:
            is_trade = self.actions.numbers(block, layout.columns["action"]) == self.actions.number(_TRADE)
            self.skipped += int((~is_trade).sum())
            block = Block(block.data, block.starts[is_trade], block.ends[is_trade], block.lines[is_trade])
        if not len(block):
            return
        self.count += len(block)
        if self.count > MOST_ROWS:
            raise UnreadableTape(int(block.lines[0]), f"has more than {MOST_ROWS:,} rows before it; cut the file")
        self.parts.append(self._part(block))

    def _part(self, block: Block) -> _Part:
        columns, scale, named = self.layout.columns, self.layout.scale, self.layout.field
        names = OHLC if self.layout.is_bars else ("price",)
        if self.layout.is_bars and "up" in columns:
            sizes = whole(block, columns["up"], named("up"), 0) + whole(block, columns["down"], named("down"), 0)
        elif self.layout.is_bars:
            sizes = whole(block, columns["volume"], named("volume"), 0)
        else:
            sizes = whole(block, columns["size"], named("size"), 1)
        symbols = (
            self.names.numbers(block, columns["contract"])
            if "contract" in columns
            else np.zeros(len(block), np.int64)
        )
        return _Part(
            self._moments(block),
            block.lines,
            symbols.astype(np.int32),
            [prices(block, columns[name], named(name), scale) for name in names],
            sizes,
        )

    def _moments(self, block: Block) -> Moments:
        columns, named = self.layout.columns, self.layout.field
        if "moment" in columns:
            place = columns["moment"]
            found = moments(block, place, named("moment"))
        else:
            place = columns["date"]
            found = dates_and_clocks(block, (place, columns["clock"]), (named("date"), named("clock")))
        self.dates.see(found, block, place)
        if self.dates.is_settled():
            found.at, found.day_first = self.dates.settle(found), None
        if self.parts and self.parts[-1].moments.has_zone != found.has_zone:
            raise block.refuse(0, 0, "time must have a zone as the other lines have, or none as they")
        return found

    def rows(self) -> Rows:
        parts, self.parts = self.parts, []
        each = zip(*(part.prices for part in parts), strict=True)
        return Rows(
            self.layout,
            np.concatenate([self.dates.settle(part.moments) for part in parts]),
            np.concatenate([part.lines for part in parts]),
            np.concatenate([part.which for part in parts]),
            tuple(self.names.known),
            [
                Prices(np.concatenate([p.values for p in column]), np.concatenate([p.decimals for p in column]))
                for column in each
            ],
            np.concatenate([part.sizes for part in parts]),
            parts[0].moments.has_zone,
            self.skipped,
            self.dates.warnings(),
        )


def gather(chunks: Iterable[bytes], dates: DateOrder, heard: Callable[[int], None]) -> Rows:
    """Return the rows of a file; `heard` is called with their number after each block.

    Raises:
        UnreadableTape: names line and field.
    """
    gathered: _Gathered | None = None
    for lines in blocks(chunks):
        if gathered is None:
            if not lines.raw.strip():
                continue
            layout, lines = _begin(lines)
            gathered = _Gathered(layout, dates)
        gathered.add(lines)
        heard(gathered.count)
    if gathered is None:
        raise UnreadableTape(None, "is empty; give at least one line of trades or bars")
    if not gathered.count:
        raise Absent(None, "holds no trade; give at least one line after the header")
    return gathered.rows()


def _begin(lines: Lines) -> tuple[Layout, Lines]:
    """Return the layout, and the lines after the header."""
    if (place := lines.raw.find(b"\0")) >= 0:
        line = lines.first + lines.raw.count(b"\n", 0, place)
        raise UnreadableTape(line, "holds a NUL byte: this is no text, or UTF-16 without its mark; export it as CSV")
    leading = len(lines.raw) - len(lines.raw.lstrip())
    before = lines.raw.count(b"\n", 0, leading)
    start = lines.raw.rfind(b"\n", 0, leading) + 1
    first, raw = lines.first + before, lines.raw[start:]
    if _SEPARATOR_LINE.match(raw):
        # the line in which Excel names the separator is skipped, because the other lines show it
        first, raw = first + 1, raw[raw.find(b"\n") + 1 :]
    head = [line for line in raw.split(b"\n", _HEAD_LINES)[:_HEAD_LINES] if line.strip()]
    layout = recognise([line.decode("utf-8", "replace") for line in head])
    if layout.has_header:
        end = raw.find(b"\n") + 1
        return layout, Lines(first + 1, raw[end:])
    return layout, Lines(first, raw)

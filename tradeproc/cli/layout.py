"""How rows become a table that fits where it is printed.

Nothing wraps: long texts are cut, and the least important columns are left out where the width does not suffice; a
last line says which. Whatever came from outside is shown as it is, never read as markup; what cannot be printed is
escaped.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from tradeproc.domain.texts import shown

Row = Mapping[str, Any]
Cell = Callable[[Any], str | Text]

NOTHING = "–"
# blanks at the two edges of a table, and between two columns
_EDGES, _GAP = 2, 2


def plain_text(value: object) -> Text:
    """Return any text as it is: brackets are no markup, and what cannot be printed is escaped."""
    return Text(shown(str(value)))


def as_text(value: str | Text) -> Text:
    """Return something to show as rich's text."""
    return value if isinstance(value, Text) else plain_text(value)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, the key of the row, how a value is shown.

    `drop` 0 always stays; of the others the one with the highest goes first where there is no room. `cut` is the
    least width to which its texts may be cut, 0 for never.
    """

    heading: str
    key: str
    cell: Cell = plain_text
    right: bool = False
    drop: int = 0
    cut: int = 0

    def show(self, row: Row) -> Text:
        """Return the cell of a row; what is absent or empty is a dash."""
        value = row.get(self.key)
        return Text(NOTHING) if value is None or value == "" else as_text(self.cell(value))


@dataclass(frozen=True, slots=True)
class _Filled:
    """A column with its cells."""

    column: Column
    cells: Sequence[Text]

    @property
    def width(self) -> int:
        return max(cell_len(self.column.heading), *(cell.cell_len for cell in self.cells))

    @property
    def least(self) -> int:
        return min(self.width, self.column.cut or self.width)


class Listing:
    """Rows under headings, laid out when it is known how wide it may be."""

    def __init__(self, columns: Sequence[Column], rows: Iterable[Row]) -> None:
        kept = list(rows)
        filled = [column for column in columns if any(row.get(column.key) not in (None, "") for row in kept)]
        self._filled = [_Filled(column, [column.show(row) for row in kept]) for column in filled]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay it out for a console; called by rich."""
        shown = _that_fit(self._filled, options.max_width)
        yield _table(shown, _widths(shown, options.max_width))
        dropped = [each.column.heading for each in self._filled if each not in shown]
        if dropped:
            yield Text(f"wider terminal or --json shows: {', '.join(dropped)}", style="dim")


def _that_fit(filled: Sequence[_Filled], width: int) -> list[_Filled]:
    """Return the columns that fit when texts are cut as short as they may be."""
    shown = list(filled)
    while _total([each.least for each in shown]) > width:
        lesser = [each for each in shown if each.column.drop]
        if not lesser:
            break
        shown.remove(max(lesser, key=lambda each: each.column.drop))
    return shown


def _widths(shown: Sequence[_Filled], width: int) -> list[int]:
    """Return the width of each column; of those that may be cut the widest gives first."""
    least = [each.least for each in shown]
    # no column needs more than the whole width; without this bound a text of a megabyte would be cut letter by letter
    widths = [max(min(each.width, width), short) for each, short in zip(shown, least, strict=True)]
    while _total(widths) > width:
        spare = [place for place, short in enumerate(least) if widths[place] > short]
        if not spare:
            break
        widths[max(spare, key=lambda place: widths[place])] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1) + _EDGES


def _table(shown: Sequence[_Filled], widths: Sequence[int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for each, width in zip(shown, widths, strict=True):
        justify: Any = "right" if each.column.right else "left"
        table.add_column(Text(each.column.heading), justify=justify, width=width, no_wrap=True, overflow="ellipsis")
    for cells in zip(*(each.cells for each in shown), strict=True):
        table.add_row(*cells)
    return table


def pairs(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Return names and values one below the other; a value may have several lines."""
    grid = Table.grid(padding=(0, 2))
    for name, value in rows:
        grid.add_row(Text(name, style="dim"), value if isinstance(value, Text) else lines(value))
    return grid


def lines(text: str) -> Text:
    """Return a text of several lines as it is."""
    return Text("\n").join(plain_text(line) for line in text.split("\n"))

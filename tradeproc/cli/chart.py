"""Candles as text: pure, one column a candle, two half-cells a row.

A half-cell is body, wick or nothing; a row's character shows both of its halves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

# (upper half, lower half) of a cell: b body, w wick, space nothing
_GLYPHS = {
    "bb": "┃", "ww": "│", "wb": "╽", "bw": "╿",
    " b": "╻", "b ": "╹", " w": "╷", "w ": "╵", "  ": " ",
}  # fmt: skip

RISING, FALLING, FORMING = "green", "red", "bold"
_FEWEST_ROWS = 3


@dataclass(frozen=True, slots=True)
class ChartBar:
    """What the chart needs of a candle, and the fills in it: `mark` is + bought, - sold, 0 none."""

    open: float
    high: float
    low: float
    close: float
    is_closed: bool = True
    mark: int = 0


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps a price to a half-cell, counted from the bottom."""

    low: float
    high: float
    halves: int

    def half(self, price: float) -> int:
        """Return the half-cell a price falls in, within the scale."""
        if self.high <= self.low:
            return self.halves // 2
        place = (price - self.low) / (self.high - self.low) * self.halves
        return min(max(math.floor(place), 0), self.halves - 1)

    def price(self, row: int) -> float:
        """Return the price in the middle of a row, rows counted from the bottom."""
        return self.low + (self.high - self.low) * (row * 2 + 1) / self.halves


def scale_of(bars: Sequence[ChartBar], rows: int) -> Scale:
    """Return the scale that shows all of the bars."""
    return Scale(min(bar.low for bar in bars), max(bar.high for bar in bars), rows * 2)


def column(bar: ChartBar, scale: Scale) -> str:
    """Return a candle from bottom to top, one character a row."""
    low, high = scale.half(bar.low), scale.half(bar.high)
    bottom, top = sorted((scale.half(bar.open), scale.half(bar.close)))
    halves = ["b" if bottom <= at <= top else "w" if low <= at <= high else " " for at in range(scale.halves)]
    return "".join(_GLYPHS[halves[at + 1] + halves[at]] for at in range(0, scale.halves, 2))


def colour(bar: ChartBar) -> str:
    """Return the rich style of a candle."""
    style = RISING if bar.close >= bar.open else FALLING
    return style if bar.is_closed else f"{FORMING} {style}"


@dataclass(frozen=True, slots=True)
class Axis:
    """How prices are written at the right: in steps of the tick, with its decimals."""

    tick: float = 0.01
    decimals: int = 2

    def label(self, price: float) -> str:
        """Return the nearest price that can be traded."""
        # adding zero makes -0.00 the 0.00 that it is
        return f"{round(price / self.tick) * self.tick + 0.0:.{self.decimals}f}"


def draw(bars: Sequence[ChartBar], width: int, height: int, axis: Axis) -> Text:
    """Return the newest bars that fit, the prices at the right and below them the bars in which we traded.

    `bars` are oldest first. The last row holds ▲ where we bought and ▼ where we sold. Where there is room, the
    candles stand apart.
    """
    if not bars:
        return Text("waiting for the first bar", style="dim")
    rows = max(height - 1, _FEWEST_ROWS)
    label = max(len(axis.label(price)) for bar in bars for price in (bar.high, bar.low))
    room = max(width - label - 1, 1)
    shown = list(bars)[-room:]
    apart = " " if len(shown) * 2 <= room else ""
    scale = scale_of(shown, rows)
    columns = [column(bar, scale) for bar in shown]
    last = scale.half(shown[-1].close) // 2
    text = Text(no_wrap=True)
    for row in reversed(range(rows)):
        for bar, drawn in zip(shown, columns, strict=True):
            text.append(drawn[row] + apart, style=colour(bar))
        text.append(" ")
        text.append(
            *_label(row, rows - 1 - row, last, axis.label(shown[-1].close if row == last else scale.price(row)))
        )
        text.append("\n")
    for bar in shown:
        text.append(*_mark(bar.mark))
        text.append(apart)
    return text


def _label(row: int, from_top: int, last: int, label: str) -> tuple[str, str]:
    if row == last:
        return label, "reverse"
    if from_top % 3 == 0 and abs(row - last) > 1:
        return label, "dim"
    return "", ""


def _mark(mark: int) -> tuple[str, str]:
    if mark == 0:
        return " ", ""
    return ("▲", RISING) if mark > 0 else ("▼", FALLING)

"""Cells into prices, sizes and names; an error names the line, the field and the text of the cell."""

import re
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from tradeproc.market.tape_files.cells import WIDEST_CELL, Block, Integers, forms

Floats = npt.NDArray[np.float64]

LARGEST_SIZE = 10**12
# the number of decimals of a price that is exact although it is written without decimals, as 109'09
EXACT = 99
# a comma before three digits may separate thousands, so such a cell is left to `price_of`
_PLAIN = re.compile(r"([+-]?)(0*)(?:(?:\.|,(?!000$))(0*))?")
_WHOLE = re.compile(r"\+?(0{1,18})(?:\.(0*))?")
_MOST_DIGITS = 18
_DOT_OR_EXPONENT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+,(\d{1,2}|\d{4,9})|\d{4,},\d{3})", re.ASCII)
# 109'09 and 109-09 are 32nds; a third digit is eighths of one: 109'095 is 9.5, 109'097 is 9.75; 481'2 is eighths
_THIRTY_SECONDS = re.compile(r"([+-]?)(\d+)['-]([0-2]\d|3[01])(?:\.(\d{1,4})|(\d)|(\+))?", re.ASCII)
_EIGHTHS = re.compile(r"([+-]?)(\d+)'([0-7])", re.ASCII)
_THIRD_DIGIT = {digit: Fraction(index, 8) for index, digit in enumerate("01235678")}


@dataclass(slots=True)
class Prices:
    """Prices of a column, and with how many decimals each is written."""

    values: Floats
    decimals: npt.NDArray[np.int8]


def prices(block: Block, column: int, name: str, scale: int = 0) -> Prices:
    """Return the prices of a column; `scale` decimals are implied in those written without a dot.

    Raises:
        UnreadableTape: a cell is no number.
    """
    found = Prices(np.empty(len(block)), np.empty(len(block), np.int8))
    for form in forms(block, column):
        plain = _PLAIN.fullmatch(form.form)
        if plain is None or not 0 < len(plain[2] or "") + len(plain[3] or "") <= _MOST_DIGITS:
            _set_odd(found, block, column, form.rows, name)
            continue
        if plain[3] is None and scale:
            numbers, decimals = form.number(*plain.span(2)), scale
        else:
            digits = form.number(*plain.span(2))
            decimals = len(plain[3] or "")
            for place in range(*plain.span(3)) if decimals else ():
                digits = digits * 10 + form.digits[:, place]
            numbers = digits
        # both are exact below 2^53, so the quotient is the float nearest to what is written
        values = numbers / float(10**decimals)
        found.values[form.rows] = -values if plain[1] == "-" else values
        found.decimals[form.rows] = decimals
    return found


def whole(block: Block, column: int, name: str, least: int) -> Integers:
    """Return the whole numbers of a column; `812.0` and `1,812` are whole.

    Raises:
        UnreadableTape: a cell is no whole number, is below `least`, or is above `LARGEST_SIZE`.
    """
    found = np.empty(len(block), np.int64)
    for form in forms(block, column):
        plain = _WHOLE.fullmatch(form.form)
        if plain is None:
            for row in form.rows.tolist():
                found[row] = _odd_whole(block.text(row, column))
            continue
        values = form.number(*plain.span(1))
        if plain[2]:
            values[(form.digits[:, slice(*plain.span(2))] != 0).any(axis=1)] = -1
        found[form.rows] = values
    bad = np.flatnonzero((found < least) | (found > LARGEST_SIZE))
    if len(bad):
        raise block.refuse(int(bad[0]), column, f"{name} must be a whole number from {least} on")
    return found


@dataclass(slots=True)
class Names:
    """A number for each text of a column; the same text has the same number in every block."""

    known: dict[str, int] = field(default_factory=dict)

    def numbers(self, block: Block, column: int) -> Integers:
        """Return the number of each cell's text.

        Raises:
            UnreadableTape: a cell is too wide.
        """
        starts, widths = block.starts[:, column], block.ends[:, column] - block.starts[:, column]
        found = np.empty(len(block), np.int64)
        for width in np.unique(widths).tolist():
            rows = np.flatnonzero(widths == width)
            if width > WIDEST_CELL:
                raise block.refuse(
                    int(rows[0]),
                    column,
                    f"field {column + 1} is a name of {width} bytes; at most {WIDEST_CELL} are read",
                )
            if not width:
                found[rows] = self.number("")
                continue
            texts = np.ascontiguousarray(block.data[starts[rows][:, None] + np.arange(width)]).view(f"S{width}")
            each, which = np.unique(texts[:, 0], return_inverse=True)
            ids = [self.number(text.decode("utf-8", "replace")) for text in each.tolist()]
            found[rows] = np.array(ids, np.int64)[which.reshape(-1)]
        return found

    def number(self, text: str) -> int:
        """Return the number of a text."""
        return self.known.setdefault(text, len(self.known))


def price_of(text: str) -> tuple[float, int] | None:
    """Return the price that an unusual text means and its decimals, or None; `4,750` is refused as ambiguous."""
    if (match := _THIRTY_SECONDS.fullmatch(text)) is not None:
        sign, points, parts, decimals, third, plus = match.groups()
        extra = Fraction(int(decimals), 10 ** len(decimals)) if decimals else Fraction(1 if plus else 0, 2)
        if third:
            if third not in _THIRD_DIGIT:
                return None
            extra = _THIRD_DIGIT[third]
        value = float(int(points) + (int(parts) + extra) / 32)
        return (-value if sign == "-" else value), EXACT
    if (match := _EIGHTHS.fullmatch(text)) is not None:
        value = int(match[2]) + int(match[3]) / 8
        return (-value if match[1] == "-" else value), EXACT
    if _THOUSANDS.fullmatch(text) and ("." in text or text.count(",") > 1):
        text = text.replace(",", "")
    elif _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if (number := _DOT_OR_EXPONENT.fullmatch(text)) is None or abs(float(text)) > 1e15:
        return None
    mantissa, exponent = number[1], int((number[2] or "e0")[1:])
    return float(text), min(max(len(mantissa.partition(".")[2]) - exponent, 0), EXACT)


def _set_odd(found: Prices, block: Block, column: int, rows: Integers, name: str) -> None:
    known: dict[str, tuple[float, int] | None] = {}
    for row in rows.tolist():
        text = block.text(row, column)
        if text not in known:
            known[text] = price_of(text)
        price = known[text]
        if price is None:
            raise block.refuse(row, column, f"{name} must be a number as 4750.25")
        found.values[row], found.decimals[row] = price


def _odd_whole(text: str) -> int:
    """Return the whole number that an unusual text means, or -1 if it is not one."""
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if _DOT_OR_EXPONENT.fullmatch(text) is None:
        return -1
    value = float(text)
    return int(value) if 0 <= value <= LARGEST_SIZE and value == int(value) else -1

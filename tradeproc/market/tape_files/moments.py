"""Cells into times: nanoseconds since 1970, in UTC where the text has a zone, else in the local time that it shows.

A date as 02/01/2024 may begin with its month or its day. Both times are computed, and the rows are noted that can be
only one of them. `date_order.py`, which sees the whole file, chooses.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeproc.domain.units import MINUTE, SECOND
from tradeproc.market.tape_files.cells import Block, CellForm, Integers, forms

Flags = npt.NDArray[np.bool_]

_DAY = 86_400 * SECOND
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
# forms of times since 1970, by their number of digits, and the nanoseconds of their unit
_EPOCHS = {"0" * 19: 1, "0" * 18: 1, "0" * 16: 1_000, "0" * 13: 1_000_000, "0" * 10: SECOND}
_SECONDS = re.compile(r"0{10}\.(0{1,9})")
_YEAR_FIRST = r"(?P<y>0000)(?:(?P<s>[-/.])(?P<m>00?)(?P=s)(?P<d>00?)|(?P<m2>00)(?P<d2>00))"
_MONTH_FIRST = r"(?P<m>00?)(?P<s>[/-])(?P<d>00?)(?P=s)(?P<y>0000)|(?P<m2>00?)/(?P<d2>00?)/(?P<y2>00)"
_DAY_FIRST = r"(?P<d>00?)\.(?P<m>00?)\.(?P<y>0000|00)"
# years of two digits below this belong to the 2000s, the others to the 1900s
_CENTURY_TURNS = 70
_CLOCK = (
    r"(?:(?P<H>00?):(?P<M>00)(?::(?P<S>00)(?:[.,:](?P<f>0{1,9}))?)?(?P<p> ?[AaPp][Mm])?"
    r"|(?P<H2>00?)(?P<M2>00)(?:(?P<S2>00)(?:[ .](?P<f2>0{1,9}))?)?)"
)
_ZONE = r"(?P<z> ?Z| ?UTC| ?GMT| ?(?P<zs>[+-])(?P<zh>00):?(?P<zm>00)?)?"
_DATES = [re.compile(each) for each in (_YEAR_FIRST, _MONTH_FIRST, _DAY_FIRST)]
_MOMENTS = [re.compile(f"(?:{each})(?:[T ]|, ?)?{_CLOCK}{_ZONE}") for each in (_YEAR_FIRST, _MONTH_FIRST, _DAY_FIRST)]
_CLOCKS = [re.compile(f"{_CLOCK}{_ZONE}")]
# other names of the same part: a pattern cannot use a name twice
_PART = {"m2": "m", "d2": "d", "y2": "y", "H2": "H", "M2": "M", "S2": "S", "f2": "f"}
_AS = "as 2024-01-31 09:30:00, 20240131 093000 or 01/31/2024 09:30"


@dataclass(slots=True)
class Moments:
    """Times in nanoseconds, and whether each has a zone (then it is UTC).

    `day_first` are the times if dates as 02/01/2024 begin with the day, None without such dates. `only_month` are the
    rows that can only begin with the month, as 01/31/2024, `only_day` those with the day, as 31/01/2024.
    `has_short_years` is True if some years have two digits.
    """

    at: Integers
    has_zone: bool
    day_first: Integers | None = None
    only_month: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    only_day: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    has_short_years: bool = False


class _Dates(NamedTuple):
    """Dates in nanoseconds since 1970, and which of them do not exist."""

    at: Integers
    is_wrong: Flags


def is_time(text: str) -> bool:
    """Tell whether a text has the form of a time, with or without its date; a plain number is none."""
    return is_date(text) or is_clock(text) or is_moment(text)


def is_clock(text: str) -> bool:
    """Tell whether a text has the form of a time of day; four or six digits are one only if there is such a time."""
    form = re.sub(r"[0-9]", "0", text)
    if not any(each.fullmatch(form) for each in _CLOCKS):
        return False
    if not text.isdigit():
        return True
    hour, minute, second = (text[:-4], text[-4:-2], text[-2:]) if len(text) > 4 else (text[:-2], text[-2:], "0")
    return int(hour) < 24 and int(minute) < 60 and int(second) < 60


def is_date(text: str) -> bool:
    """Tell whether a text has the form of a date alone."""
    form = re.sub(r"[0-9]", "0", text)
    return any(each.fullmatch(form) for each in _DATES)


def is_moment(text: str) -> bool:
    """Tell whether a text has the form of a date with its time, or of a time since 1970."""
    form = re.sub(r"[0-9]", "0", text)
    return any(each.fullmatch(form) for each in (*_MOMENTS, _SECONDS)) or form in _EPOCHS


def moments(block: Block, column: int, name: str) -> Moments:
    """Return the times of a column of dates with times.

    Raises:
        UnreadableTape: a cell is no time, or only some have a zone.
    """
    return _read(block, column, name, _MOMENTS)


def dates_and_clocks(block: Block, columns: tuple[int, int], names: tuple[str, str]) -> Moments:
    """Return the times of a column of dates and one of times of day.

    Raises:
        UnreadableTape: a cell is no date or no time.
    """
    days = _read(block, columns[0], names[0], _DATES)
    clocks = _read(block, columns[1], names[1], _CLOCKS)
    days.at += clocks.at
    if days.day_first is not None:
        days.day_first += clocks.at
    days.has_zone = clocks.has_zone
    return days


def _read(block: Block, column: int, name: str, allowed: list[re.Pattern[str]]) -> Moments:
    at, day_first = np.zeros(len(block), np.int64), np.zeros(len(block), np.int64)
    zoned, month_sure, day_sure = (np.zeros(len(block), np.bool_) for _ in range(3))
    what = "time" if allowed is _MOMENTS else "date" if allowed is _DATES else "time of day"
    has_slashes = has_short_years = False
    for form in forms(block, column):
        if allowed is _MOMENTS and (epoch := _of_epoch(block, column, name, form)) is not None:
            at[form.rows] = day_first[form.rows] = epoch
            zoned[form.rows] = True
            continue
        match = next(filter(None, (each.fullmatch(form.form) for each in allowed)), None)
        if match is None:
            raise block.refuse(int(form.rows[0]), column, f"{name} must be a {what} {_AS}")
        parts = {_PART.get(key, key): slice(*match.span(key)) for key, text in match.groupdict().items() if text}
        clock, problem = _clocks(form, parts, match)
        days = other = _dates(form, parts)
        if "y" in parts and parts["m"].start < parts["d"].start < parts["y"].start:
            other = _dates(form, parts | {"m": parts["d"], "d": parts["m"]})
            has_slashes = True
        problem |= days.is_wrong & other.is_wrong
        if len(bad := np.flatnonzero(problem)):
            raise block.refuse(
                int(form.rows[bad[0]]),
                column,
                f"{name} must be a date and time that exist, of the years {_FIRST_YEAR} to {_LAST_YEAR}, {_AS}",
            )
        at[form.rows], day_first[form.rows] = clock + days.at, clock + other.at
        month_sure[form.rows], day_sure[form.rows] = other.is_wrong, days.is_wrong
        zoned[form.rows] = "z" in parts
        has_short_years |= "y" in parts and parts["y"].stop - parts["y"].start == 2
    if zoned.any() and not zoned.all():
        raise block.refuse(int(np.argmin(zoned)), column, f"{name} must have a zone as the other lines have")
    has_zone = bool(zoned.all()) and len(block) > 0
    sure = np.flatnonzero(month_sure), np.flatnonzero(day_sure)
    return Moments(at, has_zone, day_first if has_slashes else None, *sure, has_short_years)


def _of_epoch(block: Block, column: int, name: str, form: CellForm) -> Integers | None:
    """Return the times of cells that count from 1970, or None if the cells have another form."""
    if form.form in _EPOCHS:
        return _since_1970(block, column, name, form)
    if (seconds := _SECONDS.fullmatch(form.form)) is None:
        return None
    fraction = form.number(*seconds.span(1)) * 10 ** (9 - len(seconds[1]))
    return np.asarray(form.number(0, 10) * SECOND + fraction)


def _since_1970(block: Block, column: int, name: str, form: CellForm) -> Integers:
    width = len(form.form)
    most = (_LAST_YEAR - _FIRST_YEAR) * 365 * _DAY // _EPOCHS[form.form]
    # checked without the last digit, because the product of a larger number and its unit could exceed 64 bits
    high = form.number(0, width - 1)
    if len(bad := np.flatnonzero(high > most // 10)):
        raise block.refuse(int(form.rows[bad[0]]), column, f"{name} must be a time since 1970, before {_LAST_YEAR}")
    return form.number(0, width) * _EPOCHS[form.form]


def _clocks(form: CellForm, parts: Mapping[str, slice], match: re.Match[str]) -> tuple[Integers, Flags]:
    """Return the times of day of cells of one form, less their offset from UTC, and which of them do not exist."""
    hour, minute, second = (_number(form, parts, key) for key in "HMS")
    problem = (hour > 23) | (minute > 59) | (second > 59)
    if "p" in parts:
        problem |= (hour < 1) | (hour > 12)
        hour = hour % 12 + (12 if "p" in match["p"].lower() else 0)
    found = ((hour * 60 + minute) * 60 + second) * SECOND
    if "f" in parts:
        found = found + _number(form, parts, "f") * 10 ** (9 - (parts["f"].stop - parts["f"].start))
    if "zs" in parts:
        offset = (_number(form, parts, "zh") * 60 + _number(form, parts, "zm")) * MINUTE
        problem |= (_number(form, parts, "zh") > 18) | (_number(form, parts, "zm") > 59)
        found = found - (offset if match["zs"] == "+" else -offset)
    return found, problem


def _dates(form: CellForm, parts: Mapping[str, slice]) -> _Dates:
    """Return the dates of cells of one form; cells without a date are of 1970-01-01."""
    if "y" not in parts:
        return _Dates(np.zeros(len(form.rows), np.int64), np.zeros(len(form.rows), np.bool_))
    year, month, day = (_number(form, parts, key) for key in "ymd")
    if parts["y"].stop - parts["y"].start == 2:
        year = year + np.where(year < _CENTURY_TURNS, 2000, 1900)
    wrong = (year < _FIRST_YEAR) | (year > _LAST_YEAR) | (month < 1) | (month > 12) | (day < 1)
    days, length = _days(np.where(wrong, 2000, year), np.where(wrong, 1, month))
    return _Dates((days + day - 1) * _DAY, wrong | (day > length))


def _number(form: CellForm, parts: Mapping[str, slice], key: str) -> Integers:
    if key not in parts:
        return np.zeros(len(form.rows), np.int64)
    return form.number(parts[key].start, parts[key].stop)


def _days(year: Integers, month: Integers) -> tuple[Integers, Integers]:
    """Return the days from 1970 to the first of each month, and how many days it has."""
    months = (year - 1970) * 12 + month - 1
    firsts = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    nexts = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return firsts, nexts - firsts

"""Cells into times: nanoseconds since 1970, UTC where the text has a zone, else as the clock on the wall showed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tradeproc.domain.units import MINUTE, SECOND
from tradeproc.market.tape_files.cells import Block, Form, Integers, forms

_DAY = 86_400 * SECOND
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
# number of digits, nanoseconds a unit
_EPOCHS = {"0" * 19: 1, "0" * 18: 1, "0" * 16: 1_000, "0" * 13: 1_000_000, "0" * 10: SECOND}
_SECONDS = re.compile(r"0{10}\.(0{1,9})")
_YEAR_FIRST = r"(?P<y>0000)(?:(?P<s>[-/.])(?P<m>00?)(?P=s)(?P<d>00?)|(?P<m2>00)(?P<d2>00))"
_MONTH_FIRST = r"(?P<m>00?)(?P<s>[/-])(?P<d>00?)(?P=s)(?P<y>0000)"
_DAY_FIRST = r"(?P<d>00?)\.(?P<m>00?)\.(?P<y>0000)"
_CLOCK = (
    r"(?:(?P<H>00?):(?P<M>00)(?::(?P<S>00)(?:[.,:](?P<f>0{1,9}))?)?(?P<p> ?[AaPp][Mm])?"
    r"|(?P<H2>00?)(?P<M2>00)(?:(?P<S2>00)(?:[ .](?P<f2>0{1,9}))?)?)"
)
_ZONE = r"(?P<z> ?Z| ?UTC| ?GMT| ?(?P<zs>[+-])(?P<zh>00):?(?P<zm>00)?)?"
_DATES = [re.compile(each) for each in (_YEAR_FIRST, _MONTH_FIRST, _DAY_FIRST)]
_MOMENTS = [re.compile(f"{each}(?:[T ]|, ?)?{_CLOCK}{_ZONE}") for each in (_YEAR_FIRST, _MONTH_FIRST, _DAY_FIRST)]
_CLOCKS = [re.compile(f"{_CLOCK}{_ZONE}")]
_AS = "as 2024-01-31 09:30:00, 20240131 093000 or 01/31/2024 09:30"


@dataclass(slots=True)
class Moments:
    """Times in nanoseconds, and whether each has a zone (then it is UTC)."""

    at: Integers
    has_zone: bool


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
        Unreadable: a cell is no time, or only some have a zone.
    """
    return _read(block, column, name, _MOMENTS)


def dates_and_clocks(block: Block, columns: tuple[int, int], names: tuple[str, str]) -> Moments:
    """Return the times of a column of dates and one of times of day.

    Raises:
        Unreadable: a cell is no date or no time.
    """
    days = _read(block, columns[0], names[0], _DATES)
    clocks = _read(block, columns[1], names[1], _CLOCKS)
    return Moments(days.at + clocks.at, clocks.has_zone)


def _read(block: Block, column: int, name: str, allowed: list[re.Pattern[str]]) -> Moments:
    at = np.zeros(len(block), np.int64)
    zoned = np.zeros(len(block), np.bool_)
    what = "time" if allowed is _MOMENTS else "date" if allowed is _DATES else "time of day"
    for form in forms(block, column):
        if allowed is _MOMENTS and form.form in _EPOCHS:
            at[form.rows], zoned[form.rows] = _since_1970(block, column, name, form), True
            continue
        if allowed is _MOMENTS and (seconds := _SECONDS.fullmatch(form.form)):
            fraction = form.number(*seconds.span(1)) * 10 ** (9 - len(seconds[1]))
            at[form.rows], zoned[form.rows] = form.number(0, 10) * SECOND + fraction, True
            continue
        match = next(filter(None, (each.fullmatch(form.form) for each in allowed)), None)
        if match is None:
            raise block.refuse(int(form.rows[0]), column, f"{name} must be a {what} {_AS}")
        parts = {key: slice(*match.span(key)) for key, text in match.groupdict().items() if text}
        found, problem = _of_parts(form, parts, match)
        if len(bad := np.flatnonzero(problem)):
            raise block.refuse(
                int(form.rows[bad[0]]),
                column,
                f"{name} must be a date and time that exist, of the years {_FIRST_YEAR} to {_LAST_YEAR}, {_AS} "
                "(with / the month comes first)",
            )
        at[form.rows], zoned[form.rows] = found, "z" in parts
    if zoned.any() and not zoned.all():
        raise block.refuse(int(np.argmin(zoned)), column, f"{name} must have a zone as the other lines have")
    return Moments(at, bool(zoned.all()) and len(block) > 0)


def _since_1970(block: Block, column: int, name: str, form: Form) -> Integers:
    width = len(form.form)
    most = (_LAST_YEAR - _FIRST_YEAR) * 365 * _DAY // _EPOCHS[form.form]
    # nineteen digits fit below 2199; what does not is cut off before it can wrap
    high = form.number(0, width - 1)
    if len(bad := np.flatnonzero(high > most // 10)):
        raise block.refuse(int(form.rows[bad[0]]), column, f"{name} must be a time since 1970, before {_LAST_YEAR}")
    return form.number(0, width) * _EPOCHS[form.form]


def _of_parts(form: Form, parts: Mapping[str, slice], match: re.Match[str]) -> tuple[Integers, np.ndarray]:
    """Return the times of cells of one form, and which of them cannot be."""

    def number(*keys: str) -> Integers:
        for key in keys:
            if key in parts:
                return form.number(parts[key].start, parts[key].stop)
        return np.zeros(len(form.rows), np.int64)

    hour, minute, second = number("H", "H2"), number("M", "M2"), number("S", "S2")
    problem = (hour > 23) | (minute > 59) | (second > 59)
    if "p" in parts:
        problem |= (hour < 1) | (hour > 12)
        hour = hour % 12 + (12 if "p" in match["p"].lower() else 0)
    found = ((hour * 60 + minute) * 60 + second) * SECOND
    for key in ("f", "f2"):
        if key in parts:
            found = found + number(key) * 10 ** (9 - (parts[key].stop - parts[key].start))
    if "zs" in parts:
        offset = (number("zh") * 60 + number("zm")) * MINUTE
        problem |= (number("zh") > 18) | (number("zm") > 59)
        found = found - (offset if match["zs"] == "+" else -offset)
    if "y" in parts:
        year, month, day = number("y"), number("m", "m2"), number("d", "d2")
        problem |= (year < _FIRST_YEAR) | (year > _LAST_YEAR) | (month < 1) | (month > 12) | (day < 1)
        days, length = _days(np.where(problem, 2000, year), np.where(problem, 1, month))
        problem |= day > length
        found = found + (days + day - 1) * _DAY
    return found, problem


def _days(year: Integers, month: Integers) -> tuple[Integers, Integers]:
    """Return the days from 1970 to the first of each month, and how many days it has."""
    months = (year - 1970) * 12 + month - 1
    firsts = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    nexts = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return firsts, nexts - firsts

"""The holidays of CME Group's exchanges as rules; no calendar library is asked.

`scripts/make_calendar` makes `tradeproc/domain/calendar_table.py` from them and holds them against two libraries.
They follow CME Group's holiday schedules of 2015 to 2026, as its press releases, brokers and vendors republished
them; later years follow the same rules. Where these sources disagree or a year is not published yet, the earlier
close is taken: closing a position too early costs little, too late leaves it in a closed market. So foreign exchange
keeps 12:15 on Christmas Eve and the day after Thanksgiving, although one vendor has 12:45 and 13:45 since 2025, and
energy and metals go back to 12:45 after Thanksgiving from 2027 on. Good Fridays with the monthly payroll figures are
short sessions instead of holidays: put the next ones into PAYROLL_GOOD_FRIDAYS when the Bureau of Labor Statistics
has published its year. The exchange's own page: https://www.cmegroup.com/trading-hours.html (choose a date).
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

CHECKED = "2026-11-27"
FIRST_YEAR, LAST_YEAR = 2015, 2030
ZONE = "America/Chicago"
PAYROLL_GOOD_FRIDAYS = (2015, 2021, 2023, 2026)
GLOBEX = "17:00-1 16:00"
CALENDARS = {
    "cme_equity": GLOBEX,
    "cme_fx": GLOBEX,
    "cbot_rates": GLOBEX,
    "cme_energy": GLOBEX,
    "cme_metals": GLOBEX,
    "cbot_grains": "19:00-1 07:45 08:30 13:20",
    "cme_livestock": "08:30 13:05",
}

# A cell: `closed`, `open` (as on any day), the early close, or `late`: no trading before 08:30, as in `late 12:05`.
# `2022:13:30` holds from that year on, `F:12:00` when the day is a Friday, because no market reopens on its evening.
RULES = """
holiday              | equity | fx                       | rates | energy and metals                  | grains     | livestock
new_year             | closed | closed                   | closed| closed                             | closed     | closed
martin_luther_king   | 12:00  | 12:00, 2022:open         | 12:00 | 12:00, 2022:13:30                  | closed     | closed
presidents_day       | 12:00  | 12:00, 2022:open         | 12:00 | 12:00, 2022:13:30                  | closed     | closed
good_friday          | closed | closed                   | closed| closed                             | closed     | closed
payroll_good_friday  | 08:15  | 10:15                    | 10:15 | closed                             | closed     | closed
memorial_day         | 12:00  | 12:00, 2022:open         | 12:00 | 12:00, 2022:13:30                  | closed     | closed
juneteenth           | 12:00  | open, F:12:00            | 12:00 | 13:30, F:12:00                     | closed     | closed
independence_eve     | 12:15  | open                     | open  | open                               | 12:05, 2020:open | 12:15, 2020:open
independence_day     | 12:00  | 12:00, 2022:open, F:12:00| 12:00 | 12:00, 2022:13:30, F:12:00         | closed     | closed
after_independence   | open   | open                     | open  | open                               | late       | open
labor_day            | 12:00  | 12:00, 2022:open         | 12:00 | 12:00, 2022:13:30                  | closed     | closed
thanksgiving         | 12:00  | 12:00, 2022:open         | 12:00 | 12:00, 2022:13:30                  | closed     | closed
thanksgiving_friday  | 12:15  | 12:15                    | 12:15 | 12:45, 2025:13:45, 2027:12:45      | late 12:05 | 12:05
christmas_eve        | 12:15  | 12:15                    | 12:15 | 12:45                              | 12:05      | 12:05
christmas            | closed | closed                   | closed| closed                             | closed     | closed
after_christmas      | open   | open                     | open  | open                               | late       | open
after_new_year       | open   | open                     | open  | open                               | late       | open
"""  # noqa: E501
COLUMNS = (
    ("cme_equity",),
    ("cme_fx",),
    ("cbot_rates",),
    ("cme_energy", "cme_metals"),
    ("cbot_grains",),
    ("cme_livestock",),
)

# days that follow no rule: date, name, and the early close of some calendars
ONCE: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("2015-01-16", "before_long_weekend", {"cbot_rates": "15:15", "cme_fx": "15:15"}),
    ("2015-02-13", "before_long_weekend", {"cbot_rates": "15:15", "cme_fx": "15:15"}),
    ("2015-05-22", "before_long_weekend", {"cbot_rates": "15:15", "cme_fx": "15:15"}),
    ("2015-07-02", "before_long_weekend", {"cbot_grains": "12:00", "cme_livestock": "12:15"}),
    ("2016-12-23", "before_long_weekend", {"cbot_grains": "12:05", "cme_livestock": "12:15"}),
    ("2017-12-22", "before_long_weekend", {"cbot_grains": "12:05", "cme_livestock": "12:15"}),
    ("2020-07-02", "before_long_weekend", {"cbot_grains": "12:05", "cme_livestock": "12:15"}),
    ("2018-12-05", "day_of_mourning", {"cme_equity": "08:30"}),
    (
        "2025-01-09",
        "day_of_mourning",
        {"cme_equity": "08:30", "cbot_rates": "12:15", "cbot_grains": "12:15", "cme_livestock": "12:15"},
    ),
)


class Special(NamedTuple):
    """How a date differs: the name of the holiday, and its hours as the table writes them."""

    name: str
    hours: str


def specials(calendar: str) -> dict[date, Special]:
    """Return every date of a calendar that differs from its usual hours, oldest first."""
    usual, cells = CALENDARS[calendar], _cells(calendar)
    found: dict[date, Special] = {}
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        for day, name in holidays(year):
            hours = _hours(usual, _value(cells[name], day))
            if hours != usual:
                found[day] = Special(name, hours)
    for text, name, closes in ONCE:
        if calendar in closes:
            found[date.fromisoformat(text)] = Special(name, _hours(usual, closes[calendar]))
    return dict(sorted(found.items()))


def holidays(year: int) -> Iterator[tuple[date, str]]:
    """Yield the observed dates of a year with their names; none falls on a weekend."""
    new_year, christmas = date(year, 1, 1), date(year, 12, 25)
    if new_year.weekday() != 5:  # a New Year on a Saturday is not observed on the Friday before
        new_year = _observed(new_year)
        yield new_year, "new_year"
        yield from _morning_after(new_year, "after_new_year")
    yield _nth(year, 1, 0, 3), "martin_luther_king"
    yield _nth(year, 2, 0, 3), "presidents_day"
    payroll = "payroll_" if year in PAYROLL_GOOD_FRIDAYS else ""
    yield _easter(year) - timedelta(days=2), f"{payroll}good_friday"
    yield _nth(year, 6, 0, 1) - timedelta(days=7), "memorial_day"
    if year >= 2022:
        yield _observed(date(year, 6, 19)), "juneteenth"
    independence = _observed(date(year, 7, 4))
    if independence.day == 4 and independence.weekday() in range(1, 5):
        yield date(year, 7, 3), "independence_eve"
    yield independence, "independence_day"
    if independence.weekday() in range(1, 4):
        yield from _morning_after(independence, "after_independence")
    yield _nth(year, 9, 0, 1), "labor_day"
    thanksgiving = _nth(year, 11, 3, 4)
    yield thanksgiving, "thanksgiving"
    yield thanksgiving + timedelta(days=1), "thanksgiving_friday"
    if christmas.weekday() in range(1, 5):
        yield date(year, 12, 24), "christmas_eve"
    yield _observed(christmas), "christmas"
    yield from _morning_after(_observed(christmas), "after_christmas")


def _morning_after(day: date, name: str) -> Iterator[tuple[date, str]]:
    if day.weekday() < 4:
        yield day + timedelta(days=1), name


def _observed(day: date) -> date:
    return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def _nth(year: int, month: int, weekday: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def _easter(year: int) -> date:
    """Return Easter Sunday by the anonymous Gregorian computus."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)


def _cells(calendar: str) -> dict[str, str]:
    column = next(number for number, names in enumerate(COLUMNS, 1) if calendar in names)
    rows = [[cell.strip() for cell in line.split("|")] for line in RULES.strip().splitlines()[1:]]
    return {row[0]: row[column] for row in rows}


def _value(cell: str, day: date) -> str:
    """Return what a cell says of a day: the last of its words that applies to the day."""
    value = ""
    for word in cell.split(", "):
        since, sign, rest = word.partition(":")
        if sign and since == "F":
            # before 2022 the exchange halted at noon on each of these holidays, so Fridays were no exception
            value = rest if day.weekday() == 4 and day.year >= 2022 else value
        elif sign and len(since) == 4:
            value = rest if day.year >= int(since) else value
        else:
            value = word
    return value


def _hours(usual: str, value: str) -> str:
    """Return the usual hours changed by a cell's value."""
    if value in ("closed", "open"):
        return "" if value == "closed" else usual
    is_late, close = value.startswith("late"), value.removeprefix("late").strip()
    words = usual.split()
    if is_late:
        words = words[-2:]
    if close:
        words[-1] = close
    return " ".join(words)

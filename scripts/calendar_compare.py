"""Exchange calendars as text: the table of the package, what two libraries say, and the list of differences. Pure."""

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import NamedTuple

from exchange_rules import CALENDARS, CHECKED, FIRST_YEAR, LAST_YEAR, ONCE, ZONE, holidays, specials

# exchange_calendars has one calendar for all of Globex, without product hours: it can only tell these three apart
KINDS = ("closed", "early", "full")
HEADER = '''"""Exchange calendars as data: scripts/make_calendar wrote it from scripts/exchange_rules.py.

Do not edit. Per calendar the IANA zone, the hours of every Monday to Friday, and the dates that differ: hours ->
dates. Hours are stretches in local time, `-1` marks the evening before the trade date; none at all is a holiday.
Dates are a year followed by its months and days. `domain/market_hours.py` reads it. On the day CHECKED a person last
held it against the exchange's published schedule; `tests/domain/calendar_differences.txt` explains where libraries
say something else.
"""

FIRST, LAST = "{first}", "{last}"
CHECKED = "{checked}"

CALENDARS: dict[str, tuple[str, str, dict[str, str]]] = {{
'''


class Difference(NamedTuple):
    """One kind of disagreement: which library, which calendar, on which holiday, who says what, in which years."""

    source: str
    calendar: str
    holiday: str
    theirs: str
    ours: str
    years: str


def table_text() -> str:
    """Return the module calendar_table.py."""
    text = HEADER.format(first=f"{FIRST_YEAR}-01-01", last=f"{LAST_YEAR}-12-31", checked=CHECKED)
    for key, usual in CALENDARS.items():
        text += f'    "{key}": (\n        "{ZONE}",\n        "{usual}",\n        {{\n'
        for hours, days in grouped({day: special.hours for day, special in specials(key).items()}).items():
            lines = textwrap.wrap(packed(days), 98)
            short = f'            "{hours}": "{lines[0]}",\n'
            if len(lines) == 1 and len(short) <= 119:
                text += short
                continue
            body = "\n".join(f'                "{line} "' for line in lines[:-1])
            body += ("\n" if body else "") + f'                "{lines[-1]}"'
            text += f'            "{hours}": (\n{body}\n            ),\n'
        text += "        },\n    ),\n"
    return text + "}\n"


def grouped(days: Mapping[date, str]) -> dict[str, list[date]]:
    """Return dates by their hours, sorted."""
    found: dict[str, list[date]] = defaultdict(list)
    for day, hours in sorted(days.items()):
        found[hours].append(day)
    return dict(sorted(found.items()))


def packed(days: Iterable[date]) -> str:
    """Return dates as `2015 0101 1225 2016 0101`."""
    words, year = [], None
    for day in days:
        if day.year != year:
            year = day.year
            words.append(str(year))
        words.append(f"{day:%m%d}")
    return " ".join(words)


def unpacked(text: str) -> Iterator[date]:
    """Yield the dates that `packed` wrote."""
    year = 0
    for word in text.split():
        if int(word) >= 1900:
            year = int(word)
        else:
            yield date(year, int(word[:2]), int(word[2:]))


def snapshot_text(source: str, version: str, calendars: Mapping[str, tuple[str, Mapping[date, str]]]) -> str:
    """Return what a library says as lines `calendar | hours | dates`; the usual hours have no dates."""
    lines = [f"# {source} {version}; scripts/make_calendar --sources wrote it"]
    for key, (usual, days) in calendars.items():
        lines.append(f"{key} | {usual} |")
        lines += [f"{key} | {hours} | {packed(dates)}" for hours, dates in grouped(days).items()]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def read_snapshot(text: str) -> dict[str, tuple[str, dict[date, str]]]:
    """Return what `snapshot_text` wrote."""
    found: dict[str, tuple[str, dict[date, str]]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        key, hours, dates = (cell.strip() for cell in line.split("|"))
        if key not in found:
            found[key] = (hours, {})
        found[key][1].update(dict.fromkeys(unpacked(dates), hours))
    return found


def differences(
    source: str,
    table: Mapping[str, tuple[str, str, Mapping[str, str]]],
    theirs: Mapping[str, tuple[str, Mapping[date, str]]],
) -> list[Difference]:
    """Return where a library and our table disagree, years of one kind together."""
    years: dict[tuple[str, str, str, str], list[int]] = defaultdict(list)
    names = {date.fromisoformat(day): name for day, name, _ in ONCE}
    names |= {day: name for year in range(FIRST_YEAR, LAST_YEAR + 1) for day, name in holidays(year)}
    for key, (usual, days) in theirs.items():
        _, our_usual, packed_days = table[key]
        ours = {day: hours for hours, dates in packed_days.items() for day in unpacked(dates)}
        is_coarse = usual in KINDS
        for day in sorted({*days, *ours}):
            mine, other = ours.get(day, our_usual), days.get(day, usual)
            mine = kind(mine, our_usual) if is_coarse else mine
            if mine != other:
                years[key, names.get(day, f"{day:%m-%d}"), other or "closed", mine or "closed"].append(day.year)
    return [
        Difference(source, key, name, other, mine, spans(found)) for (key, name, other, mine), found in years.items()
    ]


def kind(hours: str, usual: str) -> str:
    """Return how a day differs: closed, an earlier last close, or neither."""
    if not hours:
        return "closed"
    return "full" if hours.split()[-1] == usual.split()[-1] else "early"


def spans(years: Iterable[int]) -> str:
    """Return years as `2015 2018-2020`."""
    runs: list[list[int]] = []
    for year in sorted(set(years)):
        if runs and runs[-1][1] == year - 1:
            runs[-1][1] = year
        else:
            runs.append([year, year])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def read_explained(text: str) -> dict[Difference, str]:
    """Return the explained differences: lines `source | calendars | holiday | theirs | ours | years | why`."""
    found: dict[Difference, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        source, keys, holiday, theirs, ours, years, why = (cell.strip() for cell in line.split("|"))
        for key in keys.split():
            found[Difference(source, key, holiday, theirs, ours, years)] = why
    return found

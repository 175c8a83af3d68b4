"""`conf/market_hours.toml`: hours of the exchanges that a person corrects in our table. The file is optional.

    [cme_energy]
    closed = ["2027-01-08"]
    early_close = {"2027-11-26" = "13:45"}
    usual = ["2028-06-19"]

Dates are trade dates, times are local times of the exchange.
"""

from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path

from tradeproc.config.problems import BadConfig
from tradeproc.config.text import read_toml
from tradeproc.domain.calendar_table import CALENDARS
from tradeproc.domain.market_hours import Changes, market_hours
from tradeproc.domain.records import BadValue, nearest
from tradeproc.home import Home

FILE = "market_hours.toml"
_KEYS = ["closed", "early_close", "usual"]


def file_of(home: Home) -> Path:
    """Return the path of the file, which need not exist."""
    return home.conf / FILE


def apply_market_hours(home: Home) -> None:
    """Put the file's changes of all calendars in force in this process; they replace the changes read before.

    Raises:
        BadConfig: the first mistake, as one line; the changes read before stay in force.
    """
    file = file_of(home)
    table = read_toml(file) if file.exists() else {}
    found = {key: Changes() for key in CALENDARS} | {key: _read(file, key, entry) for key, entry in table.items()}
    before = {key: market_hours(key).changes for key in found}
    try:
        for key, changes in found.items():
            market_hours(key).change(changes)
    except BadValue as bad:
        for key, changes in before.items():
            market_hours(key).change(changes)
        raise BadConfig(file, f"[{_owner(found, bad.key)}] {bad}") from None


def _owner(found: Mapping[str, Changes], day: str) -> str:
    """Return the calendar whose change failed: the first that names the date, because all before it succeeded."""
    return next(
        key
        for key, changes in found.items()
        if any(str(each) == day for each in (*changes.closed, *changes.early_close, *changes.usual))
    )


def _read(file: Path, key: str, entry: object) -> Changes:
    if key not in CALENDARS:
        raise BadConfig(file, f"[{key}] is no calendar; {nearest(key, sorted(CALENDARS))}")
    if not isinstance(entry, Mapping):
        raise BadConfig(file, f"{key}: expected a table, as [{key}]")
    for name in entry:
        if name not in _KEYS:
            raise BadConfig(file, f"[{key}] {name}: unknown key; {nearest(str(name), _KEYS)}")
    closes = entry.get("early_close", {})
    if not isinstance(closes, Mapping):
        raise BadConfig(file, f'[{key}] early_close: expected dates with times, as {{"2027-11-26" = "13:45"}}')
    return Changes(
        _days(file, key, "closed", entry),
        {
            _day(file, f"[{key}] early_close", day): _time(file, f"[{key}] early_close {day}", at)
            for day, at in closes.items()
        },
        _days(file, key, "usual", entry),
    )


def _days(file: Path, key: str, name: str, entry: Mapping[str, object]) -> frozenset[date]:
    days = entry.get(name, [])
    if not isinstance(days, list):
        raise BadConfig(file, f'[{key}] {name}: expected a list of dates, as ["2027-01-08"]')
    return frozenset(_day(file, f"[{key}] {name}", day) for day in days)


def _day(file: Path, where: str, value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and len(value) == 10:
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise BadConfig(file, f"{where}: {value!r} is no date; write it as 2027-01-08")


def _time(file: Path, where: str, value: object) -> time:
    if isinstance(value, time):
        return value.replace(tzinfo=None)
    try:
        if isinstance(value, str) and len(value) == 5:
            return time.fromisoformat(value)
    except ValueError:
        pass
    raise BadConfig(file, f'{where}: {value!r} is no time of day; write it as "12:45", local time of the exchange')

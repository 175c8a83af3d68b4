"""Reading a tape from a CSV file, plain or .gz: of trades, or of bars; the first line names the columns.

    trades   a time, price, size                            ts_event_ns,price,size,side
    bars     a time (the bar's END), open, high, low, close, volume

The time is `ts_event_ns` (UTC nanoseconds), `timestamp_utc` (text, UTC) or `time` (text with a zone). The contract is
the column `contract`, or the beginning of the file's name (`ESH24_…`, `ESH4_…`). Other columns are ignored.

A bar becomes four trades: open, then low and high (high and low in a falling bar), then close, spread over the bar;
its volume is dealt out one by one, so a small bar has trades of size 0, which move the price and fill no limit.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import TextIO

from tradeproc.domain.instruments import MONTH_LETTERS, Contract
from tradeproc.domain.units import MINUTE, SECOND, iso
from tradeproc.errors import Halt, Refusal

TRADES = ("price", "size")
_EARLIEST, _LATEST = 0, 7_258_118_400_000_000_000
BARS = ("open", "high", "low", "close", "volume")


class BadTape(Halt):
    """A tape that cannot be read: says the file, the line and what to do; only who chose the file can mend it."""

    def __init__(self, path: Path, line: int | None, problem: str) -> None:
        self.path, self.line = path, line
        super().__init__(f"{path}{f', line {line}' if line else ''}: {problem}")


@dataclass(frozen=True, slots=True)
class Row:
    """One trade as read; `line` is where it stood."""

    line: int
    contract: str
    at: int
    price: float
    size: int


def read_rows(path: Path, contract: str | None = None) -> list[Row]:
    """Return the trades of a file, in order.

    Raises:
        BadTape: names file, line and remedy.
    """
    rows = _read(path, contract)
    _check_order(path, rows)
    return rows


def check_head(path: Path) -> None:
    """Check that a file is there and that its header and its first line can be read.

    Raises:
        BadTape: names file, line and remedy.
    """
    _read(path, None, 2)


def _read(path: Path, contract: str | None, most: int | None = None) -> list[Row]:
    try:
        with _open(path) as lines:
            rows = _parse(path, islice(lines, most), contract)
    except csv.Error as error:
        raise BadTape(path, None, f"is no CSV ({error})") from error
    except (OSError, EOFError, zlib.error) as error:
        raise BadTape(path, None, f"cannot be read ({error}); check tape= in the configuration") from error
    except UnicodeDecodeError as error:
        raise BadTape(path, None, "is no text; give a CSV file, plain or .gz") from error
    if not rows:
        raise BadTape(path, None, "holds no trade; give at least one line after the header")
    return rows


def _open(path: Path) -> TextIO:
    return gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="")


def _parse(path: Path, lines: Iterator[str], contract: str | None) -> list[Row]:
    reader = csv.DictReader(lines)
    names = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    read_time = _time_column(path, names)
    records = [_Line(path, reader.line_num, row) for row in reader]
    if not records:
        return []
    times = [read_time(record) for record in records]
    contracts = _contracts(path, names, records, contract, times[0])
    if set(TRADES) <= set(names):
        return [
            Row(line.number, name, at, line.price("price"), line.count("size", 1))
            for line, name, at in zip(records, contracts, times, strict=True)
        ]
    if set(BARS) <= set(names):
        length = _bar_length(times)
        return [
            row
            for line, name, at in zip(records, contracts, times, strict=True)
            for row in _four_trades(line, name, at, length)
        ]
    raise BadTape(path, 1, f"needs the columns {', '.join(TRADES)} (trades) or {', '.join(BARS)} (bars)")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line with its number, and its cells as values or a clear error."""

    path: Path
    number: int
    cells: dict[str, str | None]

    def text(self, name: str) -> str:
        return (self.cells[name] or "").strip()

    def price(self, name: str) -> float:
        try:
            price = float(self.text(name))
        except ValueError:
            price = float("nan")
        if not 0 < price < float("inf"):
            raise BadTape(self.path, self.number, f"{name} must be a number above 0, not {self.text(name)!r}")
        return price

    def count(self, name: str, least: int) -> int:
        text = self.text(name)
        if not re.fullmatch(r"\d{1,12}", text, re.ASCII) or int(text) < least:
            raise BadTape(self.path, self.number, f"{name} must be a whole number from {least} on, not {text!r}")
        return int(text)

    def nanos(self, name: str) -> int:
        text = self.text(name)
        if not re.fullmatch(r"\d{18,19}", text, re.ASCII):
            raise BadTape(self.path, self.number, f"{name} must be nanoseconds since 1970 (19 digits), not {text!r}")
        return self._sane(name, int(text))

    def moment(self, name: str, is_utc: bool) -> int:
        text = self.text(name)
        try:
            moment = datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            raise BadTape(
                self.path, self.number, f"{name} must be a time as 2024-01-01T23:01:00Z, not {text!r}"
            ) from None
        if moment.tzinfo is None:
            if not is_utc:
                raise BadTape(self.path, self.number, f"{name} {text!r} has no zone; add Z, or call it timestamp_utc")
            moment = moment.replace(tzinfo=UTC)
        return self._sane(name, int(moment.replace(microsecond=0).timestamp()) * SECOND + moment.microsecond * 1000)

    def _sane(self, name: str, at: int) -> int:
        if not _EARLIEST <= at < _LATEST:
            raise BadTape(self.path, self.number, f"{name} {self.text(name)!r} is no time between 1970 and 2200")
        return at


def _time_column(path: Path, names: Sequence[str]) -> Callable[[_Line], int]:
    if "ts_event_ns" in names:
        return lambda line: line.nanos("ts_event_ns")
    if "timestamp_utc" in names:
        return lambda line: line.moment("timestamp_utc", is_utc=True)
    if "time" in names:
        return lambda line: line.moment("time", is_utc=False)
    raise BadTape(path, 1, "has no time; call the column ts_event_ns, timestamp_utc or time")


def _contracts(
    path: Path, names: Sequence[str], records: Sequence[_Line], contract: str | None, first_at: int
) -> list[str]:
    if contract is None and "contract" in names:
        return [_checked(path, line.number, line.text("contract")) for line in records]
    code = contract or _from_name(path, first_at)
    return [_checked(path, None, code)] * len(records)


def _checked(path: Path, line: int | None, code: str) -> str:
    try:
        return Contract.parse(code).code
    except Refusal as error:
        raise BadTape(path, line, str(error)) from error


def _from_name(path: Path, first_at: int) -> str:
    match = re.match(rf"([A-Z0-9]{{1,4}}?[{MONTH_LETTERS}])(\d\d?)(?![A-Za-z0-9])|", path.name)
    letters, year = match.groups() if match else (None, None)
    if not letters or not year:
        raise BadTape(path, None, "tells no contract; begin its name with one, as ESH24_trades.csv")
    if len(year) == 1:  # the year nearest to the first trade that ends so, the one before it at the earliest
        last = int(iso(first_at)[:4]) - 1
        year = f"{next(candidate for candidate in range(last, last + 10) if candidate % 10 == int(year)) % 100:02d}"
    return f"{letters}{year}"


def _bar_length(times: Sequence[int]) -> int:
    gaps = [later - earlier for earlier, later in pairwise(times) if later > earlier]
    return min(gaps, default=MINUTE)


def _four_trades(line: _Line, contract: str, end: int, length: int) -> list[Row]:
    opening, high, low, close = (line.price(name) for name in ("open", "high", "low", "close"))
    if not low <= min(opening, close) <= max(opening, close) <= high:
        raise BadTape(line.path, line.number, "open and close must lie between low and high")
    volume = line.count("volume", 0)
    path = (opening, low, high, close) if close >= opening else (opening, high, low, close)
    times = (end - length, end - length * 3 // 4, end - length // 2, end - 1)
    sizes = [(volume + 3 - index) // 4 for index in range(4)]
    return [Row(line.number, contract, at, price, size) for at, price, size in zip(times, path, sizes, strict=True)]


def _check_order(path: Path, rows: Sequence[Row]) -> None:
    for before, after in pairwise(rows):
        if after.at < before.at:
            raise BadTape(path, after.line, "is earlier than the line before it; sort the file by time")

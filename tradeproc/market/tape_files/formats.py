"""Which export a file is: its separator, whether it has a header, and what each column means.

With a header the names decide. The headers of TradeStation, Sierra Chart and Databento are known, and for these also
whether a bar is stamped at its start or its end. Without a header the form of the time and the number of columns
decide.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tradeproc.market.tape_files.cells import cells_of
from tradeproc.market.tape_files.columns import price_of
from tradeproc.market.tape_files.lines import UnreadableTape
from tradeproc.market.tape_files.moments import is_clock, is_date, is_moment, is_time

SEPARATORS = (",", ";", "\t", "|")
OHLC = ("open", "high", "low", "close")


class Stamp(StrEnum):
    """Which end of a bar its time stamps."""

    START = "start"
    END = "end"


class Zone(StrEnum):
    """The zone of times that are written without one, where the format alone tells it."""

    UTC = "UTC"
    EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is read. `columns` is the index of each meaning; `stamp`, `zone`: None if the format is silent.

    `scale` decimals are implied in prices without a dot. `is_own` is True for the format of our own documentation.
    `plays_all` means that all contracts of the file are played unless one is named. `header` holds the columns'
    names, and is empty without a header.
    """

    name: str
    separator: str
    has_header: bool
    width: int
    columns: Mapping[str, int]
    is_bars: bool
    stamp: Stamp | None = None
    zone: Zone | None = None
    scale: int = 0
    is_own: bool = False
    plays_all: bool = False
    header: tuple[str, ...] = ()

    def field(self, meaning: str) -> str:
        """Return what a column is called in messages: its own name, or its meaning and place."""
        place = self.columns[meaning]
        return self.header[place] if self.header else f"{meaning} (field {place + 1})"


# the known names of columns, in lower case and without blanks, brackets and underscores
_MEANINGS = {
    "moment": (
        "tseventns",
        "timestamputc",
        "tsevent",
        "time",
        "datetime",
        "timestamp",
        "date/time",
        "date",
        "bartime",
        # what pandas writes above an index without a name
        "",
    ),
    "date": ("date", "day", "dtyyyymmdd"),
    "clock": ("time", "timeofday"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "last", "c"),
    "price": ("price", "last", "trade", "tradeprice"),
    "size": ("size", "volume", "vol", "qty", "quantity", "v"),
    "volume": ("volume", "vol", "v", "totalvolume", "size"),
    "up": ("up",),
    "down": ("down",),
    "contract": ("contract", "symbol", "ticker", "instrumentid"),
    "action": ("action",),
    "trades": ("numberoftrades", "#oftrades"),
}
_FIXED_POINT_FROM = 1_000_000
_SHAPES_OF_BARS = {5: (*OHLC, "volume"), 6: (*OHLC, "volume", "other")}
_SHAPES_OF_TRADES = {2: ("price", "size"), 4: ("price", "bid", "ask", "size")}


def recognise(lines: Sequence[str]) -> Layout:
    """Return the layout of a file from its first lines, of which none is blank.

    Raises:
        UnreadableTape: says what is missing, and what a file must have.
    """
    separator = _separator(lines)
    rows = [cells_of(line, separator) for line in lines]
    if _is_header(rows[0]):
        return _with_header(separator, rows)
    return _without_header(separator, rows)


def _separator(lines: Sequence[str]) -> str:
    """Return the separator that occurs equally often in most lines."""

    def score(each: str) -> tuple[int, int]:
        counts = Counter(line.count(each) for line in lines)
        counts.pop(0, None)
        usual = max(counts, key=lambda count: (counts[count], count), default=0)
        return (counts[usual] if usual else 0, usual)

    best = max(SEPARATORS, key=score)
    if not score(best)[0]:
        raise UnreadableTape(1, "has no fields; they must be separated by comma, semicolon, tab or |")
    return best


def _is_header(cells: Sequence[str]) -> bool:
    return not any(is_time(cell) or price_of(cell) is not None for cell in cells if cell)


def _with_header(separator: str, rows: Sequence[Sequence[str]]) -> Layout:
    names = [re.sub(r"[\s<>_\"]", "", cell).lower() for cell in rows[0]]
    places = {meaning: _place(names, each) for meaning, each in _MEANINGS.items()}
    columns = {meaning: place for meaning, place in places.items() if place is not None}
    if "date" in columns and "clock" in columns:
        columns.pop("moment")
    elif "moment" not in columns:
        raise UnreadableTape(
            1, "has no time; call the column ts_event_ns, timestamp_utc or time, or give Date and Time in two columns"
        )
    else:
        columns.pop("date", None)
        columns.pop("clock", None)
    has_bars = all(each in columns for each in OHLC) and bool({"volume", "up"} & set(columns))
    if not has_bars and not ("price" in columns and "size" in columns):
        raise UnreadableTape(1, "needs the columns price, size (trades) or open, high, low, close, volume (bars)")
    return _vendors(separator, names, columns, rows, has_bars)


def _place(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(each) for each in known if each in names and (each or not names[0])), None)


def _vendors(
    separator: str, names: Sequence[str], columns: dict[str, int], rows: Sequence[Sequence[str]], is_bars: bool
) -> Layout:
    header, rows = tuple(rows[0]), rows[1:]

    def made(name: str, *, bars: bool = is_bars, **more: object) -> Layout:
        width = _width(rows, columns, len(names))
        return Layout(name, separator, True, width, columns, bars, header=header, **more)  # type: ignore[arg-type]

    kind = "bars" if is_bars else "trades"
    if "tsevent" in names:
        scale = 9 if _is_fixed_point(columns["open" if is_bars else "price"], rows) else 0
        return made(f"Databento {kind}", stamp=Stamp.START, zone=Zone.UTC, scale=scale)
    if is_bars and {"up", "down"} <= set(columns) and "clock" in columns:
        columns.pop("volume", None)
        return made("TradeStation bars", stamp=Stamp.END, zone=Zone.EXCHANGE)
    if is_bars and "trades" in columns and {"bidvolume", "askvolume"} <= set(names):
        if _are_single_trades(columns, rows):
            columns.update(price=columns["close"], size=columns["volume"])
            return made("Sierra Chart trades", bars=False)
        return made("Sierra Chart bars", stamp=Stamp.START)
    columns.pop("up", None)
    if is_bars and "volume" not in columns:
        raise UnreadableTape(1, "has no column volume")
    moment = names[columns["moment"]] if "moment" in columns else ""
    is_utc = moment in ("tseventns", "timestamputc")
    is_own = is_utc or moment == "time"
    return made(
        kind,
        stamp=Stamp.END if is_own and is_bars else None,
        zone=Zone.UTC if is_utc else None,
        is_own=is_own,
        plays_all="contract" in names,
    )


def _width(rows: Sequence[Sequence[str]], columns: Mapping[str, int], default: int) -> int:
    """Return how many fields most lines have; a separator at the end of each makes one more than the header has."""
    usual = Counter(len(row) for row in rows).most_common(1)
    return max(usual[0][0] if usual else default, *(place + 1 for place in columns.values()))


def _is_fixed_point(column: int, rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether prices are whole numbers of 1e-9: none has a dot, and one is larger than any price."""
    texts = [row[column] for row in rows if column < len(row)]
    whole = [int(text) for text in texts if re.fullmatch(r"-?\d{1,19}", text, re.ASCII)]
    return len(whole) == len(texts) and any(abs(number) >= _FIXED_POINT_FROM for number in whole)


def _are_single_trades(columns: Mapping[str, int], rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the records of Sierra Chart are trades: their open is 0, high and low are ask and bid."""
    full = [row for row in rows if len(row) > max(columns.values())]
    return bool(full) and all(
        row[columns["trades"]] == "1" and re.fullmatch(r"0(\.0*)?", row[columns["open"]]) for row in full
    )


def _without_header(separator: str, rows: Sequence[Sequence[str]]) -> Layout:
    first = rows[0]
    while len(first) > 1 and not first[-1]:
        first = first[:-1]
    width = len(first)
    if is_moment(first[0]):
        columns, begin = {"moment": 0}, 1
    elif width > 1 and is_date(first[0]) and is_clock(first[1]):
        columns, begin = {"date": 0, "clock": 1}, 2
    elif is_date(first[0]):
        raise UnreadableTape(
            1, "has a date without a time of day; bars of days cannot be played, give bars of minutes"
        )
    else:
        raise UnreadableTape(
            1, f"begins with {first[0][:40]!r}, which is no time; give the columns' names in the first line"
        )
    rest = width - begin
    shape = _SHAPES_OF_BARS.get(rest) or _SHAPES_OF_TRADES.get(rest)
    if shape is None:
        raise UnreadableTape(
            1, f"has {rest} fields after the time; without a header 5 are a bar, 2 or 4 a trade: add a line of names"
        )
    columns |= {meaning: place for place, meaning in enumerate(shape, begin)}
    is_bars = rest in _SHAPES_OF_BARS
    fields = _width(rows, columns, width)
    return Layout(_guess(separator, first, is_bars), separator, False, fields, columns, is_bars)


def _guess(separator: str, first: Sequence[str], is_bars: bool) -> str:
    kind = "bars" if is_bars else "trades"
    if separator == ";" and re.match(r"\d{8} \d{4}", first[0], re.ASCII):
        return f"NinjaTrader {kind}"
    if separator == "," and re.fullmatch(r"\d\d/\d\d/\d{4}", first[0], re.ASCII):
        return f"Kibot {kind}"
    if separator == "," and re.match(r"\d{4}-\d\d-\d\d ", first[0], re.ASCII):
        return f"FirstRate {kind}"
    return f"{kind} without a header"

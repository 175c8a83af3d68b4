"""A file's bytes into trades. What neither the file nor a person says becomes a question; it is never guessed.

A bar becomes four trades, spread over its time: open, low, high, close; in a falling bar the high comes first. Its
volume is divided among them, so a bar of less than four contracts has trades of size 0, which move the price and fill
no limit.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.units import MINUTE, iso
from tradeproc.market.tape_files.cells import Integers
from tradeproc.market.tape_files.columns import Prices
from tradeproc.market.tape_files.date_order import DateOrder
from tradeproc.market.tape_files.formats import Layout, Stamp, Zone
from tradeproc.market.tape_files.grid import on_grid
from tradeproc.market.tape_files.lines import Absent, UnreadableTape
from tradeproc.market.tape_files.naming import check_contract, contract_in, contract_of
from tradeproc.market.tape_files.row_blocks import Rows, gather
from tradeproc.market.tape_files.zones import to_utc, zone_of

_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class TapeHints:
    """What a person says about a file; a field is empty when it is not said.

    `zone` is the zone of times without one. `stamp` is `start` or `end`. `contract` is a code as ESH24, or a symbol
    of the file with its code, as `ES.c.0=ESH24`. `dates` is `month` or `day`: what dates as 02/01/2024 begin with.
    """

    zone: str = ""
    stamp: str = ""
    contract: str = ""
    dates: str = ""


NOTHING_SAID = TapeHints()


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades ordered by time; `which` is the index into `contracts`, `sizes` may be 0 in bars of few contracts."""

    contracts: tuple[str, ...]
    times: Integers
    prices: npt.NDArray[np.float64]
    sizes: Integers
    which: npt.NDArray[np.int16]


@dataclass(slots=True)
class Reading:
    """What was understood of a file. It can be played when `questions` is empty.

    `symbols` is how many rows each of the file's symbols has. `stamps` are the times of the file's rows in UTC. `bar`
    is the length of a bar in ns, None for trades. `doubles` is how many bars were left out because another had the
    same time, `unsorted` how many rows were earlier than the row before.
    """

    layout: Layout
    rows: int
    symbols: Mapping[str, int]
    zone: str
    stamp: Stamp | None
    bar: int | None
    stamps: Integers
    trades: Trades
    doubles: int = 0
    unsorted: int = 0
    warnings: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)


def read(
    chunks: Iterable[bytes], name: str, wanted: TapeHints, heard: Callable[[int], None] = lambda rows: None
) -> Reading:
    """Return what is in a file called `name`; `heard` is called with the number of rows after each block.

    Raises:
        UnreadableTape: names the line and the field, and what to do.
    """
    rows = gather(chunks, DateOrder(wanted.dates), heard)
    notes = _Notes()
    if rows.skipped:
        notes.warnings.append(f"{many(rows.skipped, 'row')} without a trade (action is not T): left out")
    symbols = _counted(rows)
    rows, contracts = _chosen(rows, name, wanted, symbols, notes)
    zone = _to_utc(rows, contracts, wanted, notes)
    rows = _in_order(rows, notes)
    _set_on_grid(rows, contracts)
    if not rows.layout.is_bars:
        trades = Trades(contracts, rows.at, rows.prices[0].values, rows.sizes, rows.which.astype(np.int16))
        return notes.reading(rows, symbols, zone, trades)
    rows = _without_doubles(rows, notes)
    stamp, bar = _stamp(rows.layout, wanted, notes), _bar_length(rows)
    trades = _four_trades(rows, contracts, bar, stamp)
    return notes.reading(rows, symbols, zone, trades, stamp, bar)


def many(count: int, one: str, more: str = "") -> str:
    """Return a number with its noun: 1 row, 1,234 rows."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


@dataclass(slots=True)
class _Notes:
    warnings: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    doubles: int = 0
    unsorted: int = 0

    def reading(
        self,
        rows: Rows,
        symbols: Mapping[str, int],
        zone: str,
        trades: Trades,
        stamp: Stamp | None = None,
        bar: int | None = None,
    ) -> Reading:
        """Return all that was understood."""
        found = Reading(rows.layout, len(rows), symbols, zone, stamp, bar, rows.at, trades)
        found.doubles, found.unsorted = self.doubles, self.unsorted
        found.warnings, found.questions = [*self.warnings, *rows.warnings], self.questions
        return found


def _counted(rows: Rows) -> dict[str, int]:
    counts = np.bincount(rows.which, minlength=len(rows.symbols)).tolist()
    return dict(zip(rows.symbols, counts, strict=False))


# --- which contract


def _chosen(
    rows: Rows, name: str, wanted: TapeHints, symbols: Mapping[str, int], notes: _Notes
) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows of the contracts that are meant, `which` as the index into them."""
    said, first_at = wanted.contract.strip(), max(0, int(rows.at[0]))
    symbol, _, code = said.rpartition("=")
    code = contract_of(code.upper(), first_at) or code
    if "contract" not in rows.layout.columns:
        code = code or contract_in(name, first_at) or ""
        if not code:
            notes.questions.append(
                "tells no contract; give --contract ESH24, or begin its name with one, as ESH24_trades.csv"
            )
            return rows, ()
        return rows, (check_contract(code),)
    meant = {each: contract_of(each, first_at) for each in symbols}
    if len(symbols) == 1 and not any(meant.values()) and not symbol:
        # one symbol that is the vendor's own: the contract named by a person holds, or that of the file's name,
        # unless the symbol is a text that may mean another contract
        (only,) = symbols
        found = code or (contract_in(name, first_at) if not only or only.isdigit() else None)
        if found:
            return rows, (check_contract(found),)
    if said:
        wanted_symbols = [
            each for each in symbols if each == (symbol or said) or (not symbol and meant[each] == code)
        ]
        if not wanted_symbols:
            raise Absent(None, f"holds no {symbol or code}; it holds {_listed(symbols)}")
        return _only(rows, wanted_symbols), (check_contract(code),)
    if rows.layout.plays_all:
        return rows, tuple(_own(rows, each, meant[each]) for each in symbols)
    if len(symbols) > 1:
        notes.questions.append(f"holds several contracts: {_listed(symbols)}; say which with --contract")
        return rows, ()
    (only,) = symbols
    found = meant[only]
    if found is None:
        notes.questions.append(f"{only!r} is no contract; say which it is, as --contract {only}=ESH24")
        return rows, ()
    return rows, (check_contract(found),)


def _only(rows: Rows, symbols: list[str]) -> Rows:
    numbers = [index for index, each in enumerate(rows.symbols) if each in symbols]
    found = rows.taken(np.flatnonzero(np.isin(rows.which, numbers)))
    found.which = np.zeros(len(found), np.int32)
    return found


def _own(rows: Rows, text: str, code: str | None) -> str:
    if code is None or code != text:
        row = int(np.argmax(rows.which == list(rows.symbols).index(text)))
        raise UnreadableTape(
            int(rows.lines[row]),
            f"{text!r} is no contract; write root, month letter and two digits of the year, as ESH24",
        )
    return check_contract(code)


def _listed(symbols: Mapping[str, int]) -> str:
    ranked = sorted(symbols, key=lambda each: -symbols[each])
    more = f" and {len(ranked) - _MOST_NAMED} more" if len(ranked) > _MOST_NAMED else ""
    return ", ".join(f"{each} ({many(symbols[each], 'row')})" for each in ranked[:_MOST_NAMED]) + more


# --- when


def _to_utc(rows: Rows, contracts: tuple[str, ...], wanted: TapeHints, notes: _Notes) -> str:
    """Convert the times to UTC and return the name of the zone they were written in, empty if unknown."""
    layout = rows.layout
    if rows.has_zone or layout.zone is Zone.UTC:
        if wanted.zone and wanted.zone != "UTC":
            notes.warnings.append(
                f"zone {wanted.zone} is not used: the file says that its times are UTC or says their zone"
            )
        return "as written in the file" if rows.has_zone else "UTC, as the file says"
    name = wanted.zone
    if not name and layout.zone is Zone.EXCHANGE and contracts:
        name = str(market_hours(instrument_of(contracts[0]).market_hours).zone)
    if not name:
        notes.questions.append(
            f"time {iso(int(rows.at[0]))[:-1]} has no zone; add Z, or say the times' zone, as --zone America/Chicago"
        )
        return ""
    found = to_utc(rows.at, zone_of(name))
    rows.at = found.at
    if found.skipped:
        notes.warnings.append(
            f"{many(found.skipped, 'row')} of a time that did not exist in {name}, when the clock went forward: "
            "is the zone right?"
        )
    if found.repeated:
        notes.warnings.append(
            f"{many(found.repeated, 'row')} in an hour that came twice in {name}: "
            "the first is meant until the times fall back"
        )
    return name if wanted.zone else f"{name}, the exchange's, as {layout.name.split()[0]} writes"


def _in_order(rows: Rows, notes: _Notes) -> Rows:
    falls = int((np.diff(rows.at) < 0).sum())
    if not falls:
        return rows
    notes.unsorted = falls
    notes.warnings.append(f"{many(falls, 'row')} earlier than the row before: sorted by time")
    return rows.taken(np.argsort(rows.at, kind="stable"))


def _stamp(layout: Layout, wanted: TapeHints, notes: _Notes) -> Stamp:
    if wanted.stamp:
        try:
            return Stamp(wanted.stamp)
        except ValueError:
            raise UnreadableTape(None, f"stamp must be start or end, not {wanted.stamp!r}") from None
    if layout.stamp is None:
        notes.questions.append(
            "does not say whether a bar is stamped at its start or its end; say --stamp start or --stamp end"
        )
    elif layout.is_own and not {"ts_event_ns", "timestamp_utc"} & set(layout.header):
        notes.warnings.append(
            f"bars are taken as stamped at their end, as a column {layout.field('moment')} means here; "
            "--stamp start says otherwise"
        )
    return layout.stamp or Stamp.END


# --- prices


def _set_on_grid(rows: Rows, contracts: tuple[str, ...]) -> None:
    for number, code in enumerate(contracts):
        product = instrument_of(code)
        mine = np.flatnonzero(rows.which == number) if len(contracts) > 1 else np.arange(len(rows))
        for column in rows.prices:
            values, off = on_grid(Prices(column.values[mine], column.decimals[mine]), product)
            if len(off):
                row = int(mine[off[0]])
                raise UnreadableTape(
                    int(rows.lines[row]),
                    f"price {column.values[row]:.10g} is off the tick grid of {product.tick_size} of {code}; "
                    "is it another contract, or are the prices adjusted?",
                )
            column.values[mine] = values


def _without_doubles(rows: Rows, notes: _Notes) -> Rows:
    """Return the bars with one for each contract and time: the one in the later line."""
    order = np.lexsort((rows.at, rows.which))
    same = (np.diff(rows.at[order]) == 0) & (np.diff(rows.which[order]) == 0)
    if not same.any():
        return rows
    earlier, later = order[:-1][same], order[1:][same]
    notes.doubles = len(earlier)
    columns = [each.values for each in rows.prices] + [rows.sizes]
    differ = np.any([column[earlier] != column[later] for column in columns], axis=0)
    told = f"{many(int(same.sum()), 'bar')} of the same time as another: the later line counts"
    if differ.any():
        line = int(rows.lines[later[differ][0]])
        told += f"; {many(int(differ.sum()), 'of these differs', 'of these differ')}, the first in line {line}"
    notes.warnings.append(told)
    keep = np.ones(len(rows), np.bool_)
    keep[earlier] = False
    return rows.taken(np.flatnonzero(keep))


def _bar_length(rows: Rows) -> int:
    """Return the shortest time between two bars of a contract, in ns."""
    order = np.lexsort((rows.at, rows.which))
    gaps = np.diff(rows.at[order])[np.diff(rows.which[order]) == 0]
    return int(gaps.min()) if len(gaps) else MINUTE


def _four_trades(rows: Rows, contracts: tuple[str, ...], bar: int, stamp: Stamp) -> Trades:
    opens, highs, lows, closes = (each.values for each in rows.prices)
    wrong = (lows > np.minimum(opens, closes)) | (np.maximum(opens, closes) > highs)
    if wrong.any():
        raise UnreadableTape(int(rows.lines[int(np.argmax(wrong))]), "open and close must lie between low and high")
    starts = rows.at if stamp is Stamp.START else rows.at - bar
    is_rising = closes >= opens
    prices = np.stack([opens, np.where(is_rising, lows, highs), np.where(is_rising, highs, lows), closes], axis=1)
    times = starts[:, None] + np.array([0, bar - bar * 3 // 4, bar - bar // 2, bar - 1], np.int64)
    sizes = (rows.sizes[:, None] + np.arange(3, -1, -1)) // 4
    which = np.repeat(rows.which.astype(np.int16), 4)
    found = Trades(contracts, times.reshape(-1), prices.reshape(-1), sizes.reshape(-1), which)
    if bool((np.diff(found.times) >= 0).all()):
        return found
    order = np.argsort(found.times, kind="stable")
    return Trades(contracts, found.times[order], found.prices[order], found.sizes[order], found.which[order])

"""What a person should know about a tape before it is played: gaps, hours, stamps and steps. It changes nothing."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.market_hours import MarketHours, Stretch, market_hours
from tradeproc.domain.units import MINUTE, Nanos, iso
from tradeproc.market.tape_files.cells import Integers
from tradeproc.market.tape_files.file_reading import Reading
from tradeproc.market.tape_files.formats import Stamp

Flags = npt.NDArray[np.bool_]

_LONG_GAP = 30 * MINUTE
_MOST_GAPS = 10
# with fewer trades than this, their steps say nothing about the contract
_MANY = 1000
# a larger part of all trades outside the market hours cannot be late prints only
_TOO_MANY_OUTSIDE = 0.02


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without a row while the market was open; `open_minutes` is how long it was open in that time."""

    begins: Nanos
    ends: Nanos
    open_minutes: int


@dataclass(slots=True)
class Findings:
    """What was found about a tape.

    `step` is the largest number of ticks that divides every move of the price, 0 without a move. `equal_rows` is how
    many trades equal the trade before in all columns, `outside` how many are outside of the market hours.
    """

    step: int = 0
    equal_rows: int = 0
    outside: int = 0
    gap_count: int = 0
    gaps: list[Gap] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def examine(reading: Reading) -> Findings:
    """Return what there is to know about a reading; without a contract only equal rows are counted."""
    found, trades = Findings(), reading.trades
    if reading.bar is None and len(trades.times) > 1:
        columns = (trades.times, trades.prices, trades.sizes, trades.which)
        found.equal_rows = int(np.all([column[1:] == column[:-1] for column in columns], axis=0).sum())
    if not trades.contracts:
        return found
    product = instrument_of(trades.contracts[0])
    mine = trades.which == 0
    steps = np.unique(np.abs(np.diff(np.round(trades.prices[mine] / float(product.tick_size)).astype(np.int64))))
    found.step = int(np.gcd.reduce(steps)) if len(steps) else 0
    if found.step > 1 and len(trades.times) >= _MANY:
        found.warnings.append(
            f"all moves are of {found.step} ticks of {product.tick_size} or a multiple: "
            f"is {trades.contracts[0]} the right contract?"
        )
    if not reading.zone:
        # what follows is about times, and without a zone these are not known
        return found
    hours = market_hours(product.market_hours)
    stretches = _open_stretches(hours, int(trades.times[0]), int(reading.stamps[-1]) + (reading.bar or 0))
    if reading.questions:
        _note_likely_stamp(found, reading, stretches)
        return found
    _note_outside(found, trades.times[mine], stretches, hours)
    _note_gaps(found, trades.times[mine], stretches)
    _note_stamps(found, reading, stretches)
    return found


def stamp_contradiction(reading: Reading) -> str | None:
    """Return the warning that the stamps of the bars contradict the way of stamping that was said, or None."""
    trades = reading.trades
    if reading.bar is None or not trades.contracts or reading.questions:
        return None
    hours = market_hours(instrument_of(trades.contracts[0]).market_hours)
    found = Findings()
    last = int(reading.stamps[-1]) + reading.bar
    _note_stamps(found, reading, _open_stretches(hours, int(trades.times[0]), last))
    return next(iter(found.warnings), None)


def _open_stretches(hours: MarketHours, first: int, last: int) -> list[Stretch]:
    edges = hours.edges(Nanos(first), Nanos(last))
    pairs = [Stretch(begin, end) for begin, end in pairwise(edges)]
    return [each for each in pairs if hours.is_open(Nanos((each.opened_at + each.closed_at) // 2))]


def _note_outside(found: Findings, times: Integers, stretches: list[Stretch], hours: MarketHours) -> None:
    inside = np.zeros(len(times), np.bool_)
    for opened, closed in stretches:
        inside[np.searchsorted(times, opened) : np.searchsorted(times, closed)] = True
    found.outside = int((~inside).sum())
    if found.outside > _TOO_MANY_OUTSIDE * len(times):
        first = iso(int(times[int(np.argmin(inside))]))
        found.warnings.append(
            f"{found.outside:,} of {len(times):,} trades are outside the market hours ({hours.key}), the first at "
            f"{first}: is the zone right?"
        )


def _note_gaps(found: Findings, times: Integers, stretches: list[Stretch]) -> None:
    begins, ends = _columns(stretches)
    if not len(begins):
        return
    before = np.concatenate(([0], np.cumsum(ends - begins)))

    def open_until(at: Integers) -> Integers:
        index = np.maximum(np.searchsorted(begins, at, side="right") - 1, 0)
        return np.asarray(before[index] + np.clip(at - begins[index], 0, (ends - begins)[index]))

    long = np.flatnonzero(np.diff(times) > _LONG_GAP)
    is_open = open_until(times[long + 1]) - open_until(times[long])
    shown = np.flatnonzero(is_open > _LONG_GAP)
    found.gap_count = len(shown)
    found.gaps = [
        Gap(Nanos(int(times[long[each]])), Nanos(int(times[long[each] + 1])), int(is_open[each]) // MINUTE)
        for each in shown[:_MOST_GAPS].tolist()
    ]


def _columns(stretches: list[Stretch]) -> tuple[Integers, Integers]:
    pairs = np.array(stretches, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _note_stamps(found: Findings, reading: Reading, stretches: list[Stretch]) -> None:
    """Warn when bars have stamps that only the other way of stamping can produce."""
    if reading.bar is None:
        return
    opens, closes = _edges_that_are_stamped(reading, stretches)
    at_open, at_close = int(opens.sum()), int(closes.sum())
    if reading.stamp is Stamp.END and at_open > at_close:
        first = iso(stretches[int(np.argmax(opens))].opened_at)
        found.warnings.append(
            f"a bar is stamped {first}, the very open of a session: it could not have ended there, so the bars seem "
            "to be stamped at their start (--stamp start)"
        )
    if reading.stamp is Stamp.START and at_close > at_open:
        last = iso(stretches[int(np.argmax(closes))].closed_at)
        found.warnings.append(
            f"a bar is stamped {last}, the very close of a session: it could not have begun there, so the bars seem "
            "to be stamped at their end (--stamp end)"
        )


def _note_likely_stamp(found: Findings, reading: Reading, stretches: list[Stretch]) -> None:
    """Note which way of stamping the market hours suggest; a person still has to say it."""
    if reading.bar is None:
        return
    opens, closes = (int(each.sum()) for each in _edges_that_are_stamped(reading, stretches))
    if opens != closes:
        likely, edge = ("start", "open") if opens > closes else ("end", "close")
        found.warnings.append(
            f"bars are stamped at the very {edge} of sessions, so they seem to be stamped at their {likely} "
            f"(--stamp {likely})"
        )


def _edges_that_are_stamped(reading: Reading, stretches: list[Stretch]) -> tuple[Flags, Flags]:
    """Return for each stretch whether a bar is stamped at its open, and whether one is at its close."""
    stamps = np.unique(reading.stamps)
    opens, closes = (np.isin(column, stamps) for column in _columns(stretches))
    return opens, closes

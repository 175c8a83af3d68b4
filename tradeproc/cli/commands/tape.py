"""Say what is understood of a tape's file before it is played."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from tradeproc.cli import tables
from tradeproc.cli.layout import NOTHING, pairs
from tradeproc.cli.outcome import Outcome, SubParsers
from tradeproc.desk.exit_status import ExitStatus
from tradeproc.desk.installation import Desk
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.units import SECOND, iso
from tradeproc.localbroker.tape_files import understand
from tradeproc.market.tape_files.date_order import DAY, MONTH
from tradeproc.market.tape_files.file_reading import Reading, TapeHints, many
from tradeproc.market.tape_files.findings import Findings, examine

_MOST_SYMBOLS = 10


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    text = "tapes: files of trades or bars that the local broker plays"
    actions = subparsers.add_parser("tape", help=text, description=text).add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    about = "say what is understood of a file, and what remains to be said; leaves with 1 when it cannot be played so"
    parser = actions.add_parser("check", help=about, description=about, parents=parents)
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV, plain or packed (.gz, .bz2, .xz, .zip)")
    add_options(parser)
    parser.set_defaults(command=check)


def add_options(parser: ArgumentParser) -> None:
    """Add what a file may not say itself."""
    parser.add_argument(
        "--zone", default="", metavar="NAME", help="of times without one, as America/Chicago (conf: tape_zone)"
    )
    parser.add_argument(
        "--stamp", default="", choices=("start", "end"), help="which end of a bar its time is (conf: tape_stamp)"
    )
    parser.add_argument(
        "--contract",
        default="",
        metavar="CODE",
        help="as ESH24, or one of the file's symbols and what it is, as ES.c.0=ESH24 (conf: tape_contract)",
    )
    parser.add_argument(
        "--dates",
        default="",
        choices=(MONTH, DAY),
        help="what dates as 02/01/2024 begin with (conf: tape_dates)",
    )


def said(arguments: Namespace) -> TapeHints:
    """Return what the options say of a file."""
    return TapeHints(arguments.zone, arguments.stamp, arguments.contract, arguments.dates)


def check(_desk: Desk, arguments: Namespace) -> Outcome:
    """Read all of a file and tell what is in it."""
    reading = understand(arguments.file, said(arguments))
    value = report(arguments.file, reading, examine(reading)) | {"stamp_from": _stamp_from(reading, arguments.stamp)}
    if value["stamp_from"] is None:
        # what it was read with for want of a better one is nobody's word
        value["stamp"] = None
    return Outcome(value, _shown(value), ExitStatus.OK if value["playable"] else ExitStatus.FAILED)


def _stamp_from(reading: Reading, said: str) -> str | None:
    """Return who says which end of a bar its time is; None when nobody does, or there are no bars."""
    if reading.bar is None or (not said and reading.layout.stamp is None):
        return None
    if said:
        return "as you say"
    writer = f"column {reading.layout.field('moment')}" if reading.layout.is_own else reading.layout.name.split()[0]
    return f"as {writer} has it; --stamp says otherwise"


def report(file: Path, reading: Reading, found: Findings) -> dict[str, Any]:
    """Return what is to be told of a tape, as a program wants it."""
    trades = reading.trades
    first, last = int(reading.stamps[0]), int(reading.stamps[-1])
    products = [instrument_of(code) for code in trades.contracts]
    return {
        "file": str(file),
        "playable": not reading.questions,
        "format": reading.layout.name,
        "rows": reading.rows,
        "trades": len(trades.times),
        "contracts": list(trades.contracts),
        "symbols": dict(reading.symbols),
        "zone": reading.zone or None,
        "stamp": None if reading.stamp is None else reading.stamp.value,
        "bar_seconds": None if reading.bar is None else reading.bar / SECOND,
        "first_at": first,
        "last_at": last,
        "first": iso(first),
        "last": iso(last),
        "tick_size": [str(each.tick_size) for each in products],
        "smallest_move_ticks": found.step,
        "market_hours": [each.market_hours for each in products],
        "outside_market_hours": found.outside,
        "duplicates": reading.doubles if reading.bar else found.equal_rows,
        "unsorted": reading.unsorted,
        "gap_count": found.gap_count,
        "gaps": [
            {"from": iso(gap.begins), "to": iso(gap.ends), "open_minutes": gap.open_minutes} for gap in found.gaps
        ],
        "warnings": [*reading.warnings, *found.warnings],
        "questions": list(reading.questions),
    }


def _shown(value: dict[str, Any]) -> Table:
    local = "" if value["zone"] else " (zone not known)"
    rows = [
        ("file", value["file"]),
        ("format", value["format"]),
        ("rows", f"{value['rows']:,}, played as {value['trades']:,} trades"),
        ("contract", ", ".join(value["contracts"]) or NOTHING),
        ("symbols", _symbols(value["symbols"])),
        ("zone", value["zone"] or NOTHING),
        ("first", f"{tables.when(value['first_at'])}{local or ' UTC'}"),
        ("last", f"{tables.when(value['last_at'])}{local or ' UTC'}"),
        ("bars", _bars(value)),
        ("tick", _tick(value)),
        ("outside market hours", f"{value['outside_market_hours']:,} trades" if value["playable"] else NOTHING),
        ("gaps", _gaps(value) if value["playable"] else NOTHING),
        ("duplicates", _duplicates(value)),
        ("warnings", "\n".join(value["warnings"]) or "none"),
        ("to be said", "\n".join(value["questions"]) or "nothing: it can be played"),
    ]
    return pairs(rows)


def _symbols(symbols: dict[str, int]) -> str:
    if not symbols:
        return "no column of symbols"
    ranked = sorted(symbols, key=lambda each: -symbols[each])
    more = f" and {len(ranked) - _MOST_SYMBOLS} more" if len(ranked) > _MOST_SYMBOLS else ""
    return ", ".join(f"{each} ({many(symbols[each], 'row')})" for each in ranked[:_MOST_SYMBOLS]) + more


def _bars(value: dict[str, Any]) -> str:
    if value["bar_seconds"] is None:
        return "none: these are trades"
    stamped = f"stamped at their {value['stamp']}, {value['stamp_from']}"
    if value["stamp_from"] is None:
        stamped = "not known whether stamped at start or end"
    return f"of {value['bar_seconds']:g} s, {stamped}"


def _duplicates(value: dict[str, Any]) -> str:
    if not value["duplicates"]:
        return "none"
    why = "kept: trades may be equal" if value["bar_seconds"] is None else "of each the later line counts"
    return f"{value['duplicates']:,} ({why})"


def _tick(value: dict[str, Any]) -> str:
    if not value["tick_size"]:
        return NOTHING
    step = value["smallest_move_ticks"]
    moves = f"; all moves are multiples of {step} ticks" if step > 1 else ""
    return f"{value['tick_size'][0]}, all prices are on it{moves}"


def _gaps(value: dict[str, Any]) -> str:
    if not value["gap_count"]:
        return "none of more than 30 minutes while the market was open"
    shown = [f"{gap['from']} to {gap['to']} ({gap['open_minutes']} min open)" for gap in value["gaps"]]
    more = value["gap_count"] - len(shown)
    return "\n".join(shown + ([f"and {more} more"] if more else []))

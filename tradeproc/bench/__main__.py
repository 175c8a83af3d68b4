"""`scripts/bench`: run the measurements, print one table, write the values to a JSON file."""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tradeproc.bench.bus import measure_bus
from tradeproc.bench.candles import measure_candles
from tradeproc.bench.engine import measure_engine
from tradeproc.bench.figures import Measured
from tradeproc.bench.missed_fills import measure_missed_fills
from tradeproc.bench.recovery import measure_recovery
from tradeproc.bench.reservation import measure_reservation
from tradeproc.bench.stops import measure_stops
from tradeproc.bench.whole_desk import measure_desk
from tradeproc.cli import reader
from tradeproc.desk.exit_status import ExitStatus, one_line
from tradeproc.errors import TradeprocError

WIDTH = 118

MEASUREMENTS: dict[str, Callable[[], Sequence[Measured]]] = {
    "candles": lambda: [measure_candles()],
    "bus": lambda: [measure_bus()],
    "engine": lambda: [measure_engine()],
    "desk": measure_desk,
    "recovery": measure_recovery,
    "reservation": measure_reservation,
    "stops": measure_stops,
    "missed_fills": measure_missed_fills,
}


def main() -> int:
    """Return 0 when everything was measured, 1 otherwise; a goal that is not met is shown, not an error."""
    arguments = _arguments()
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    table = _table()
    values: dict[str, float] = {}
    failed = 0
    for name in arguments.only or MEASUREMENTS:
        console.print(f"measuring {name} …", style="dim")
        try:
            found = MEASUREMENTS[name]()
        except TradeprocError as error:
            console.print(f"{name}: {one_line(error)}", style="red")
            failed += 1
            continue
        for measured in found:
            values.update(measured.values)
            _fill(table, measured)
    console.print(table)
    if arguments.json is not None:
        rounded = {key: round(value, 4) for key, value in values.items()}
        arguments.json.write_text(json.dumps(rounded, indent=2) + "\n")
    return ExitStatus.FAILED if failed else ExitStatus.OK


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measure speed and memory. Ratios are ours / reference, within this run."
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the values there")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, help="measure only these")
    return parser.parse_args()


def _table() -> Table:
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    table = Table(title=f"tradeproc on {machine}; ratio = ours / reference", title_justify="left")
    for name in ("what", "ours", "reference", "ratio", "goal"):
        table.add_column(name, justify="left" if name == "what" else "right")
    return table


def _fill(table: Table, measured: Measured) -> None:
    table.add_section()
    table.add_row(f"[bold]{measured.title}[/bold]")
    for row in measured.rows:
        goal = f"[{'green' if row.is_met else 'red'}]{row.goal}[/]" if row.goal else ""
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(f"  {row.what}", row.ours, row.reference, ratio, goal)


if __name__ == "__main__":
    sys.exit(reader.run(main))

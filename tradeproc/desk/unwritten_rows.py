"""Rows that wait in the journals of traders and are not in the database yet: read only, without their locks.

A journal may be replayed meanwhile; what is then in both places is told once, by whoever merges the two.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tradeproc.home import Home
from tradeproc.protocol.names import GroupName
from tradeproc.store.journal import journal_path, read_line
from tradeproc.store.writes import Write

Row = dict[str, Any]


@dataclass(slots=True)
class UnwrittenRows:
    """Rows by their kind, in the order in which they were written; each has the key `waiting`."""

    orders: dict[str, Row] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    fills: list[Row] = field(default_factory=list)
    divergences: list[Row] = field(default_factory=list)
    alarms: list[Row] = field(default_factory=list)
    rolls: list[Row] = field(default_factory=list)

    def named(self, named: str) -> list[Row]:
        """Return the orders with this client order id or broker id."""
        return [row for row in self.orders.values() if named in (row["id"], row.get("broker_id"))]

    def family(self, entry: str) -> list[Row]:
        """Return an order and the legs of its bracket."""
        return [row for row in self.orders.values() if entry in (row["id"], row.get("parent"))]


def unwritten_rows(home: Home, session: int | None = None) -> UnwrittenRows:
    """Return what waits in the journal of a session, or of all (None); one that cannot be read holds nothing."""
    found = UnwrittenRows()
    for path in _journals(home, session):
        for write in _writes(path):
            try:
                _take(found, write)
            except (KeyError, TypeError, ValueError, AttributeError):
                continue  # a line of another version: the replay decides about it
    return found


def _journals(home: Home, session: int | None) -> list[Path]:
    if session is not None:
        return [journal_path(home.journal, session)]
    try:
        paths = sorted(home.journal.glob("*.jsonl"))
    except OSError:
        return []
    return [path for path in paths if GroupName(path.stem).session is not None]


def _writes(path: Path) -> Iterator[Write]:
    try:
        lines = [] if path.is_symlink() else path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        if (write := read_line(line)) is not None:
            yield write


def _take(found: UnwrittenRows, write: Write) -> None:
    given = write.parameters
    match write.statement:
        case "save_orders":
            for row in orjson.loads(given["orders"]):
                found.orders[row["id"]] = {**row, "waiting": True}
            found.events += [{**row, "waiting": True} for row in orjson.loads(given["events"])]
            found.fills += [{**row, "waiting": True} for row in orjson.loads(given["fills"])]
        case "save_divergence":
            found.divergences.append({**given, "waiting": True})
        case "save_alarm":
            found.alarms.append({**given, "waiting": True})
        case "save_roll":
            found.rolls.append({**given, "waiting": True})
        case _:
            pass  # no part of an order's story

"""What a whole session says of its strategy at its end: pure, from the rows of its decisions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradeproc.cli.why import death_line, refusal_line
from tradeproc.domain.book import DecisionMade
from tradeproc.errors import EXIT_FAULT
from tradeproc.protocol.book_messages import StoredDecisionCounts
from tradeproc.supervision.deaths import Death
from tradeproc.supervision.repeats import HUNG

AGAIN = """
Look further: scripts/quickstart --keep leaves it running; then scripts/tradectl
status, orders, trades, watch, tail, --help. Other strategies: --strategy
opening_range_breakout, donchian_atr, or a file of yours; see README.md.
"""
FURTHER = """
Everything still runs; the session is halted, because its tape is over:
scripts/tradectl localbroker rewind --restart-sessions begins it again. Look with
scripts/tradectl status, orders, trades, watch, tail, --help, or with
.venv/bin/supervisorctl -c supervisord.conf status. scripts/stop ends it.
"""

_SHOWN = 3
_MANY_DEATHS = 5


@dataclass(frozen=True, slots=True)
class RunReport:
    """What to say, and whether the session ended well: its strategy never failed, and not all was refused."""

    lines: tuple[str, ...]
    is_well: bool


def after_deaths(found: Sequence[tuple[str, Death]], trader: str, bars: int) -> RunReport:
    """Return what to say of the deaths of a session's processes.

    It ended well in spite of them when somebody killed a process, and it came back and worked.

    Args:
        found: the process and how it died, the oldest first.
        trader: the session's trader.
        bars: what that decided in its last life.
    """
    lines = [f"A process died: {death_line(process, death)}" for process, death in found[-_MANY_DEATHS:]]
    has_stopped = not bars and any(process == trader for process, _ in found)
    if has_stopped:
        lines.append("No bar was decided since the trader died.")
    is_fault = any(death.code == EXIT_FAULT or death.reason.startswith(HUNG) for _, death in found)
    return RunReport(tuple(lines), len(found) < _MANY_DEATHS and not is_fault and not has_stopped)


def verdict(counts: StoredDecisionCounts, refused: Sequence[DecisionMade], session: int) -> RunReport:
    """Return what to say of a strategy's decisions; `refused` are rows of those that were not carried out."""
    lines: list[str] = []
    failures = [row for row in refused if row.decision == "failed"]
    others = [row for row in refused if row.decision != "failed"]
    if counts.failed:
        bars = "1 bar" if counts.failed == 1 else f"{counts.failed} bars"
        lines += [f"The strategy failed on {bars}:", *_newest(failures)]
    if counts.refused:
        share = "All" if counts.refused == counts.wanted else f"{counts.refused} of"
        lines += [f"{share} {counts.wanted} decisions of the strategy were refused:", *_newest(others)]
        lines.append(f"scripts/tradectl decisions --refused --session {session} lists them while the desk runs.")
    if not counts.wanted and not counts.failed:
        lines.append("The strategy made no decision.")
    is_well = not counts.failed and (not counts.wanted or counts.refused < counts.wanted)
    return RunReport(tuple(lines), is_well)


def _newest(rows: Sequence[DecisionMade]) -> list[str]:
    """Return the newest rows as lines, each with how often it was so in a row."""
    lines = [f"  {_refusal(row)}" + (f" ({row.times} times)" if row.times > 1 else "") for row in rows]
    return lines[-_SHOWN:]


def _refusal(row: DecisionMade) -> str:
    return refusal_line(row.market_at, row.at, row.decision, row.refusal)


def fills_of(books: Mapping[str, Any], ours: str) -> list[dict[str, Any]]:
    """Return the fills in a broker's books of orders whose own ids begin with `ours`."""
    orders = {order["id"] for order in books["orders"] if order["client_id"].startswith(ours)}
    return [fill for fill in books["fills"] if fill["order_id"] in orders]


def filled(fills: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return the filled quantity of each order, from the broker's id and the quantity of each fill."""
    total: dict[str, int] = {}
    for order, quantity in fills:
        total[order] = total.get(order, 0) + int(quantity)
    return total

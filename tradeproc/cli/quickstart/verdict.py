"""What a whole session says of its strategy at its end: pure, from the rows of its decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradeproc.cli.why import refusal_line
from tradeproc.errors import EXIT_FAULT
from tradeproc.supervision.deaths import Death
from tradeproc.supervision.repeats import HUNG

_SHOWN = 3
_MANY_DEATHS = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to say, and whether the session ended well: its strategy never failed, and not all was refused."""

    lines: tuple[str, ...]
    is_well: bool


def is_harmless(deaths: Sequence[Death]) -> bool:
    """Tell whether a session ended well in spite of deaths: somebody killed a process, and it came back."""
    is_fault = any(death.code == EXIT_FAULT or death.reason.startswith(HUNG) for death in deaths)
    return len(deaths) < _MANY_DEATHS and not is_fault


def verdict(counts: Mapping[str, int], refused: Sequence[Mapping[str, Any]], session: int) -> Verdict:
    """Return what to say of a strategy's decisions; `refused` are rows of those that were not carried out."""
    lines: list[str] = []
    failures = [row for row in refused if row["decision"] == "failed"]
    others = [row for row in refused if row["decision"] != "failed"]
    if counts["failed"]:
        bars = "1 bar" if counts["failed"] == 1 else f"{counts['failed']} bars"
        lines += [f"The strategy failed on {bars}:", *_newest(failures)]
    if counts["refused"]:
        share = "All" if counts["refused"] == counts["wanted"] else f"{counts['refused']} of"
        lines += [f"{share} {counts['wanted']} decisions of the strategy were refused:", *_newest(others)]
        lines.append(f"scripts/tradectl decisions --refused --session {session} lists them while the desk runs.")
    if not counts["wanted"] and not counts["failed"]:
        lines.append("The strategy made no decision.")
    is_well = not counts["failed"] and (not counts["wanted"] or counts["refused"] < counts["wanted"])
    return Verdict(tuple(lines), is_well)


def _newest(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the newest rows as lines, each with how often it was so in a row."""
    lines = [f"  {refusal_line(row)}" + (f" ({row['times']} times)" if row["times"] > 1 else "") for row in rows]
    return lines[-_SHOWN:]

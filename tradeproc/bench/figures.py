"""The result of a measurement: rows for the table, and values under keys that stay the same between versions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from tradeproc.errors import Fault


class BenchFailed(Fault):
    """A measurement that could not be made; the others still count."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. An empty `goal` means that there is none, and then `is_met` has no meaning."""

    what: str
    ours: str
    reference: str = ""
    ratio: float | None = None
    goal: str = ""
    is_met: bool = True


@dataclass(frozen=True, slots=True)
class Measured:
    """The outcome of one measurement."""

    title: str
    rows: Sequence[Row]
    values: dict[str, float] = field(default_factory=dict)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of at least two values."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def milliseconds(seconds: Sequence[float]) -> str:
    """Return the median of durations as text."""
    return f"{median(seconds) * 1e3:.2f} ms"

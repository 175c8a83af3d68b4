"""What the health check tells: problems, and how bad each is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from tradeproc.config import HealthConfig
from tradeproc.desk.observations import Observations
from tradeproc.domain.units import SECOND


class Level(StrEnum):
    """How bad a problem is, the worst last."""

    WARNING = "warning"
    UNKNOWN = "unknown"
    CRITICAL = "critical"

    @property
    def exit_code(self) -> int:
        """Return the exit code of a check whose worst problem this is."""
        return {Level.WARNING: 1, Level.CRITICAL: 2, Level.UNKNOWN: 3}[self]


@dataclass(frozen=True, slots=True)
class Problem:
    """One line for a person: what it is about, what was found, what to do."""

    level: Level
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.level.value.upper()} {self.subject}: {self.text}"


Rule = Callable[[Observations, HealthConfig, int], Iterable[Problem]]


def acknowledge_way(session: int | None) -> str:
    """Return how a person says that they have seen what a session, or the host (None), is warned about."""
    whose = "--host" if session is None else f"--session {session}"
    return f", and when you have seen it: scripts/tradectl acknowledge {whose} --reason WHY"


def ago(at: int, now: int) -> str:
    """Return an age as `4 s`, `3 min`, `5 h` or `2 d`."""
    seconds = max(now - at, 0) // SECOND
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"

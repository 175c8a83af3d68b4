"""What can be wrong with a configuration, and checks that several sections share."""

from pathlib import Path

from tradeproc.domain.records import BadValue
from tradeproc.errors import Halt, Refusal


class BadConfig(Halt):
    """A configuration file that cannot be used; the process exits 78 with this one line."""

    def __init__(self, file: Path, problem: str) -> None:
        self.file, self.problem = file, problem
        super().__init__(f"{file}: {problem}")


MOST = 1e9


class NotAllowedHere(Refusal):
    """A session that this desk's configuration does not allow; caught by the command that creates or starts it."""


def check_positive(**values: float) -> None:
    """Check that each value is above zero and at most 1e9, which in seconds are some thirty years.

    Raises:
        BadValue: names the first that is not.
    """
    for key, value in values.items():
        if not value > 0:
            raise BadValue(key, f"must be above 0, not {value:g}")
        if value > MOST:
            raise BadValue(key, f"must be at most {MOST:g}, not {value:g}")

"""Whether dates as 02/01/2024 begin with the month or the day: a person says it, or a day above 12 proves it.

Without either the month comes first, with a warning.
"""

from dataclasses import dataclass

import numpy as np

from tradeproc.market.tape_files.cells import Block, Integers
from tradeproc.market.tape_files.lines import UnreadableTape
from tradeproc.market.tape_files.moments import Moments

MONTH, DAY = "month", "day"


@dataclass(slots=True)
class DateOrder:
    """What a file's dates begin with: `said` by a person, `proven` by a row seen so far; each may be empty."""

    said: str = ""
    proven: str = ""
    _proof: str = ""
    _doubtful: str = ""
    _short_year: str = ""

    def __post_init__(self) -> None:
        """Check what is said.

        Raises:
            UnreadableTape: `said` is neither month nor day.
        """
        if self.said not in ("", MONTH, DAY):
            raise UnreadableTape(None, f"dates must begin with month or day, not {self.said!r}")

    def see(self, moments: Moments, block: Block, column: int) -> None:
        """Learn from the rows of a block.

        Raises:
            UnreadableTape: a date contradicts what a person said, or an earlier date.
        """
        for order, rows in ((MONTH, moments.only_month), (DAY, moments.only_day)):
            if not len(rows):
                continue
            row = int(rows[0])
            expected = self.said or self.proven or order
            if order != expected:
                why = "as you say" if self.said else f"as {self._proof} does"
                raise block.refuse(row, column, f"date must begin with the {expected}, {why}")
            if not self.proven:
                self.proven, self._proof = order, f"{block.text(row, column)!r} in line {int(block.lines[row])}"
        if moments.day_first is not None and not self._doubtful:
            rows = np.flatnonzero(moments.day_first != moments.at)
            self._doubtful = repr(block.text(int(rows[0]), column)) if len(rows) else ""
        if moments.has_short_years and not self._short_year:
            self._short_year = repr(block.text(0, column))

    def settle(self, moments: Moments) -> Integers:
        """Return the times by the order that is said or proven; the month comes first when neither is."""
        is_day = (self.said or self.proven) == DAY
        return moments.at if moments.day_first is None or not is_day else moments.day_first

    def is_settled(self) -> bool:
        """Tell whether the order is known, so that no later row can change it."""
        return bool(self.said or self.proven)

    def warnings(self) -> list[str]:
        """Return what a person should know: what was assumed or concluded although nobody said it."""
        found = []
        if self._doubtful and not self.is_settled():
            found.append(
                f"dates as {self._doubtful} may begin with the month or the day, and no day is above 12: "
                "read with the month first; --dates day says otherwise, --dates month confirms it"
            )
        if self.proven == DAY and not self.said:
            found.append(f"dates begin with the day, as {self._proof} shows")
        if self._short_year:
            found.append(f"years of two digits, as in {self._short_year}, are read as 1970 to 2069")
        return found

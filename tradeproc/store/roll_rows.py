"""What commands show of rolls: past ones with their prices, and volumes."""

from tradeproc.domain.roll_volumes import RollVolume
from tradeproc.store.columns import value_of
from tradeproc.store.read_only import ReadOnlyRows, Row


class RollRows(ReadOnlyRows):
    """Reads the rows of rolls."""

    def history(self, session: int | None) -> list[Row]:
        """Return the newest hundred rolls of a session or of all (None), oldest first, at the step they have reached.

        `closed` and `opened` are contracts, `closed_price` and `opened_price` their average prices in points.
        """
        return self._database.rows("roll_history", {"session": session})

    def volumes(self) -> list[RollVolume]:
        """Return the newest five thousand days of volumes, oldest first within a session."""
        return [value_of(RollVolume, row) for row in self._database.rows("newest_roll_volumes", {})]

"""What commands show of rolls: past ones with their prices, and volumes; by a read-only connection, 2 s a read."""

from typing import Any

from tradeproc.domain.roll_volumes import RollVolume
from tradeproc.store.columns import value_of
from tradeproc.store.database import Database

_SECONDS = 2.0
Row = dict[str, Any]


class RollRows:
    """Reads the rows of rolls; every method raises what those of `Store` do."""

    def __init__(self, url: str) -> None:
        self._database = Database(url, connect_seconds=_SECONDS, answer_seconds=_SECONDS)

    def begin(self) -> None:
        """Connect, and let the server refuse every write of this connection."""
        self._database.rows("read_only", {})

    def session(self, named: str) -> int | None:
        """Return the session with this number or name, also a removed one; None when there is none."""
        found = self._database.rows("story_session", {"named": named})
        return int(found[0]["id"]) if found else None

    def history(self, session: int | None) -> list[Row]:
        """Return the newest hundred rolls of a session or of all (None), oldest first, at the step they have reached.

        `closed` and `opened` are contracts, `closed_price` and `opened_price` their average prices in points.
        """
        return self._database.rows("roll_history", {"session": session})

    def volumes(self) -> list[RollVolume]:
        """Return the newest five thousand days of volumes, oldest first within a session."""
        return [value_of(RollVolume, row) for row in self._database.rows("newest_roll_volumes", {})]

    def close(self) -> None:
        """Give the connection back."""
        self._database.close()

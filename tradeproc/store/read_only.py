"""What commands read of the database by themselves: a read-only connection of its own, 2 s a read."""

from typing import Any

from tradeproc.store.database import Database

_SECONDS = 2.0
Row = dict[str, Any]


class ReadOnlyRows:
    """Reads rows without asking any process; every method raises what those of `Store` do."""

    def __init__(self, url: str) -> None:
        self._database = Database(url, connect_seconds=_SECONDS, answer_seconds=_SECONDS)

    def begin(self) -> None:
        """Connect, and let the server refuse every write of this connection."""
        self._database.rows("read_only", {})

    def session(self, named: str) -> int | None:
        """Return the session with this number or name, also a removed one; None when there is none."""
        found = self._database.rows("story_session", {"named": named})
        return int(found[0]["id"]) if found else None

    def close(self) -> None:
        """Give the connection back."""
        self._database.close()

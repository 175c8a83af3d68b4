"""The rows of one order's story, for `tradectl explain`."""

from collections.abc import Sequence

from tradeproc.store.read_only import ReadOnlyRows, Row

# a number of an order or a session beyond this is none, and a bigint could not hold it
_LARGEST = 2**63 - 1


class OrderStories(ReadOnlyRows):
    """Reads what belongs to an order, or to a moment of a session."""

    def named(self, named: str, session: int | None) -> list[Row]:
        """Return the newest ten orders with this client order id or broker id, of one session or of all."""
        return self._database.rows("story_orders", {"named": named, "session": session})

    def numbered(self, number: int, session: int) -> list[Row]:
        """Return the order that a session made as its first (1), second, …; empty when there is none."""
        if not 1 <= number <= _LARGEST:
            return []
        return self._database.rows("story_number", {"session": session, "before": number - 1})

    def family(self, entry: str) -> list[Row]:
        """Return an order and the legs of its bracket."""
        return self._database.rows("story_family", {"id": entry})

    def of_orders(self, kind: str, session: int, ids: Sequence[str]) -> list[Row]:
        """Return the events, fills, trades, divergences, heat answers or rolls of orders, oldest first."""
        return self._database.rows(f"story_{kind}", {"session": session, "ids": list(ids)})

    def decisions(self, session: int, at: int) -> list[Row]:
        """Return what the strategy wanted at a moment."""
        return self._database.rows("story_decisions", {"session": session, "at": at})

    def refused(self, session: int, limit: int) -> list[Row]:
        """Return the newest refused decisions of a session, oldest first."""
        return self._database.rows("story_refused", {"session": session, "limit": limit})

    def decided(self, session: int, at: int) -> list[Row]:
        """Return the newest five decisions of a session that began until a moment, oldest first."""
        return self._database.rows("story_decided", {"session": session, "at": at})

    def standing(self, session: int, at: int) -> list[Row]:
        """Return the first fifty alarms of a session that stood at a moment, oldest first."""
        return self._database.rows("story_standing", {"session": session, "at": at})

    def between(self, kind: str, session: int, since: int, until: int) -> list[Row]:
        """Return the first fifty fills by no order of ours (outside) or heat blocks of a time, oldest first."""
        return self._database.rows(f"story_{kind}", {"session": session, "since": since, "until": until})

    def alarms(self, session: int, since: int, until: int) -> list[Row]:
        """Return the first fifty alarms of a session that were raised from `since` to `until`."""
        return self._database.rows("story_alarms", {"session": session, "since": since, "until": until})

"""Files of groups that were put aside are an alarm until a person has looked and removed them."""

import logging
from pathlib import Path

from tradeproc.clock import wall_ns
from tradeproc.protocol.names import KEEPER
from tradeproc.store import DatabaseDown, Store

log = logging.getLogger(__name__)

ALARM = "group_file_put_aside"


class AsideWatch:
    """Looks into the folder of the groups; what is there counts, whoever put it aside and in whichever life."""

    def __init__(self, store: Store, groups: Path) -> None:
        self._store, self._groups = store, groups
        self._told: str | None = None

    def look(self) -> None:
        """Raise the alarm when there is something new, and clear it when nothing is there any more."""
        names = sorted(path.name for path in self._groups.glob("*.aside"))
        detail = (
            f"edited by hand, or unreadable: {', '.join(names)} in {self._groups}; look at it, then remove it"
            if names
            else ""
        )
        if detail == self._told:
            return
        try:
            standing = [
                row for row in self._store.alarms(only_standing=True) if (row.session, row.name) == (None, ALARM)
            ]
            # an earlier keeper's alarm that says the same stays, because a person may have acknowledged it
            if [row.detail for row in standing] != ([detail] if detail else []):
                self._store.clear_alarms(None, ALARM, wall_ns())
                if detail:
                    self._store.save_alarm(None, ALARM, detail, wall_ns(), KEEPER)
        except DatabaseDown as down:
            log.warning("alarm_unsaved name=%s reason=%s", ALARM, down)
            return
        self._told = detail

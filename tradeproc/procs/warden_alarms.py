"""The warden's alarms: in the log and on the bus at once, in the database when it takes them.

A thread of its own writes them, so that a slow or missing database never holds up the warden.
"""

import logging
import queue
import re
import threading
import time

from tradeproc.bus.node import Node
from tradeproc.clock import wall_ns
from tradeproc.domain.units import Nanos
from tradeproc.store import DatabaseDown, Store, StoreFault

log = logging.getLogger(__name__)

_PAUSE = 2.0
_MOST_KEPT = 1000
_SESSION = re.compile(r"session-(\d+)")


class Alarms:
    """Alarms of groups; an alarm that stands is not raised twice."""

    def __init__(self, node: Node, url: str, connect_seconds: float) -> None:
        self._node, self._url, self._connect_seconds = node, url, connect_seconds
        self._standing: set[tuple[str, str]] = set()
        self._waiting: queue.Queue[tuple[str, str, str, Nanos]] = queue.Queue(_MOST_KEPT)
        self._is_closed = False
        node.add_statistics(lambda: {"alarms": sorted(f"{group} {name}" for group, name in self._standing)})
        threading.Thread(target=self._write_all, name="alarms", daemon=True).start()

    def raise_alarm(self, group: str, name: str, detail: str) -> None:
        """Tell a person."""
        if (group, name) in self._standing:
            return
        self._standing.add((group, name))
        log.critical("alarm_raised group=%s name=%s detail=%s", group, name, detail)
        self._say(group, name, detail, is_over=False)

    def clear(self, group: str, name: str) -> None:
        """Tell that it is over; also one that a predecessor of this process raised."""
        if (group, name) in self._standing:
            self._standing.discard((group, name))
            log.warning("alarm_cleared group=%s name=%s", group, name)
        self._say(group, name, "", is_over=True)

    def stands(self, group: str, name: str) -> bool:
        """Tell whether we raised an alarm that is not over."""
        return (group, name) in self._standing

    def close(self) -> None:
        """Give up what waits; the log has it."""
        self._is_closed = True

    def _say(self, group: str, name: str, detail: str, *, is_over: bool) -> None:
        at = wall_ns()
        self._node.publish("alarm", {"group": group, "name": name, "detail": detail, "at": at, "cleared": is_over})
        try:
            self._waiting.put_nowait((group, name, "" if is_over else detail or name, at))
        except queue.Full:
            log.warning("alarm_unsaved group=%s name=%s reason=too many wait for the database", group, name)

    def _write_all(self) -> None:
        store = Store(self._url, connect_timeout=self._connect_seconds)
        while True:
            group, name, detail, at = self._waiting.get()
            while not self._is_closed:
                try:
                    _write(store, group, name, detail, at)
                    break
                except (DatabaseDown, StoreFault):
                    # a fault too: on a new desk the tables may not be there yet
                    time.sleep(_PAUSE)


def _write(store: Store, group: str, name: str, detail: str, at: Nanos) -> None:
    found = _SESSION.fullmatch(group)
    session = int(found[1]) if found else None
    title = name if found else f"{group}:{name}"
    if not detail:
        store.clear_alarms(session, title, at)
    elif not any(row.name == title and row.session == session for row in store.alarms(session, only_standing=True)):
        store.save_alarm(session, title, detail, at)

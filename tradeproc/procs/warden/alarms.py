"""The warden's alarms: in the log and on the bus at once, in the database when it takes them.

A thread of its own writes them, so that a slow or missing database never holds up the warden.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tradeproc.bus.node import Node
from tradeproc.clock import wall_ns
from tradeproc.config import HealthConfig
from tradeproc.domain.units import Nanos
from tradeproc.protocol import names, scopes
from tradeproc.protocol.alarms import ALARM, Alarm, group_and_name, name_in_group, scope_of, severity_of
from tradeproc.store import DatabaseDown, StatementRefused, Store

log = logging.getLogger(__name__)

_PAUSE = 2.0
_MOST_KEPT = 1000
# what comes before the colon in the names of the warden's alarms, which tells them from those of others
_OURS = frozenset({"given_up", "cannot_start", "halted", "dies", "declaration_unread", "disk_low", "disk_full"})


class Alarms:
    """Alarms of groups; an alarm that stands is not raised twice."""

    def __init__(self, node: Node, url: str, connect_seconds: float) -> None:
        self._node, self._url, self._connect_seconds = node, url, connect_seconds
        self._standing: set[tuple[str, str]] = set()
        self._since: dict[tuple[str, str], Nanos] = {}
        self._waiting: queue.Queue[Callable[[Store], None]] = queue.Queue(_MOST_KEPT)
        self._is_closed = False
        node.add_statistics(lambda: {"alarms": sorted(f"{group} {name}" for group, name in self._standing)})
        threading.Thread(target=self._write_all, name="alarms", daemon=True).start()

    def raise_alarm(self, group: str, name: str, detail: str) -> None:
        """Raise an alarm, so that a person hears of it."""
        if (group, name) in self._standing:
            return
        self._standing.add((group, name))
        log.critical("alarm_raised group=%s name=%s detail=%s", group, name, detail)
        self._say(group, name, detail, is_over=False)

    def clear(self, group: str, name: str) -> None:
        """Clear an alarm whose cause is gone; also one that a predecessor of this process raised."""
        if (group, name) in self._standing:
            self._standing.discard((group, name))
            log.warning("alarm_cleared group=%s name=%s", group, name)
        self._say(group, name, "", is_over=True)

    def forget_others(self) -> None:
        """Clear a predecessor's alarms in the database that we do not hold; to be called when all is rebuilt."""
        self._put(partial(self._forget, frozenset(self._standing), wall_ns()), scopes.HOST, "of a predecessor")

    def stands(self, group: str, name: str) -> bool:
        """Tell whether we raised an alarm that is not over."""
        return (group, name) in self._standing

    def close(self) -> None:
        """Drop the rows that still wait for the database; the log has them."""
        self._is_closed = True

    def _say(self, group: str, name: str, detail: str, *, is_over: bool) -> None:
        at = wall_ns()
        since = self._since.pop((group, name), at) if is_over else self._since.setdefault((group, name), at)
        self._node.publish(ALARM, _alarm(group, name, since, detail, cleared=is_over))
        self._put(partial(_write, group, name, "" if is_over else detail or name, at), group, name)

    def _put(self, write: Callable[[Store], None], group: str, name: str) -> None:
        try:
            self._waiting.put_nowait(write)
        except queue.Full:
            log.warning("alarm_unsaved group=%s name=%s reason=too many wait for the database", group, name)

    def _write_all(self) -> None:
        store = Store(self._url, connect_timeout=self._connect_seconds)
        while True:
            write = self._waiting.get()
            while not self._is_closed:
                try:
                    write(store)
                    break
                except (DatabaseDown, StatementRefused):
                    # a refusal too: on a new desk the tables may not be there yet
                    time.sleep(_PAUSE)

    def _forget(self, held: frozenset[tuple[str, str]], at: Nanos, store: Store) -> None:
        for row in store.alarms(only_standing=True):
            group, name = group_and_name(row.session, row.name)
            if name.partition(":")[0] in _OURS and (group, name) not in held:
                store.clear_alarms(row.session, row.name, at)
                log.warning("alarm_cleared group=%s name=%s reason=its cause did not outlive a restart", group, name)
                told = _alarm(group, name, row.at, "", cleared=True)
                self._node.post(partial(self._node.publish, ALARM, told))


def tell_of_disk(alarms: Alarms, where: Path, free_mb: int, limits: HealthConfig) -> None:
    """Raise the alarms of a disk with too little room; an alarm is over when a tenth more than its limit is free."""
    for name, least in (("disk_low", limits.disk_warning_mb), ("disk_full", limits.disk_critical_mb)):
        if free_mb < least:
            alarms.raise_alarm(scopes.HOST, name, f"{free_mb} MB free under {where}, wanted {least} MB")
        elif free_mb > least + least // 10 and alarms.stands(scopes.HOST, name):
            alarms.clear(scopes.HOST, name)


def _alarm(group: str, name: str, since: Nanos, detail: str, *, cleared: bool) -> Alarm:
    of_group = names.GroupName(group)
    named = name_in_group(of_group, name)
    return Alarm(names.WARDEN, named, scope_of(of_group), severity_of(named), since, detail, cleared)


def _write(group: str, name: str, detail: str, at: Nanos, store: Store) -> None:
    session = names.GroupName(group).session
    title = name_in_group(names.GroupName(group), name)
    if not detail:
        store.clear_alarms(session, title, at)
    elif not any(row.name == title and row.session == session for row in store.alarms(session, only_standing=True)):
        store.save_alarm(session, title, detail, at, names.WARDEN)

"""Which sessions are due by their schedules, and how one that is to be flat at its end gets so before it stops."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from tradeproc.bus.node import Answered, Node, Reply
from tradeproc.clock import SECOND
from tradeproc.domain.units import Nanos
from tradeproc.domain.wanted import wanted_now
from tradeproc.store import DatabaseDown, SessionRow, Store
from tradeproc.supervision.client import Program
from tradeproc.supervision.groups import session_name
from tradeproc.supervision.reconcile import is_done

log = logging.getLogger(__name__)

_ASK_AGAIN = 5 * SECOND
_LATE = 60 * SECOND
_ANSWER_SECONDS = 4.0
ALARM = "not_flat_at_end"


class Schedules:
    """Remembers which sessions are getting flat, since when, and when their traders were told last."""

    def __init__(self, node: Node, store: Store) -> None:
        self._node, self._store = node, store
        self._since: dict[int, Nanos] = {}
        self._told: dict[int, Nanos] = {}
        self._late: set[int] = set()

    def due(self, rows: Sequence[SessionRow], programs: Iterable[Program], now: Nanos) -> list[SessionRow]:
        """Return the sessions whose groups should be there now.

        Those whose schedule is over and that are to be flat stay until their trader has ended, which it does when it
        is flat; one that is due again meanwhile ends first and begins anew.
        """
        groups: dict[str, list[Program]] = {}
        for program in programs:
            groups.setdefault(program.group, []).append(program)
        return [row for row in rows if self._is_due(row, groups, now)]

    def _is_due(self, row: SessionRow, groups: Mapping[str, Sequence[Program]], now: Nanos) -> bool:
        members = groups.get(session_name(row.id), ())
        is_wanted = wanted_now(row.spec, row.desired, now)
        is_flattening = row.spec.schedule is not None and row.spec.schedule.flatten_at_end
        if row.desired != "running" or not members or not is_flattening or (is_wanted and row.id not in self._since):
            self._forget(row.id, now)
            return is_wanted
        since = self._since.setdefault(row.id, now)
        if now - since > _LATE:
            self._tell_late(row.id, now)
        trader = next((program for program in members if program.name == "trader"), None)
        if trader is None or is_done(trader):
            return False
        if trader.state.is_up:
            self._get_flat(row.id, now)
            return True
        # the warden may be about to start it again; but one that stays down is flat or not, nobody can tell
        return now - since <= _LATE

    def _get_flat(self, session: int, now: Nanos) -> None:
        """Tell the trader to get flat and end, and again while it lives; that may be repeated without harm."""
        if abs(now - self._told.get(session, 0)) < _ASK_AGAIN:
            return
        self._told[session] = now
        log.info("session_over session=%d: getting flat by its schedule", session)
        self._node.request(
            f"session-{session}.trader",
            "stop",
            {"flatten": True, "by": "schedule"},
            seconds=_ANSWER_SECONDS,
            on_reply=partial(_heard, session),
        )

    def _tell_late(self, session: int, now: Nanos) -> None:
        if session in self._late:
            return
        self._late.add(session)
        detail = "its schedule is over for a minute and its trader has not said that it is flat; look at the broker"
        log.error("not_flat_at_end session=%d", session)
        try:
            self._store.save_alarm(session, ALARM, detail, now)
        except DatabaseDown as down:
            log.warning("alarm_unsaved session=%d reason=%s", session, down)

    def _forget(self, session: int, now: Nanos) -> None:
        self._since.pop(session, None)
        self._told.pop(session, None)
        if session in self._late:
            try:
                self._store.clear_alarms(session, ALARM, now)
            except DatabaseDown:
                return
            self._late.discard(session)


def _heard(session: int, reply: Reply) -> None:
    if not isinstance(reply, Answered):
        log.warning("flatten_unheard session=%d reason=%s", session, reply)

"""Which sessions are due, and how a session that must be flat before it stops is flattened.

Its schedule or a command says that it must be flat. A command is stored in the database, so that it outlives keeper,
trader and machine.
"""

import logging
from collections.abc import Iterable, Sequence
from functools import partial

from tradeproc.bus.node import Answered, Node, Reply
from tradeproc.clock import SECOND
from tradeproc.domain.units import Nanos
from tradeproc.domain.wanted import RUNNING, wanted_now
from tradeproc.protocol import names
from tradeproc.protocol.trader_messages import STOP, StopTrading, TradingStateNow
from tradeproc.store import DatabaseDown, SessionRow, Store
from tradeproc.supervision.client import Program
from tradeproc.supervision.wanted_groups import is_done

log = logging.getLogger(__name__)

_ASK_AGAIN = 5 * SECOND
_LATE = 60 * SECOND
_ANSWER_SECONDS = 4.0
ALARM = "not_flat_at_end"
FLATTENING = "flattening"


class Schedules:
    """Remembers which sessions are being flattened, since when, and when each trader was told last."""

    def __init__(self, node: Node, store: Store) -> None:
        self._node, self._store = node, store
        self._since: dict[int, Nanos] = {}
        self._down: dict[int, Nanos] = {}
        self._told: dict[int, tuple[int, Nanos]] = {}
        # sessions with a standing alarm; of those in `_left` the trader stayed down, and nobody knows whether it was
        # flat
        self._late: set[int] = set()
        self._left: set[int] = set()
        self._is_informed = False

    def due(self, rows: Sequence[SessionRow], programs: Iterable[Program], now: Nanos) -> list[SessionRow]:
        """Return the sessions whose groups should be there now.

        Those that are to be flat before they stop, by their schedule or on command, stay until their trader has
        ended, which it does when it is flat, or has been down for a minute, which raises an alarm. One that is due
        again meanwhile ends first and begins anew. A session that was commanded to get flat and has no group, as
        after a boot, gets one, because nobody has confirmed that it is flat.
        """
        self._learn_alarms()
        groups: dict[str, list[Program]] = {}
        for program in programs:
            groups.setdefault(program.group, []).append(program)
        return [row for row in rows if self._is_due(row, groups.get(names.session_group(row.id), ()), now)]

    def _learn_alarms(self) -> None:
        """Take over the alarms that an earlier keeper raised: nobody else would clear them."""
        if self._is_informed:
            return
        try:
            standing = self._store.alarms(only_standing=True)
        except DatabaseDown:
            return
        self._late = {row.session for row in standing if row.name == ALARM and row.session is not None}
        self._left = set(self._late)
        self._is_informed = True

    def _is_due(self, row: SessionRow, members: Sequence[Program], now: Nanos) -> bool:
        is_wanted = wanted_now(row.spec, row.desired, now)
        if row.desired == FLATTENING:
            return self._stays(row, members, now) if members else True
        is_at_end = row.spec.schedule is not None and row.spec.schedule.flatten_at_end
        has_begun = row.id in self._since or not is_wanted or _has_ended(members)
        if row.desired == RUNNING and members and is_at_end and has_begun:
            return self._stays(row, members, now)
        self._forget(row.id, now, is_wanted=is_wanted)
        return is_wanted

    def _stays(self, row: SessionRow, members: Iterable[Program], now: Nanos) -> bool:
        """Tell whether a session that is getting flat still needs its group; tell its trader if it does."""
        since = self._since.setdefault(row.id, now)
        if now - since > _LATE:
            self._tell_late(row.id, now)
        trader = next((program for program in members if program.process.is_trader), None)
        if trader is not None and is_done(trader):
            self._left.discard(row.id)
            return not self._is_over(row)
        if trader is not None and trader.state.is_up:
            self._down.pop(row.id, None)
            self._get_flat(row.id, trader.pid, now)
            return True
        # The warden may be about to start it again. When a trader stays down, nobody knows whether it is flat.
        if now - self._down.setdefault(row.id, now) <= _LATE:
            return True
        self._tell_late(row.id, now)
        self._left.add(row.id)
        return not self._is_over(row)

    def _is_over(self, row: SessionRow) -> bool:
        """Store that a session that was commanded to get flat has stopped, and tell whether its group may go.

        False when it could not be stored: the group stays until the next look, which tries again.
        """
        if row.desired == FLATTENING:
            try:
                self._store.set_desired(row.id, "stopped")
            except DatabaseDown as down:
                log.warning("stop_unsaved session=%d reason=%s", row.id, down)
                return False
            log.info("session_unwanted session=%d: its trader has ended", row.id)
        return True

    def _get_flat(self, session: int, pid: int, now: Nanos) -> None:
        """Tell the trader to get flat and end, again every 5 s while it lives; it may be told so without harm."""
        told, at = self._told.get(session, (0, 0))
        if told == pid and abs(now - at) < _ASK_AGAIN:
            return
        self._told[session] = (pid, now)
        log.info("session_over session=%d: its trader is told to get flat", session)
        self._node.request(
            names.trader(session),
            STOP,
            StopTrading("keeper", flatten=True, pid=pid),
            seconds=_ANSWER_SECONDS,
            on_reply=partial(_heard, session),
        )

    def _tell_late(self, session: int, now: Nanos) -> None:
        if session in self._late:
            return
        detail = "it should have been flat a minute ago, but its trader has not said that it is; look at the broker"
        log.error("not_flat_at_end session=%d", session)
        try:
            self._store.save_alarm(session, ALARM, detail, now, names.KEEPER)
        except DatabaseDown as down:
            # the next look finds the same and tries again
            log.warning("alarm_unsaved session=%d reason=%s", session, down)
            return
        self._late.add(session)

    def _forget(self, session: int, now: Nanos, *, is_wanted: bool) -> None:
        for memory in (self._since, self._told, self._down):
            memory.pop(session, None)
        if session in self._late and (is_wanted or session not in self._left):
            try:
                self._store.clear_alarms(session, ALARM, now)
            except DatabaseDown:
                return
            self._late.discard(session)
            self._left.discard(session)


def _has_ended(members: Iterable[Program]) -> bool:
    """Tell whether the trader of a group is done: it got flat while no keeper looked, and its group must go first."""
    return any(program.process.is_trader and is_done(program) for program in members)


def _heard(session: int, reply: Reply[TradingStateNow]) -> None:
    if not isinstance(reply, Answered):
        log.warning("flatten_unheard session=%d reason=%s", session, reply)

"""What the strategy wanted and what heat the portfolio gave, written once a second, off the hot path.

The same refusal again and again is one row that counts, so that a strategy refused on each bar does not flood the
database. While the database is away the newest 500 wait in memory. They are notes for people, so none is journalled.
"""

import logging
import re
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from tradeproc.domain.book import DecisionMade
from tradeproc.domain.portfolio import HeatAnswer
from tradeproc.domain.units import Nanos
from tradeproc.engine.effects import DecisionNoted
from tradeproc.procs.trader.audit_trail import AuditTrail
from tradeproc.store.database import DatabaseDown, StatementRefused

log = logging.getLogger(__name__)

MOST_WAITING = 500
_NUMBERS = re.compile(r"\d+")


class DecisionBook:
    """The decisions of one trader's life that are not written yet."""

    def __init__(self, session: int) -> None:
        self._session = session
        self._newest: DecisionMade | None = None
        self._waiting: dict[int, DecisionMade] = {}
        self._answers: deque[HeatAnswer] = deque(maxlen=MOST_WAITING)

    def note(self, noted: DecisionNoted) -> None:
        """Take note of a decision."""
        limits = {each.name: f"{each.used} of {each.allowed}" for each in noted.limits}
        row = DecisionMade(
            self._session, noted.at, noted.at, 1, noted.market_at, noted.decision, noted.reason, noted.refusal, limits
        )
        newest = self._newest
        if newest is not None and row.refusal and _kind(row) == _kind(newest):
            row = replace(row, began_at=newest.began_at, times=newest.times + 1)
        elif newest is not None and row.began_at <= newest.began_at:
            # began_at is the key of a session's decisions, and the clock may have stood still
            row = replace(row, began_at=Nanos(newest.began_at + 1))
        self._newest = self._waiting[row.began_at] = row
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[min(self._waiting)]

    def note_heat(self, answer: HeatAnswer) -> None:
        """Take note of how a question for heat was answered."""
        self._answers.append(answer)

    def flush(self, audit: AuditTrail) -> None:
        """Write what waits, unless the database is away; rows that it refuses are dropped."""
        if not (self._waiting or self._answers) or not audit.is_up:
            return
        try:
            self._write(len(self._waiting), lambda: audit.store.save_decisions(self._session, self._rows()))
            self._waiting.clear()
            self._write(len(self._answers), lambda: audit.store.save_heat_answers(self._session, [*self._answers]))
            self._answers.clear()
        except DatabaseDown as down:
            audit.went_down(down)

    def _rows(self) -> list[DecisionMade]:
        return list(self._waiting.values())

    def _write(self, count: int, write: Callable[[], None]) -> None:
        """Write some rows; those that the database refuses are dropped, and the others are written all the same."""
        if not count:
            return
        try:
            write()
        except StatementRefused:
            log.exception("decisions_refused session=%d rows=%d", self._session, count)


def _kind(row: DecisionMade) -> tuple[str, str]:
    """Return what makes two refusals the same: their words, whatever the numbers in them."""
    return row.decision, _NUMBERS.sub("#", row.refusal)

"""What a trader hears of its exchange's calendar and of its own schedule.

The keeper tells the trader when a schedule ends that wants the session to be flat. The keeper may be down at that
moment, or its database away, so the trader looks at the schedule itself as well.
"""

import logging
from collections.abc import Callable

from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import Nanos
from tradeproc.domain.wanted import RUNNING, wanted_now
from tradeproc.engine import events
from tradeproc.engine.events import Event

log = logging.getLogger(__name__)


class Hours:
    """Tells the engine when the calendar opens or closes the market, and once when the session is over."""

    def __init__(self, spec: SessionSpec, tell: Callable[[Event], None]) -> None:
        self._spec, self._tell = spec, tell
        self._is_open: bool | None = None
        self._is_over = False

    def look(self, now: Nanos) -> None:
        """Look at the wall clock."""
        is_open = market_hours(self._spec.calendar).is_open(now)
        if is_open is not self._is_open:
            self._is_open = is_open
            self._tell(events.MarketHoursReceived(is_open))
        schedule = self._spec.schedule
        if schedule is None or not schedule.flatten_at_end or self._is_over:
            return
        if not wanted_now(self._spec, RUNNING, now):
            self._is_over = True
            log.info("session_over: it is to be flat by its schedule")
            self._tell(events.StopCommanded("schedule", flatten=True))

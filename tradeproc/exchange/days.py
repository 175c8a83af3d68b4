"""Trading days: when the day of each contract ends, by the market hours of its exchange (early closes included).

A day is a trade date: it begins at the close of the day before, so it holds the evening session, and ends at its own
close. An order placed after a close belongs to the next day. On dates that the calendar does not cover, a day ends at
the usual time of the close.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple

from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.market_hours import Changes, MarketHours, market_hours
from tradeproc.domain.units import SECOND, Nanos

# no exchange stays closed for as long as this
_LOOK_DAYS = 14
_DAY = timedelta(days=1)


class _Day(NamedTuple):
    """The trade date that a calendar is in, when it ends, and which changes by a person that takes into account."""

    date: date
    ends_at: Nanos
    changes: Changes


class TradingDays:
    """The current day of each calendar that some contracts use; `ends_at` is when the first ends (market time)."""

    def __init__(self, contracts: Iterable[str]) -> None:
        self._contracts: dict[str, list[str]] = {}
        for contract in contracts:
            self._contracts.setdefault(instrument_of(contract).market_hours, []).append(contract)
        self._days: dict[str, _Day] = {}
        self.date: date | None = None
        self.ends_at = Nanos(0)

    def forget(self) -> None:
        """Forget the current market time, so that the next moment may be any; no day is ended by this."""
        self._days.clear()
        self.date, self.ends_at = None, Nanos(0)

    def pass_to(self, at: Nanos) -> tuple[list[str], bool]:
        """Go on to a moment at or after `ends_at`; return whose day ended, and whether a new trade date began."""
        ended: list[str] = []
        before = self.date
        for key, contracts in self._contracts.items():
            known = self._days.get(key)
            if known is None or at >= known.ends_at:
                ended += [] if known is None else contracts
                day = self._days[key] = _Day(*day_of(market_hours(key), at), market_hours(key).changes)
                self.date = day.date if self.date is None else max(day.date, self.date)
        self.ends_at = min([day.ends_at for day in self._days.values()], default=at)
        return ended, before is not None and self.date != before

    def heed_changes(self, at: Nanos) -> None:
        """Compute the ends again where a person has changed the market hours; a close that is past ends its day."""
        for key, known in self._days.items():
            changes = market_hours(key).changes
            if changes is not known.changes:
                day, ends_at = day_of(market_hours(key), at)
                self._days[key] = _Day(known.date, at if day > known.date else ends_at, changes)
        self.ends_at = min([day.ends_at for day in self._days.values()], default=self.ends_at)


def day_of(hours: MarketHours, at: Nanos) -> tuple[date, Nanos]:
    """Return the trade date that a moment belongs to, and when it ends: always after the moment."""
    local = hours.local(at)
    for number in range(_LOOK_DAYS):
        session = hours.session_of(local.date() + number * _DAY)
        if session is not None and session.closed_at > at:
            return session.date, session.closed_at
    ends = datetime.combine(local.date(), hours.local(hours.horizon).time(), hours.zone)
    if ends <= local:
        ends += _DAY
    return ends.date(), Nanos(int(ends.timestamp()) * SECOND)

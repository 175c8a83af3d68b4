"""Market hours: when an exchange trades, in UTC nanoseconds, right across holidays, early closes and clock changes.

A market session is what the exchange calls a trade date: from the open, often the evening before, to the close. It
is one stretch of trading or several with breaks between (grains rest at breakfast). Sessions are worked out from
`calendar_table.py` when they are asked for, and the newest few are remembered.

The table ends at a horizon. Outside it nothing is known: nothing is open and there is no session.
Known limits: closures that were announced after the table was made are not in it (a person writes them into
conf/market_hours.toml, see `Changes`), nor is the quarter of an hour for which equity products rested at 15:15 until
June 2021.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tradeproc.domain.calendar_table import CALENDARS, CHECKED, FIRST, LAST
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.records import BadValue
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.errors import Refusal

_DAY = timedelta(days=1)
_LONGEST_REST = 14 * 86_400 * SECOND


class UnknownMarketHours(Refusal):
    """A calendar that is not in the table; caught where a person named it."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"no market hours are called {key!r}; there are {', '.join(sorted(CALENDARS))}")


class Stretch(NamedTuple):
    """Uninterrupted trading from `opened_at` up to, not including, `closed_at`."""

    opened_at: Nanos
    closed_at: Nanos


@dataclass(frozen=True, slots=True)
class MarketSession:
    """One trade date: its stretches of trading, oldest first, at least one."""

    date: date
    stretches: tuple[Stretch, ...]

    @property
    def opened_at(self) -> Nanos:
        """Return when it opens, which may be the evening before its date."""
        return self.stretches[0].opened_at

    @property
    def closed_at(self) -> Nanos:
        """Return when it closes; at this moment it is closed."""
        return self.stretches[-1].closed_at


@dataclass(frozen=True, slots=True)
class Changes:
    """What a person knows better than the table, by trade date: no trading, an earlier close, hours as on any day."""

    closed: frozenset[date] = frozenset()
    early_close: Mapping[date, time] = field(default_factory=dict)
    usual: frozenset[date] = frozenset()


class _Clock(NamedTuple):
    """A local time of day relative to the trade date."""

    days: int
    at: time


Pattern = tuple[tuple[_Clock, _Clock], ...]


class MarketHours:
    """The hours of one exchange calendar; get it from `market_hours(key)`.

    `known_from` and `horizon` bound what it knows, horizon excluded.
    """

    def __init__(self, key: str, zone: str, weekly: str, exceptions: dict[str, str]) -> None:
        self.key = key
        self.zone = ZoneInfo(zone)
        self._weekly = _pattern(weekly)
        self._table = {day: _pattern(hours) for hours, days in exceptions.items() for day in _dates(days)}
        self._exceptions = self._table
        self.changes = Changes()
        self._first, self._last = date.fromisoformat(FIRST), date.fromisoformat(LAST)
        self.known_from = self._instant(self._first, _Clock(0, time(0)))
        self.horizon = self._instant(self._last, self._weekly[-1][1])
        self.session_of = lru_cache(maxsize=32)(self._session_of)

    def change(self, changes: Changes) -> None:
        """Put a person's changes in force, instead of those before; all of them or none.

        Raises:
            BadValue: a date or a time that cannot be, as one line.
        """
        changed = dict(self._table)
        for day in sorted({*changes.closed, *changes.early_close, *changes.usual}):
            self._check_changeable(day, changes)
            if day in changes.closed:
                changed[day] = ()
            elif day in changes.usual:
                changed[day] = self._weekly
            else:
                changed[day] = self._closing_at(day, changes.early_close[day])
        self._exceptions, self.changes = changed, changes
        self.session_of.cache_clear()

    def _check_changeable(self, day: date, changes: Changes) -> None:
        if not self._first <= day <= self._last:
            raise BadValue(str(day), f"must be from {FIRST} to {LAST}")
        if day.weekday() > 4:
            raise BadValue(str(day), f"is a {day:%A}; trade dates are Monday to Friday")
        if sum(day in group for group in (changes.closed, changes.early_close, changes.usual)) > 1:
            raise BadValue(str(day), "stands twice; leave one of closed, early_close and usual")

    def _closing_at(self, day: date, close: time) -> Pattern:
        """Return the usual hours of a date up to an earlier close; a late open that the table knows stays."""
        opened = (self._table.get(day) or self._weekly)[0][0]
        last = _Clock(0, close)
        hours = tuple(
            (max(start, opened), min(end, last)) for start, end in self._weekly if start < last and end > opened
        )
        if not hours or last <= opened or last >= self._weekly[-1][1]:
            usual = self._weekly[-1][1].at
            raise BadValue(str(day), f"closes at {close:%H:%M}; {self.key} has an early close before {usual:%H:%M}")
        return hours

    @property
    def usual_hours(self) -> tuple[tuple[time, time], ...]:
        """Return the stretches of a usual day on the clock of the exchange; the first may open the evening before."""
        return tuple((opened.at, closed.at) for opened, closed in self._weekly)

    def local(self, at: Nanos) -> datetime:
        """Return a moment on the clock of the exchange."""
        return datetime.fromtimestamp(at // SECOND, self.zone)

    def session_at(self, at: Nanos) -> MarketSession | None:
        """Return the session of a moment, its breaks included; None between sessions and outside what is known."""
        day = self._day(at)
        for candidate in (day, day + _DAY):
            session = self.session_of(candidate)
            if session is not None and session.opened_at <= at < session.closed_at:
                return session
        return None

    def session_opened_at(self, opened_at: Nanos, closed_at: Nanos | None = None) -> Nanos | None:
        """Return when the session in which a bar traded opened, None when there is none; a moment is a bar too.

        A bar's times may lie outside the session: those of a day's bar reach into the rest before it, those of one
        that an early close cut short beyond the close. So it is the newest session that fills half of the bar, or
        lies half in it; if there is none, the one with the most of it.
        """
        end = max(closed_at or 0, opened_at + 1)
        found: list[tuple[int, MarketSession]] = []
        day, last = self._day(opened_at) - _DAY, self._day(end) + _DAY
        while day <= last:
            session = self.session_of(day)
            if session is not None:
                common = min(end, session.closed_at) - max(opened_at, session.opened_at)
                found += [(common, session)] if common > 0 else []
            day += _DAY
        for common, session in reversed(found):
            if 2 * common >= min(end - opened_at, session.closed_at - session.opened_at):
                return session.opened_at
        return max(found, key=lambda each: each[0])[1].opened_at if found else None

    def is_open(self, at: Nanos) -> bool:
        """Tell whether the exchange trades at a moment; False in breaks and outside what is known."""
        session = self.session_at(at)
        return session is not None and any(opened <= at < closed for opened, closed in session.stretches)

    def stretch_at(self, at: Nanos) -> Stretch | None:
        """Return the uninterrupted trading in which a moment lies; None in breaks and outside what is known."""
        session = self.session_at(at)
        found = () if session is None else session.stretches
        return next((each for each in found if each.opened_at <= at < each.closed_at), None)

    def opens_after(self, at: Nanos) -> Nanos | None:
        """Return when trading next begins after a moment, None beyond what is known."""
        for session in self._sessions(at):
            for stretch in session.stretches:
                if stretch.opened_at > at:
                    return stretch.opened_at
        return None

    def day_at(self, at: Nanos) -> Stretch | None:
        """Return the market day of a moment, from the open of a session up to that of the next; None if unknown.

        The rest after a session, a weekend or a holiday, belongs to the day of that session.
        """
        opened_at: Nanos | None = None
        for session in self._sessions(at - _LONGEST_REST):
            if session.opened_at > at:
                return None if opened_at is None else Stretch(opened_at, session.opened_at)
            opened_at = session.opened_at
        return None

    def edges(self, first: Nanos, last: Nanos, *, breaks: bool = True) -> list[Nanos]:
        """Return the opens and closes that divide the time from `first` to `last`, oldest first.

        The first edge is not after `first`, and one that is after `last` ends the list, where such are known.
        Between two edges lies either one stretch of trading or one of rest; without `breaks` the stretches of a
        session count as one. Beyond the horizon the last close goes on being the newest edge; before everything known
        stands an edge at zero.
        """
        found = [Nanos(0)]
        for session in self._sessions(min(first, self.horizon) - _LONGEST_REST):
            stretches = session.stretches if breaks else (Stretch(session.opened_at, session.closed_at),)
            found += [edge for stretch in stretches for edge in stretch if edge > found[-1]]
            if session.opened_at > last:
                break
        start = max(bisect_right(found, first) - 1, 0)
        return found[start : bisect_right(found, last) + 1]

    def _sessions(self, at: int) -> Iterator[MarketSession]:
        """Yield the known sessions from about a day before a moment on, oldest first."""
        day = max(self._day(at) - _DAY, self._first)
        while day <= self._last:
            session = self.session_of(day)
            if session is not None:
                yield session
            day += _DAY

    def _session_of(self, day: date) -> MarketSession | None:
        """Return the session of a trade date, None on holidays, weekends and outside what is known."""
        if not self._first <= day <= self._last or day.weekday() > 4:
            return None
        hours = self._exceptions.get(day, self._weekly)
        if not hours:
            return None
        return MarketSession(
            day, tuple(Stretch(self._instant(day, opened), self._instant(day, closed)) for opened, closed in hours)
        )

    def _day(self, at: int) -> date:
        return self.local(Nanos(at)).date()

    def _instant(self, day: date, clock: _Clock) -> Nanos:
        local = datetime.combine(day + clock.days * _DAY, clock.at, self.zone)
        return Nanos(int(local.astimezone(UTC).timestamp()) * SECOND)


def checked_at() -> Nanos:
    """Return the day on which a person last held the table against the exchange's published schedule."""
    return Nanos(int(datetime.fromisoformat(CHECKED).replace(tzinfo=UTC).timestamp()) * SECOND)


@cache
def market_hours(key: str) -> MarketHours:
    """Return the market hours that a key as `cme_equity` names; the same object each time.

    Raises:
        UnknownMarketHours: the key is not in the table.
    """
    if key not in CALENDARS:
        raise UnknownMarketHours(key)
    return MarketHours(key, *CALENDARS[key])


def _pattern(hours: str) -> Pattern:
    clocks = [_clock(word) for word in hours.split()]
    return tuple(zip(clocks[::2], clocks[1::2], strict=True))


def _clock(word: str) -> _Clock:
    text, _, days = word.partition("-")
    return _Clock(-int(days or 0), time.fromisoformat(text))


def _dates(packed: str) -> Iterator[date]:
    """Yield the dates that words as `2015 0101 1225` pack."""
    for word in packed.split():
        if int(word) >= 1900:  # no month and day is that large
            year = int(word)
        else:
            yield date(year, int(word[:2]), int(word[2:]))

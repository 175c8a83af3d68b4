"""When a session runs, as a person writes it: the exchange's hours or hours of the clock, weekdays, holidays.

Windows are computed when they are asked for. A change of the clock never makes a window of clock hours shorter than
the local clock shows: an edge in the hour that comes twice in autumn is taken at the reading that makes the window
longer, and an edge in the hour that is left out in spring is moved outwards.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.market_hours import MarketHours
from tradeproc.domain.records import BadValue
from tradeproc.domain.units import MINUTE, SECOND, Nanos

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EXCHANGE = "exchange"
_DAY = timedelta(days=1)
_WHOLE_DAY = 1440
_LONGEST_WARMUP = 240
_LONGEST_SILENCE = 240
# positions are closed this long before the exchange closes, while there is still a market
FLAT_BEFORE_CLOSE = 5 * MINUTE
# days that are searched for the next window: enough even for a schedule of Mondays only, with holidays between
_DAYS_AHEAD = 22


class Window(NamedTuple):
    """The time in which a session runs: from `starts_at`, which includes the warm-up, until before `ends_at`."""

    starts_at: Nanos
    ends_at: Nanos


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a started session runs; without a schedule it always runs.

    `hours` is "exchange", which means each trade date from its open to its close, breaks included, or hours of the
    clock as "08:30-15:00" in `zone` (an IANA name; empty means the exchange's own). An end that is not after the
    start is on the next day. `weekdays` are trade dates, or for hours of the clock the days on which they begin. With
    `holidays`, hours in which the exchange does not trade at all are left out.

    With `flatten_at_end` the session is made flat before it stops: at its end, but no later than five minutes before
    the exchange closes. If its hours continue after that close, it starts again at the next open. It is also made
    flat when no bar came for `silent_minutes` although the market is open by the calendar; 0 turns this off.
    """

    hours: str = EXCHANGE
    zone: str = ""
    weekdays: tuple[str, ...] = WEEKDAYS
    holidays: bool = True
    warmup_minutes: int = 5
    flatten_at_end: bool = False
    silent_minutes: int = 15

    def __post_init__(self) -> None:
        """Check all fields.

        Raises:
            BadValue: names the key and what is allowed.
        """
        if self.hours != EXCHANGE:
            clock_minutes(self.hours)
        if self.zone:
            _check_zone(self.zone)
        if self.zone and self.hours == EXCHANGE:
            raise BadValue("zone", f'stands beside hours = "{EXCHANGE}", which have a zone of their own; remove it')
        if not self.holidays and self.hours == EXCHANGE:
            raise BadValue("holidays", f'hours = "{EXCHANGE}" never has any; remove the line')
        if not self.weekdays:
            raise BadValue("weekdays", f"name at least one of {', '.join(WEEKDAYS)}")
        for day in self.weekdays:
            if day not in WEEKDAYS:
                raise BadValue("weekdays", f"{day!r} is none of {', '.join(WEEKDAYS)}")
        if not 0 <= self.silent_minutes <= _LONGEST_SILENCE:
            raise BadValue("silent_minutes", f"must be 0 to {_LONGEST_SILENCE}, not {self.silent_minutes}")
        if not 0 <= self.warmup_minutes <= _LONGEST_WARMUP:
            raise BadValue("warmup_minutes", f"must be 0 to {_LONGEST_WARMUP}, not {self.warmup_minutes}")

    def window(self, exchange: MarketHours, at: Nanos) -> Window | None:
        """Return the window that holds a moment, or else the next one; None if no window is known.

        Windows that touch or overlap are joined. If they never end, the result ends with the last that was searched.
        """
        found: Window | None = None
        for window in self._windows(exchange, at):
            if found is None:
                found = window if window.ends_at > at else None
            elif window.starts_at <= found.ends_at:
                found = Window(found.starts_at, max(found.ends_at, window.ends_at))
            else:
                break
        return found

    def _windows(self, exchange: MarketHours, at: Nanos) -> Iterator[Window]:
        """Yield the windows of the days around a moment, oldest first."""
        zone = ZoneInfo(self.zone) if self.zone else exchange.zone
        today = datetime.fromtimestamp(at // SECOND, zone).date()
        for days in range(-2, _DAYS_AHEAD):
            day = today + days * _DAY
            if WEEKDAYS[day.weekday()] not in self.weekdays:
                continue
            is_of_exchange = self.hours == EXCHANGE
            found = self._of_exchange(exchange, day) if is_of_exchange else self._of_clock(exchange, zone, day)
            for window in found:
                if window.starts_at < window.ends_at:
                    yield Window(self._warm_at(exchange, window.starts_at), window.ends_at)

    def _warm_at(self, exchange: MarketHours, starts_at: Nanos) -> Nanos:
        """Return when the warm-up begins; with `flatten_at_end` not before the close at which the session ended."""
        found = starts_at - self.warmup_minutes * MINUTE
        if self.flatten_at_end:
            day = exchange.local(starts_at).date()
            sessions = (exchange.session_of(day - _DAY), exchange.session_of(day))
            found = max([found, *(each.closed_at for each in sessions if each and each.closed_at <= starts_at)])
        return Nanos(found)

    def _of_exchange(self, exchange: MarketHours, day: date) -> list[Window]:
        session = exchange.session_of(day)
        if session is None:
            return []
        return [
            Window(session.opened_at, Nanos(session.closed_at - (FLAT_BEFORE_CLOSE if self.flatten_at_end else 0)))
        ]

    def _of_clock(self, exchange: MarketHours, zone: ZoneInfo, day: date) -> list[Window]:
        start, end = clock_minutes(self.hours)
        starts_at, ends_at = min(_instants(day, start, zone)), max(_instants(day, end, zone))
        trades = [
            session
            for days in range(-1, 4)
            if (session := exchange.session_of(day + days * _DAY)) is not None
            and session.opened_at < ends_at
            and starts_at < session.closed_at
        ]
        is_known = exchange.known_from <= starts_at < exchange.horizon
        if self.holidays and is_known and not trades:
            return []
        if not self.flatten_at_end or not trades:
            return [Window(starts_at, ends_at)]
        begins = [starts_at, *(session.opened_at for session in trades[1:])]
        ends = [min(ends_at, Nanos(session.closed_at - FLAT_BEFORE_CLOSE)) for session in trades]
        return [Window(*each) for each in zip(begins, ends, strict=True)]


def clock_minutes(hours: str) -> tuple[int, int]:
    """Return start and end of hours of the clock in minutes after the midnight before the start.

    Raises:
        BadValue: the text has another form, or the hours have no length.
    """
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)", hours)
    if not found:
        raise BadValue("hours", f'{hours!r} is not allowed; write "{EXCHANGE}" or as "08:30-15:00"')
    start = int(found[1]) * 60 + int(found[2])
    end = _WHOLE_DAY if found[3] is None else int(found[3]) * 60 + int(found[4])
    if start == end:
        raise BadValue("hours", f'{hours!r} has no length; for whole days write "00:00-24:00"')
    return start, end if end > start else end + _WHOLE_DAY


def _instants(day: date, minutes: int, zone: ZoneInfo) -> tuple[Nanos, Nanos]:
    """Return both readings of a local time; they differ only where a change of the clock skips or repeats it."""
    days, rest = divmod(minutes, _WHOLE_DAY)
    local = datetime.combine(day + days * _DAY, time(rest // 60, rest % 60), zone)
    seconds = [int(local.replace(fold=fold).astimezone(UTC).timestamp()) for fold in (0, 1)]
    return Nanos(seconds[0] * SECOND), Nanos(seconds[1] * SECOND)


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        import difflib  # only here: it is needed when a word is wrong, and takes 0.1 MB of every process

        close = difflib.get_close_matches(zone, sorted(available_timezones()), 1)
        hint = f"did you mean {close[0]!r}?" if close else 'write one as "America/Chicago"'
        raise BadValue("zone", f"{zone!r} is no IANA zone; {hint}") from None

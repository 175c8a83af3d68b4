"""What two contracts traded in a market day, and on which day the next one traded more.

The convention is that of most continuous series: one whole market day on which the next contract traded more than
the session's own is enough, and the roll is on the business day after it. Days that are no business days of the
exchange, as short holiday sessions, do not count, and neither does a day of which the bars begin in the midst.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from tradeproc.domain.candles import Candle
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.market_hours import MarketHours, MarketSession
from tradeproc.domain.roll_table import is_business
from tradeproc.domain.units import Nanos

BAR_MINUTES = 30
"""The bars that are asked for and added up; every market session opens and closes at one of their edges."""
MOST_BARS = 250
"""How many: those of five market days of 23 hours."""
_FARTHEST = 10


@dataclass(frozen=True, slots=True)
class RollVolume:
    """What a session's contract and the next one traded on a market day (ISO date), asked at `at`."""

    session: int
    contract: str
    next_contract: str
    day: str
    volume: int
    next_volume: int
    at: Nanos

    @property
    def has_crossed(self) -> bool:
        """Tell whether the next contract traded more."""
        return self.next_volume > self.volume


def crossed_on(volumes: Iterable[RollVolume], contract: str, next_contract: str) -> date | None:
    """Return the first day on which the next of two contracts traded more, None where there is none."""
    days = [each.day for each in volumes if (each.contract, each.next_contract) == (contract, next_contract)
            and each.has_crossed]  # fmt: skip
    return date.fromisoformat(min(days)) if days else None


def newest_day(hours: MarketHours, at: Nanos) -> date | None:
    """Return the newest business day that is over at a moment of the market, None where the calendar knows none."""
    found = _days_over(hours, at, 1)
    return found[0].date if found else None


def volumes_by_day(
    hours: MarketHours, at: Nanos, own: Sequence[Candle], following: Sequence[Candle]
) -> list[tuple[date, int, int]]:
    """Return the contracts that both traded on each whole business day that is over, oldest first.

    `own` and `following` are the newest bars of the session's contract and of the next one, oldest first. A day on
    which neither traded tells nothing and is left out.
    """
    found = []
    for session in reversed(_days_over(hours, at, _FARTHEST)):
        if not (_reaches(own, session) and _reaches(following, session)):
            continue
        volume, next_volume = _volume(own, session), _volume(following, session)
        if volume or next_volume:
            found.append((session.date, volume, next_volume))
    return found


def _days_over(hours: MarketHours, at: Nanos, most: int) -> list[MarketSession]:
    """Return the newest business days whose sessions are over, newest first."""
    found: list[MarketSession] = []
    day = hours.local(at).date() + timedelta(days=1)
    for number in range(3 * _FARTHEST):
        session = hours.session_of(day - timedelta(days=number))
        if session is not None and session.closed_at <= at and is_business(session.date):
            found.append(session)
        if len(found) == most:
            break
    return found


def _reaches(bars: Sequence[Candle], session: MarketSession) -> bool:
    """Tell whether the bars begin early enough to hold the whole day."""
    return bool(bars) and bars[0].opened_at <= session.opened_at


def _volume(bars: Sequence[Candle], session: MarketSession) -> int:
    return sum(bar.volume for bar in bars if session.opened_at <= bar.opened_at < session.closed_at)

"""Whether a session should run now, by a person's decision and by its schedule. Pure: the caller reads the clock."""

from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.schedule import Window
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import SECOND, Nanos

RUNNING = "running"
# a window that is longer than any schedule can make one has no end
_ENDLESS = 15 * 86_400 * SECOND


def wanted_now(spec: SessionSpec, desired: str, now: Nanos) -> bool:
    """Tell whether a session should run at a moment of the clock; `desired` is what a person decided."""
    if desired != RUNNING:
        return False
    if spec.schedule is None:
        return True
    window = window_of(spec, now)
    return window is not None and window.starts_at <= now


def window_of(spec: SessionSpec, now: Nanos) -> Window | None:
    """Return the schedule's window of a moment, or else the next one; None if there is none or no schedule."""
    return None if spec.schedule is None else spec.schedule.window(market_hours(spec.calendar), now)


def next_change(spec: SessionSpec, desired: str, now: Nanos) -> Nanos | None:
    """Return when the schedule will start or stop a session next; None if it never will, as far as is known."""
    window = window_of(spec, now) if desired == RUNNING else None
    if window is None:
        return None
    if now < window.starts_at:
        return window.starts_at
    return window.ends_at if window.ends_at - now < _ENDLESS else None

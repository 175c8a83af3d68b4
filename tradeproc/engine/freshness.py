"""Market data must be fresh for an entry; how old it is counts by the exchange's calendar, not by the wall alone.

Data is fresh while something was heard within a bar and 90 s more. After that the calendar says what the silence
means: a market that is closed (the daily break, a weekend, a holiday, an early close) tells nothing, and the reason
says until when; in one that is open, silence counts from the open. Nothing here raises an alarm: a stream that is
down raises its own. What is heard is believed, also at an hour at which the calendar has the market closed.

A stream without heartbeats is mute: its feed says within 15 s that it is down, and that alone closes entries. One
that beats and tells no trades cannot be told from a market without trades, which at night lasts minutes in many
products. A shorter limit would close entries then without a fault. Frozen prices are found sooner by a second data
login, once the market has moved (`witness.py`).

The moment on the calendar is that of the wall clock for a live feed. A tape has a time of its own: there it is the
newest candle's, moved on by the silence.
"""

from tradeproc.domain.market_hours import MarketHours
from tradeproc.domain.units import MINUTE, SECOND, Nanos
from tradeproc.engine.state import State

_SILENCE = 90 * SECOND
# how far the market time of a live feed may be behind the wall clock, beside the length of a bar
_LIVE = 5 * MINUTE


def not_fresh(state: State, now: Nanos) -> str | None:
    """Return why market data is too old for an entry, None when it is fresh."""
    silence = now - state.broker.market_heard_at
    limit = _SILENCE + state.setup.spec.minutes * MINUTE
    if silence <= limit:
        return None
    hours, at = state.setup.hours, _on_the_calendar(state, now)
    if hours is None or not hours.known_from <= at < hours.horizon:
        return f"no market data for {silence // SECOND} s"
    stretch = hours.stretch_at(at)
    if stretch is None:
        return _closed(hours, at)
    since_open = min(silence, at - stretch.opened_at)
    return f"no market data for {since_open // SECOND} s although the market is open" if since_open > limit else None


def is_closed(state: State, now: Nanos) -> bool:
    """Tell whether the exchange's calendar has the market closed; one that does not know says no."""
    hours, at = state.setup.hours, _on_the_calendar(state, now)
    return hours is not None and hours.known_from <= at < hours.horizon and hours.stretch_at(at) is None


def _on_the_calendar(state: State, now: Nanos) -> Nanos:
    """Return the moment of the market: now for a live feed, the tape's own time otherwise."""
    heard_at, market_at = state.broker.market_heard_at, state.strategy.market_at
    if not market_at or abs(heard_at - market_at) <= state.setup.spec.minutes * MINUTE + _LIVE:
        return now
    return Nanos(market_at + now - heard_at)


def _closed(hours: MarketHours, at: Nanos) -> str:
    opens_at = hours.opens_after(at)
    if opens_at is None:
        return "the market is closed"
    return f"the market is closed until {hours.local(opens_at):%a %H:%M} ({hours.zone.key})"

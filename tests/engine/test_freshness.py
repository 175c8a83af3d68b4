"""How old market data may be: by the exchange's calendar, with the reason for people, and never with an alarm."""

from datetime import UTC, datetime

import pytest

from tests.engine.desk import Desk
from tradeproc.domain.market_hours import MarketHours, market_hours
from tradeproc.domain.units import MINUTE, SECOND, Nanos
from tradeproc.engine import events
from tradeproc.engine.limits import closed_gate
from tradeproc.testing import candles

HOURS = market_hours("cme_equity")


def at(text: str) -> Nanos:
    return Nanos(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND)


def heard(moment: str, hours: MarketHours | None = HOURS) -> Desk:
    """Return a desk whose live feed told its last bar at a moment."""
    desk = Desk(hours=hours, now=at(moment) - 2 * SECOND).start(history=0)
    desk.now = at(moment)
    desk.tell(events.CandleReceived(candles.candle(desk.now // MINUTE - 1, 4800.0)))
    return desk


def gate_at(desk: Desk, moment: str) -> str | None:
    """Return what the gate says at a moment at which everything but bars is fresh."""
    desk.now = at(moment)
    desk.run(3)
    return closed_gate(desk.state, at(moment))


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [
        # while it trades: a bar and 90 s
        ("2026-01-14T15:00:00", "2026-01-14T15:02:30", None),
        ("2026-01-14T15:00:00", "2026-01-14T15:02:31", "no market data for 151 s although the market is open"),
        # the daily break, 16:00 to 17:00 in Chicago, and the silence after it counts from the open
        ("2026-01-14T22:00:00", "2026-01-14T22:30:00", "the market is closed until Wed 17:00 (America/Chicago)"),
        ("2026-01-14T22:00:00", "2026-01-14T23:02:00", None),
        ("2026-01-14T22:00:00", "2026-01-14T23:02:31", "no market data for 151 s although the market is open"),
        # a weekend
        ("2026-01-16T22:00:00", "2026-01-17T12:00:00", "the market is closed until Sun 17:00 (America/Chicago)"),
        # over both clock changes the open stays at 17:00 in Chicago
        ("2026-03-06T22:00:00", "2026-03-08T21:59:00", "the market is closed until Sun 17:00 (America/Chicago)"),
        ("2026-03-06T22:00:00", "2026-03-08T22:01:00", None),
        ("2026-10-30T21:00:00", "2026-11-01T22:59:00", "the market is closed until Sun 17:00 (America/Chicago)"),
        ("2026-10-30T21:00:00", "2026-11-01T23:01:00", None),
        # a holiday: Good Friday
        ("2026-04-02T21:00:00", "2026-04-03T15:00:00", "the market is closed until Sun 17:00 (America/Chicago)"),
        # an early close: the day after Thanksgiving, 12:15 in Chicago
        ("2026-11-27T18:15:00", "2026-11-27T20:00:00", "the market is closed until Sun 17:00 (America/Chicago)"),
    ],
)
def test_silence_means_what_the_calendar_says(last: str, now: str, expected: str | None) -> None:
    desk = heard(last)

    assert gate_at(desk, now) == expected


def test_quiet_hours_raise_no_alarm() -> None:
    desk = heard("2026-01-16T22:00:00")

    for moment in ("2026-01-16T23:00:00", "2026-01-17T12:00:00", "2026-01-18T22:59:00"):
        gate_at(desk, moment)
        desk.run(120)

    assert desk.alarms == set()


def test_what_is_heard_counts_although_the_calendar_has_the_market_closed() -> None:
    desk = heard("2026-01-17T12:00:00")

    assert gate_at(desk, "2026-01-17T12:01:00") is None


def test_a_tape_has_a_time_of_its_own() -> None:
    desk = Desk(hours=HOURS, now=at("2026-01-17T12:00:00")).start(history=0)
    # a Saturday for the desk, a Wednesday just before the break for the tape
    desk.tell(events.CandleReceived(candles.candle(at("2024-01-10T21:50:00") // MINUTE, 4800.0)))

    assert gate_at(desk, "2026-01-17T12:05:00") == "no market data for 299 s although the market is open"
    assert gate_at(desk, "2026-01-17T12:30:00") == "the market is closed until Wed 17:00 (America/Chicago)"


@pytest.mark.parametrize("hours", [None, HOURS])
def test_without_a_calendar_that_knows_the_moment_silence_is_counted_as_it_is(hours: MarketHours | None) -> None:
    desk = heard("2026-01-14T15:00:00", hours)
    late = Nanos(HOURS.horizon + SECOND) if hours is not None else desk.now + 151 * SECOND
    desk.state.broker.position.known_at = desk.state.broker.orders.known_at = Nanos(late)

    reason = closed_gate(desk.state, Nanos(late))

    assert reason == f"no market data for {(late - desk.state.broker.market_heard_at) // SECOND} s"

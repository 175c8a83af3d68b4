"""The end of a session that is to be flat comes also when nobody tells its trader; and the calendar is followed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.engine.desk import spec
from tests.procs.stage import Stage
from tests.procs.trading_desk import TradingDesk
from tradeproc.domain.orders import Side
from tradeproc.domain.schedule import Schedule
from tradeproc.domain.units import SECOND, Contracts, Nanos
from tradeproc.engine import events
from tradeproc.engine.events import Event
from tradeproc.procs.trader.hours import Hours
from tradeproc.strategies.contract import SubmitBracket
from tradeproc.testing.waiting import wait_until

CHICAGO = ZoneInfo("America/Chicago")
OVER = events.StopCommanded("schedule", flatten=True)
BRACKET = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4790.0)


def chicago(text: str) -> Nanos:
    return Nanos(int(datetime.fromisoformat(text).replace(tzinfo=CHICAGO).timestamp()) * SECOND)


def told(schedule: Schedule | None, contract: str, *moments: str) -> list[Event]:
    found: list[Event] = []
    hours = Hours(spec(schedule=schedule, contract=contract), found.append)
    for moment in moments:
        hours.look(chicago(moment))
    return found


def test_the_market_and_the_session_end_when_the_calendar_and_the_schedule_say_so() -> None:
    flat = Schedule(flatten_at_end=True)
    opened, closed = events.MarketHoursReceived(is_open=True), events.MarketHoursReceived(is_open=False)
    end = ("2026-12-24 12:39:59", "2026-12-24 12:40:00", "2026-12-24 12:45:00", "2026-12-24 12:45:01")

    assert told(flat, "CLG27", *end) == [opened, OVER, closed]
    assert told(Schedule(), "CLG27", *end) == [opened, closed]
    assert told(None, "CLG27", *end) == [opened, closed]
    assert told(flat, "CLG27", "2026-12-27 16:56:00", "2026-12-27 17:00:00") == [closed, opened]


@pytest.mark.parametrize(
    ("contract", "close"),
    [
        ("CLG25", "2024-12-24 12:45"),
        ("GCG26", "2025-12-24 12:45"),
        ("CLU25", "2025-07-04 12:00"),
        ("6EU26", "2026-07-03 12:00"),
        ("CLZ26", "2026-09-07 13:30"),
        ("ZCH27", "2026-12-24 12:05"),
        ("LEG27", "2026-11-27 12:05"),
        ("ESU27", "2027-06-18 12:00"),
    ],
)
def test_a_session_is_over_five_minutes_before_an_early_close(contract: str, close: str) -> None:
    closed = datetime.fromisoformat(close)
    before, at = closed - timedelta(minutes=5, seconds=1), closed - timedelta(minutes=5)

    assert told(Schedule(flatten_at_end=True), contract, str(before)) == [events.MarketHoursReceived(is_open=True)]
    assert OVER in told(Schedule(flatten_at_end=True), contract, str(at))


def test_a_trader_whose_session_is_over_gets_flat_and_ends_although_nobody_tells_it(
    on_stage: Stage, book_url: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    hours = f"{now - timedelta(hours=2):%H:%M}-{now + timedelta(hours=2):%H:%M}"
    schedule = Schedule(hours=hours, zone="UTC", holidays=False, flatten_at_end=True, silent_minutes=0)
    desk = TradingDesk(on_stage, book_url, tmp_path, BRACKET, schedule=schedule).ready()
    desk.bar()
    wait_until("the position", lambda: desk.state()["position"] == 1)

    ended = Schedule(hours=f"{now - timedelta(hours=2):%H:%M}-{now - timedelta(minutes=1):%H:%M}", zone="UTC",
                     holidays=False, flatten_at_end=True)  # fmt: skip
    desk.actor.do(lambda: setattr(desk.trader, "_hours", Hours(spec(schedule=ended), desk.trader.tell)))

    wait_until("flat at the broker", lambda: desk.broker.position == 0 and not desk.broker.open())
    wait_until("its end", lambda: desk.trader.state.engine.is_finished)
    desk.store.close()

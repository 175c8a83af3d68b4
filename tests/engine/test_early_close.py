"""A session that is to be flat at its end gets flat also when the market closes and the calendar did not say so."""

import pytest

from tests.engine.desk import Desk, Scripted, candle
from tradeproc.domain.broker_orders import Refused
from tradeproc.domain.orders import OrderRole, OrderState, Side
from tradeproc.domain.schedule import Schedule
from tradeproc.domain.units import Contracts
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.early_close import says_closed
from tradeproc.engine.events import StreamKind
from tradeproc.strategies.contract import NOTHING, SubmitBracket

FLAT = Schedule(flatten_at_end=True)
BRACKET = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4790.0, profit_target=4820.0)
MINUTE = 60.0


def holding(schedule: Schedule | None = FLAT) -> Desk:
    """Return a desk that holds one contract behind a stop, in a market that the calendar has open."""
    desk = Desk(Scripted(BRACKET, NOTHING), schedule=schedule).start()
    desk.tell(events.MarketHoursReceived(is_open=True))
    desk.bar()
    assert desk.position == 1
    return desk


def exits(desk: Desk) -> list[OrderState]:
    return [order.state for order in desk.orders if order.role is OrderRole.EXIT]


def told_alarms(desk: Desk) -> list[str]:
    return [alarm.detail for alarm in desk.all_of(do.RaiseAlarm) if alarm.name == "closed_early"]


def test_bars_that_stop_while_the_calendar_has_the_market_open_close_the_position_and_people_hear_of_it() -> None:
    desk = holding()

    desk.run(14 * MINUTE, beat=5)
    assert (desk.position, exits(desk)) == (1, [])
    desk.run(2 * MINUTE, beat=1)

    assert (desk.position, exits(desk)) == (0, [OrderState.FILLED])
    assert desk.broker.open() == []
    [detail] = told_alarms(desk)
    assert detail == "no bar for 15 min, although the calendar has the market open; look at the broker"
    assert desk.alarms == set()


def test_a_broker_that_takes_no_exit_is_asked_seldom_and_at_once_when_bars_come() -> None:
    desk = holding()
    desk.broker.rejects = True
    desk.run(15.5 * MINUTE, beat=5)

    desk.run(60 * MINUTE, beat=5)

    assert 5 < len(exits(desk)) < 30
    assert {"closed_early", "close_stuck"} <= desk.alarms
    desk.broker.rejects = False
    before = len(exits(desk))
    desk.bar(seconds=5)
    assert (desk.position, len(exits(desk))) == (0, before + 1)
    assert "closed_early" not in desk.alarms


def test_a_rejection_that_says_that_the_market_is_closed_is_believed_at_once() -> None:
    desk = holding()
    desk.strategy.plans = [BRACKET]
    desk.next_outcome = Refused("Order rejected: the market is closed")

    desk.bar(seconds=10)

    assert desk.position == 0
    [detail] = told_alarms(desk)
    assert detail.startswith("the broker says that the market is closed (Order rejected: the market is closed)")


@pytest.mark.parametrize(
    ("schedule", "is_open", "is_up"),
    [
        (None, True, True),
        (Schedule(), True, True),
        (Schedule(flatten_at_end=True, silent_minutes=0), True, True),
        (FLAT, False, True),  # it is closed, and the calendar knows
        (FLAT, True, False),  # nobody can tell: the stream is down, which has an alarm of its own
    ],
)
def test_silence_closes_nothing_where_it_says_nothing(schedule: Schedule | None, is_open: bool, is_up: bool) -> None:
    desk = holding(schedule)
    desk.tell(events.MarketHoursReceived(is_open))
    desk.tell(events.StreamChanged(StreamKind.MARKET, is_up, "" if is_up else "cut"))

    desk.run(40 * MINUTE, beat=10)

    assert (desk.position, exits(desk), told_alarms(desk)) == (1, [], [])


def test_silence_counts_from_the_open_and_from_when_the_stream_is_up_but_not_from_bars_told_again() -> None:
    desk = holding()
    desk.tell(events.MarketHoursReceived(is_open=False))
    desk.run(60 * MINUTE, beat=10)
    desk.tell(events.MarketHoursReceived(is_open=True))
    desk.run(10 * MINUTE, beat=10)
    desk.tell(events.StreamChanged(StreamKind.MARKET, is_up=False, reason="cut"))
    desk.tell(events.StreamChanged(StreamKind.MARKET, is_up=True))
    desk.run(14 * MINUTE, beat=10)
    assert desk.position == 1

    desk.tell(events.CandleReceived(candle(desk.candles - 1), is_history=True))
    desk.run(2 * MINUTE, beat=1)

    assert desk.position == 0


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Market is closed", True),
        ("The exchange is currently closed.", True),
        ("MARKET NOT OPEN", True),
        ("Trading session closed for this product", True),
        ("order outside of regular trading hours", True),
        ("Trading halted", True),
        ("closed market", True),
        ("Stop Price must be below current market", False),
        ("insufficient buying power; market data is not subscribed", False),
        ("position is closed", False),
        ("no", False),
        ("", False),
    ],
)
def test_what_a_broker_says_of_a_closed_market(reason: str, expected: bool) -> None:
    assert says_closed(reason) is expected

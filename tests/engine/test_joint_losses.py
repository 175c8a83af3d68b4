"""Limits on what sessions lose together: at the edge, over days, with unknown profits, after re-arming."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.desk import Desk, Scripted
from tradeproc.domain.joint_limits import JointLimits, JointMarks
from tradeproc.domain.market_hours import Stretch
from tradeproc.domain.orders import Side
from tradeproc.domain.records import BadValue
from tradeproc.domain.units import SECOND, Contracts, Money, Nanos, WholeMoney
from tradeproc.engine import events
from tradeproc.engine.events import TradingState
from tradeproc.engine.joint_losses import EQUITY, Figures, followed, market_day, reached, rearmed, used
from tradeproc.engine.limits import closed_gate
from tradeproc.engine.loss_limits import profit_now
from tradeproc.strategies.contract import SubmitOrder

LIMITS = JointLimits(max_daily_loss=WholeMoney(500), max_drawdown=WholeMoney(800))
DAY = Stretch(Nanos(0), Nanos(86_400 * SECOND))
NEXT = Stretch(DAY.closed_at, Nanos(2 * 86_400 * SECOND))


def figures(unknown: str = "", lost: tuple[str, ...] = (), members: str = "12", **profits: int) -> Figures:
    """Return figures of the sessions s1, s2 …; who is named without a profit is a member all the same."""
    known = {name[1:]: Money(Decimal(profit)) for name, profit in profits.items()}
    return Figures(known, frozenset(members), frozenset(lost), unknown=unknown)


def account(equity: int, today: int) -> Figures:
    return Figures({EQUITY: Money(Decimal(equity))}, frozenset((EQUITY,)), today=Money(Decimal(today)))


def after(*looks: Figures, day: Stretch = DAY, marks: JointMarks | None = None) -> JointMarks:
    for each in looks:
        marks = followed(marks, "portfolio:main", each, day)
    assert marks is not None
    return marks


def test_the_losses_of_all_sessions_count_together_and_one_below_the_limit_is_none() -> None:
    before, below, at = figures(s1=1000, s2=-70), figures(s1=700, s2=-269), figures(s1=700, s2=-270)

    marks = after(before, below)
    assert reached(LIMITS, marks, below) is None
    marks = after(at, marks=marks)

    assert reached(LIMITS, marks, at) == "max_daily_loss 500 USD is reached: 500.00 lost this market day"


def test_the_gain_of_one_makes_the_loss_of_the_other_good() -> None:
    now = figures(s1=-900, s2=600)

    assert reached(LIMITS, after(figures(s1=0, s2=0), now), now) is None


def test_the_drawdown_counts_from_the_highest_gain_over_days() -> None:
    marks = after(figures(s1=0, s2=0), figures(s1=600, s2=0))
    marks = after(figures(s1=200, s2=0), day=NEXT, marks=marks)
    now = figures(s1=-200, s2=0)
    marks = after(now, day=NEXT, marks=marks)

    assert reached(LIMITS, marks, now) == ("max_daily_loss 500 USD is reached: 800.00 lost this market day"), (
        "what was lost while nobody looked counts on the new day"
    )
    only = JointLimits(max_drawdown=WholeMoney(800))
    assert reached(only, marks, now) == "max_drawdown 800 USD is reached: 800.00 below the highest profit"


def test_a_new_market_day_begins_without_a_loss_and_keeps_the_peak() -> None:
    marks = after(figures(s1=0, s2=0), figures(s1=-400, s2=0))
    now = figures(s1=-400, s2=0)
    marks = after(now, day=NEXT, marks=marks)

    assert (marks.day_start, marks.peak, marks.day_opened_at) == (-400, 0, NEXT.opened_at)
    now = figures(s1=-790, s2=0)
    assert reached(LIMITS, after(now, day=NEXT, marks=marks), now) is None
    now = figures(s1=-800, s2=0)
    assert "max_drawdown" in (reached(LIMITS, after(now, day=NEXT, marks=marks), now) or "")


def test_a_clock_that_is_set_back_begins_no_day_anew() -> None:
    marks = after(figures(s1=0, s2=0), day=NEXT)
    now = figures(s1=-500, s2=0)

    marks = after(now, day=DAY, marks=marks)

    assert marks.day_opened_at == NEXT.opened_at
    assert reached(LIMITS, marks, now) is not None


def test_who_joins_or_leaves_changes_the_sum_by_nothing() -> None:
    marks = after(figures(s1=0, members="1"), figures(s1=-100, members="1"))

    marks = after(figures(s1=-100, s2=-5000), figures(s1=-100, s2=-5010), marks=marks)
    assert marks.gain == -110
    marks = after(figures(s2=-5010, members="2"), marks=marks)
    assert (marks.gain, set(marks.profits)) == (-110, {"2"})
    marks = after(figures(s1=9000, s2=-5010), figures(s1=8990, s2=-5010), marks=marks)
    assert marks.gain == -120, "who comes back is counted from then on"


def test_while_a_profit_is_unknown_nothing_moves_and_what_was_lost_counts_once_it_is_known() -> None:
    marks = after(figures(s1=0, s2=0))
    dark = figures(unknown="session 2 has not reported", s1=-600)

    marks = after(dark, marks=marks)
    assert reached(LIMITS, marks, dark) is None
    assert used(LIMITS, marks, dark) == {"max_daily_loss": "unknown", "max_drawdown": "unknown"}
    assert marks.gain == 0
    now = figures(s1=-600, s2=0)
    assert reached(LIMITS, after(now, marks=marks), now) is not None


def test_a_stopped_session_that_does_not_report_keeps_what_it_made() -> None:
    marks = after(figures(s1=0, s2=0), figures(s1=0, s2=-400))
    now = figures(s1=-99)

    marks = after(now, marks=marks)

    assert (marks.gain, reached(LIMITS, marks, now)) == (-499, None)
    assert marks.profits["2"] == "-400"


def test_what_a_session_made_with_a_fill_without_a_price_is_counted_anew_from_where_it_is_known() -> None:
    marks = after(figures(s1=0, s2=0))

    marks = after(figures(unknown="a price", lost=("2",), s1=0), marks=marks)
    now = figures(s1=0, s2=240_000)
    marks = after(now, marks=marks)

    assert marks.gain == 0, "the jump is the missing price, and no profit"


def test_a_person_who_re_arms_the_limits_begins_anew_from_that_moment() -> None:
    lost = figures(s1=-900, s2=0)
    marks = rearmed(after(figures(s1=0, s2=0), lost), lost, Nanos(77))

    assert (marks.armed_at, reached(LIMITS, marks, lost)) == (77, None)
    now = figures(s1=-1400, s2=0)
    assert reached(LIMITS, after(now, marks=marks), now) is not None


def test_the_day_of_an_account_is_what_the_broker_tells_and_its_drawdown_that_of_the_equity() -> None:
    marks = after(account(100_000, -499))
    assert reached(LIMITS, marks, account(100_000, -499)) is None
    assert reached(LIMITS, after(account(99_999, -500), marks=marks), account(99_999, -500)) is not None
    now = account(99_200, 0)
    assert "max_drawdown" in (reached(LIMITS, after(account(100_000, 800), now), now) or "")

    marks = rearmed(after(account(99_500, -500)), account(99_500, -500), Nanos(5))
    assert reached(LIMITS, marks, account(99_001, -999)) is None
    assert reached(LIMITS, after(account(99_000, -1000), marks=marks), account(99_000, -1000)) is not None


def test_what_the_broker_still_tells_of_the_day_before_is_no_loss_of_the_new_market_day() -> None:
    """The market day begins at 17:00 in Chicago, and the broker's own day some time later."""
    marks = after(account(99_400, -600))
    marks = rearmed(marks, account(99_400, -600), Nanos(5))
    opened = account(99_400, -600)
    marks = after(opened, day=NEXT, marks=marks)
    assert reached(LIMITS, marks, opened) is None
    assert used(LIMITS, marks, opened)["max_daily_loss"] == "0.00"

    lost = account(99_100, -900)
    marks = after(lost, day=NEXT, marks=marks)
    assert used(LIMITS, marks, lost)["max_daily_loss"] == "300.00"
    anew = account(99_090, -10)
    marks = after(anew, day=NEXT, marks=marks)
    assert used(LIMITS, marks, anew)["max_daily_loss"] == "310.00", "the broker's new day is not the market's"
    more = account(98_900, -200)
    assert "500.00 lost" in (reached(LIMITS, after(more, day=NEXT, marks=marks), more) or "")


def test_a_profit_that_the_broker_forgets_with_its_day_is_no_loss() -> None:
    marks = rearmed(after(account(100_900, 900)), account(100_900, 900), Nanos(5))
    anew = account(100_900, 0)

    assert reached(LIMITS, after(anew, marks=marks), anew) is None


def test_what_an_account_lost_between_two_looks_around_the_open_counts_whether_or_not_the_broker_began_anew() -> None:
    marks = after(account(100_000, -200))

    for now in (account(99_500, -700), account(99_500, -500)):
        assert "500.00 lost" in (reached(LIMITS, after(now, day=NEXT, marks=marks), now) or "")


def test_a_loss_that_comes_before_its_equity_counts() -> None:
    now = account(100_000, -500)

    assert "500.00 lost" in (reached(LIMITS, after(account(100_000, 0), now), now) or "")


@pytest.mark.parametrize("moved", [-5, 0, 5])
@pytest.mark.parametrize("paid", [-5_000, 5_000])
def test_a_deposit_or_a_withdrawal_changes_no_loss_of_the_day(paid: int, moved: int) -> None:
    marks = after(account(99_900, -100))
    now = account(99_900 + paid + moved, -100 + moved)

    assert used(LIMITS, after(now, marks=marks), now)["max_daily_loss"] == f"{100 - moved}.00"


@given(st.lists(st.integers(-300, 300), max_size=12), st.integers(0, 12), st.integers(0, 12), st.booleans())
def test_whenever_the_broker_begins_its_day_the_loss_is_that_of_the_market_day(
    made: list[int], market_turns: int, broker_turns: int, is_flat: bool
) -> None:
    """What is open stays in the broker's new day; it is less here than what is closed."""
    equity, today, lost, day = 100_000, 0, 0, DAY
    marks = after(account(equity, today))
    for place, more in enumerate(made):
        if place == market_turns:
            lost, day = 0, NEXT
            marks = after(account(equity, today), day=day, marks=marks)
        if place == broker_turns:
            today = 0 if is_flat else today // 8
            marks = after(account(equity, today), day=day, marks=marks)
        equity, today, lost = equity + more, today + more, lost - more
        marks = after(account(equity, today), day=day, marks=marks)

        assert used(LIMITS, marks, account(equity, today))["max_daily_loss"] == f"{max(lost, 0)}.00"


@pytest.mark.parametrize(
    ("before", "after_it"),
    [
        # 17:00 in Chicago opens the next day: 22:00 UTC in summer, 23:00 in winter
        ("2024-03-07T22:59:59", "2024-03-07T23:00:00"),
        ("2024-03-11T21:59:59", "2024-03-11T22:00:00"),
        ("2024-10-31T21:59:59", "2024-10-31T22:00:00"),
        ("2024-11-04T22:59:59", "2024-11-04T23:00:00"),
        # the weekend of each clock change belongs to the Friday before
        ("2024-03-10T21:59:59", "2024-03-10T22:00:00"),
        ("2024-11-03T22:59:59", "2024-11-03T23:00:00"),
    ],
)
def test_the_market_day_begins_with_the_evening_open_in_summer_and_winter(before: str, after_it: str) -> None:
    def at(text: str) -> Nanos:
        return Nanos(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND)

    old, new = market_day(LIMITS, at(before)), market_day(LIMITS, at(after_it))

    assert (new.opened_at, old.closed_at) == (at(after_it), at(after_it))


def test_beyond_the_calendar_the_day_of_utc_counts() -> None:
    assert market_day(LIMITS, Nanos(86_400 * SECOND + 5)) == (86_400 * SECOND, 2 * 86_400 * SECOND)


@given(st.lists(st.tuples(st.integers(-900, 900), st.integers(-900, 900), st.booleans(), st.booleans()), max_size=12))
def test_after_any_looks_the_gain_is_what_the_members_made_while_they_were_in_it(
    looks: list[tuple[int, int, bool, bool]],
) -> None:
    marks, one, two, gain = after(figures(s1=0, s2=0)), 0, 0, 0
    seen_one = seen_two = 0
    is_in = True
    for more_one, more_two, is_dark, stays in looks:
        one, two = one + more_one, two + more_two
        if is_dark:
            marks = after(figures(unknown="dark", members="12" if is_in else "1", s1=one), marks=marks)
            continue
        gain += one - seen_one
        if is_in and stays:
            gain += two - seen_two
        is_in = stays
        seen_one, seen_two = one, two
        known: dict[str, Any] = {"s1": one, "s2": two} if stays else {"s1": one}
        marks = after(figures(members="12" if stays else "1", **known), marks=marks)
        assert marks.gain == gain
        assert marks.peak >= marks.gain
        assert marks.peak >= 0


@pytest.mark.parametrize(
    ("given_", "problem"),
    [
        ({}, "name at least one"),
        ({"max_daily_loss": 0}, "max_daily_loss"),
        ({"max_drawdown": 10**13}, "max_drawdown"),
        ({"max_position": {"EZ": 1}}, "unknown instrument"),
        ({"max_position": {"ES": 0}}, "ES must be 1"),
        ({"max_drawdown": 5, "market_hours": "cme"}, "unknown calendar"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(given_: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadValue, match=problem):
        JointLimits(**given_)


def test_two_sessions_trade_in_a_backtest_under_one_limit_without_any_process() -> None:
    """Two engines over the matching engine, one shared limit: who looks after each bar, latches both by an event."""
    desks = [Desk(Scripted(SubmitOrder(Side.BUY, Contracts(1)))).start() for _ in range(2)]
    marks, stopped_at = None, None
    for number, price in enumerate((4800.0, 4798.0, 4796.0, 4795.0, 4790.0)):
        for desk in desks:
            desk.broker.price = Decimal(str(price))
            desk.bar(price)
        known = {str(each): profit_now(desk.state) for each, desk in enumerate(desks)}
        together = Figures({key: value for key, value in known.items() if value is not None}, frozenset("01"))
        marks = followed(marks, "portfolio:main", together, market_day(LIMITS, desks[0].now))
        reason = reached(LIMITS, marks, together)
        if reason is not None and stopped_at is None:
            stopped_at = number
            for desk in desks:
                desk.tell(events.TradingStateSet("portfolio:main", TradingState.REDUCING, "loss_limit", reason))

    assert [desk.position for desk in desks] == [1, 1], "nothing is closed by force"
    assert stopped_at == 3, "each has lost 5 points, which is 500 together"
    for desk in desks:
        assert closed_gate(desk.state, desk.now) == "trading is reducing by portfolio:main"

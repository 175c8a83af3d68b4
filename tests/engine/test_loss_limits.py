"""Limits on losses: at the edge, over restarts and market days, with unknown prices, and after a person re-armed."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.desk import START, Desk, Scripted
from tests.engine.exchange_broker import ACCOUNT
from tradeproc.domain.book import Balance
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.session import SessionLimits
from tradeproc.domain.units import SECOND, Contracts, Minutes, Money, Nanos, Times, WholeMoney
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import TradingState
from tradeproc.engine.idle import why_no_entry
from tradeproc.engine.limits import closed_gate
from tradeproc.engine.loss_limits import profit_now, used
from tradeproc.strategies.contract import NOTHING, SubmitBracket, SubmitOrder

BUY = SubmitOrder(Side.BUY, Contracts(1))
EXIT = SubmitOrder(Side.SELL, Contracts(1), role=OrderRole.EXIT)
HOURS = market_hours("cme_equity")


def limits(**changes: Any) -> SessionLimits:
    return SessionLimits(Contracts(3), Contracts(3), **changes)


def losing(number: int) -> WholeMoney:
    return WholeMoney(number)


def desk_with(*plans: Any, now: int = START, **changes: Any) -> Desk:
    return Desk(Scripted(*plans), limits=limits(**changes), hours=HOURS, now=now)


def price(desk: Desk, points: float) -> None:
    """Let the market trade at a price: a bar closes there, and what works meets it."""
    desk.broker.price = Decimal(str(points))
    desk.bar(points)


def at(text: str) -> Nanos:
    return Nanos(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND)


def again(desk: Desk, *plans: Any, seconds: float = 1) -> Desk:
    """Return the next life of a trader, on the same database and broker, `seconds` later."""
    desk.broker.told.clear()
    setup = desk.setup
    made = Desk(
        Scripted(*plans),
        broker=desk.broker,
        database=desk.database,
        fence=setup.fence + 1,
        now=desk.now + int(seconds * SECOND),
        hours=HOURS,
        limits=setup.spec.limits,
    )
    made.candles = desk.candles
    return made


def resume(desk: Desk) -> None:
    desk.database.latch = None
    desk.tell(events.TradingStateSet("session:7", TradingState.ACTIVE, "anna", "looked at it"))


# --- at the edge


def test_a_loss_just_below_the_days_limit_changes_nothing_and_at_the_limit_the_session_exits_only() -> None:
    desk = desk_with(BUY, max_daily_loss=losing(500)).start()
    desk.bar()
    assert desk.position == 1

    price(desk, 4790.25)
    assert "loss_limit_reached" not in desk.alarms
    assert used(desk.state)["max_daily_loss"] == "487.50"

    price(desk, 4790.0)
    assert desk.database.latch is not None
    assert (desk.database.latch.by, desk.database.latch.state) == ("loss_limit", TradingState.REDUCING)
    assert "max_daily_loss 500 USD is reached: 500.00 lost this market day" in desk.database.latch.reason
    assert "loss_limit_reached" in desk.alarms
    assert "500.00 lost this market day; exits only, until" in why_no_entry(desk.state, desk.now)


def test_a_limit_that_is_reached_refuses_entries_cancels_those_that_work_and_lets_exits_pass() -> None:
    resting = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4700.0)
    desk = desk_with(BUY, resting, max_daily_loss=losing(500)).start()
    desk.bar()
    desk.bar()
    assert len(desk.state.engine.open_orders) == 1

    price(desk, 4785.0)
    assert desk.state.engine.open_orders == []
    desk.strategy.plans += [BUY, EXIT]
    desk.bar(4785.0)
    assert desk.position == 1
    assert "trading is reducing by session:7" in desk.refusals

    desk.bar(4785.0)
    assert desk.position == 0


def test_the_latch_is_kept_before_anything_else_of_its_turn() -> None:
    desk = desk_with(BUY, max_daily_loss=losing(500)).start()
    desk.bar()

    price(desk, 4780.0)

    turns = [effects for _, _, effects in desk.history if any(isinstance(effect, do.KeepLatch) for effect in effects)]
    assert len(turns) == 1
    assert isinstance(turns[0][0], do.KeepLatch)


def test_the_drawdown_counts_from_the_highest_profit_open_profit_included() -> None:
    desk = desk_with(BUY, max_drawdown=losing(1000)).start()
    desk.bar()
    price(desk, 4815.0)

    price(desk, 4795.25)
    assert "loss_limit_reached" not in desk.alarms
    assert used(desk.state)["max_drawdown"] == "987.50"

    price(desk, 4795.0)
    assert "max_drawdown 1000 USD is reached" in desk.state.engine.losses.tripped


def lose(desk: Desk) -> None:
    desk.strategy.plans += [BUY, EXIT]
    price(desk, 4800.0)
    price(desk, 4799.0)
    assert desk.position == 0


def test_losses_in_a_row_latch_and_a_win_between_ends_the_row() -> None:
    desk = desk_with(max_losses_in_row=Times(2)).start()
    lose(desk)
    desk.strategy.plans += [BUY, EXIT]
    price(desk, 4800.0)
    price(desk, 4801.0)
    lose(desk)
    assert desk.state.engine.losses.tripped == ""

    lose(desk)
    assert "2 round trips lost in a row" in desk.state.engine.losses.tripped


def test_with_a_cool_down_a_row_of_losses_makes_entries_wait_and_latches_nothing() -> None:
    desk = desk_with(max_losses_in_row=Times(2), cool_down_minutes=Minutes(10)).start()
    lose(desk)
    lose(desk)

    desk.strategy.plans += [BUY]
    desk.bar()
    assert desk.refusals == ["max_losses_in_row 2 is reached: entries wait 10 min more (cool_down_minutes)"]
    assert desk.database.latch is None

    later = again(desk, seconds=400).start()
    assert "entries wait" in (closed_gate(later.state, later.now) or "")

    over = again(desk, BUY, seconds=601).start()
    over.bar()
    assert over.position == 1


# --- unknown


def test_while_a_price_is_unknown_entries_wait_and_say_why_until_a_person_resumes() -> None:
    desk = desk_with(BUY, max_daily_loss=losing(500)).start()
    desk.bar()
    desk.broker.by_hand(-1, is_listed=False)
    later = again(desk)
    later.tell(events.Started(tuple(desk.database.orders.values()), desk.database.position))
    later.run(10)
    assert later.state.engine.losses.tally.unpriced

    reason = closed_gate(later.state, later.now)
    assert reason is not None
    assert "profit_unknown" in later.alarms

    resume(later)
    later.run(1)
    assert "profit_unknown" not in later.alarms
    assert later.state.engine.losses.tally.unpriced == {}


def test_with_a_position_and_no_price_heard_yet_entries_wait() -> None:
    desk = desk_with(BUY, max_daily_loss=losing(500)).start()
    desk.bar()
    later = again(desk)
    later.start(history=0)

    assert closed_gate(later.state, later.now) == "the session's profit is not known yet: no price was heard"


# --- restart and re-arming


def test_a_latched_session_stays_latched_over_a_restart_and_says_why() -> None:
    desk = desk_with(BUY, max_daily_loss=losing(500)).start()
    desk.bar()
    price(desk, 4780.0)

    later = again(desk, BUY).start()
    later.bar(4800.0)

    assert later.position == 1
    assert "loss_limit_reached" in later.alarms
    assert "max_daily_loss" in later.state.engine.losses.tripped


def test_after_re_arming_the_loss_counts_from_there_also_over_a_restart() -> None:
    desk = desk_with(BUY, max_daily_loss=losing(500), max_drawdown=losing(900)).start()
    desk.bar()
    price(desk, 4789.0)
    assert desk.state.engine.losses.tripped

    resume(desk)
    desk.run(1)
    price(desk, 4780.0)
    assert "loss_limit_reached" not in desk.alarms
    assert used(desk.state) == {"max_daily_loss": "450.00", "max_drawdown": "450.00"}

    later = again(desk).start(history=0)
    later.bar(4780.0)
    assert used(later.state) == {"max_daily_loss": "450.00", "max_drawdown": "450.00"}

    price(later, 4779.0)
    assert "max_daily_loss" in later.state.engine.losses.tripped


def test_a_resume_that_the_trader_did_not_live_to_see_re_arms_at_its_next_start_and_once() -> None:
    desk = desk_with(BUY, max_daily_loss=losing(500)).start()
    desk.bar()
    price(desk, 4780.0)
    desk.database.latch = None
    desk.database.rearmed_at = Nanos(desk.now + 500 * SECOND)

    later = again(desk, seconds=600).start(history=0)
    later.bar(4780.0)
    assert used(later.state)["max_daily_loss"] == "0.00"
    assert later.state.engine.losses.tripped == ""

    price(later, 4775.0)
    last = again(later).start(history=0)
    last.bar(4775.0)
    assert used(last.state)["max_daily_loss"] == "250.00"


def test_the_highest_profit_survives_a_restart() -> None:
    desk = desk_with(BUY, max_drawdown=losing(1000)).start()
    desk.bar()
    price(desk, 4815.0)
    desk.run(11)

    later = again(desk).start()
    later.bar(4795.0)

    assert "max_drawdown" in later.state.engine.losses.tripped


def test_marks_are_written_seldom_and_never_between_a_candle_and_its_order() -> None:
    desk = desk_with(max_drawdown=losing(100_000)).start()
    desk.strategy.plans += [BUY, *[NOTHING] * 20]
    for number in range(20):
        price(desk, 4800.0 + number)

    seen = [(type(event), each) for event, _, effects in desk.history for each in effects]
    saved = [kind for kind, each in seen if isinstance(each, do.SaveLossMarks)]
    assert set(saved) == {events.TimePassed}
    assert 2 <= len(saved) <= 4


def test_without_a_limit_on_losses_nothing_is_written() -> None:
    desk = desk_with(BUY).start()
    for number in range(5):
        price(desk, 4800.0 + number)

    assert desk.all_of(do.SaveLossMarks) == []


# --- market days


DAYS = [
    # the evening open of Globex, 17:00 in Chicago, in winter and in summer, and over both clock changes
    ("2026-01-13T22:59:00", "2026-01-13T23:00:01"),
    ("2026-07-14T21:59:00", "2026-07-14T22:00:01"),
    ("2026-03-06T21:59:00", "2026-03-08T22:00:01"),
    ("2026-10-30T20:59:00", "2026-11-01T23:00:01"),
]


@pytest.mark.parametrize(("before", "after"), DAYS)
def test_the_loss_of_a_day_ends_with_the_evening_open_and_not_before(before: str, after: str) -> None:
    desk = desk_with(BUY, max_daily_loss=losing(1000), now=at(before) - 10 * SECOND).start()
    desk.bar()
    price(desk, 4790.0)
    assert used(desk.state)["max_daily_loss"] == "500.00"

    desk.now = at(after)
    desk.run(1)

    assert used(desk.state)["max_daily_loss"] == "0.00"
    price(desk, 4781.0)
    assert used(desk.state)["max_daily_loss"] == "450.00"


def test_a_trader_that_slept_over_the_open_counts_what_was_realized_since() -> None:
    desk = desk_with(BUY, EXIT, BUY, EXIT, max_daily_loss=losing(1000), now=at("2026-01-13T22:58:00")).start()
    desk.bar()
    price(desk, 4790.0)  # 500 lost before the open
    desk.now = at("2026-01-13T23:30:00")
    desk.bar(4790.0)
    price(desk, 4785.0)  # 250 lost after it
    desk.database.marks = None

    later = again(desk).start()
    later.bar(4785.0)

    assert used(later.state)["max_daily_loss"] == "250.00"


def test_a_latch_of_yesterday_is_not_lifted_by_the_new_day() -> None:
    desk = desk_with(BUY, max_daily_loss=losing(500), now=at("2026-01-13T22:58:00")).start()
    desk.bar()
    price(desk, 4780.0)

    desk.now = at("2026-01-13T23:30:00")
    desk.strategy.plans += [BUY]
    desk.bar(4780.0)

    assert desk.position == 1
    assert desk.state.engine.losses.tripped


def test_a_clock_that_jumps_back_over_the_open_does_not_begin_the_day_anew() -> None:
    desk = desk_with(BUY, max_daily_loss=losing(1000), now=at("2026-01-13T23:00:10")).start()
    desk.bar()
    price(desk, 4790.0)

    desk.now = at("2026-01-13T22:50:00")
    desk.run(1)
    desk.now = at("2026-01-13T23:05:00")
    desk.run(1)

    assert used(desk.state)["max_daily_loss"] == "500.00"


def test_a_person_who_had_closed_the_session_hears_of_the_limit_when_they_open_it() -> None:
    desk = desk_with(BUY, max_daily_loss=losing(500)).start()
    desk.bar()
    desk.tell(events.TradingStateSet("session:7", TradingState.HALTED, "anna", "lunch"))
    price(desk, 4780.0)
    assert desk.database.latch is None

    resume(desk)

    assert desk.state.engine.losses.tripped
    assert "loss_limit_reached" in desk.alarms


def test_a_bracket_goes_on_protecting_after_the_limit() -> None:
    bracket = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4770.0)
    desk = desk_with(bracket, max_daily_loss=losing(500)).start()
    desk.bar()

    price(desk, 4785.0)

    assert [order.role for order in desk.state.engine.open_orders] == [OrderRole.STOP_LOSS]


# --- the account


def money(desk: Desk, realized: str, unrealized: str = "0") -> None:
    """Let the broker tell what the account made today."""
    amounts = (Money(Decimal(10_000)), Money(Decimal(10_000)), Money(Decimal(realized)), Money(Decimal(unrealized)))
    desk.tell(events.BalanceUpdated(Balance(ACCOUNT, "USD", *amounts, desk.now)))


def test_the_account_counts_with_what_others_lost_in_it() -> None:
    desk = desk_with(BUY, max_account_daily_loss=losing(500)).start()
    money(desk, "-300", "-199.99")
    desk.bar()
    assert desk.position == 1
    assert used(desk.state) == {"max_account_daily_loss": "499.99"}

    money(desk, "-300", "-200")
    assert "max_account_daily_loss 500 is reached: the account lost 500.00 today" in desk.state.engine.losses.tripped
    assert desk.database.latch is not None


def test_while_the_broker_has_not_told_the_accounts_money_entries_wait() -> None:
    desk = desk_with(BUY, max_account_daily_loss=losing(500)).start()
    assert "the account's profit of the day is not known" in (closed_gate(desk.state, desk.now) or "")
    assert used(desk.state) == {"max_account_daily_loss": "unknown"}

    money(desk, "0")
    assert closed_gate(desk.state, desk.now) is None

    late = Nanos(desk.now + 301 * SECOND)
    desk.state.broker.market_heard_at = late
    assert "the account's profit of the day is not known" in (closed_gate(desk.state, late) or "")


def test_after_re_arming_the_accounts_loss_counts_from_there_over_a_restart_until_it_is_made_good() -> None:
    desk = desk_with(max_account_daily_loss=losing(500)).start()
    money(desk, "-600")
    assert desk.state.engine.losses.tripped

    resume(desk)
    desk.run(1)
    money(desk, "-1000")
    assert used(desk.state) == {"max_account_daily_loss": "400.00"}
    assert desk.state.engine.losses.tripped == ""

    later = again(desk).start()
    money(later, "-1050")
    later.run(1)
    assert used(later.state) == {"max_account_daily_loss": "450.00"}

    money(later, "0")
    money(later, "-500")
    assert later.state.engine.losses.tripped


def test_the_money_of_another_account_says_nothing() -> None:
    desk = desk_with(max_account_daily_loss=losing(500)).start()
    amounts = [Money(Decimal(-900))] * 4
    desk.tell(events.BalanceUpdated(Balance("SIM2", "USD", *amounts, desk.now)))

    assert used(desk.state) == {"max_account_daily_loss": "unknown"}
    assert desk.state.engine.losses.tripped == ""


# --- whatever the market and the strategy do


moves = st.lists(
    st.tuples(st.integers(-40, 40), st.sampled_from(["buy", "sell", "exit", "nothing", "restart", "resume"])),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(moves)
def test_no_entry_is_made_while_a_limit_is_reached_and_the_count_is_that_of_the_brokers_books(
    wishes: list[tuple[int, str]],
) -> None:
    desk = desk_with(max_daily_loss=losing(1500), max_drawdown=losing(2000)).start(history=0)
    ticks, since = 4800 * 4, Decimal(0)
    for change, wish in wishes:
        ticks += change
        points = Decimal(ticks) / 4
        if wish == "restart":
            desk = again(desk).start(history=0)
        elif wish == "resume" and desk.state.engine.losses.tripped:
            resume(desk)
        side = Side.SELL if wish == "sell" else Side.BUY
        closing = Side.SELL if desk.position > 0 else Side.BUY
        desk.strategy.plans += {
            "buy": [SubmitOrder(side, Contracts(1))],
            "sell": [SubmitOrder(side, Contracts(1))],
            "exit": [SubmitOrder(closing, Contracts(1), role=OrderRole.EXIT)],
        }.get(wish, [NOTHING])
        was_closed = bool(desk.state.engine.losses.tripped)
        held = abs(desk.position)
        desk.broker.price = points
        desk.bar(float(points))
        if was_closed:
            assert abs(desk.position) <= held, "exits only"
        open_profit = desk.position * (points - desk.broker.average) if desk.position else Decimal(0)
        since = (desk.broker.realized + open_profit) * 50
        assert profit_now(desk.state) == pytest.approx(since, abs=Decimal("1e-6"))
        marks = desk.state.engine.losses.marks
        assert marks is not None
        is_reached = marks.day_start - since >= 1500 or marks.peak - since >= 2000
        assert is_reached <= bool(desk.state.engine.losses.tripped), "latched at once"

"""What changed by no order of ours is a row of the books, and afterwards all books say what the broker says."""

import contextlib
import random
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.desk import Desk, Killed, Scripted
from tests.engine.exchange_broker import ACCOUNT, ExchangeBroker
from tradeproc.domain.book import Fill, FillKind, Position
from tradeproc.domain.broker_orders import Accepted
from tradeproc.domain.fills import standing
from tradeproc.domain.orders import OrderState, OrderType, Side
from tradeproc.domain.session import ExternalPolicy
from tradeproc.domain.units import SECOND, Contracts, Money, Nanos, Price
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import TradingState
from tradeproc.engine.idle import why_no_entry
from tradeproc.procs.trader.session_profit import SessionProfit
from tradeproc.store import round_trips
from tradeproc.strategies.contract import NOTHING, Decision, SubmitBracket, SubmitOrder, View

BUY = SubmitOrder(Side.BUY, Contracts(1))
POINT = Money(Decimal(50))


def rows(desk: Desk) -> list[Fill]:
    return list(desk.database.fills.values())


def short(desk: Desk) -> list[tuple[str, int, str | None, str]]:
    return [
        (
            fill.kind.value,
            fill.quantity * fill.side.sign,
            None if fill.price is None else str(fill.price),
            fill.broker_id,
        )
        for fill in rows(desk)
    ]


def again(desk: Desk, *plans: Decision, **changes: object) -> Desk:
    """Return the next life of a trader, on the same database and broker."""
    desk.broker.told.clear()
    made = Desk(
        Scripted(*plans), broker=desk.broker, database=desk.database, fence=2, now=desk.now + SECOND, **changes
    )  # type: ignore[arg-type]
    made.candles = desk.candles
    return made


def check_books(desk: Desk) -> None:
    """Position, rows, tally and round trips are the broker's."""
    tally = SessionProfit(POINT, rows(desk))
    assert desk.position == desk.broker.position == tally.held.quantity
    assert sum(fill.quantity * fill.side.sign for fill in standing(rows(desk))) == desk.position
    assert desk.state.engine.holding.average == tally.held.average
    if desk.position:
        assert tally.held.average == pytest.approx(desk.broker.average, abs=Decimal("1e-8"))
    assert tally.realized == pytest.approx(desk.broker.realized * POINT, abs=Decimal("1e-6"))
    if not desk.position:
        trades = round_trips(rows(desk))
        assert sum(t.profit for t in trades if t.profit is not None) == pytest.approx(
            desk.broker.realized * POINT, abs=Decimal("1e-6")
        )


def test_a_lot_sold_by_hand_ends_its_trade_at_the_price_of_the_hands_order() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    desk.broker.price = Decimal("4779.50")

    desk.broker.by_hand(-1)
    desk.run(20)

    assert short(desk) == [("own", 1, "4800", "900"), ("external", -1, "4779.5", "hand-1")]
    (trade,) = round_trips(rows(desk))
    assert trade.profit == Decimal("-1025")
    check_books(desk)


def test_what_no_order_shows_is_booked_at_the_last_price_and_says_so() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    desk.bar(4790.0)

    desk.broker.by_hand(-1, is_listed=False)
    desk.run(20)

    assert short(desk)[-1] == ("external", -1, "4790", "")
    assert "the last price" in desk.divergences[-1].cause
    assert desk.database.position is not None
    assert desk.database.position.quantity == 0


def test_without_any_price_it_is_unknown_and_never_zero() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    desk.broker.by_hand(-1, is_listed=False)

    later = again(desk)
    later.tell(events.Started(tuple(desk.database.orders.values()), desk.database.position))
    later.run(10)

    assert short(later)[-1] == ("external", -1, None, "")
    assert [trade.profit for trade in round_trips(rows(later))] == [None]
    assert SessionProfit(POINT, rows(later)).realized is None


def test_contracts_without_a_price_get_the_brokers_average_as_soon_as_it_tells_one() -> None:
    desk = Desk().start()
    desk.run(1)
    silent = Position(ACCOUNT, "ESH24", Contracts(2), None)
    desk.broker.current_position = lambda: silent  # type: ignore[method-assign]
    later = again(desk)
    later.tell(events.Started((), Position(ACCOUNT, "ESH24", Contracts(0), None)))
    later.run(10)
    assert short(later) == [("external", 2, None, "")]

    priced = replace(silent, average=Price(Decimal("-37.63")))
    later.broker.current_position = lambda: priced  # type: ignore[method-assign]
    later.run(40)

    (row,) = standing(rows(later))
    assert (row.quantity, row.price) == (2, Decimal("-37.63"))
    assert later.state.engine.holding.average == Decimal("-37.63")
    assert SessionProfit(POINT, rows(later)).held.average == Decimal("-37.63")


def test_a_position_turned_over_by_hand_is_closed_at_one_price_and_opened_at_the_brokers_average() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    desk.bar(4799.0)
    desk.broker.price = Decimal("4799")

    desk.broker.by_hand(-3, is_listed=False)
    desk.run(20)

    assert short(desk)[1:] == [("external", -1, "4799", ""), ("external", -2, "4799", "")]
    check_books(desk)


def test_the_position_that_a_session_finds_at_its_very_first_start_is_booked_at_its_average_and_closes_nothing() -> (
    None
):
    broker = ExchangeBroker()
    broker.by_hand(2)
    desk = Desk(Scripted(), broker=broker)

    desk.start()
    desk.run(10)

    assert short(desk) == [("external", 2, "4800", "")]
    assert desk.divergences[0].cause.startswith("held before the session's first start: ")
    assert desk.database.latch is None
    assert desk.state.engine.trading is TradingState.ACTIVE
    check_books(desk)


def test_after_a_change_by_hand_the_strategy_does_not_enter_again_until_a_person_resumes() -> None:
    desk = Desk(Scripted(BUY, BUY, BUY, BUY)).start()
    desk.bar()
    desk.broker.by_hand(-1)
    desk.run(20)

    desk.bar()
    desk.run(60)
    desk.bar()

    assert desk.broker.position == 0
    assert desk.refusals == ["trading is reducing by session:7"] * 2
    assert "external_change" in desk.alarms
    why = why_no_entry(desk.state, desk.now)
    assert "-1 by no order of ours" in why
    assert "scripts/tradectl resume --session 7 --reason WHY" in why
    assert desk.database.latch is not None
    assert (desk.database.latch.scope, desk.database.latch.by) == ("session:7", "external_policy")
    desk.tell(events.TradingStateSet("session:7", TradingState.ACTIVE, "me", "it was me"))
    assert "external_change" not in desk.alarms
    desk.bar()
    assert desk.broker.position == 1


@pytest.mark.parametrize("lives", range(12))
def test_killed_between_seeing_and_storing_the_next_life_does_not_enter_either(lives: int) -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    desk.broker.by_hand(-1)
    desk.lives = lives
    with contextlib.suppress(Killed):
        desk.run(40)

    later = again(desk, BUY, BUY, BUY)
    later.start()
    for _ in range(3):
        later.bar(seconds=10)

    assert later.broker.position == 0
    assert later.database.latch is not None
    assert "external_change" in later.alarms
    check_books(later)


def test_a_policy_to_ignore_books_it_and_goes_on() -> None:
    desk = Desk(Scripted(BUY, NOTHING, BUY), external_policy=ExternalPolicy.IGNORE).start()
    desk.bar()
    desk.broker.by_hand(-1)
    desk.run(20)

    desk.bar()
    desk.bar()

    assert desk.broker.position == 1
    assert (desk.database.latch, desk.alarms) == (None, set())
    check_books(desk)


def test_a_halt_by_a_person_is_not_weakened() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    desk.tell(events.TradingStateSet("session:7", TradingState.HALTED, "me", "lunch"))

    desk.broker.by_hand(-1)
    desk.run(20)

    assert desk.state.engine.trading is TradingState.HALTED
    assert desk.database.latch is None
    assert "external_change" in desk.alarms


def test_an_exit_still_goes_out_after_a_change_by_hand() -> None:
    desk = Desk(Scripted(SubmitBracket(Side.BUY, Contracts(2), stop_loss=4700.0))).start()
    desk.bar()
    desk.broker.by_hand(-1)
    desk.run(20)

    desk.tell(events.FlattenCommanded("me"))
    desk.run(20)

    assert desk.broker.position == 0
    check_books(desk)


def test_a_fill_that_the_broker_takes_back_is_reversed_by_a_row_and_closes_nothing() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    desk.broker.take_back("900")

    desk.run(40)

    assert short(desk) == [("own", 1, "4800", "900"), ("reversal", -1, "4800", "900")]
    assert (desk.orders[0].filled, desk.orders[0].state, desk.orders[0].revision) == (0, OrderState.EXPIRED, 1)
    assert round_trips(rows(desk)) == []
    assert desk.database.latch is None
    assert [row.kind.value for row in desk.divergences] == ["position"]
    assert "took back 1 of order" in desk.divergences[0].cause


def test_a_fill_taken_back_after_the_position_was_corrected_leaves_neither_row_standing() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    desk.broker.by_hand(-1, is_listed=False)
    desk.run(20)
    assert [fill.kind for fill in rows(desk)] == [FillKind.OWN, FillKind.EXTERNAL]

    desk.broker.take_back("900", moves=False)
    desk.tell(events.ReconcileCommanded("me"))
    desk.run(40)

    assert standing(rows(desk)) == []
    assert (desk.position, SessionProfit(POINT, rows(desk)).realized) == (0, 0)
    assert round_trips(rows(desk)) == []


def test_an_order_that_fills_again_after_it_was_taken_back_is_booked_again() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    desk.broker.take_back("900")
    desk.run(40)

    desk.broker.price = Decimal("4801")
    desk.broker.fill_again("900", 1)
    desk.run(5)

    assert short(desk)[-1] == ("own", 1, "4801", "900")
    assert [fill.revision for fill in rows(desk)] == [0, 1, 1]
    check_books(desk)


def test_a_fill_of_ours_that_the_list_shows_only_later_leaves_one_row_and_not_two() -> None:
    """The broker's list of orders is behind its position, and the stream has lost the fill."""
    resting = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4790.0)
    desk = Desk(Scripted(resting)).start()
    desk.bar()
    filled = replace(
        desk.broker.orders["900"],
        filled=Contracts(1),
        average=Price(Decimal(4790)),
        state=OrderState.FILLED,
        closed_at=desk.now,
    )
    desk.broker.price = Decimal(4790)
    desk.broker.move(1)
    desk.run(40)
    assert [fill.kind for fill in rows(desk)] == [FillKind.EXTERNAL]

    desk.broker.tell(filled)
    desk.run(40)

    assert [(each.kind, each.broker_id) for each in standing(rows(desk))] == [(FillKind.OWN, "900")]
    check_books(desk)


def test_a_fill_after_a_change_by_hand_is_a_fill_of_its_own() -> None:
    resting = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4790.0)
    desk = Desk(Scripted(resting), external_policy=ExternalPolicy.IGNORE).start()
    desk.bar()
    desk.broker.by_hand(1, is_listed=False)
    desk.run(40)

    desk.broker.trade(Decimal(4790))
    desk.run(40)

    assert [fill.kind for fill in rows(desk)] == [FillKind.EXTERNAL, FillKind.OWN]
    check_books(desk)


def test_a_broker_that_contradicts_itself_is_recorded_once() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()

    desk.broker.take_back("900", moves=False)
    desk.tell(events.ReconcileCommanded("me"))
    desk.run(1500)

    assert [(row.kind.value, row.cause) for row in desk.divergences] == [
        ("order_filled", "the broker's position shows contracts that its list of orders does not show as filled")
    ]
    assert desk.position == 1
    assert len(desk.all_of(do.AskOrders)) < 40


class Erratic(Scripted):
    """Buys and sells at the market, by a seeded source."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)

    def on_candle(self, view: View, state: int, arguments: object) -> tuple[Decision, int]:
        side = self.chance.choice([*Side, None])
        return (NOTHING if side is None else SubmitOrder(side, Contracts(self.chance.randint(1, 2)))), state


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_own_fills_changes_by_hand_and_restarts_in_any_sequence_leave_books_that_agree_with_the_brokers(
    seed: int, echoes: bool
) -> None:
    chance = random.Random(seed)
    desk = Desk(Erratic(seed), broker=ExchangeBroker(echoes=echoes), external_policy=ExternalPolicy.IGNORE).start()
    for _ in range(14):
        desk.broker.trade(desk.broker.price + chance.randint(-12, 12) * Decimal("0.25"))
        match chance.randrange(4):
            case 0:
                desk.bar(seconds=chance.choice([1, 5]))
            case 1:
                desk.broker.by_hand(chance.choice([-2, -1, 1, 2]))
                desk.run(45)
            case 2:
                desk.run(45)
            case _:
                realized = SessionProfit(POINT, rows(desk)).realized
                desk.broker.told.clear()
                if chance.random() < 0.3:
                    desk.broker.by_hand(chance.choice([-1, 1]))
                desk = Desk(
                    Erratic(seed + 1),
                    broker=desk.broker,
                    database=desk.database,
                    fence=desk.setup.fence + 1,
                    now=desk.now + 2 * SECOND,
                    external_policy=ExternalPolicy.IGNORE,
                )
                assert SessionProfit(POINT, rows(desk)).realized == realized
                desk.start()
                desk.run(20)
    desk.run(60)

    check_books(desk)
    assert desk.all_of(do.KeepLatch) == []


def test_a_fill_of_ours_that_only_the_cancel_brings_to_light_takes_back_the_row_that_was_booked_for_it() -> None:
    desk = Desk(Scripted(SubmitOrder(Side.BUY, Contracts(3), type=OrderType.LIMIT, limit=4790.0))).start()
    desk.bar()
    desk.broker.move(2)
    cancelled: list[str] = []

    def cancel(broker_id: str) -> Accepted:
        """The order had filled two contracts long ago, and nobody has told so."""
        cancelled.append(broker_id)
        picture = desk.broker.orders[broker_id]
        filled = replace(picture, filled=Contracts(2), average=Price(Decimal(4800)))
        desk.broker.tell(replace(filled, state=OrderState.CANCELLED, closed_at=Nanos(desk.now + SECOND // 100)))
        return Accepted()

    desk.broker.cancel = cancel  # type: ignore[method-assign]
    desk.run(60)

    assert cancelled == ["900"], "a latch cancels the entries that still work"
    assert desk.position == desk.broker.position == 2
    assert [fill.kind for fill in standing(rows(desk))] == [FillKind.OWN]
    check_books(desk)

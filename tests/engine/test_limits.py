"""Each gate that closes for entries, and that none of them closes for an exit."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.engine.desk import Desk, Scripted, candle
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import Unanswered
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side
from tradeproc.domain.session import SessionLimits
from tradeproc.domain.units import Contracts, Price
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import StreamKind, TradingState
from tradeproc.strategies.contract import (
    NOTHING,
    ClosePosition,
    Decision,
    ModifyOrders,
    OrderChange,
    SubmitBracket,
    SubmitOrder,
    View,
)

BUY = SubmitOrder(Side.BUY, Contracts(1))
EXIT = SubmitOrder(Side.SELL, Contracts(1), role=OrderRole.EXIT)


def lose_an_answer(desk: Desk) -> None:
    desk.strategy.plans.insert(0, BUY)
    desk.next_outcome = Unanswered("timed out")
    desk.bar()


def tell_another_position(desk: Desk) -> None:
    desk.tell(events.PositionUpdated(Position("SIM1", "ESH24", Contracts(3), Price(Decimal(1)))))


GATES: dict[str, Callable[[Desk], object]] = {
    "trading is halted by host": lambda desk: desk.tell(events.TradingStateSet("host", TradingState.HALTED)),
    "trading is reducing by session": lambda desk: desk.tell(
        events.TradingStateSet("session", TradingState.REDUCING)
    ),
    "the lease is lost": lambda desk: desk.tell(events.LeaseChanged(False, "another one")),
    "the database is down": lambda desk: desk.tell(events.DatabaseChanged(False, "gone")),
    "the market stream is down: cut": lambda desk: desk.tell(events.StreamChanged(StreamKind.MARKET, False, "cut")),
    "the orders stream is down: cut": lambda desk: desk.tell(events.StreamChanged(StreamKind.ORDERS, False, "cut")),
    "the positions stream is down: cut": lambda desk: desk.tell(
        events.StreamChanged(StreamKind.POSITIONS, False, "cut")
    ),
    "the position is not reconciled": tell_another_position,
    "the fate of order abcd7-1-2 is unknown": lose_an_answer,
}


@pytest.mark.parametrize(("refusal", "close"), GATES.items(), ids=list(GATES))
def test_a_closed_gate_refuses_an_entry_and_lets_an_exit_pass(refusal: str, close: Callable[[Desk], object]) -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    assert desk.position == 1
    close(desk)
    sent = len(desk.sent)
    desk.strategy.plans += [BUY, EXIT]

    desk.bar()
    assert desk.refusals == [refusal]
    assert len(desk.sent) == sent

    desk.bar()
    assert len(desk.sent) == sent + 1
    assert desk.broker.position == 0


def test_before_both_answers_of_the_start_no_strategy_runs() -> None:
    desk = Desk(Scripted(BUY))
    desk.faults.unknown = 1.0
    desk.start()

    desk.bar()

    assert desk.strategy.seen == []
    desk.faults.unknown = 0.0
    desk.run(5)
    desk.bar()
    assert len(desk.strategy.seen) == 1


@pytest.mark.parametrize(
    ("quantity", "refusal"),
    [(3, []), (4, ["4 contracts are more than max_order 3"])],
)
def test_an_order_is_not_larger_than_max_order(quantity: int, refusal: list[str]) -> None:
    desk = Desk(Scripted(SubmitOrder(Side.BUY, Contracts(quantity)))).start()

    desk.bar()

    assert desk.refusals == refusal
    assert len(desk.sent) == 1 - len(refusal)


def test_working_entries_count_towards_max_position() -> None:
    resting = SubmitOrder(Side.BUY, Contracts(2), type=OrderType.LIMIT, limit=4700.0)
    desk = Desk(Scripted(resting, BUY, BUY), limits=SessionLimits(Contracts(3), Contracts(3))).start()

    for _ in range(3):
        desk.bar()

    assert desk.refusals == ["the position could become 4, more than max_position 3"]
    assert desk.position == 1


def test_a_candle_that_came_as_history_runs_the_strategy_but_enters_nothing() -> None:
    desk = Desk(Scripted(BUY)).start()

    desk.tell(events.CandleReceived(candle(desk.candles), is_history=True))

    assert len(desk.strategy.seen) == 1
    assert desk.refusals == ["the candle came late, as history"]


def test_an_exit_is_cut_to_what_it_can_close_and_is_no_entry_in_disguise() -> None:
    large = SubmitOrder(Side.SELL, Contracts(9), role=OrderRole.EXIT)
    desk = Desk(Scripted(large, BUY, large, large)).start()

    for _ in range(4):
        desk.bar()

    assert desk.broker.position == 0
    assert [order.quantity for order in desk.orders if order.role is OrderRole.EXIT] == [1]
    assert len(desk.refusals) == 2


def test_a_halt_cancels_entries_that_still_work_and_leaves_the_rest() -> None:
    resting = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4700.0)
    target = SubmitOrder(Side.SELL, Contracts(1), type=OrderType.LIMIT, limit=4900.0, role=OrderRole.PROFIT_TARGET)
    desk = Desk(Scripted(BUY, resting, target, NOTHING, ClosePosition())).start()
    for _ in range(3):
        desk.bar()

    desk.tell(events.TradingStateSet("host", TradingState.HALTED))
    desk.run(1)

    assert [order.state for order in desk.orders] == [OrderState.FILLED, OrderState.CANCELLED, OrderState.SUBMITTED]
    desk.bar()
    desk.bar(seconds=5)
    assert desk.broker.position == 0


@pytest.mark.parametrize(
    ("login", "refusal"),
    [
        ("paper", "trading is halted by login:paper"),
        ("data", "trading is halted by login:data, the session's data login"),
    ],
)
def test_a_latched_login_refuses_entries_and_lets_exits_pass_and_a_data_login_is_told_apart(
    login: str, refusal: str
) -> None:
    desk = Desk(Scripted(BUY), data_login="data").start()
    desk.bar()
    desk.tell(events.TradingStateSet(f"login:{login}", TradingState.HALTED))
    desk.strategy.plans += [BUY, EXIT]

    desk.bar()
    assert desk.refusals == [refusal]
    desk.bar()

    assert desk.position == 0


def test_a_target_of_a_position_that_turned_round_may_not_grow() -> None:
    short = SubmitBracket(Side.SELL, Contracts(1), stop_loss=4830.0, profit_target=4770.0)
    long = SubmitOrder(Side.BUY, Contracts(3))

    def grow(view: View) -> Decision:
        (target,) = [order for order in view.orders if order.role is OrderRole.PROFIT_TARGET]
        return ModifyOrders((OrderChange(target.id, quantity=Contracts(3), limit=4780.0),))

    desk = Desk(Scripted(short, long, grow)).start()
    desk.bar()
    desk.bar()
    assert desk.position == 2

    desk.bar()

    (change,) = desk.all_of(do.Modify)
    assert change.change.quantity == 1

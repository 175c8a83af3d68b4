"""Prices and quantities of our orders that somebody else changed leave a row and close entries; ours leave none."""

import contextlib
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.engine.desk import Desk, Killed, Scripted
from tests.engine.test_external import again
from tests.engine.test_vanished import BRACKET, found
from tradeproc.domain.broker_orders import Unanswered
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.session import ExternalPolicy
from tradeproc.domain.units import Contracts, Price
from tradeproc.engine.events import TradingState
from tradeproc.strategies.contract import NOTHING, Decision, ModifyOrders, OrderChange, SubmitOrder, View

MOVED = ("order_state", "stop 4790, quantity 1", "stop 4700.25, quantity 1")
RESTING = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4780.0)


def move_by_hand(desk: Desk, role: OrderRole, *, is_told: bool = True, **terms: object) -> None:
    (order,) = [each for each in desk.orders if each.role is role]
    assert order.broker_id is not None
    desk.broker.tell(replace(desk.broker.orders[order.broker_id], **terms))  # type: ignore[arg-type]
    if not is_told:
        desk.broker.told.clear()
    desk.run(2)


def trail(view: View) -> Decision:
    (stop,) = [order for order in view.orders if order.role is OrderRole.STOP_LOSS]
    return ModifyOrders((OrderChange(stop.id, stop=4795.0),))


@pytest.mark.parametrize("is_told", [True, False])
def test_a_stop_moved_by_hand_is_a_row_and_closes_entries(is_told: bool) -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()

    move_by_hand(desk, OrderRole.STOP_LOSS, stop=Price(Decimal("4700.25")), is_told=is_told)
    desk.run(400)

    assert found(desk) == [MOVED]
    assert desk.divergences[0].cause == "changed by no order of ours"
    assert "external_change" in desk.alarms
    assert desk.database.latch is not None
    assert "from stop 4790, quantity 1 to stop 4700.25, quantity 1" in desk.database.latch.reason


def test_moved_while_the_trader_was_not_running_it_is_a_row_too() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()
    move_by_hand(desk, OrderRole.STOP_LOSS, stop=Price(Decimal("4700.25")), is_told=False)

    later = again(desk).start()
    later.run(10)

    assert found(later) == [MOVED]
    assert later.divergences[0].cause == "changed by no order of ours while the trader was not running"
    assert later.database.latch is None


@pytest.mark.parametrize(
    "terms", [{"limit": Price(Decimal("4781"))}, {"quantity": Contracts(2)}, {"limit": Price(Decimal(-5))}]
)
def test_an_entry_changed_by_hand_is_a_row(terms: dict[str, object]) -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()

    move_by_hand(desk, OrderRole.ENTRY, **terms)

    assert len(desk.divergences) == 1
    assert desk.state.engine.trading is TradingState.REDUCING


def test_a_policy_to_ignore_leaves_the_row_and_goes_on() -> None:
    desk = Desk(Scripted(BRACKET), external_policy=ExternalPolicy.IGNORE).start()
    desk.bar()

    move_by_hand(desk, OrderRole.STOP_LOSS, stop=Price(Decimal("4700.25")))

    assert found(desk) == [MOVED]
    assert desk.database.latch is None


def test_a_stop_that_we_move_and_a_late_picture_of_where_it_was_are_no_rows() -> None:
    desk = Desk(Scripted(BRACKET, trail)).start()
    desk.bar()
    (old,) = [each for each in desk.broker.open() if each.type is OrderType.STOP]
    desk.bar()
    new = desk.broker.orders[old.broker_id]
    assert new.stop == 4795

    for picture in (old, new):
        desk.broker.tell(picture)
        desk.run(2)

    assert desk.divergences == []
    assert desk.database.latch is None


def test_a_change_of_ours_that_was_given_up_and_done_all_the_same_is_no_row() -> None:
    desk = Desk(Scripted(BRACKET, trail)).start()
    desk.bar()
    desk.broker.modify = lambda _id, _change: Unanswered("timed out")  # type: ignore[assignment, method-assign]
    desk.bar()
    desk.run(60)
    assert not desk.state.engine.pending

    move_by_hand(desk, OrderRole.STOP_LOSS, stop=Price(Decimal(4795)))

    assert desk.divergences == []
    assert desk.database.latch is None


@pytest.mark.parametrize("lives", range(2, 9))
def test_killed_while_it_moves_a_stop_the_next_life_takes_the_change_for_its_own(lives: int) -> None:
    desk = Desk(Scripted(BRACKET, trail)).start()
    desk.bar()
    desk.lives = lives
    with contextlib.suppress(Killed):
        desk.bar(seconds=30)

    later = again(desk, NOTHING).start()
    later.run(60)

    assert [row for row in later.divergences if "no order of ours" in row.cause] == []
    assert later.database.latch is None


def test_a_leg_that_a_siblings_fill_shrinks_is_no_row() -> None:
    desk = Desk(Scripted(replace(BRACKET, quantity=Contracts(3)))).start()
    desk.bar()
    desk.broker.fill_by(1)

    desk.broker.trade(Decimal(4821))
    desk.run(10)

    (stop,) = [order for order in desk.orders if order.role is OrderRole.STOP_LOSS]
    assert stop.quantity == 2
    assert desk.divergences == []

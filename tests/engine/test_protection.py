"""Open contracts without a working stop: the alarm stands within ten seconds, and the policy does what it says."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.engine.desk import Desk, Scripted
from tradeproc.domain.broker_orders import Unanswered
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side
from tradeproc.domain.session import StopPolicy
from tradeproc.domain.units import Contracts
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.protection import uncovered
from tradeproc.strategies.contract import CancelOrders, Decision, SubmitBracket, SubmitOrder, View

BUY = SubmitOrder(Side.BUY, Contracts(1))
BRACKET = SubmitBracket(Side.BUY, Contracts(2), stop_loss=4790.0)


def drop_the_stop(view: View) -> Decision:
    assert view.stop_loss is not None
    return CancelOrders((view.stop_loss.id,))


def test_a_bare_position_raises_the_alarm_within_ten_seconds_and_a_covered_one_does_not() -> None:
    bare, covered = Desk(Scripted(BUY)).start(), Desk(Scripted(BRACKET)).start()

    bare.bar(seconds=7)
    covered.bar(seconds=60)
    assert bare.alarms == covered.alarms == set()
    bare.run(2.5)

    assert bare.alarms == {"position_uncovered"}
    assert uncovered(bare.state) == 1
    assert len(bare.sent) == 1


@pytest.mark.parametrize("policy", StopPolicy)
def test_contracts_whose_stop_a_closing_has_cancelled_and_whose_exit_was_lost_raise_the_alarm_in_time(
    policy: StopPolicy,
) -> None:
    desk = Desk(Scripted(BRACKET), stop_policy=policy).start()
    desk.bar()
    desk.next_outcome = Unanswered("timed out")
    desk.tell(events.FlattenCommanded("me"))

    desk.run(7)
    assert "position_uncovered" not in desk.alarms
    desk.run(3)

    assert "position_uncovered" in desk.alarms
    assert len(desk.sent) == 2, "the exit that was lost is not sent again, and no stop may meet it"
    desk.run(60)
    assert desk.broker.position == 0
    assert desk.alarms == set()


@pytest.mark.parametrize("quantity", [1, 2])
def test_replace_puts_the_stop_back_where_the_last_one_was_and_only_once(quantity: int) -> None:
    bracket = SubmitBracket(Side.BUY, Contracts(quantity), stop_loss=4790.0)
    desk = Desk(Scripted(bracket, drop_the_stop), stop_policy=StopPolicy.REPLACE).start()
    desk.bar()

    desk.bar(seconds=60)

    (again,) = [send.request for send in desk.all_of(do.Send)[1:]]
    assert (again.role, again.type, again.quantity, again.stop) == (
        OrderRole.STOP_LOSS,
        OrderType.STOP,
        quantity,
        4790,
    )
    assert desk.alarms == set()
    assert uncovered(desk.state) == 0


def test_replace_flattens_where_the_price_is_through_the_stop_already() -> None:
    desk = Desk(Scripted(BRACKET, drop_the_stop), stop_policy=StopPolicy.REPLACE).start()
    desk.bar()
    desk.bar()

    desk.bar(4780.0, seconds=30)

    assert desk.broker.position == 0
    assert desk.broker.open() == []


def test_flatten_closes_and_nothing_is_left() -> None:
    desk = Desk(Scripted(BUY), stop_policy=StopPolicy.FLATTEN).start()

    desk.bar(seconds=30)

    assert desk.broker.position == 0
    assert len(desk.sent) == 2
    assert desk.alarms == set()


def test_what_protected_a_position_that_is_gone_is_cancelled() -> None:
    leave = SubmitOrder(Side.SELL, Contracts(2), role=OrderRole.EXIT)
    desk = Desk(Scripted(BRACKET, leave)).start()
    desk.bar()

    desk.bar(seconds=10)

    assert desk.broker.position == 0
    assert desk.broker.open() == []


@pytest.mark.parametrize(
    ("policy", "close", "position", "alarms"),
    [
        (StopPolicy.ALARM, 4785.0, 2, {"position_uncovered"}),
        (StopPolicy.REPLACE, 4785.0, 0, set()),
        (StopPolicy.REPLACE, 4795.0, 2, set()),
        (StopPolicy.FLATTEN, 4785.0, 0, set()),
    ],
)
def test_a_stop_that_the_broker_took_and_then_rejected_leaves_a_bare_position_for_the_policy(
    policy: StopPolicy, close: float, position: int, alarms: set[str]
) -> None:
    desk = Desk(Scripted(BRACKET), stop_policy=policy).start()
    desk.bar()
    (stop,) = [order for order in desk.broker.orders.values() if order.type is OrderType.STOP]
    desk.broker.price = Decimal(close)
    rejected = replace(stop, state=OrderState.REJECTED, reason="Stop Price must be below current market")
    desk.broker.tell(rejected)

    desk.bar(close, seconds=40)

    assert (desk.position, desk.alarms) == (position, alarms)
    (ended,) = [order for order in desk.orders if order.broker_id == stop.broker_id]
    assert (ended.state, ended.reason) == (OrderState.REJECTED, "Stop Price must be below current market")


def test_the_leg_of_another_entry_does_not_keep_a_stop_from_being_replaced() -> None:
    other = SubmitBracket(Side.SELL, Contracts(1), type=OrderType.LIMIT, limit=4820.0, stop_loss=4830.0)
    mine = SubmitBracket(Side.SELL, Contracts(1), stop_loss=4812.0)
    desk = Desk(Scripted(other, mine, drop_the_stop), stop_policy=StopPolicy.REPLACE).start()
    desk.bar()
    desk.bar()

    desk.bar(seconds=15)

    again = desk.all_of(do.Send)[-1].request
    assert (again.role, again.stop) == (OrderRole.STOP_LOSS, Decimal(4812))
    assert uncovered(desk.state) == 0


def test_the_stop_of_an_entry_that_fills_does_not_cover_what_was_held_before() -> None:
    desk = Desk(Scripted(BUY, replace(BRACKET, quantity=Contracts(2)))).start()
    desk.bar()
    desk.broker.fill_by(1)

    desk.bar(seconds=10)

    assert desk.position == 2
    assert uncovered(desk.state) == 1
    assert desk.alarms >= {"position_uncovered"}


def test_replace_flattens_where_another_order_leaves_no_room_for_the_whole_stop() -> None:
    bracket = SubmitBracket(Side.BUY, Contracts(3), stop_loss=4790.0, profit_target=4850.0)
    resting = SubmitOrder(Side.SELL, Contracts(2), type=OrderType.LIMIT, limit=4840.0)
    desk = Desk(Scripted(bracket, resting, drop_the_stop), stop_policy=StopPolicy.REPLACE).start()
    desk.bar()
    desk.bar()

    desk.bar(seconds=30)

    assert desk.position == desk.broker.position == 0
    assert desk.broker.open() == []

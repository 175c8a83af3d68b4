"""Which order at the broker is ours after a lost reply, and which is a stranger's that looks like it."""

from dataclasses import replace

import pytest

from tests.engine.desk import Desk, Scripted
from tradeproc.domain.orders import OrderState, Side
from tradeproc.domain.session import StopPolicy
from tradeproc.domain.units import SECOND, Contracts, Nanos
from tradeproc.engine import broker_events, events
from tradeproc.strategies.contract import SubmitOrder

BUY = SubmitOrder(Side.BUY, Contracts(1))


def test_an_order_of_ours_is_found_though_the_clock_was_set_back_by_half_a_second_before_it_was_told() -> None:
    desk = Desk(Scripted(BUY), stop_policy=StopPolicy.ALARM).start()
    desk.faults.lost_reply = desk.faults.lost_picture = 1.0
    desk.bar(seconds=0.001)
    desk.faults.lost_reply = desk.faults.lost_picture = 0.0
    (picture,) = desk.broker.orders.values()

    desk.now = Nanos(desk.now - SECOND // 2)
    desk.tell(events.OrderUpdated(picture))
    desk.run(40)

    (order,) = desk.orders
    assert (order.state, order.broker_id) == (OrderState.FILLED, picture.broker_id)
    assert desk.position == desk.broker.position == 1
    assert desk.state.broker.externals == []


def test_an_order_that_never_arrived_is_not_a_strangers_older_one_however_many_strangers_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broker_events, "_KEPT_SEEN", 2)
    desk = Desk(Scripted(BUY), stop_policy=StopPolicy.ALARM).start()
    for change in (1, -1, 1, -1, 1, -1):
        desk.broker.by_hand(change)
    for broker_id, picture in list(desk.broker.orders.items()):
        desk.broker.orders[broker_id] = replace(picture, opened_at=Nanos(desk.now - 3600 * SECOND))
    desk.run(5)
    desk.tell(events.ReconcileCommanded("me"))
    desk.run(60)

    desk.faults.lost_request = 1.0
    desk.bar()
    desk.faults.lost_request = 0.0
    desk.run(120)

    (order,) = desk.orders
    assert (order.state, order.filled, order.broker_id) == (OrderState.REJECTED, 0, None)
    assert desk.position == desk.broker.position == 0

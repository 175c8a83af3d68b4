"""Filled without a price: read again, decided by the position, never booked at the order's own limit."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.engine.desk import Desk, Scripted
from tests.engine.test_external import again, check_books, rows, short
from tradeproc.domain.broker_orders import BrokerOrder
from tradeproc.domain.fills import standing
from tradeproc.domain.orders import OrderState, OrderType, Side
from tradeproc.domain.units import Contracts, Price
from tradeproc.engine import events
from tradeproc.engine.limits import closed_gate
from tradeproc.strategies.contract import SubmitBracket, SubmitOrder

BUY = SubmitOrder(Side.BUY, Contracts(1))
RESTING = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4790.0)


def without_price(desk: Desk, broker_id: str, state: OrderState, filled: int = 1) -> None:
    """Tell an order as ended, with a filled quantity and no fill price; the position does not change by it."""
    picture = desk.broker.orders[broker_id]
    desk.broker.tell(replace(picture, state=state, filled=Contracts(filled), average=None))


def priced(desk: Desk, broker_id: str, price: str) -> BrokerOrder:
    return replace(desk.broker.orders[broker_id], average=Price(Decimal(price)))


ENDED = [OrderState.EXPIRED, OrderState.CANCELLED, OrderState.REJECTED]


@pytest.mark.parametrize("state", ENDED)
def test_an_ended_order_filled_without_a_price_that_the_position_does_not_show_did_not_fill(
    state: OrderState,
) -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()

    without_price(desk, "900", state)
    desk.run(2)
    assert rows(desk) == []
    assert not desk.orders[0].state.is_terminal, "unknown until read again"
    assert closed_gate(desk.state, desk.now) == "order abcd7-1-1 is told as filled without a price"
    assert "fill_unpriced" in desk.alarms
    desk.run(15)

    assert rows(desk) == []
    assert (desk.orders[0].state, desk.orders[0].filled, desk.position) == (state, 0, 0)
    assert [(row.kind.value, row.brokers) for row in desk.divergences] == [
        ("order_filled", f"{state.value} filled 1")
    ]
    assert desk.alarms == set()
    assert closed_gate(desk.state, desk.now) is None


@pytest.mark.parametrize("state", [*ENDED, OrderState.FILLED])
def test_one_that_the_position_shows_is_booked_at_the_positions_average(state: OrderState) -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    desk.broker.price = Decimal("4788.25")
    desk.broker.move(1)

    without_price(desk, "900", state)
    desk.run(15)

    assert short(desk) == [("own", 1, "4788.25", "900")]
    # all of it filled is filled, whatever the broker calls it
    assert (desk.orders[0].state, desk.position, desk.alarms) == (OrderState.FILLED, 1, {"position_uncovered"})
    assert desk.database.latch is None
    check_books(desk)


def test_a_price_that_comes_with_the_next_reading_is_the_price() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    desk.broker.price = Decimal("4788.25")
    desk.broker.move(1)
    without_price(desk, "900", OrderState.CANCELLED)
    desk.run(1)

    desk.broker.tell(priced(desk, "900", "4788.25"))
    desk.run(5)

    assert short(desk) == [("own", 1, "4788.25", "900")]
    assert (desk.divergences, desk.alarms) == ([], set())


def test_a_reading_without_the_fill_ends_the_order_at_once() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    without_price(desk, "900", OrderState.EXPIRED)
    desk.run(1)

    without_price(desk, "900", OrderState.EXPIRED, filled=0)
    desk.run(1)

    assert (desk.orders[0].state, rows(desk), desk.alarms) == (OrderState.EXPIRED, [], set())


def test_while_the_position_is_unknown_nothing_is_decided() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    without_price(desk, "900", OrderState.EXPIRED)
    desk.tell(events.OrderUpdated(desk.broker.orders["900"]))
    desk.faults.unknown = 1.0

    desk.run(100)

    assert rows(desk) == []
    assert not desk.orders[0].state.is_terminal
    desk.faults.unknown = 0.0
    desk.run(20)
    assert desk.orders[0].state is OrderState.EXPIRED


def test_a_price_that_nobody_tells_is_unknown_and_replaced_by_one_that_comes_later() -> None:
    desk = Desk(Scripted(BUY, RESTING)).start()
    desk.bar()
    desk.bar()
    desk.broker.price = Decimal("4788")
    desk.broker.move(1)
    without_price(desk, "901", OrderState.FILLED)
    desk.run(15)
    assert short(desk)[-1] == ("own", 1, None, "901")
    assert (desk.position, desk.state.engine.holding.average) == (2, None)

    desk.broker.tell(priced(desk, "901", "4788"))
    desk.run(5)

    assert [(each.price, each.quantity) for each in standing(rows(desk))] == [(4800, 1), (4788, 1)]
    later = again(desk)
    later.start()
    check_books(later)


def test_a_price_of_zero_is_a_price() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.broker.price = Decimal(0)

    desk.bar(0.0)

    assert short(desk) == [("own", 1, "0", "900")]
    assert desk.state.engine.holding.average == 0
    check_books(desk)


def test_a_closing_keeps_the_stop_of_an_entry_whose_fill_has_no_price_yet_and_ends_flat() -> None:
    bracket = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4780.0, type=OrderType.LIMIT, limit=4790.0)
    desk = Desk(Scripted(bracket)).start()
    desk.bar()
    desk.broker.trade(Decimal(4788))
    desk.broker.told.clear()
    without_price(desk, "900", OrderState.FILLED)
    desk.broker.tell(desk.broker.orders["901"])
    desk.run(1)

    desk.tell(events.FlattenCommanded("me"))
    desk.run(3)
    assert [order.broker_id for order in desk.broker.open()] == ["901"]
    desk.run(40)

    assert (desk.broker.position, desk.position, desk.broker.open()) == (0, 0, [])
    check_books(desk)


def test_a_frame_from_before_the_fill_that_comes_late_does_not_settle_it() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    before = desk.broker.orders["900"]
    desk.broker.price = Decimal("4788.25")
    desk.broker.move(1)

    without_price(desk, "900", OrderState.FILLED)
    desk.run(1)
    desk.tell(events.OrderUpdated(before))
    assert "fill_unpriced" in desk.alarms, "it is still unknown at which price it filled"
    desk.run(15)

    assert short(desk) == [("own", 1, "4788.25", "900")]
    assert desk.database.latch is None


def test_a_list_from_before_the_fill_does_not_settle_it_either() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    before = desk.broker.orders["900"]
    desk.broker.price = Decimal("4788.25")
    desk.broker.move(1)

    without_price(desk, "900", OrderState.FILLED)
    filled, desk.broker.orders["900"] = priced(desk, "900", "4788.25"), before
    desk.run(5)
    assert rows(desk) == []
    assert "abcd7-1-1" in desk.state.broker.unpriced
    desk.broker.orders["900"] = filled
    desk.run(5)

    assert short(desk) == [("own", 1, "4788.25", "900")]
    assert desk.database.latch is None
    check_books(desk)

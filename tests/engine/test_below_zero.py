"""Prices at and below zero from the strategy's decision to the books: none is taken for none, and exits go out."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.desk import Desk, Scripted
from tests.engine.exchange_broker import ExchangeBroker
from tests.engine.test_external import check_books
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.session import StopPolicy
from tradeproc.domain.units import Contracts
from tradeproc.engine import events
from tradeproc.strategies.contract import ModifyOrders, OrderChange, SubmitBracket, SubmitOrder, View

TICK = Decimal("0.25")
PRICES = st.integers(-4000, 4000).map(lambda ticks: ticks * TICK)


@settings(max_examples=60, deadline=None)
@given(PRICES, st.sampled_from(Side), st.integers(1, 40), st.booleans())
def test_a_bracket_lives_and_ends_the_same_at_any_price(
    price: Decimal, side: Side, far: int, is_stopped: bool
) -> None:
    distance = far * TICK * side.sign
    bracket = SubmitBracket(
        side, Contracts(2), stop_loss=float(price - distance), profit_target=float(price + distance)
    )
    desk = Desk(Scripted(bracket), broker=ExchangeBroker(price)).start()
    desk.bar(float(price))
    assert desk.position == 2 * side.sign
    assert desk.state.engine.holding.average == price
    assert {order.stop or order.limit or 0 for order in desk.state.engine.open_orders} == {
        int((price - distance) / TICK),
        int((price + distance) / TICK),
    }

    desk.broker.trade(price - distance if is_stopped else price + distance)
    desk.run(40)

    assert (desk.position, desk.broker.open(), desk.alarms, desk.divergences) == (0, [], set(), [])
    assert desk.broker.realized == (-2 if is_stopped else 2) * far * TICK
    check_books(desk)


@settings(max_examples=40, deadline=None)
@given(PRICES, PRICES, st.sampled_from(Side))
def test_an_exit_goes_out_at_any_price(entered: Decimal, left: Decimal, side: Side) -> None:
    desk = Desk(Scripted(SubmitOrder(side, Contracts(1))), broker=ExchangeBroker(entered)).start()
    desk.bar(float(entered))
    desk.broker.price = left

    desk.tell(events.FlattenCommanded("me"))
    desk.run(10)

    assert desk.position == desk.broker.position == 0
    check_books(desk)


@pytest.mark.parametrize("price", [Decimal(0), Decimal("-37.75")])
def test_a_stop_at_or_below_zero_is_placed_again_where_it_was(price: Decimal) -> None:
    stop = SubmitOrder(Side.SELL, Contracts(1), role=OrderRole.STOP_LOSS, type=OrderType.STOP, stop=float(price))
    buy = SubmitOrder(Side.BUY, Contracts(1))
    broker = ExchangeBroker(Decimal(5))
    desk = Desk(Scripted(buy, stop), broker=broker, stop_policy=StopPolicy.REPLACE).start()
    desk.bar(5.0)
    desk.bar(5.0)
    (working,) = desk.broker.open()

    desk.broker.expire(working.broker_id)
    desk.run(15)

    (again,) = desk.broker.open()
    assert (again.stop, again.broker_id != working.broker_id) == (price, True)


def test_a_limit_is_moved_through_zero() -> None:
    resting = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=0.25)

    def lower(view: View) -> ModifyOrders:
        return ModifyOrders((OrderChange(view.orders[0].id, limit=0.0 if view.orders[0].limit else -0.25),))

    desk = Desk(Scripted(resting, lower, lower), broker=ExchangeBroker(Decimal(1))).start()
    for _ in range(3):
        desk.bar(1.0)

    (order,) = desk.broker.open()
    assert order.limit == Decimal("-0.25")
    assert desk.refusals == []

"""Heat in money, worked out by hand: a tick of ES is worth 12.50, and these portfolios have 1 tick of slippage."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.desk import Desk, Scripted
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.orders import Order, OrderRole, OrderState, OrderType, Side
from tradeproc.domain.portfolio import HeatTerms
from tradeproc.domain.units import Contracts, Money, Nanos, Ticks
from tradeproc.engine import events, heat
from tradeproc.engine.state import Holding, Pending, State, Waiting
from tradeproc.strategies.contract import NOTHING, CancelOrders, Decision, SubmitBracket, SubmitOrder, View

TERMS = HeatTerms("main", 1, "USD", 1, Money(Decimal(1000)))
BRACKET = SubmitBracket(Side.BUY, Contracts(2), stop_loss=4790.0)


def money(state: State) -> Decimal | str:
    match heat.of_session(state):
        case Known(value):
            return value
        case Unknown(reason):
            return reason


def held(*plans: Decision, terms: HeatTerms | None = TERMS) -> Desk:
    """Return a desk after its plans; what is not in a portfolio asks nobody, so the plans are carried out before."""
    desk = Desk(Scripted(*plans)).start()
    for _ in plans:
        desk.bar(4800.0)
    desk.state.engine.heat.terms = terms
    return desk


def test_open_contracts_count_from_the_newest_price_to_their_stop() -> None:
    desk = held(BRACKET)

    # 10 points are 40 ticks, and one of slippage
    assert money(desk.state) == 2 * 41 * Decimal("12.5")
    desk.bar(4795.0)
    assert money(desk.state) == 2 * 21 * Decimal("12.5")


def test_a_flat_session_has_none() -> None:
    assert money(held().state) == 0


def test_a_price_beyond_the_stop_costs_the_slippage_and_no_less() -> None:
    desk = held(BRACKET)
    desk.state.engine.heat.terms = TERMS
    desk.tell(events.CandleReceived(replace(desk.state.strategy.candles[-1], close=4780.0)))

    assert money(desk.state) == 2 * Decimal("12.5")


def test_a_contract_without_a_stop_counts_as_the_worst_case_and_is_unknown_without_a_portfolio() -> None:
    desk = held(SubmitOrder(Side.BUY, Contracts(2)))

    assert money(desk.state) == 2000
    desk.state.engine.heat.terms = None
    assert money(desk.state) == "2 contracts have no stop, and only a portfolio says what that counts as"


def test_a_stop_limit_covers_nothing_because_it_can_be_left_behind() -> None:
    stop = SubmitOrder(
        Side.SELL, Contracts(2), type=OrderType.STOP_LIMIT, stop=4790.0, limit=4789.0, role=OrderRole.STOP_LOSS
    )

    assert money(held(SubmitOrder(Side.BUY, Contracts(2)), stop).state) == 2000


def test_what_a_working_entry_would_risk_counts_from_its_own_price() -> None:
    entry = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4740.0, type=OrderType.LIMIT, limit=4750.0)

    assert money(held(entry).state) == 41 * Decimal("12.5")
    assert money(held(SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4750.0)).state) == 1000


def test_the_legs_of_an_entry_that_only_made_the_position_smaller_would_open_and_count() -> None:
    against = replace(BRACKET, quantity=Contracts(1), profit_target=4810.0)
    desk = held(SubmitOrder(Side.SELL, Contracts(2)), against)

    assert desk.position == -1
    assert {order.side for order in desk.state.engine.open_orders} == {Side.SELL}
    assert money(desk.state) == 1000 + 1000


def test_a_stop_that_its_brackets_target_has_made_superfluous_counts_nothing() -> None:
    desk = held(replace(BRACKET, profit_target=4810.0))
    (target,) = [order for order in desk.state.engine.open_orders if order.role is OrderRole.PROFIT_TARGET]
    desk.state.engine.put(replace(target, state=OrderState.FILLED, filled=target.quantity))
    desk.state.engine.holding = Holding()

    assert money(desk.state) == 0


def test_an_entry_that_is_asked_for_is_left_out_of_what_the_report_tells() -> None:
    desk = held(SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4750.0))

    assert heat.of_session(desk.state, {desk.orders[0].id}) == Known(0)


def test_while_a_stop_is_moved_the_worse_of_both_places_counts() -> None:
    desk = held(BRACKET)
    stop = next(order for order in desk.orders if order.role is OrderRole.STOP_LOSS)
    wanted = replace(stop, stop=Ticks(int(stop.stop or 0) - 40))
    desk.state.engine.pending[stop.id] = Pending(Waiting.MODIFY, Nanos(desk.now), wanted=wanted)

    assert money(desk.state) == 2 * 81 * Decimal("12.5")
    desk.state.engine.pending[stop.id].wanted = replace(stop, stop=Ticks(int(stop.stop or 0) + 20))
    assert money(desk.state) == 2 * 41 * Decimal("12.5")
    desk.state.engine.pending[stop.id].wanted = None
    assert money(desk.state) == f"order {stop.id} is being changed, and nobody knows to what"


def test_before_the_broker_has_answered_it_is_unknown() -> None:
    assert money(Desk(Scripted()).state) == "orders and position are not confirmed"


@pytest.mark.parametrize(("ticks", "contracts", "more"), [(-4, 2, 2 * 4), (4, 2, 0), (0, 1, 0)])
def test_a_change_of_a_stop_adds_what_it_moves_away(ticks: int, contracts: int, more: int) -> None:
    desk = held(BRACKET)
    stop = next(order for order in desk.orders if order.role is OrderRole.STOP_LOSS)
    wanted = replace(stop, stop=Ticks(int(stop.stop or 0) + ticks), quantity=Contracts(contracts))

    # a smaller stop leaves one contract bare: 1000 instead of 41 ticks
    expected = more * Decimal("12.5") if contracts == 2 else 1000 - 41 * Decimal("12.5")
    assert heat.added(desk.state, stop, wanted) == Known(expected)


def drop_the_stop(view: View) -> Decision:
    assert view.stop_loss is not None
    return CancelOrders((view.stop_loss.id,))


def test_a_stop_that_is_cancelled_leaves_the_worst_case() -> None:
    desk = Desk(Scripted(BRACKET, drop_the_stop, NOTHING)).start()
    desk.bar(4800.0)
    desk.bar(4800.0)
    desk.state.engine.heat.terms = TERMS

    assert money(desk.state) == 2000


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 80)), max_size=4), st.integers(1, 12))
def test_no_contract_counts_twice_and_none_is_left_out(stops: list[tuple[int, int]], quantity: int) -> None:
    """Compare with the contracts one by one, each with the nearest stop that is left."""
    desk = PLAIN
    engine = desk.state.engine
    engine.holding = replace(engine.holding, quantity=Contracts(quantity))
    price = heat.mark(desk.state)
    assert price is not None
    engine.orders.clear()
    engine.open_ids.clear()
    for number, (count, distance) in enumerate(stops):
        engine.put(_stop(number, count, price - distance))
    each = sorted(distance for count, distance in stops for _ in range(count))[:quantity]

    expected = sum(distance + 1 for distance in each) * Decimal("12.5") + 1000 * (quantity - len(each))

    assert money(desk.state) == expected


PLAIN = held()


def _stop(number: int, quantity: int, at: int) -> Order:
    from tests.store.book import ORDER
    from tradeproc.domain.orders import OrderState

    return replace(
        ORDER,
        id=f"s{number}",
        side=Side.SELL,
        quantity=Contracts(quantity),
        filled=Contracts(0),
        type=OrderType.STOP,
        role=OrderRole.STOP_LOSS,
        stop=Ticks(at),
        limit=None,
        parent=None,
        in_flight=None,
        state=OrderState.SUBMITTED,
    )

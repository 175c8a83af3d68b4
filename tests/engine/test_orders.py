"""The life of an order, written out by hand; and how pictures of it add up whatever their order."""

from dataclasses import replace
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.book import FillKind
from tradeproc.domain.broker_orders import BrokerOrder
from tradeproc.domain.instruments import instrument
from tradeproc.domain.orders import Order, OrderRole, OrderSource, OrderState, OrderType, Side
from tradeproc.domain.units import Contracts, Nanos, Price, Ticks
from tradeproc.engine.orders import TRANSITIONS, Move, is_on_grid, lacks_price, moved, taken_back, told

ES = instrument("ES")
NOW = (Nanos(1_000), Nanos(500))

# rows: the state before. "-" is illegal: the order stays as it is, and a contradiction is recorded
TABLE = """
                  accepted          refused   dropped   absent     told_pending      told_working      told_partial      told_filled  told_cancelled  told_rejected  told_expired
pre_sent          pending           rejected  rejected  rejected   pending           submitted         partially_filled  filled       cancelled       rejected       expired
pending           pending           -         -         cancelled  pending           submitted         partially_filled  filled       cancelled       rejected       expired
submitted         submitted         -         -         cancelled  submitted         submitted         partially_filled  filled       cancelled       rejected       expired
partially_filled  partially_filled  -         -         cancelled  partially_filled  partially_filled  partially_filled  filled       cancelled       rejected       expired
filled            filled            -         -         filled     filled            filled            filled            filled       -               -              -
cancelled         cancelled         -         -         cancelled  cancelled         cancelled         cancelled         filled       cancelled       -              -
rejected          rejected          rejected  rejected  rejected   rejected          rejected          rejected          filled       rejected        rejected       -
expired           expired           -         -         expired    expired           expired           expired           filled       -               -              expired
"""  # noqa: E501


def rows() -> list[tuple[OrderState, Move, OrderState | None]]:
    header, *lines = [line.split() for line in TABLE.strip().splitlines()]
    return [
        (OrderState(line[0]), Move(move), None if after == "-" else OrderState(after))
        for line in lines
        for move, after in zip(header, line[1:], strict=True)
    ]


def order(**changes: object) -> Order:
    made = Order(
        id="abcd1-1-1",
        session=1,
        fence=1,
        contract="ESH24",
        side=Side.BUY,
        quantity=Contracts(3),
        type=OrderType.LIMIT,
        role=OrderRole.ENTRY,
        created_at=Nanos(1),
        market_at=Nanos(1),
        limit=Ticks(19200),
        state=OrderState.SUBMITTED,
        broker_id="9",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def picture(state: OrderState, filled: int = 0, average: str | None = None, **changes: object) -> BrokerOrder:
    made = BrokerOrder(
        broker_id="9",
        account="SIM1",
        contract="ESH24",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Contracts(3),
        filled=Contracts(filled),
        state=state,
        raw_status="?",
        opened_at=Nanos(1),
        limit=Price(Decimal("4800")),
        average=None if average is None else Price(Decimal(average)),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_table_by_hand_names_every_state_and_every_move() -> None:
    assert {(state, move) for state, move, _ in rows()} == {(state, move) for state in OrderState for move in Move}


@pytest.mark.parametrize(("state", "move", "after"), rows())
def test_an_order_moves_as_the_table_says(state: OrderState, move: Move, after: OrderState | None) -> None:
    before = order(state=state)

    applied = moved(before, move, OrderSource.BROKER_REPLY, Nanos(7), "why")

    assert TRANSITIONS.get((state, move)) == after
    assert applied.is_illegal == (after is None)
    assert applied.order.state is (after or state)
    if after is None:
        assert applied.event is not None
        assert applied.event.what == f"illegal_{move.value}"
    elif after is not state:
        assert applied.event is not None
        assert (applied.event.before, applied.event.after, applied.event.at) == (state, after, 7)
        assert applied.event.source is OrderSource.BROKER_REPLY


def test_no_ended_order_ever_works_again() -> None:
    for (before, _), after in TRANSITIONS.items():
        assert not before.is_terminal or after.is_terminal


def test_every_end_can_be_reached_from_the_beginning() -> None:
    reached = {OrderState.PRE_SENT}
    for _ in OrderState:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}

    assert reached == set(OrderState)


PICTURES = (
    picture(OrderState.SUBMITTED),
    picture(OrderState.PARTIALLY_FILLED, 1, "4800"),
    picture(OrderState.PARTIALLY_FILLED, 2, "4799.75"),
    picture(OrderState.CANCELLED, 2, "4799.75"),
)


@pytest.mark.parametrize("sequence", list(permutations(PICTURES)))
def test_pictures_in_any_order_twice_over_give_the_same_order_and_the_same_sum(
    sequence: tuple[BrokerOrder, ...],
) -> None:
    found, fills = order(), []
    for told_picture in sequence * 2:
        applied = told(found, told_picture, ES, OrderSource.BROKER_STREAM, NOW)
        assert not applied.is_illegal
        assert applied.order.filled >= found.filled
        found = applied.order
        fills += [applied.fill] if applied.fill else []

    assert (found.state, found.filled, found.average) == (OrderState.CANCELLED, 2, Decimal("4799.75"))
    assert sum(fill.quantity for fill in fills) == 2
    assert sum(fill.quantity * fill.price for fill in fills) == Decimal("9599.5")
    assert [fill.cumulative for fill in fills] == sorted({fill.cumulative for fill in fills})


def test_a_late_fill_after_a_cancel_is_booked_once() -> None:
    cancelled = order(state=OrderState.CANCELLED)

    applied = told(cancelled, picture(OrderState.FILLED, 3, "4800"), ES, OrderSource.BROKER_STREAM, NOW)

    assert applied.fill is not None
    assert (applied.order.state, applied.fill.quantity, applied.fill.market_at) == (OrderState.FILLED, 3, 500)
    again = told(applied.order, picture(OrderState.FILLED, 3, "4800"), ES, OrderSource.RECONCILIATION, NOW)
    assert (again.event, again.fill) == (None, None)


def test_a_contradiction_still_books_what_was_filled() -> None:
    rejected = order(state=OrderState.REJECTED)

    applied = told(rejected, picture(OrderState.EXPIRED, 1, "4800"), ES, OrderSource.BROKER_STREAM, NOW)

    assert applied.is_illegal
    assert applied.fill is not None
    assert (applied.order.state, applied.order.filled) == (OrderState.REJECTED, 1)


def test_the_price_of_an_increase_follows_from_the_averages() -> None:
    first = told(order(), picture(OrderState.PARTIALLY_FILLED, 1, "4800"), ES, OrderSource.BROKER_STREAM, NOW)

    second = told(first.order, picture(OrderState.FILLED, 3, "4801"), ES, OrderSource.BROKER_STREAM, NOW)

    assert second.fill is not None
    assert (second.fill.quantity, second.fill.price) == (2, Decimal("4801.5"))


def test_terms_follow_the_broker_except_while_a_change_is_in_flight() -> None:
    moved_up = picture(OrderState.SUBMITTED, limit=Price(Decimal("4801")), quantity=Contracts(2))

    followed = told(order(), moved_up, ES, OrderSource.BROKER_STREAM, NOW).order
    kept = told(order(in_flight="modify"), moved_up, ES, OrderSource.BROKER_STREAM, NOW)

    assert (followed.limit, followed.quantity) == (19204, 2)
    assert (kept.order.limit, kept.event) == (19200, None)


PLACES = Decimal(1).scaleb(-10)


@given(
    st.sampled_from(["ES", "ZN", "6J", "CL", "6E"]),
    st.integers(-4000, 40_000),
    st.lists(st.tuples(st.integers(1, 40), st.integers(-8, 8)), min_size=1, max_size=12),
)
def test_increments_of_an_average_rounded_to_ten_decimals_are_on_the_grid_and_add_up(
    root: str, start: int, parts: list[tuple[int, int]]
) -> None:
    """At, above and below zero; an increase may be of several fills, so its price may lie between two ticks."""
    product = instrument(root)
    size = sum(quantity for quantity, _ in parts)
    found = order(contract=f"{root}H24", quantity=Contracts(size), limit=None, type=OrderType.MARKET)
    filled, cost, booked = 0, Decimal(0), Decimal(0)
    for quantity, ticks in parts:
        filled, price = filled + quantity, product.price(start + ticks)
        cost += price * quantity
        state = OrderState.FILLED if filled == size else OrderState.PARTIALLY_FILLED
        average = str((cost / filled).quantize(PLACES))
        shown = picture(state, filled, average, quantity=Contracts(size), limit=None)

        applied = told(found, shown, product, OrderSource.BROKER_STREAM, NOW)

        assert applied.fill is not None
        assert applied.fill.price == price
        assert is_on_grid(applied.fill, product)
        booked += price * quantity
        found = applied.order
    assert booked == cost


def test_an_increase_of_two_fills_keeps_its_half_tick() -> None:
    first = told(order(), picture(OrderState.PARTIALLY_FILLED, 1, "4800"), ES, OrderSource.BROKER_STREAM, NOW)

    second = told(first.order, picture(OrderState.FILLED, 3, "4800.0833333333"), ES, OrderSource.BROKER_STREAM, NOW)

    assert second.fill is not None
    assert second.fill.price == Decimal("4800.125")
    assert is_on_grid(second.fill, ES)


def test_a_price_that_is_truly_off_the_grid_stays_and_is_told() -> None:
    applied = told(order(), picture(OrderState.FILLED, 3, "4800.1"), ES, OrderSource.BROKER_STREAM, NOW)

    assert applied.fill is not None
    assert applied.fill.price == Decimal("4800.1")
    assert not is_on_grid(applied.fill, ES)


@pytest.mark.parametrize("average", [None, "1e30", "NaN"])
def test_what_is_no_price_is_unknown_and_never_the_orders_own_limit(average: str | None) -> None:
    shown = picture(OrderState.EXPIRED, 1, average)

    applied = told(order(), shown, ES, OrderSource.BROKER_STREAM, NOW)

    assert lacks_price(order(), shown)
    assert applied.fill is not None
    assert (applied.fill.price, applied.order.average) == (None, None)


def test_zero_is_a_price() -> None:
    assert not lacks_price(order(), picture(OrderState.FILLED, 3, "0"))
    first = told(order(), picture(OrderState.PARTIALLY_FILLED, 1, "0"), ES, OrderSource.BROKER_STREAM, NOW)
    second = told(first.order, picture(OrderState.FILLED, 3, "-0.5"), ES, OrderSource.BROKER_STREAM, NOW)

    assert first.fill is not None
    assert second.fill is not None
    assert (first.fill.price, first.order.average, second.fill.price) == (0, 0, Decimal("-0.75"))


def test_what_the_broker_takes_back_is_reversed_at_its_own_price_and_ends_as_told() -> None:
    filled = told(order(), picture(OrderState.FILLED, 3, "4801"), ES, OrderSource.BROKER_STREAM, NOW).order

    undone = taken_back(filled, picture(OrderState.EXPIRED, 1, "4800"), OrderSource.RECONCILIATION, NOW)

    assert undone.fill is not None
    assert (undone.fill.kind, undone.fill.side, undone.fill.quantity) == (FillKind.REVERSAL, Side.SELL, 2)
    assert (undone.fill.price, undone.fill.cumulative, undone.fill.revision) == (Decimal("4801.5"), 1, 1)
    assert (undone.order.state, undone.order.filled, undone.order.revision) == (OrderState.EXPIRED, 1, 1)

"""Prices go onto the grid to the side that the strategy contract promises."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.orders import OrderRole, Side
from tradeproc.engine.rounding import NoPrice, limit_ticks, stop_ticks

TICK = Decimal("0.25")


@pytest.mark.parametrize(
    ("price", "side", "ticks"),
    [
        (4800.10, Side.BUY, 19200),
        (4800.10, Side.SELL, 19201),
        (Decimal("4800.25"), Side.BUY, 19201),
        (4800.250000000001, Side.SELL, 19201),
        (4800.249999999999, Side.BUY, 19201),
    ],
)
def test_a_limit_never_pays_more_or_sells_for_less(price: float | Decimal, side: Side, ticks: int) -> None:
    assert limit_ticks(price, side, TICK) == ticks


@pytest.mark.parametrize(
    ("side", "role", "ticks"),
    [
        (Side.BUY, OrderRole.ENTRY, 19201),
        (Side.SELL, OrderRole.ENTRY, 19200),
        (Side.SELL, OrderRole.STOP_LOSS, 19201),
        (Side.BUY, OrderRole.STOP_LOSS, 19200),
        (Side.SELL, OrderRole.EXIT, 19201),
    ],
)
def test_an_entry_stop_keeps_away_and_a_protecting_one_comes_nearer(side: Side, role: OrderRole, ticks: int) -> None:
    assert stop_ticks(4800.10, side, role, TICK) == ticks


@pytest.mark.parametrize("price", [float("nan"), float("inf"), float("-inf"), Decimal("NaN"), 1e300, -1e300])
def test_what_is_no_price_is_refused(price: float | Decimal) -> None:
    with pytest.raises(NoPrice):
        limit_ticks(price, Side.BUY, TICK)


@pytest.mark.parametrize(
    ("price", "side", "ticks"),
    [(0.0, Side.BUY, 0), (-37.63, Side.BUY, -151), (-37.63, Side.SELL, -150), (Decimal("-0.25"), Side.SELL, -1)],
)
def test_zero_and_negative_prices_are_prices_and_round_the_same_way(
    price: float | Decimal, side: Side, ticks: int
) -> None:
    assert limit_ticks(price, side, TICK) == ticks


@given(st.decimals(-1000, 1000, places=4), st.sampled_from(Side), st.sampled_from(OrderRole))
def test_rounding_goes_to_the_same_side_above_and_below_zero(price: Decimal, side: Side, role: OrderRole) -> None:
    limit, stop = limit_ticks(price, side, TICK), stop_ticks(price, side, role, TICK)

    assert (limit * TICK - price) * side.sign <= 0
    assert abs(limit * TICK - price) < TICK
    towards = 1 if role is OrderRole.ENTRY else -1
    assert (stop * TICK - price) * side.sign * towards >= 0
    assert abs(stop * TICK - price) < TICK

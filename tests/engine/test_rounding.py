"""Prices go onto the grid to the side that the strategy contract promises."""

from decimal import Decimal

import pytest

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


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 0.0, -1.0, Decimal("NaN")])
def test_what_is_no_price_is_refused(price: float | Decimal) -> None:
    with pytest.raises(NoPrice):
        limit_ticks(price, Side.BUY, TICK)

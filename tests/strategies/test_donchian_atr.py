"""The Donchian breakout: enters outside the channel and trails its stop one way only."""

import pytest

from tradeproc.domain.orders import Order, OrderState, Side
from tradeproc.domain.units import Contracts
from tradeproc.strategies.contract import NOTHING, Decision, ModifyOrders, OrderChange, SubmitBracket
from tradeproc.strategies.donchian_atr import DonchianAtr
from tradeproc.testing.candles import candles
from tradeproc.testing.strategies import stop_loss, view

# candles reach one point up and down, so that the true range is 2 while the closes stand still
ARGUMENTS = DonchianAtr.Arguments(channel=4, atr=2, stop_atrs=1.0)
CALM = [100.0] * 12


def decide(closes: list[float], position: int = 0, orders: tuple[Order, ...] = ()) -> Decision:
    seen = view(candles(closes, reach=1.0), position=position, orders=orders)
    return DonchianAtr().on_candle(seen, None, ARGUMENTS)[0]


# the last true range is 3.0 (from 100 to 103) and 4 respectively; Wilder: (2 + 4) / 2 = 3
@pytest.mark.parametrize(("close", "side", "stop"), [(103.0, Side.BUY, 100.0), (97.0, Side.SELL, 100.0)])
def test_a_close_outside_the_channel_enters_with_a_stop_an_atr_away(close: float, side: Side, stop: float) -> None:
    decision = decide([*CALM, close])

    assert isinstance(decision, SubmitBracket)
    assert (decision.side, decision.quantity, decision.stop_loss) == (side, Contracts(2), stop)


@pytest.mark.parametrize("closes", [CALM, [*CALM, 101.0], [*CALM, 99.0], [100.0, 103.0]])
def test_inside_the_channel_or_too_early_it_waits(closes: list[float]) -> None:
    assert decide(closes) == NOTHING


def test_the_stop_follows_the_price() -> None:
    assert decide(CALM, 2, (stop_loss(Side.SELL, 388),)) == ModifyOrders(
        (OrderChange("abcd-1-2", stop=98.0),), reason="trail"
    )
    assert decide(CALM, -2, (stop_loss(Side.BUY, 412),)) == ModifyOrders(
        (OrderChange("abcd-1-2", stop=102.0),), reason="trail"
    )


@pytest.mark.parametrize(
    "order",
    [
        stop_loss(Side.SELL, 392),
        stop_loss(Side.SELL, 396),
        stop_loss(Side.SELL, 388, in_flight="modify"),
        stop_loss(Side.SELL, 388, state=OrderState.PENDING),
    ],
    ids=["is there already", "is nearer", "is being changed", "does not work yet"],
)
def test_the_stop_stays_when_it(order: Order) -> None:
    assert decide(CALM, 2, (order,)) == NOTHING


def test_it_does_not_enter_twice() -> None:
    assert decide([*CALM, 103.0], 2) == NOTHING
    assert decide([*CALM, 103.0], 0, (stop_loss(Side.SELL, 388),)) == NOTHING

"""The three shipped strategies through the engine, on a small day made of trends, against the model broker."""

import math
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.desk import Desk, candle
from tradeproc.domain.orders import OrderRole, OrderState
from tradeproc.domain.units import MINUTE, Nanos
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.state import Setup, new_state
from tradeproc.strategies.donchian_atr import DonchianAtr
from tradeproc.strategies.moving_average_cross import MovingAverageCross
from tradeproc.strategies.opening_range_breakout import OpeningRangeBreakout

WARMUP, DAY = 40, 150
QUICK: list[tuple[Any, Any]] = [
    (MovingAverageCross(), MovingAverageCross.Arguments(fast=3, slow=8, stop_ticks=60)),
    (DonchianAtr(), DonchianAtr.Arguments(channel=8, atr=4, stop_atrs=2.0)),
    (OpeningRangeBreakout(), OpeningRangeBreakout.Arguments(range_minutes=10, reward=1.0, exit_minutes=140)),
]


def close_of(number: int) -> float:
    """Waves with a wobble: trends long enough to trade, on the tick grid."""
    return 4800 + round(4 * (18 * math.sin(number / 11) + 3 * math.sin(number / 2.3))) / 4


def desk_for(strategy: Any, arguments: Any) -> Desk:
    desk = Desk(strategy, arguments=arguments)
    opened_at = candle(WARMUP).opened_at
    calendar = lambda at, _: Nanos(opened_at) if opened_at <= at < opened_at + DAY * MINUTE else None  # noqa: E731
    desk.setup = Setup(7, 1, "abcd", desk.setup.spec, strategy, arguments, calendar)
    desk.state = new_state(desk.setup)
    return desk


@pytest.mark.parametrize(("strategy", "arguments"), QUICK, ids=lambda value: getattr(value, "name", ""))
def test_a_day_of_an_example_is_traded_booked_and_explained(strategy: Any, arguments: Any) -> None:
    desk = desk_for(strategy, arguments)
    desk.start(history=0)
    desk.tell(events.WarmedUp(tuple(candle(number, close_of(number)) for number in range(WARMUP))))
    desk.candles = WARMUP

    for number in range(WARMUP, WARMUP + DAY):
        desk.broker.trade(Decimal(str(close_of(number))))
        desk.bar(close_of(number), seconds=2)

    entries = [order for order in desk.orders if order.role is OrderRole.ENTRY]
    ended = [order for order in entries if order.state is OrderState.FILLED]
    assert len(ended) == len(entries) >= 1
    assert desk.position == desk.broker.position
    assert sum(fill.quantity * fill.side.sign for fill in desk.database.fills.values()) == desk.position
    assert desk.refusals == []
    assert desk.divergences == []
    assert desk.alarms == set()
    for order in desk.orders:
        assert order == desk.database.orders[order.id]
    noted = [effect.value for effect in desk.all_of(do.Publish) if effect.topic == "decision"]
    assert {order_id for note in noted for order_id in note.orders} >= {order.id for order in entries}


def test_a_trailing_stop_only_comes_nearer() -> None:
    desk = desk_for(*QUICK[1])
    desk.start(history=0)
    desk.tell(events.WarmedUp(tuple(candle(number, close_of(number)) for number in range(WARMUP))))
    desk.candles = WARMUP
    for number in range(WARMUP, WARMUP + DAY):
        desk.broker.trade(Decimal(str(close_of(number))))
        desk.bar(close_of(number), seconds=2)

    changes: dict[str, list[Decimal]] = {}
    for change in desk.all_of(do.Modify):
        assert change.change.stop is not None
        changes.setdefault(change.order_id, []).append(change.change.stop * -change.change.side.sign)

    assert changes
    assert all(stops == sorted(set(stops)) for stops in changes.values())

"""Limits on a single entry, each at its edge, for new entries and for changed ones, and none of them for an exit."""

from dataclasses import replace
from typing import Any

import pytest

from tests.engine.desk import Desk, Scripted
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.records import BadValue
from tradeproc.domain.session import OPTIONAL_LIMITS, SessionLimits, SessionSpec
from tradeproc.domain.units import Contracts, Minutes, Ticks, Times, WholeMoney
from tradeproc.strategies.contract import ModifyOrders, OrderChange, SubmitOrder, View

BUY = SubmitOrder(Side.BUY, Contracts(1))
EXIT = SubmitOrder(Side.SELL, Contracts(1), role=OrderRole.EXIT)


def at(limit: float, side: Side = Side.BUY) -> SubmitOrder:
    return SubmitOrder(side, Contracts(1), type=OrderType.LIMIT, limit=limit)


def above(stop: float) -> SubmitOrder:
    return SubmitOrder(Side.BUY, Contracts(1), type=OrderType.STOP, stop=stop)


def desk_with(*plans: Any, **changes: Any) -> Desk:
    return Desk(Scripted(*plans), limits=SessionLimits(Contracts(9), Contracts(9), **changes)).start()


@pytest.mark.parametrize(
    ("order", "refusal"),
    [
        (at(4790.0), ""),
        (at(4789.75), "price_collar_ticks: the price is 41 ticks from the last one, 4800; 40 are allowed"),
        (at(4810.25, Side.SELL), "price_collar_ticks: the price is 41 ticks from the last one, 4800; 40 are allowed"),
        (above(4810.0), ""),
        (above(4810.25), "price_collar_ticks: the price is 41 ticks from the last one, 4800; 40 are allowed"),
        (BUY, ""),
    ],
)
def test_the_collar_counts_ticks_from_the_last_price_on_both_sides(order: SubmitOrder, refusal: str) -> None:
    desk = desk_with(order, price_collar_ticks=Ticks(40))

    desk.bar(4800.0)

    assert desk.refusals == ([refusal] if refusal else [])


def test_a_change_of_a_working_entry_keeps_to_the_collar_too() -> None:
    def move(view: View) -> ModifyOrders:
        return ModifyOrders((OrderChange(view.orders[0].id, limit=4700.0),))

    desk = desk_with(at(4795.0), move, price_collar_ticks=Ticks(40))
    desk.bar(4800.0)

    desk.bar(4800.0)

    assert desk.refusals == ["price_collar_ticks: the price is 400 ticks from the last one, 4800; 40 are allowed"]


@pytest.mark.parametrize(("quantity", "is_refused"), [(2, False), (3, True)])
def test_the_worth_of_an_entry_is_price_times_quantity_times_point_value(quantity: int, is_refused: bool) -> None:
    desk = desk_with(replace(BUY, quantity=Contracts(quantity)), max_notional=WholeMoney(480_000))

    desk.bar(4800.0)

    expected = ["max_notional: the order is worth 720000.00 USD; 480000 are allowed"]
    assert desk.refusals == (expected if is_refused else [])


def test_the_third_entry_in_a_minute_is_refused_and_a_minute_after_the_first_one_passes() -> None:
    desk = desk_with(BUY, BUY, BUY, max_orders_per_minute=Times(2))
    for _ in range(3):
        desk.bar(4800.0)
    assert desk.refusals == ["max_orders_per_minute: 2 entries were made in the last minute"]

    desk.run(59)
    desk.strategy.plans += [BUY]
    desk.bar(4800.0)

    assert desk.position == 3


def test_entries_of_the_life_before_count_in_the_same_minute() -> None:
    desk = desk_with(BUY, BUY, max_orders_per_minute=Times(2))
    desk.bar(4800.0)
    desk.bar(4800.0)
    later = Desk(
        Scripted(BUY),
        broker=desk.broker,
        database=desk.database,
        fence=2,
        now=desk.now,
        limits=desk.setup.spec.limits,
    ).start()
    later.candles = desk.candles

    later.bar(4800.0)

    assert later.refusals == ["max_orders_per_minute: 2 entries were made in the last minute"]


def test_no_limit_on_entries_stands_against_an_exit() -> None:
    desk = desk_with(BUY, EXIT, max_orders_per_minute=Times(1), max_notional=WholeMoney(240_000))
    desk.bar(4800.0)

    desk.bar(4900.0)

    assert desk.refusals == []
    assert desk.position == 0


@pytest.mark.parametrize("key", OPTIONAL_LIMITS)
@pytest.mark.parametrize("value", [0, -1, 10**13])
def test_a_limit_out_of_range_is_refused_by_name(key: str, value: int) -> None:
    given: dict[str, Any] = {"max_losses_in_row": Times(1), key: value}
    with pytest.raises(BadValue, match=f"^{key}: must be 1 to"):
        SessionLimits(Contracts(1), Contracts(1), **given)


def test_a_cool_down_without_its_limit_is_refused() -> None:
    with pytest.raises(BadValue, match="belongs to max_losses_in_row"):
        SessionLimits(Contracts(1), Contracts(1), cool_down_minutes=Minutes(5))


def test_limits_that_are_not_set_are_not_written_so_that_earlier_versions_can_read_the_session() -> None:
    plain = Desk().setup.spec.to_dict()
    assert plain["limits"] == {"max_order": 3, "max_position": 3}

    limits = {**plain["limits"], "max_daily_loss": 500, "price_collar_ticks": 40}
    spec = SessionSpec.from_dict({**plain, "limits": limits})
    assert SessionSpec.from_dict(spec.to_dict()) == spec
    assert spec.to_dict()["limits"] == limits

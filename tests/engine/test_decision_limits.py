"""A decision is noted with the limits that it was held against, and with the heat that it asked for."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.desk import Desk, Scripted
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.portfolio import HeatAnswer, HeatTerms
from tradeproc.domain.session import SessionLimits
from tradeproc.domain.units import SECOND, Contracts, Money, Ticks, Times, WholeMoney
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.strategies.contract import ClosePosition, ModifyOrders, OrderChange, SubmitBracket, SubmitOrder, View

RESTING = SubmitBracket(Side.BUY, Contracts(2), stop_loss=4740.0, type=OrderType.LIMIT, limit=4790.0)
LIMITS: dict[str, Any] = {
    "max_orders_per_minute": Times(4),
    "price_collar_ticks": Ticks(80),
    "max_notional": WholeMoney(900_000),
    "max_daily_loss": WholeMoney(1000),
}


def desk(*plans: Any, **limits: Any) -> Desk:
    return Desk(Scripted(*plans), limits=SessionLimits(Contracts(3), Contracts(3), **limits)).start()


def entry_of(view: View) -> str:
    return next(order.id for order in view.orders if order.role is OrderRole.ENTRY)


def noted(made: Desk) -> list[dict[str, tuple[str, str]]]:
    notes = [each.value for each in made.all_of(do.Publish) if isinstance(each.value, do.DecisionNoted)]
    return [{each.name: (each.used, each.allowed) for each in note.limits} for note in notes]


def answers(made: Desk) -> list[HeatAnswer]:
    return [each.value for each in made.all_of(do.Publish) if isinstance(each.value, HeatAnswer)]


def test_an_entry_tells_every_limit_that_is_set_with_what_is_used_of_it() -> None:
    made = desk(RESTING, **LIMITS)

    made.bar(4800.0)

    assert noted(made) == [
        {
            "max_order": ("2", "3"),
            "max_position": ("2", "3"),
            "max_orders_per_minute": ("1", "4"),
            "price_collar_ticks": ("40", "80"),
            "max_notional": ("479000.00", "900000"),
            "max_daily_loss": ("0.00", "1000"),
        }
    ]


def test_a_refused_entry_tells_what_it_would_have_used() -> None:
    made = desk(RESTING, RESTING)

    made.bar(4800.0)
    made.bar(4800.0)

    assert made.refusals == ["the position could become 4, more than max_position 3"]
    assert noted(made)[1] == {"max_order": ("2", "3"), "max_position": ("4", "3")}


def test_a_change_of_an_entry_tells_its_limits_and_an_exit_tells_none() -> None:
    def larger(view: View) -> ModifyOrders:
        return ModifyOrders((OrderChange(entry_of(view), quantity=Contracts(3)),))

    def lower(view: View) -> ModifyOrders:
        stops = [order.id for order in view.orders if order.role is OrderRole.STOP_LOSS]
        return ModifyOrders((OrderChange(stops[0], stop=4735.0),))

    leave = SubmitOrder(Side.SELL, Contracts(1), role=OrderRole.EXIT)
    made = desk(RESTING, larger, lower, leave, ClosePosition())

    for _ in range(5):
        made.bar(4800.0)

    assert noted(made)[1:] == [{"max_position": ("2", "3")}, {}, {}, {}]


@pytest.mark.parametrize("is_granted", [True, False])
def test_the_heat_that_was_asked_for_and_its_answer_are_noted(is_granted: bool) -> None:
    made = desk(RESTING)
    made.tell(events.HeatTermsRead(HeatTerms("main", 1, "USD", 1, Money(Decimal(1000)))))
    made.tell(events.PortfolioHeard("life"))
    made.bar(4800.0, seconds=0.5)
    (ask,) = made.all_of(do.ReserveHeat)
    asked_at = ask.until - 5 * SECOND
    assert noted(made)[0]["heat"] == (f"{ask.heat:f} USD asked", "portfolio main")

    answer = events.HeatGranted(ask.order_id, ask.life, ask.number)
    made.tell(answer if is_granted else events.HeatRefused(ask.order_id, ask.number, "too \nhot"))

    (told,) = answers(made)
    assert replace(told, at=told.asked_at) == HeatAnswer(
        made.setup.session, ask.order_id, "main", ask.heat, "USD", asked_at, asked_at,
        "granted" if is_granted else "refused", "" if is_granted else "too hot",
    )  # fmt: skip
    made.tell(answer)
    assert answers(made) == [told], "an answer that comes again is noted once"


def test_a_changed_order_tells_from_what_to_what() -> None:
    def move(view: View) -> ModifyOrders:
        return ModifyOrders((OrderChange(entry_of(view), quantity=Contracts(1), limit=4785.25),))

    made = desk(RESTING, move)
    made.bar(4800.0)
    made.bar(4800.0)
    made.run(2)

    (changed,) = [each for each in made.database.events if each.what == "modified" and "limit" in each.details]
    assert changed.details == {"quantity": "2 -> 1", "limit": "4790 -> 4785.25"}

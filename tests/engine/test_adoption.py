"""A position made by hand: adopted with its stop, by the session's policy or by a person, over restarts too."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.desk import Desk, Scripted
from tradeproc.domain.orders import OrderRole, OrderSource, OrderState, OrderType, Side, TimeInForce
from tradeproc.domain.records import BadValue
from tradeproc.domain.session import BadSession, ExternalPolicy, SessionLimits, SessionSpec, StopPolicy
from tradeproc.domain.units import SECOND, Contracts, Price, Ticks
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.adopt_command import refusal
from tradeproc.engine.protection import uncovered
from tradeproc.strategies.contract import ClosePosition, SubmitBracket, SubmitOrder

BUY = SubmitOrder(Side.BUY, Contracts(1))
BRACKET = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4780.0)


def adopting(*plans: Any, ticks: int | None = 40, **changes: Any) -> Desk:
    distance = None if ticks is None else Ticks(ticks)
    given = {"external_policy": ExternalPolicy.ADOPT, "adopt_stop_ticks": distance, **changes}
    return Desk(Scripted(*plans), **given).start()


def stops(desk: Desk) -> list[tuple[str, int, Decimal]]:
    price = desk.setup.instrument.price
    return [
        (order.side.value, order.remaining, price(order.stop or Ticks(0)))
        for order in desk.state.engine.open_orders
        if order.role is OrderRole.STOP_LOSS and order.state.is_working
    ]


@pytest.mark.parametrize("policy", [StopPolicy.ALARM, StopPolicy.REPLACE])
@pytest.mark.parametrize(("change", "side", "stop"), [(2, "sell", "4790"), (-2, "buy", "4810")])
def test_a_position_made_by_hand_is_booked_gets_its_stop_and_closes_no_entries(
    change: int, side: str, stop: str, policy: StopPolicy
) -> None:
    desk = adopting(stop_policy=policy)

    desk.broker.by_hand(change)
    desk.run(40)

    assert desk.position == change
    assert stops(desk) == [(side, 2, Decimal(stop))]
    assert uncovered(desk.state) == 0
    assert desk.database.latch is None
    assert desk.alarms == set()
    raised = [effect.name for effect in desk.all_of(do.RaiseAlarm)]
    assert "external_adopted" in raised


def test_the_stop_of_an_adopted_position_protects_it_and_its_fill_is_booked_once() -> None:
    desk = adopting()
    desk.broker.by_hand(2)
    desk.run(40)

    desk.broker.trade(Decimal("4789.75"))
    desk.run(10)

    assert desk.position == desk.broker.position == 0


def test_what_was_added_by_hand_to_a_position_with_a_stop_gets_a_stop_of_its_own() -> None:
    desk = adopting(BRACKET)
    desk.bar()

    desk.broker.by_hand(1)
    desk.run(40)

    assert sorted(stops(desk)) == [("sell", 1, Decimal(4780)), ("sell", 1, Decimal(4790))]


def test_the_stop_of_an_entry_that_still_fills_leaves_room_for_the_stop_of_what_was_adopted() -> None:
    resting = SubmitBracket(
        Side.BUY, Contracts(3), type=OrderType.LIMIT, limit=4800.0, stop_loss=4780.0, profit_target=4802.0
    )
    desk = adopting(resting, limits=SessionLimits(Contracts(5), Contracts(5)))
    desk.broker.fill_by(1)
    desk.broker.price = Decimal(4801)
    desk.bar(close=4801.0)
    desk.broker.trade(Decimal(4800))
    desk.run(2)
    desk.broker.fill_by(9)
    desk.broker.trade(Decimal(4802))
    desk.run(2)
    entry, stop = desk.orders[0], desk.orders[1]
    assert (entry.filled, entry.state.is_terminal, stop.state.is_working, desk.position) == (1, False, True, 0)

    desk.broker.by_hand(1)
    desk.run(40)

    assert uncovered(desk.state) == 0
    assert ("sell", 1, Decimal("4791")) in stops(desk)


def test_the_strategy_may_exit_what_was_adopted() -> None:
    desk = adopting()
    desk.broker.by_hand(2)
    desk.run(40)

    desk.strategy.plans.append(ClosePosition("enough"))
    desk.bar(seconds=20)

    assert desk.position == desk.broker.position == 0
    assert desk.state.engine.open_orders == []


def test_without_a_configured_distance_there_is_an_alarm_that_says_what_to_do() -> None:
    desk = adopting(ticks=None, stop_policy=StopPolicy.REPLACE)

    desk.broker.by_hand(2)
    desk.run(60)

    assert desk.position == 2
    assert stops(desk) == []
    assert {"external_adopted", "position_uncovered"} <= desk.alarms
    assert "tradectl adopt 7 --stop PRICE" in desk.state.engine.alarms["external_adopted"]


def test_with_the_stop_policy_flatten_what_has_no_stop_is_closed() -> None:
    desk = adopting(stop_policy=StopPolicy.FLATTEN)

    desk.broker.by_hand(2)
    desk.run(60)

    assert desk.position == desk.broker.position == 0


def test_while_orders_of_a_stranger_work_on_the_contract_no_stop_is_added_to_them() -> None:
    desk = adopting()
    desk.broker.by_hand(2)
    picture = next(iter(desk.broker.orders.values()))
    foreign = replace(
        picture,
        broker_id="hand-stop",
        side=Side.SELL,
        type=OrderType.STOP,
        stop=Price(Decimal(4700)),
        state=OrderState.SUBMITTED,
        filled=Contracts(0),
        average=None,
        closed_at=None,
    )
    desk.broker.orders["hand-stop"] = foreign

    desk.state.broker.orders.asked_at = None
    desk.run(60)
    assert "order_unknown" in desk.alarms
    assert stops(desk) == []

    desk.broker.orders["hand-stop"] = replace(foreign, state=OrderState.CANCELLED, closed_at=desk.now)
    desk.tell(events.ReconcileCommanded("anna"))
    desk.run(60)
    assert stops(desk) == [("sell", 2, Decimal(4790))]


def test_a_trader_that_died_before_the_stop_places_it_in_its_next_life() -> None:
    desk = adopting()
    desk.broker.by_hand(2)
    desk.run(8)
    assert desk.position == 2
    assert stops(desk) == []

    desk.broker.told.clear()
    later = Desk(
        Scripted(),
        broker=desk.broker,
        database=desk.database,
        fence=2,
        now=desk.now + SECOND,
        external_policy=ExternalPolicy.ADOPT,
        adopt_stop_ticks=Ticks(40),
    ).start()
    later.run(40)

    assert stops(later) == [("sell", 2, Decimal(4790))]


# --- by a person


def paused() -> Desk:
    desk = Desk(Scripted()).start()
    desk.broker.by_hand(2)
    desk.run(20)
    assert desk.position == 2
    return desk


def command(desk: Desk, price: str) -> None:
    desk.tell(events.AdoptCommanded("anna", Price(Decimal(price)), "mine"))
    desk.run(2)


def test_a_person_adopts_a_position_with_a_stop_whatever_the_policy_and_entries_stay_closed() -> None:
    desk = paused()

    command(desk, "4795.25")

    assert stops(desk) == [("sell", 2, Decimal("4795.25"))]
    (order,) = desk.state.engine.open_orders
    assert order.time_in_force is TimeInForce.GTC
    (created,) = [each for each in desk.database.events if each.order_id == order.id and each.what == "created"]
    assert (created.source, created.details["reason"]) == (OrderSource.OPERATOR, "adopted by anna: mine")
    assert desk.database.latch is not None
    desk.run(20)
    assert "position_uncovered" not in desk.alarms


@pytest.mark.parametrize(
    ("price", "why"),
    [
        ("4800", "would fill at once: it must be below the last price, 4800"),
        ("4900", "would fill at once"),
        ("4795.10", "not on the tick grid"),
    ],
)
def test_a_stop_that_cannot_protect_is_refused(price: str, why: str) -> None:
    desk = paused()

    assert why in refusal(desk.state, Price(Decimal(price)))
    command(desk, price)

    assert desk.state.engine.open_orders == []


def test_a_command_told_twice_places_one_stop() -> None:
    desk = paused()

    desk.tell(events.AdoptCommanded("anna", Price(Decimal(4790)), "mine"))
    desk.tell(events.AdoptCommanded("anna", Price(Decimal(4790)), "mine"))
    desk.run(5)

    assert stops(desk) == [("sell", 2, Decimal(4790))]
    assert refusal(desk.state, Price(Decimal(4780))) == "working stops cover the whole position already"


def test_without_a_position_or_before_it_is_confirmed_nothing_is_adopted() -> None:
    desk = Desk(Scripted()).start()
    assert refusal(desk.state, Price(Decimal(4790))) == "there is no position"

    desk.faults.unknown = 1.0
    later = Desk(Scripted(), broker=desk.broker, database=desk.database, fence=2, faults=desk.faults)
    later.start()
    assert "not confirmed" in refusal(later.state, Price(Decimal(4790)))


# --- the words


def test_the_word_of_earlier_versions_is_read_and_the_default_is_not_written() -> None:
    plain = Desk().setup.spec.to_dict()
    assert "external_policy" not in plain

    old = SessionSpec.from_dict({**plain, "external_policy": "reduce"})

    assert old.external_policy is ExternalPolicy.PAUSE
    assert old.to_dict() == plain
    with pytest.raises(BadSession, match="external_policy: expected one of 'pause', 'ignore', 'adopt', found 'keep'"):
        SessionSpec.from_dict({**plain, "external_policy": "keep"})


def test_a_distance_without_the_policy_is_refused() -> None:
    with pytest.raises(BadValue, match="belongs to external_policy"):
        Desk(adopt_stop_ticks=Ticks(4))

"""Legs that a broker lost turn up after they were given up: found, told, and never more than the position.

The stop placed in their stead, or the exit that closed the position, is there already: both together would open a
position on the other side.
"""

from decimal import Decimal

import pytest

from tests.engine.desk import Desk, Scripted
from tests.engine.test_live_stops import BRACKETS
from tradeproc.domain.broker_orders import (
    Accepted,
    BracketRequest,
    BrokerOrder,
    OrderRequest,
    Outcome,
)
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.session import StopPolicy
from tradeproc.domain.units import Contracts
from tradeproc.engine import effects as do
from tradeproc.strategies.contract import SubmitBracket


def hide(desk: Desk, *, is_named: bool) -> dict[str, BrokerOrder]:
    """Let the broker take the next bracket without showing its legs, and return them by the broker's id.

    `is_named`: its reply tells the ids of all three orders, otherwise that of the entry alone.
    """
    place, hidden = desk.broker.place, dict[str, BrokerOrder]()

    def hiding(request: OrderRequest | BracketRequest) -> Outcome:
        outcome = place(request)
        desk.broker.place = place  # type: ignore[method-assign]
        assert isinstance(outcome, Accepted)
        assert isinstance(request, BracketRequest)
        hidden.update((each.broker_id, each) for each in desk.broker.orders.values() if each.parent)
        for broker_id in hidden:
            del desk.broker.orders[broker_id]
        desk.broker.told = [each for each in desk.broker.told if not (isinstance(each, BrokerOrder) and each.parent)]
        ids = outcome.broker_ids
        return outcome if is_named else Accepted({own: ids[own] for own in ids if ids[own] not in hidden})

    desk.broker.place = hiding  # type: ignore[method-assign]
    return hidden


@pytest.mark.parametrize("is_streamed", [True, False], ids=["streamed", "listed"])
@pytest.mark.parametrize("is_named", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize("policy", StopPolicy)
@pytest.mark.parametrize("bracket", BRACKETS.values(), ids=list(BRACKETS))
def test_legs_that_turn_up_after_they_were_given_up_never_exceed_the_position(
    bracket: SubmitBracket, policy: StopPolicy, is_named: bool, is_streamed: bool
) -> None:
    desk = Desk(Scripted(bracket), stop_policy=policy).start()
    hidden = hide(desk, is_named=is_named)
    desk.bar(seconds=12)
    assert len(hidden) == 2

    for picture in hidden.values():
        desk.broker.orders[picture.broker_id] = picture
        if is_streamed:
            desk.broker.tell(picture)
    desk.run(15)

    told = {alarm.name for alarm in desk.all_of(do.RaiseAlarm)}
    assert told == {"order_unresolved", "position_uncovered", "order_reappeared"}
    working = sorted((order.type.value, int(order.quantity)) for order in desk.broker.open())
    held = abs(desk.broker.position)
    match policy:
        case StopPolicy.ALARM:
            assert (held, working) == (2, [("limit", 2), ("stop", 2)]), "they protect what nothing else does"
            assert "order_reappeared" in desk.alarms
        case StopPolicy.REPLACE:
            assert (held, working) == (2, [("stop", 2)])
            assert desk.alarms == set()
        case StopPolicy.FLATTEN:
            assert (held, working) == (0, [])
            assert desk.alarms == set()
    desk.run(120)
    assert abs(desk.broker.position) == held


def test_an_order_of_nobody_on_the_stream_is_asked_about_at_once() -> None:
    desk = Desk(Scripted()).start()
    desk.run(30)
    terms = (Contract.parse("ESH24"), Side.BUY, Contracts(1), OrderType.LIMIT, OrderRole.ENTRY)

    desk.broker.place(OrderRequest("by hand", *terms, limit=Decimal(4700)))
    desk.run(8)

    assert "order_unknown" in desk.alarms

"""Each way in which protection can vanish, with each policy: found within ten seconds, and done what the policy says.

And the reverse: a stop or a target never stays larger than what is held.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.engine.desk import Desk, Faults, Scripted
from tests.engine.exchange_broker import ExchangeBroker
from tradeproc.domain.broker_orders import Accepted, BracketRequest, BrokerOrder, OrderRequest, Outcome, Refused
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side
from tradeproc.domain.session import ExternalPolicy, StopPolicy
from tradeproc.domain.units import SECOND, Contracts
from tradeproc.engine import effects as do
from tradeproc.engine.protection import uncovered
from tradeproc.strategies.contract import Decision, SubmitBracket, SubmitOrder, View

FOUND_WITHIN = 10 * SECOND
BRACKETS = {
    "long": SubmitBracket(Side.BUY, Contracts(2), stop_loss=4790.0, profit_target=4820.0),
    "short": SubmitBracket(Side.SELL, Contracts(2), stop_loss=4810.0, profit_target=4780.0),
}


def pictured(desk: Desk, role: OrderRole) -> str:
    """Return the broker's id of the newest order of a role."""
    return next(order.broker_id or "" for order in reversed(desk.orders) if order.role is role)


def stop_of(desk: Desk) -> str:
    return pictured(desk, OrderRole.STOP_LOSS)


def raised(desk: Desk, name: str) -> list[int]:
    return [alarm.at for alarm in desk.all_of(do.RaiseAlarm) if alarm.name == name]


# --- the ways; each leaves two contracts of which one or both have no working stop


def cancelled(desk: Desk) -> None:
    desk.broker.cancel(stop_of(desk))


def expired(desk: Desk) -> None:
    desk.broker.expire(stop_of(desk))


def rejected(desk: Desk) -> None:
    desk.broker.reject(stop_of(desk))


def both_legs_cancelled(desk: Desk) -> None:
    desk.broker.cancel(stop_of(desk))
    desk.broker.cancel(pictured(desk, OrderRole.PROFIT_TARGET))


def cut(desk: Desk) -> None:
    desk.broker.cut(stop_of(desk), 1)


def cut_twice(desk: Desk) -> None:
    desk.broker.cut(stop_of(desk), 1)
    desk.run(1)
    desk.broker.cancel(stop_of(desk))


def its_fill_taken_back(desk: Desk) -> None:
    """The stop filled, and the broker takes the fill back: the position is open again, its stop is not."""
    stop = desk.broker.orders[stop_of(desk)]
    desk.broker.trade(stop.stop or Decimal(0))
    desk.run(3)
    assert desk.position == 0
    desk.broker.price = Decimal(4800)
    desk.broker.take_back(stop.broker_id)


def enlarged_by_hand(desk: Desk) -> None:
    """Somebody buys, or sells, one more contract in the same direction."""
    desk.broker.by_hand(1 if desk.position > 0 else -1)


WAYS = (
    *(cancelled, expired, rejected, both_legs_cancelled, cut, cut_twice),
    *(its_fill_taken_back, enlarged_by_hand),
)


@pytest.mark.parametrize("bracket", BRACKETS.values(), ids=list(BRACKETS))
@pytest.mark.parametrize("policy", StopPolicy)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_each_way_is_found_and_each_policy_does_what_it_says(
    way: Callable[[Desk], None], policy: StopPolicy, bracket: SubmitBracket
) -> None:
    desk = Desk(Scripted(bracket), stop_policy=policy, external_policy=ExternalPolicy.IGNORE).start()
    desk.bar()
    assert uncovered(desk.state) == 0

    way(desk)
    vanished_at = desk.now
    desk.run(60)

    (found_at,) = raised(desk, "position_uncovered")
    assert found_at - vanished_at <= FOUND_WITHIN
    held, working = abs(desk.broker.position), desk.broker.open()
    stops = sum(order.quantity for order in working if order.type is OrderType.STOP)
    assert desk.position == desk.broker.position
    match policy:
        case StopPolicy.ALARM:
            assert held > stops
            assert len(desk.sent) == 1, "nothing is placed to repair anything"
            assert "position_uncovered" in desk.alarms
        case StopPolicy.REPLACE:
            assert held == stops > 0
            assert uncovered(desk.state) == 0
            assert "position_uncovered" not in desk.alarms
        case StopPolicy.FLATTEN:
            assert (held, working) == (0, [])
            assert "position_uncovered" not in desk.alarms


def legs_taken_without_their_ids(desk: Desk) -> None:
    """The reply names the entry only."""
    desk.broker.loses_legs = True


def legs_named_and_never_there(desk: Desk) -> None:
    """The reply names all three orders, and the broker has the entry only."""
    desk.broker.loses_legs = True
    place = desk.broker.place

    def named(request: OrderRequest | BracketRequest) -> Outcome:
        outcome = place(request)
        if isinstance(request, OrderRequest) or request.profit_target is None or isinstance(outcome, Refused):
            return outcome
        assert isinstance(outcome, Accepted)
        ids = {request.stop_loss.id: "leg-1", request.profit_target.id: "leg-2"}
        return Accepted({**outcome.broker_ids, **ids})

    desk.broker.place = named  # type: ignore[method-assign]


LOSING = (legs_taken_without_their_ids, legs_named_and_never_there)


@pytest.mark.parametrize("bracket", BRACKETS.values(), ids=list(BRACKETS))
@pytest.mark.parametrize("policy", StopPolicy)
@pytest.mark.parametrize("losing", LOSING, ids=lambda way: way.__name__)
@pytest.mark.parametrize("slowest", [0.0, 0.8])
def test_legs_that_the_broker_dropped_are_found_and_dealt_with_within_ten_seconds(
    losing: Callable[[Desk], None], policy: StopPolicy, bracket: SubmitBracket, slowest: float
) -> None:
    desk = Desk(Scripted(bracket), stop_policy=policy, faults=Faults(slowest=slowest)).start()
    losing(desk)
    entered_at = desk.now
    desk.bar()

    desk.run(9)

    (found_at,) = raised(desk, "position_uncovered")
    assert found_at - entered_at <= FOUND_WITHIN
    stops = [order.quantity for order in desk.broker.open() if order.type is OrderType.STOP]
    expected = {StopPolicy.ALARM: (2, []), StopPolicy.REPLACE: (2, [2]), StopPolicy.FLATTEN: (0, [])}
    assert (abs(desk.broker.position), stops) == expected[policy]
    desk.run(120)
    assert abs(desk.broker.position) == expected[policy][0]
    assert desk.broker.largest == 2


def test_an_entry_whose_reply_was_lost_is_not_given_up_sooner_with_its_legs() -> None:
    desk = Desk(Scripted(BRACKETS["long"]), faults=Faults(lost_request=1.0)).start()
    desk.bar()

    desk.run(20)
    assert {order.state for order in desk.orders} == {OrderState.PRE_SENT}
    desk.run(20)
    assert {order.state for order in desk.orders} == {OrderState.REJECTED}


@pytest.mark.parametrize("late", [0.5, 3.0])
def test_legs_that_are_told_late_are_no_lost_legs(late: float) -> None:
    """The broker has them and says so after a while, on its stream and when asked."""
    desk = Desk(Scripted(BRACKETS["long"]), stop_policy=StopPolicy.REPLACE).start()
    place, hidden = desk.broker.place, dict[str, BrokerOrder]()

    def hiding(request: OrderRequest | BracketRequest) -> Outcome:
        outcome = place(request)
        hidden.update((each.broker_id, each) for each in desk.broker.orders.values() if each.parent)
        for broker_id in hidden:
            del desk.broker.orders[broker_id]
        desk.broker.told = [each for each in desk.broker.told if not (isinstance(each, BrokerOrder) and each.parent)]
        return outcome

    desk.broker.place = hiding  # type: ignore[method-assign]
    desk.bar(seconds=late)
    assert len(hidden) == 2
    for picture in hidden.values():
        desk.broker.tell(picture)
    desk.run(60)

    assert len(desk.sent) == 1
    assert uncovered(desk.state) == 0
    assert desk.alarms == set()


# --- partial fills


def test_the_stop_grows_with_the_fills_of_its_entry_and_never_exceeds_the_position() -> None:
    at_limit = SubmitBracket(Side.BUY, Contracts(3), stop_loss=4790.0, type=OrderType.LIMIT, limit=4800.0)
    desk = Desk(Scripted(at_limit), broker=ExchangeBroker(fills_by=1)).start()
    desk.broker.price = Decimal(4801)
    desk.bar(4801.0)

    for filled in (1, 2, 3):
        desk.broker.trade(Decimal("4799.75"))
        desk.run(15)
        assert (desk.position, uncovered(desk.state)) == (filled, 0)
        (stop,) = [each for each in desk.broker.exchange.orders("SIM1") if each.stop is not None]
        assert stop.released - stop.filled == filled

    assert desk.alarms == set()
    assert desk.all_of(do.Modify) == []


def test_an_entry_that_ends_half_filled_leaves_a_stop_of_what_is_held() -> None:
    at_limit = SubmitBracket(Side.BUY, Contracts(3), stop_loss=4790.0, type=OrderType.LIMIT, limit=4800.0)
    desk = Desk(Scripted(at_limit), broker=ExchangeBroker(fills_by=1)).start()
    desk.broker.price = Decimal(4801)
    desk.bar(4801.0)
    desk.broker.trade(Decimal("4799.75"))
    desk.run(5)

    desk.broker.cancel(pictured(desk, OrderRole.ENTRY))
    desk.run(30)

    (stop,) = desk.broker.open()
    assert (desk.position, stop.quantity, uncovered(desk.state)) == (1, 1, 0)
    assert desk.alarms == set()


# --- too much protection


def leave_one(view: View) -> Decision:
    side = Side.SELL if view.position > 0 else Side.BUY
    return SubmitOrder(side, Contracts(1), role=OrderRole.EXIT)


def a_part_is_closed_by_an_exit(desk: Desk) -> None:
    desk.bar()


def a_part_is_closed_by_hand(desk: Desk) -> None:
    desk.broker.by_hand(-1 if desk.position > 0 else 1)
    desk.run(8)


def a_fill_is_taken_back(desk: Desk) -> None:
    entry = desk.broker.orders[pictured(desk, OrderRole.ENTRY)]
    desk.broker.move(-entry.side.sign)
    desk.broker.tell(replace(entry, filled=Contracts(1), state=OrderState.EXPIRED))
    desk.broker.told.append(desk.broker.current_position())
    desk.run(16)


def the_broker_enlarges_it(desk: Desk) -> None:
    desk.bar()
    desk.run(5)
    desk.broker.cut(stop_of(desk), 3)


SHRINKING = (a_part_is_closed_by_an_exit, a_part_is_closed_by_hand, a_fill_is_taken_back, the_broker_enlarges_it)


@pytest.mark.parametrize("bracket", BRACKETS.values(), ids=list(BRACKETS))
@pytest.mark.parametrize("policy", StopPolicy)
@pytest.mark.parametrize("way", SHRINKING, ids=lambda way: way.__name__)
def test_what_could_close_more_than_is_held_is_cut_whatever_the_policy(
    way: Callable[[Desk], None], policy: StopPolicy, bracket: SubmitBracket
) -> None:
    desk = Desk(Scripted(bracket, leave_one), stop_policy=policy, external_policy=ExternalPolicy.IGNORE).start()
    desk.bar()

    way(desk)
    desk.run(4)

    assert abs(desk.position) == 1
    assert [(order.type, order.quantity) for order in desk.broker.open()] == [
        (OrderType.STOP, 1),
        (OrderType.LIMIT, 1),
    ]
    assert uncovered(desk.state) == 0
    desk.run(30)
    assert len(desk.all_of(do.Modify)) <= 3, "once for each order, and again only for what came again"


def test_of_two_stops_the_farther_one_goes() -> None:
    near = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4795.0)
    far = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4780.0)
    desk = Desk(Scripted(near, far, leave_one)).start()
    for _ in range(3):
        desk.bar()

    desk.run(5)

    assert desk.position == 1
    assert [order.stop for order in desk.broker.open()] == [Decimal(4795)]
    assert desk.alarms == set()


def test_a_cut_that_the_broker_refuses_is_asked_for_again_in_ten_seconds_and_not_before() -> None:
    desk = Desk(Scripted(BRACKETS["long"], leave_one)).start()
    desk.bar()
    desk.faults.lost_request = 0.0
    refuse = ExchangeBroker()
    desk.broker.modify = refuse.modify  # type: ignore[method-assign]

    desk.bar()
    desk.run(25)

    at = [now for _, now, effects in desk.history for each in effects if isinstance(each, do.Modify)]
    assert 4 <= len(at) <= 6
    assert all(later - earlier >= 10 * SECOND for earlier, later in zip(at[::2], at[2::2], strict=False))


def test_nothing_is_cut_while_an_exit_is_on_its_way_or_the_position_is_in_doubt() -> None:
    desk = Desk(Scripted(BRACKETS["long"])).start()
    desk.bar()
    desk.faults.unknown = 1.0
    desk.broker.by_hand(-1)

    desk.run(10)

    assert desk.state.broker.suspicion is not None
    assert desk.all_of(do.Modify) == []

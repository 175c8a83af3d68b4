"""Flat means: all cancelled, confirmed, one exit, confirmed again; what stops entries does not stop this."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.engine.desk import Desk, Scripted
from tests.engine.exchange_broker import ExchangeBroker
from tradeproc.domain.answers import Unknown
from tradeproc.domain.broker_orders import Outcome, Refused, Unanswered
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side
from tradeproc.domain.session import ExternalPolicy, StopPolicy
from tradeproc.domain.units import MINUTE, Contracts, Nanos
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import StreamKind, TradingState
from tradeproc.exchange.orders import Moment
from tradeproc.strategies.contract import ClosePosition, SubmitBracket, SubmitOrder

BUY = SubmitOrder(Side.BUY, Contracts(1))
BRACKET = SubmitBracket(Side.BUY, Contracts(2), stop_loss=4790.0, profit_target=4820.0)


def exits(desk: Desk) -> list[int]:
    return [order.quantity for order in desk.orders if order.role is OrderRole.EXIT]


def test_orders_are_cancelled_and_over_before_the_one_exit_goes_out() -> None:
    desk = Desk(Scripted(BRACKET, ClosePosition("enough"), ClosePosition("again"))).start()
    desk.bar()

    desk.bar(seconds=0.1)
    desk.bar(seconds=5)

    kinds = [type(effect) for effect in desk.effects if isinstance(effect, do.Cancel | do.Send)]
    assert kinds == [do.Send, do.Cancel, do.Cancel, do.Send]
    assert exits(desk) == [2]
    assert desk.position == desk.broker.position == 0
    assert desk.broker.open() == []
    assert desk.divergences == []
    assert desk.alarms == set()


def test_a_stop_that_fills_while_it_is_cancelled_leaves_nothing_to_exit() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()
    desk.broker.trade(Decimal("4789"))

    desk.tell(events.FlattenCommanded("me"))
    desk.run(10)

    assert exits(desk) == []
    assert desk.broker.position == 0


def test_the_exit_is_sized_by_what_the_broker_confirms() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()
    desk.broker.position = 1  # somebody sold one by hand

    desk.tell(events.PositionUpdated(desk.broker.current_position()))
    desk.tell(events.FlattenCommanded("me"))
    desk.run(15)

    assert exits(desk) == [1]
    assert desk.broker.position == 0


def test_flatten_when_flat_does_nothing_and_three_commands_are_one() -> None:
    idle, desk = Desk().start(), Desk(Scripted(BUY)).start()
    desk.bar()

    for trader in (idle, desk):
        for _ in range(3):
            trader.tell(events.FlattenCommanded("me"))
        trader.run(5)

    assert idle.orders == []
    assert exits(desk) == [1]
    assert desk.state.engine.closing is None


CLOSED: dict[str, Callable[[Desk], object]] = {
    "halted": lambda desk: desk.tell(events.TradingStateSet("host", TradingState.HALTED)),
    "lease lost": lambda desk: desk.tell(events.LeaseChanged(False)),
    "database down": lambda desk: setattr(desk.database, "is_up", False),
    "streams down": lambda desk: [desk.tell(events.StreamChanged(kind, False, "cut")) for kind in StreamKind],
    "position unknown": lambda desk: setattr(desk.faults, "unknown", 1.0),
    "pictures lost": lambda desk: setattr(desk.faults, "lost_picture", 1.0),
    "replies lost": lambda desk: setattr(desk.faults, "lost_reply", 1.0),
}


@pytest.mark.parametrize("close", CLOSED.values(), ids=list(CLOSED))
def test_nothing_closes_the_way_out(close: Callable[[Desk], object]) -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    close(desk)

    desk.tell(events.FlattenCommanded("me"))
    desk.run(40)

    assert desk.broker.position == 0
    assert exits(desk) == [1]


def test_an_exit_that_was_refused_is_tried_again_later_and_one_that_was_lost_is_asked_about_first() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    desk.broker.rejects = True
    desk.tell(events.FlattenCommanded("me"))
    desk.run(1)
    assert "close_stuck" in desk.alarms
    desk.broker.rejects = False
    desk.next_outcome = Unanswered("timed out")

    desk.run(20)
    assert len(exits(desk)) == 2
    desk.run(60)

    assert len(exits(desk)) == 3
    assert desk.broker.position == 0
    assert desk.alarms == set()


class ClockOff(ExchangeBroker):
    """A broker whose clock is an hour ahead of ours, or ours is an hour behind."""

    def _moment(self) -> Moment:
        return Moment(Nanos(self.now + 60 * MINUTE), Nanos(self.now + 60 * MINUTE))


def test_orders_whose_reply_was_lost_are_found_though_a_clock_is_wrong_by_an_hour() -> None:
    desk = Desk(Scripted(BRACKET), broker=ClockOff(), stop_policy=StopPolicy.ALARM).start()
    desk.broker.by_hand(2)
    desk.broker.by_hand(-2)
    desk.run(60)
    desk.faults.lost_reply = 1.0
    desk.bar(seconds=0.001)
    desk.faults.lost_reply = 0.0
    desk.run(20)

    entry, stop, target = desk.orders
    assert desk.position == desk.broker.position == 2
    assert (entry.state, stop.state.is_working, target.state.is_working) == (OrderState.FILLED, True, True)
    assert desk.alarms == set()


def test_an_exit_whose_reply_was_lost_is_not_mistaken_for_an_older_order_of_a_stranger() -> None:
    desk = Desk(Scripted(BUY), stop_policy=StopPolicy.ALARM).start()
    desk.bar()
    desk.broker.echoes = False
    desk.broker.by_hand(-1)
    desk.broker.by_hand(1)
    strangers = set(desk.broker.orders) - {order.broker_id for order in desk.orders}
    desk.run(5)
    desk.faults.lost_reply = 1.0
    desk.tell(events.FlattenCommanded("me"))
    desk.run(1)
    desk.faults.lost_reply = 0.0
    desk.run(40)

    exit_order = next(order for order in desk.orders if order.role is OrderRole.EXIT)
    assert desk.broker.position == 0
    assert exit_order.state is OrderState.FILLED
    assert exit_order.broker_id not in strangers


def test_an_entry_on_its_way_is_caught_and_cancelled_before_the_exit() -> None:
    resting = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4700.0)
    desk = Desk(Scripted(BUY, resting)).start()
    desk.bar()
    desk.faults.lost_reply = 1.0
    desk.bar(seconds=0.001)

    desk.tell(events.FlattenCommanded("me"))
    desk.faults.lost_reply = 0.0
    desk.run(20)

    assert desk.broker.position == 0
    assert desk.broker.open() == []
    assert desk.orders[1].state in (OrderState.CANCELLED, OrderState.REJECTED)


def test_while_closing_a_strategy_cannot_add_orders() -> None:
    extra = SubmitOrder(Side.SELL, Contracts(1), role=OrderRole.EXIT)
    desk = Desk(Scripted(BRACKET, BUY, extra)).start()
    desk.bar()
    desk.faults.slowest = 4.0
    desk.tell(events.FlattenCommanded("me"))

    desk.bar(seconds=0.001)
    desk.bar(seconds=30)

    assert desk.refusals == ["the position is being closed"] * 2
    assert exits(desk) == [2]


def working_stops(desk: Desk) -> int:
    return sum(order.state.is_working and order.type is OrderType.STOP for order in desk.broker.open())


def test_a_broker_that_answers_no_question_keeps_the_stop_until_it_has_taken_the_exit() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()
    desk.faults.unknown = 1.0
    desk.broker.rejects = True

    desk.tell(events.FlattenCommanded("me"))
    desk.run(9)
    assert exits(desk) == []
    desk.run(11)

    assert exits(desk)[0] == 2, "an exit is tried all the same"
    assert (desk.broker.position, working_stops(desk)) == (2, 1), "refused: the stop still protects"
    (alarm,) = [each for each in desk.all_of(do.RaiseAlarm) if each.name == "close_stuck"]
    assert alarm.detail.startswith("not flat yet")
    desk.broker.rejects = False
    desk.run(60)
    assert (desk.broker.position, desk.broker.open()) == (0, [])
    assert desk.broker.largest == 2


def test_a_broker_that_tells_nothing_any_more_is_closed_by_one_exit_and_loses_its_stop_only_then() -> None:
    """Neither streams nor questions: only operations are answered, as with a feed that dies of each picture."""
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()
    desk.faults.unknown = desk.faults.lost_picture = 1.0

    desk.tell(events.FlattenCommanded("me"))
    desk.run(60)

    assert exits(desk) == [2]
    assert desk.broker.position == 0
    assert "close_stuck" in desk.alarms
    assert desk.state.engine.closing is not None, "nobody has confirmed that it is flat"
    desk.faults.unknown = desk.faults.lost_picture = 0.0
    desk.run(60)
    assert (desk.state.engine.closing, desk.broker.open()) == (None, [])
    assert desk.alarms == set()


def test_a_link_that_takes_no_operation_costs_no_stop() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()
    desk.faults.unknown = desk.faults.lost_request = 1.0

    desk.tell(events.FlattenCommanded("me"))
    desk.run(120)

    cancelled = {effect.broker_id for effect in desk.all_of(do.Cancel)}
    assert not any(desk.broker.orders[each].type is OrderType.STOP for each in cancelled)
    assert working_stops(desk) == 1
    assert "close_stuck" in desk.alarms


def test_a_cancel_that_is_never_confirmed_does_not_hold_up_the_exit() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()

    desk.tell(events.FlattenCommanded("me"))
    desk.run(0.2)
    desk.faults.unknown = desk.faults.lost_picture = 1.0
    desk.run(40)

    assert desk.broker.position == 0
    assert exits(desk) == [2]


def test_flat_is_what_the_broker_told_after_the_command_and_not_what_it_told_before() -> None:
    desk = Desk(Scripted(), external_policy=ExternalPolicy.IGNORE).start()
    desk.broker.by_hand(2)
    desk.broker.told.clear()
    answer, desk._answer = desk._answer, lambda _: Unknown("503")  # type: ignore[method-assign, assignment]

    desk.tell(events.FlattenCommanded("me"))
    desk.run(60)

    assert desk.state.engine.closing is not None
    assert "the broker has not told the position since" in desk.state.engine.alarms["close_stuck"]
    desk._answer = answer  # type: ignore[method-assign]
    desk.run(20)
    assert desk.broker.position == desk.position == 0
    assert desk.state.engine.closing is None
    assert "close_stuck" not in desk.alarms


class RefusesCancels(ExchangeBroker):
    """A broker that refuses every cancel at once, for as long as it is told to."""

    refuses = True

    def cancel(self, broker_id: str) -> Outcome:
        return Refused("not now") if self.refuses else super().cancel(broker_id)


def test_a_cancel_that_is_refused_at_once_is_asked_for_again_after_a_pause_and_not_in_a_loop() -> None:
    broker = RefusesCancels()
    desk = Desk(Scripted(BRACKET), broker=broker).start()
    desk.bar()

    desk.tell(events.FlattenCommanded("me"))
    desk.run(20)

    asked = [effect.order_id for effect in desk.all_of(do.Cancel)]
    assert len(set(asked)) == 2
    assert all(3 <= asked.count(order_id) <= 5 for order_id in set(asked)), asked
    assert desk.position == 2

    broker.refuses = False
    desk.run(20)

    assert desk.position == desk.broker.position == 0
    assert desk.broker.open() == []
    assert desk.state.engine.closing is None

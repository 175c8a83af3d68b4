"""A stop that ended by no order of ours, with its position still open, leaves a row; others leave none."""

from decimal import Decimal

import pytest

from tests.engine.desk import Desk, Scripted
from tradeproc.domain.broker_orders import Refused
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.session import ExternalPolicy
from tradeproc.domain.units import SECOND, Contracts
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import TradingState
from tradeproc.strategies.contract import CancelOrders, ClosePosition, SubmitBracket, SubmitOrder, View

BRACKET = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4790.0, profit_target=4820.0)


def stop_of(desk: Desk) -> str:
    (stop,) = [each.broker_id for each in desk.broker.open() if each.type is OrderType.STOP]
    return stop


def found(desk: Desk) -> list[tuple[str, str, str]]:
    return [(row.kind.value, row.ours, row.brokers) for row in desk.divergences]


def test_a_stop_cancelled_by_hand_is_a_row_and_closes_entries() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()

    desk.broker.cancel(stop_of(desk))
    desk.run(15)

    assert found(desk) == [("order_state", "submitted filled 0", "cancelled filled 0")]
    assert {"external_change", "position_uncovered"} <= desk.alarms
    assert desk.state.engine.trading is TradingState.REDUCING
    assert desk.database.latch is not None
    assert "was cancelled by no order of ours" in desk.database.latch.reason


def ended(desk: Desk) -> list[tuple[str, dict[str, str]]]:
    return [
        (effect.level, effect.fields)
        for effect in desk.effects
        if isinstance(effect, do.Log) and effect.event == "stop_ended_by_broker"
    ]


def test_the_log_tells_at_once_and_once_which_stop_the_broker_ended_and_why() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()
    (stop,) = [order for order in desk.orders if order.role is OrderRole.STOP_LOSS]

    desk.broker.reject(stop_of(desk))
    desk.run(1)

    assert ended(desk) == [("warning", {"order": stop.id, "state": "rejected", "reason": "rejected"})]
    desk.run(30)
    assert len(ended(desk)) == 1


def test_the_line_is_there_too_while_the_position_is_being_closed() -> None:
    desk = HoldsCancels(Scripted(BRACKET)).start()
    desk.bar()
    desk.tell(events.FlattenCommanded("me"))

    desk.broker.reject(stop_of(desk))
    desk.run(1)

    assert [fields["state"] for _, fields in ended(desk)] == ["rejected"]


class HoldsCancels(Desk):
    """No cancel gets through."""

    def _perform(self, effect: do.Effect) -> None:
        if not isinstance(effect, do.Cancel):
            super()._perform(effect)


def test_a_policy_to_ignore_leaves_the_row_and_the_alarm_of_the_uncovered_position() -> None:
    desk = Desk(Scripted(BRACKET), external_policy=ExternalPolicy.IGNORE).start()
    desk.bar()

    desk.broker.cancel(stop_of(desk))
    desk.run(15)

    assert len(desk.divergences) == 1
    assert desk.alarms == {"position_uncovered"}


def test_a_stop_that_expired_is_a_row_and_closes_nothing() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()

    desk.broker.expire(stop_of(desk))
    desk.run(15)

    assert found(desk) == [("order_state", "submitted filled 0", "expired filled 0")]
    assert desk.database.latch is None


def cancel_stop(view: View) -> CancelOrders:
    return CancelOrders(tuple(order.id for order in view.orders if order.role is OrderRole.STOP_LOSS))


def the_target_fills(desk: Desk) -> None:
    desk.broker.trade(Decimal("4821"))


def the_stop_fills(desk: Desk) -> None:
    desk.broker.trade(Decimal("4789"))


RIGHT = {
    "target": the_target_fills,
    "stop": the_stop_fills,
    "flatten": lambda desk: desk.tell(events.FlattenCommanded("me")),
    "strategy": lambda desk: desk.bar(),
}


@pytest.mark.parametrize("end", RIGHT.values(), ids=list(RIGHT))
@pytest.mark.parametrize("slowest", [0.0, 4.0])
def test_a_stop_that_ended_with_its_position_or_by_us_is_none(end: object, slowest: float) -> None:
    desk = Desk(Scripted(BRACKET, cancel_stop)).start()
    desk.bar()
    desk.faults.slowest = slowest

    end(desk)  # type: ignore[operator]
    desk.run(60)

    assert desk.divergences == []
    assert desk.database.latch is None


def test_the_target_of_one_bracket_does_not_accuse_its_stop_while_another_position_is_open() -> None:
    naked = SubmitOrder(Side.BUY, Contracts(1))
    desk = Desk(Scripted(BRACKET, naked, ClosePosition("end"))).start()
    desk.bar()
    desk.bar()

    the_target_fills(desk)
    desk.run(30)

    assert desk.position == 1
    assert desk.divergences == []
    assert desk.database.latch is None


class SlowCancels(Desk):
    """The broker does what it is told to cancel eight seconds later."""

    def _perform(self, effect: do.Effect) -> None:
        if isinstance(effect, do.Cancel):
            self.cancelled = effect
        else:
            super()._perform(effect)


def test_a_cancel_of_ours_that_was_given_up_and_is_done_late_was_no_stranger() -> None:
    desk = SlowCancels(Scripted(BRACKET, lambda view: CancelOrders((view.stop_loss.id,)))).start()  # type: ignore[union-attr]
    desk.bar()
    desk.bar(seconds=12)
    (stop,) = [order for order in desk.orders if order.role is OrderRole.STOP_LOSS]
    assert stop.in_flight is None, "given up"

    desk.broker.cancel(desk.cancelled.broker_id)
    desk.run(20)

    assert desk.database.latch is None
    assert desk.alarms == {"position_uncovered"}
    assert not desk.state.engine.cancels_asked


def test_a_cancel_of_an_earlier_life_that_is_done_late_was_no_stranger() -> None:
    first = SlowCancels(Scripted(BRACKET, cancel_stop)).start()
    first.bar()
    first.bar()
    (stop,) = [order for order in first.orders if order.role is OrderRole.STOP_LOSS]
    assert stop.in_flight == "cancel"
    second = Desk(broker=first.broker, database=first.database, fence=2, now=first.now + SECOND).start()
    second.run(8)
    assert second.state.engine.orders[stop.id].in_flight is None, "given up"

    second.broker.cancel(first.cancelled.broker_id)
    second.run(20)

    assert second.database.latch is None
    assert second.alarms == {"position_uncovered"}
    assert not second.state.engine.cancels_asked


class CancelsTwice(Desk):
    """A cancel arrives twice, and the answer to the second one overtakes that to the first."""

    def _perform(self, effect: do.Effect) -> None:
        if isinstance(effect, do.Cancel) and not self.works_on:
            self.broker.cancel(effect.broker_id)
            self.broker.told.clear()
        if isinstance(effect, do.Cancel):
            self.tell(events.CancelAnswered(effect.order_id, Refused("The order is not open.")))
        else:
            super()._perform(effect)

    works_on = False


def test_a_cancel_of_ours_that_is_refused_because_it_is_done_was_no_stranger() -> None:
    desk = CancelsTwice(Scripted(BRACKET, cancel_stop)).start()
    desk.bar()
    desk.bar()

    desk.run(20)

    assert desk.database.latch is None
    assert desk.alarms == {"position_uncovered"}
    assert not desk.state.engine.cancels_refused


def test_after_a_cancel_that_was_refused_a_stop_that_works_on_can_be_cancelled_by_a_stranger() -> None:
    desk = CancelsTwice(Scripted(BRACKET, cancel_stop))
    desk.works_on = True
    desk.start()
    desk.bar()
    desk.bar()
    desk.run(10)
    assert not desk.state.engine.cancels_refused, "an answer has shown it working"

    desk.broker.cancel(stop_of(desk))
    desk.run(20)

    assert desk.database.latch is not None
    assert "external_change" in desk.alarms

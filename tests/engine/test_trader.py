"""A trader from candle to fill, and the order in which things are written and sent."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.engine.desk import Desk, Scripted, candle
from tradeproc.domain.broker_orders import Accepted
from tradeproc.domain.orders import OrderRole, OrderSource, OrderState, OrderType, Side
from tradeproc.domain.units import Contracts
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.state import new_state
from tradeproc.engine.trader import step
from tradeproc.strategies.contract import (
    CancelOrders,
    Decision,
    ModifyOrders,
    OrderChange,
    SubmitBracket,
    SubmitOrder,
    View,
)

BUY = SubmitOrder(Side.BUY, Contracts(1))
BRACKET = SubmitBracket(Side.BUY, Contracts(2), stop_loss=4790.1, profit_target=4820.1)


def test_an_entry_is_written_down_then_sent_then_filled() -> None:
    desk = Desk(Scripted(BUY)).start()

    effects = desk.bar()

    assert isinstance(effects[0], do.Persist)
    assert effects[0].ticket is not None
    assert not [effect for effect in effects if isinstance(effect, do.Send)]
    (order,) = desk.orders
    assert (order.state, order.filled, order.id) == (OrderState.FILLED, 1, "abcd7-1-1")
    assert desk.position == desk.broker.position == 1
    assert desk.database.position is not None
    assert desk.database.position.quantity == 1
    assert [event.after.value for event in desk.database.events][:2] == ["pre_sent", "pending"]
    assert desk.divergences == []


def test_a_bracket_goes_out_as_one_request_on_the_tick_grid_and_protects_the_fill() -> None:
    desk = Desk(Scripted(BRACKET)).start()

    desk.bar()

    (send,) = desk.all_of(do.Send)
    assert (send.request.stop_loss.stop, send.request.profit_target.limit) == (Decimal("4790.25"), Decimal("4820.25"))
    entry, stop, target = desk.orders
    assert entry.state is OrderState.FILLED
    assert stop.state is target.state is OrderState.SUBMITTED
    assert (stop.parent, stop.role) == (entry.id, OrderRole.STOP_LOSS)
    desk.run(30)
    assert desk.alarms == set()


def test_a_filled_stop_ends_the_target_and_the_position() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()

    desk.broker.trade(Decimal("4790"))
    desk.bar()

    assert [order.state.value for order in desk.orders] == ["filled", "filled", "cancelled"]
    assert desk.position == 0
    assert sum(fill.quantity * fill.side.sign for fill in desk.database.fills.values()) == 0


def test_a_fill_told_before_the_reply_waits_for_it_and_is_booked_once() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.tell(events.CandleReceived(candle(desk.candles)))
    desk.tell(events.Persisted(1))
    pictures = [event for _, _, event in desk.queue if isinstance(event, events.OrderUpdated)]
    desk.queue.clear()

    for picture in pictures:
        desk.tell(picture)
    assert desk.position == 0
    desk.tell(events.SubmitAnswered("abcd7-1-1", do_accept(desk)))

    assert desk.position == 1
    assert desk.orders[0].state is OrderState.FILLED
    desk.tell(pictures[0])
    desk.tell(pictures[1])
    assert desk.position == 1
    assert desk.alarms == set()


def do_accept(desk: Desk) -> Accepted:
    return Accepted({client_id: broker_id for broker_id, client_id in desk.broker.client_ids.items()})


def test_a_trailing_stop_is_changed_once_the_broker_shows_it() -> None:
    def trail(view: View) -> Decision:
        assert view.stop_loss is not None
        return ModifyOrders((OrderChange(view.stop_loss.id, stop=4795.1),))

    desk = Desk(Scripted(BRACKET, trail, trail)).start()
    desk.bar()

    desk.bar()

    stop = desk.orders[1]
    assert desk.setup.instrument.price(stop.stop or 0) == Decimal("4795.25")
    assert stop.in_flight is None
    desk.bar()
    assert len(desk.all_of(do.Modify)) == 1  # the same price again is no change


def test_a_cancel_is_over_when_the_broker_says_so() -> None:
    limit = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4700.0)

    def cancel(view: View) -> Decision:
        return CancelOrders((view.orders[0].id,))

    desk = Desk(Scripted(limit, cancel)).start()
    desk.bar()
    assert desk.orders[0].state is OrderState.SUBMITTED

    desk.bar()

    assert desk.orders[0].state is OrderState.CANCELLED
    assert desk.orders[0].in_flight is None


ENDS: dict[str, Callable[[Desk], object]] = {
    "filled": lambda desk: desk.broker.trade(Decimal("4700")),
    "cancelled": lambda desk: desk.broker.cancel("900"),
    "rejected": lambda desk: desk.broker.reject("900"),
    "expired": lambda desk: desk.broker.expire("900"),
}


@pytest.mark.parametrize(("state", "end"), ENDS.items(), ids=list(ENDS))
def test_every_end_is_told_written_down_and_final(state: str, end: Callable[[Desk], object]) -> None:
    resting = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4700.0)
    desk = Desk(Scripted(resting)).start()
    desk.bar()
    working = desk.broker.orders["900"]

    end(desk)
    desk.bar()
    desk.tell(events.OrderUpdated(working))

    assert desk.orders[0].state.value == state
    assert desk.database.orders["abcd7-1-1"] == desk.orders[0]
    assert desk.database.events[-1].source is OrderSource.BROKER_STREAM


def test_an_entry_whose_row_cannot_be_written_is_dropped_and_the_next_ones_wait() -> None:
    desk = Desk(Scripted(BUY, BUY, BUY)).start()
    desk.database.is_up = False

    desk.bar()
    desk.bar()

    assert desk.sent == []
    assert desk.orders[0].state is OrderState.REJECTED
    assert desk.refusals == ["the database is down"]
    assert desk.alarms == {"database_down"}
    desk.database.is_up = True
    desk.tell(events.DatabaseChanged(True))
    desk.bar()
    assert len(desk.sent) == 1
    assert desk.alarms == set()


def test_a_halt_between_the_row_and_the_send_stops_the_entry() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.tell(events.CandleReceived(candle(desk.candles)))

    desk.tell(events.TradingStateSet("host", events.TradingState.HALTED, "me"))
    desk.run(2)

    assert desk.sent == []
    assert desk.orders[0].state is OrderState.REJECTED


def test_equal_histories_give_equal_effects() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()
    desk.broker.trade(Decimal("4790"))
    desk.bar()
    desk.tell(events.FlattenCommanded("me"))
    desk.run(40)

    again = Desk(Scripted(BRACKET))
    state = new_state(again.setup)
    for event, now, effects in desk.history:
        assert step(state, event, now).effects == effects


def test_a_commanded_stop_ends_at_once_or_when_flat() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar()

    desk.tell(events.StopCommanded("me", flatten=True))
    assert desk.all_of(do.Finished) == []
    desk.run(5)

    assert desk.position == 0
    assert len(desk.all_of(do.Finished)) == 1
    quiet = Desk(Scripted(BRACKET)).start()
    quiet.bar()
    quiet.tell(events.StopCommanded("me"))
    assert len(quiet.all_of(do.Finished)) == 1
    assert len(quiet.broker.open()) == 2


def test_orders_carry_the_number_of_the_lease_that_is_held() -> None:
    desk = Desk(Scripted(BUY, BUY)).start()
    desk.bar()

    desk.tell(events.LeaseChanged(is_held=True, fence=4))
    desk.bar()

    assert [(order.id, order.fence) for order in desk.orders] == [("abcd7-1-1", 1), ("abcd7-4-2", 4)]


@pytest.mark.parametrize("quantity", [1.5, 0, -1, float("nan")])
def test_a_changed_quantity_that_is_no_number_of_contracts_is_refused(quantity: object) -> None:
    def change(view: View) -> Decision:
        assert view.stop_loss is not None
        return ModifyOrders((OrderChange(view.stop_loss.id, quantity=quantity),))  # type: ignore[arg-type]

    desk = Desk(Scripted(BRACKET, change)).start()
    desk.bar()

    desk.bar()

    assert "is not a positive number of contracts" in desk.refusals[-1]
    assert desk.all_of(do.Modify) == []

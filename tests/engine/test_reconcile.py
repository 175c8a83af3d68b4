"""Both sides compared: the broker wins, each difference is a row with a cause, no order repairs anything."""

from dataclasses import replace

from tests.engine.desk import Database, Desk, Scripted
from tradeproc.domain.answers import Known
from tradeproc.domain.broker_orders import BrokerOrder, ListedOrder, UnreadableRecord
from tradeproc.domain.orders import OrderState, OrderType, Side
from tradeproc.domain.units import SECOND, Contracts
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import StreamKind
from tradeproc.strategies.contract import Decision, ModifyOrders, OrderChange, SubmitBracket, SubmitOrder, View

BUY = SubmitOrder(Side.BUY, Contracts(1))
RESTING = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4700.0)
BRACKET = SubmitBracket(Side.BUY, Contracts(2), stop_loss=4790.0)


def rows(desk: Desk) -> list[tuple[str, str, str]]:
    return [(row.kind.value, row.ours, row.brokers) for row in desk.divergences]


def test_a_fill_that_the_stream_lost_is_found_within_seconds_and_recorded_with_its_cause() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.faults.lost_picture = 1.0

    desk.bar(seconds=15)

    assert desk.position == 1
    assert rows(desk) == [("order_filled", "pending filled 0", "filled filled 1")]
    assert desk.divergences[0].cause == "the order stream had not told it (an order should have moved)"
    assert len(desk.sent) == 1


def test_a_difference_that_the_stream_tells_a_moment_later_is_no_row() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    desk.broker.cancel("900")
    late = desk.broker.told.pop()
    desk.tell(events.ReconcileCommanded("me"))
    desk.run(1)
    assert desk.orders[0].state is OrderState.CANCELLED

    desk.tell(events.OrderUpdated(late))  # type: ignore[arg-type]
    desk.run(10)

    assert desk.divergences == []


def test_an_open_order_that_two_answers_lack_ends() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    desk.broker.orders.clear()

    desk.tell(events.ReconcileCommanded("me"))
    desk.run(2)
    assert desk.orders[0].state is OrderState.SUBMITTED
    desk.run(20)

    assert (desk.orders[0].state, desk.orders[0].reason) == (OrderState.CANCELLED, "no longer at the broker")
    assert rows(desk) == [("order_missing_at_broker", "submitted", "not listed")]


def test_an_open_order_that_is_not_ours_is_recorded_once_and_left_alone() -> None:
    other = Desk(Scripted(RESTING)).start()
    other.bar()
    desk = Desk(broker=other.broker).start()

    desk.run(700)

    assert rows(desk) == [("order_unknown_to_us", "not ours", "submitted")]
    assert desk.alarms == {"order_unknown"}
    assert desk.all_of(do.Cancel) == []
    desk.broker.cancel("900")
    desk.run(310)
    assert desk.alarms == set()


def test_orders_of_other_contracts_and_accounts_are_none_of_our_business() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    picture = desk.broker.orders["900"]
    for changes in ({"contract": "NQH24"}, {"account": "SIM2"}):
        desk.broker.orders[f"9{len(desk.broker.orders)}"] = replace(picture, broker_id="77", **changes)  # type: ignore[arg-type]

    desk.tell(events.ReconcileCommanded("me"))
    desk.run(30)

    assert desk.divergences == []


def test_a_new_life_finds_what_happened_meanwhile_and_goes_on() -> None:
    database = Database()
    first = Desk(Scripted(BRACKET), database=database).start()
    first.bar()
    first.broker.trade(first.broker.price - 20)

    second = Desk(broker=first.broker, database=database, fence=2, now=first.now + 10**10).start()

    assert second.position == 0
    assert [order.state.value for order in second.orders] == ["filled", "filled"]
    assert rows(second) == [("order_filled", "submitted filled 0", "filled filled 2")]
    assert second.divergences[0].cause == "the trader was not running"
    assert second.state.broker.is_reconciled


def test_an_order_of_an_earlier_life_that_may_have_been_sent_is_asked_about() -> None:
    sent, unsent = Desk(Scripted(BUY)).start(), Desk(Scripted(BUY)).start()
    for desk, reaches in ((sent, True), (unsent, False)):
        desk.faults.lost_request = 0.0 if reaches else 1.0
        desk.bar(seconds=0.001)
        desk.broker.told.clear()
        assert desk.database.orders["abcd7-1-1"].state is OrderState.PRE_SENT

    lives = [
        Desk(broker=desk.broker, database=desk.database, fence=2, now=desk.now + 10**9).start()
        for desk in (sent, unsent)
    ]
    for life in lives:
        life.run(40)

    assert [life.orders[0].state for life in lives] == [OrderState.FILLED, OrderState.REJECTED]
    assert [life.position for life in lives] == [1, 0]
    assert [life.sent for life in lives] == [[], []]


def test_after_a_reconnect_or_a_gap_both_are_asked_at_once() -> None:
    desk = Desk().start()
    desk.run(3)
    for event in (
        events.StreamChanged(StreamKind.ORDERS, is_up=True, has_gap=True),
        events.StreamChanged(StreamKind.POSITIONS, is_up=False, reason="cut"),
        events.StreamChanged(StreamKind.POSITIONS, is_up=True),
    ):
        effects = desk.tell(event)
        asked = {type(effect) for effect in effects if isinstance(effect, do.AskOrders | do.AskPosition)}
        assert asked == ({do.AskOrders, do.AskPosition} if event.is_up else set())
        desk.run(3)


def test_positions_are_asked_for_every_half_minute_and_orders_every_five_minutes() -> None:
    desk = Desk().start()
    desk.effects.clear()

    desk.run(600)

    assert len(desk.all_of(do.AskPosition)) == 20
    assert len(desk.all_of(do.AskOrders)) == 2


def test_an_answer_to_an_older_question_is_not_believed() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    number = desk.state.broker.orders.number

    for _ in range(5):
        desk.tell(events.OrdersAnswered(number - 1, Known(())))
        desk.run(20)

    assert desk.orders[0].state is OrderState.SUBMITTED


def test_fills_that_the_saved_position_does_not_hold_yet_are_counted_at_the_start() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    (fill,) = desk.database.fills.values()

    again = Desk(broker=desk.broker, fence=2, now=desk.now)
    again.tell(events.Started(tuple(desk.database.orders.values()), None, (fill,)))
    again.run(1)

    assert again.position == 1
    assert again.state.broker.is_reconciled
    assert again.divergences == []


def unreadable(broker_id: str = "", contract: str = "", account: str = "SIM1") -> UnreadableRecord:
    return UnreadableRecord(broker_id, account, contract, f"order {broker_id or '?'}: Status makes no sense")


def answer(desk: Desk, *listed: ListedOrder) -> None:
    """Let the broker answer with exactly this list for a while."""
    desk.broker.orders = {order.broker_id: order for order in listed}  # type: ignore[misc]
    desk.tell(events.ReconcileCommanded("me"))
    desk.run(11)


def test_a_question_asks_for_open_orders_by_their_ids_too() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()

    desk.tell(events.ReconcileCommanded("me"))

    assert desk.all_of(do.AskOrders)[-1].ids == ("900",)


def test_an_order_that_was_not_asked_for_by_its_id_is_never_counted_as_gone() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()

    for _ in range(5):
        desk.tell(events.ReconcileCommanded("me"))
        desk.state.broker.orders.ids = ()
        desk.tell(events.OrdersAnswered(desk.state.broker.orders.number, Known(())))
        desk.queue.clear()
        desk.run(11)

    assert desk.orders[0].state is OrderState.SUBMITTED
    assert desk.divergences == []


def test_an_order_that_is_listed_and_cannot_be_read_is_not_gone_and_people_hear_of_it() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()

    picture = desk.broker.orders["900"]
    for _ in range(4):
        answer(desk, unreadable("900", "ESH24"))

    assert desk.orders[0].state is OrderState.SUBMITTED
    assert desk.alarms == {"broker_unreadable"}
    answer(desk, picture)
    assert desk.alarms == set()


def test_what_cannot_be_read_of_other_accounts_and_contracts_is_none_of_our_business() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    picture = desk.broker.orders["900"]

    answer(desk, picture, unreadable("77", "NQH24"), unreadable("78", account="SIM2"))

    assert desk.alarms == set()


def test_an_order_whose_reply_was_lost_is_not_given_up_while_an_order_cannot_be_read() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.faults.lost_request = 1.0
    desk.bar()

    for _ in range(8):
        answer(desk, unreadable("55"))
    assert desk.orders[0].state is OrderState.PRE_SENT
    for _ in range(8):
        answer(desk)

    assert (desk.orders[0].state, desk.orders[0].reason) == (OrderState.REJECTED, "the broker does not have it")


def test_an_order_that_looks_like_the_lost_one_and_tells_no_time_is_neither_taken_nor_counted_as_absent() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.faults.lost_reply = desk.faults.lost_picture = 1.0
    desk.bar(seconds=0.001)
    (picture,) = desk.broker.orders.values()
    timeless = replace(picture, opened_at=None, doubt="OpenedDateTime '0001-01-01' makes no sense")
    assert isinstance(picture, BrokerOrder)

    for _ in range(8):
        answer(desk, timeless)
    assert desk.orders[0].state is OrderState.PRE_SENT
    assert "broker_unreadable" in desk.alarms
    answer(desk, picture)

    assert desk.orders[0].state is OrderState.FILLED


def test_a_record_of_the_stream_that_cannot_be_read_is_asked_for_once() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar(seconds=7)
    desk.effects.clear()

    for _ in range(50):
        desk.tell(events.RecordUnreadable(StreamKind.ORDERS, unreadable("900", "ESH24")))
        desk.tell(events.RecordUnreadable(StreamKind.POSITIONS, unreadable(contract="ESH24")))

    assert len(desk.all_of(do.AskOrders)) == len(desk.all_of(do.AskPosition)) == 1
    assert desk.alarms == {"broker_unreadable"}
    desk.run(3)
    assert desk.alarms == set()


def test_a_forgotten_order_of_ours_that_works_again_is_seen() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    picture = desk.broker.orders["900"]
    order_id = desk.orders[0].id
    desk.broker.cancel("900")
    desk.run(5)
    del desk.state.engine.orders[order_id]
    desk.broker.orders["900"] = picture

    desk.tell(events.ReconcileCommanded("me"))
    desk.run(10)

    assert desk.alarms == {"order_unknown"}


def test_a_picture_of_the_stream_with_a_field_that_makes_no_sense_is_applied_and_said() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar(seconds=5)
    picture = replace(desk.broker.orders["900"], state=OrderState.CANCELLED, doubt="ClosedDateTime makes no sense")

    desk.tell(events.OrderUpdated(picture))

    assert desk.orders[0].state is OrderState.CANCELLED
    assert desk.alarms == {"broker_unreadable"}


def test_a_change_that_an_earlier_life_asked_for_and_did_not_see_done_is_seen_by_the_next() -> None:
    bracket = SubmitBracket(Side.BUY, Contracts(2), stop_loss=4790.0)

    def shrink(view: View) -> Decision:
        assert view.stop_loss is not None
        return ModifyOrders((OrderChange(view.stop_loss.id, quantity=Contracts(1)),))

    first = Desk(Scripted(bracket, shrink)).start()
    first.bar()
    first.faults.lost_reply = first.faults.lost_picture = first.faults.unknown = 1.0
    first.bar(seconds=0.2)
    first.broker.told.clear()

    second = Desk(broker=first.broker, database=first.database, fence=2, now=first.now + 2 * SECOND).start()
    second.run(25)

    (stop,) = second.state.engine.open_orders
    assert (stop.quantity, stop.in_flight) == (1, None)
    assert "position_uncovered" in second.alarms
    assert second.database.latch is None

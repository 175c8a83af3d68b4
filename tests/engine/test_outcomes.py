"""Replies: accepted, refused, lost; what is lost is asked about and never sent again."""

from dataclasses import replace

import pytest

from tests.engine.desk import Desk, Scripted, candle
from tests.engine.exchange_broker import ExchangeBroker
from tradeproc.domain.answers import Known
from tradeproc.domain.broker_orders import Accepted, Refused, Unanswered
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side
from tradeproc.domain.units import SECOND, Contracts
from tradeproc.engine import effects as do
from tradeproc.engine import events, turn
from tradeproc.strategies.contract import Decision, ModifyOrders, OrderChange, SubmitBracket, SubmitOrder, View

BUY = SubmitOrder(Side.BUY, Contracts(1))
SELL = SubmitOrder(Side.SELL, Contracts(1), role=OrderRole.EXIT)
RESTING = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4700.0)
BRACKET = SubmitBracket(Side.BUY, Contracts(2), stop_loss=4790.0, profit_target=4820.0)


@pytest.mark.parametrize("echoes", [True, False])
def test_a_bracket_whose_reply_was_lost_is_found_by_id_or_by_looks_with_its_legs(echoes: bool) -> None:
    desk = Desk(Scripted(BRACKET), broker=ExchangeBroker(echoes=echoes)).start()
    desk.faults.lost_reply = 1.0

    desk.bar(seconds=10)

    assert desk.sent == ["abcd7-1-1"]
    assert [order.broker_id for order in desk.orders] == ["900", "901", "902"]
    assert [order.state.value for order in desk.orders] == ["filled", "submitted", "submitted"]
    assert desk.position == 2
    assert desk.state.engine.pending == {}
    assert desk.alarms == set()


def test_one_answer_is_enough_for_a_whole_bracket_also_when_the_broker_lists_its_legs_first() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.faults.lost_reply = desk.faults.lost_picture = desk.faults.unknown = 1.0
    desk.bar(seconds=5)
    assert [order.broker_id for order in desk.orders] == [None, None, None]

    pictures = tuple(reversed(desk.broker.orders.values()))
    desk.tell(events.OrdersAnswered(desk.state.broker.orders.number, Known(pictures)))

    assert [order.broker_id for order in desk.orders] == ["900", "901", "902"]


def test_a_leg_that_somebody_moved_before_its_reply_was_lost_is_ours_all_the_same() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.faults.lost_reply = desk.faults.lost_picture = desk.faults.unknown = 1.0
    desk.bar(seconds=5)
    stop = desk.broker.orders["901"]
    desk.broker.tell(replace(stop, stop=desk.broker.terms.price(4795 * 4)))
    desk.faults.lost_picture = desk.faults.unknown = 0.0

    desk.run(60)

    assert [order.broker_id for order in desk.orders] == ["900", "901", "902"]
    assert desk.state.engine.pending == {}
    assert "external_change" in desk.alarms


class SlowLostReplies(Desk):
    """A broker whose answers to submits are lost, which the link tells after twelve seconds."""

    def later(self, event: events.Event, delay: int | None = None) -> None:
        if isinstance(event, events.SubmitAnswered):
            event, delay = events.SubmitAnswered(event.order_id, Unanswered("no answer")), 12 * SECOND
        super().later(event, delay)


def test_an_order_that_somebody_moved_before_its_reply_was_lost_is_the_one_that_was_told_with_our_price() -> None:
    desk = SlowLostReplies(Scripted(RESTING), broker=ExchangeBroker(echoes=False)).start()
    desk.bar()
    resting = desk.broker.orders["900"]

    desk.broker.tell(replace(resting, limit=desk.broker.terms.price(4690 * 4)))
    desk.run(15)

    assert [order.broker_id for order in desk.orders] == ["900"]
    assert desk.state.engine.pending == {}
    assert "order_unknown" not in desk.alarms


@pytest.mark.parametrize(("leg", "known"), [(4690, ["900", "901"]), (4688, [None, None])])
def test_an_entry_that_was_never_told_with_our_price_is_known_by_the_terms_of_its_leg(
    leg: int, known: list[str | None]
) -> None:
    bracket = SubmitBracket(Side.BUY, Contracts(2), type=OrderType.LIMIT, limit=4700.0, stop_loss=4690.0)
    desk = SlowLostReplies(Scripted(bracket), broker=ExchangeBroker(echoes=False)).start()
    desk.faults.lost_picture = 1.0
    desk.bar(seconds=0.2)
    entry, stop = desk.broker.orders["900"], desk.broker.orders["901"]

    desk.broker.tell(replace(entry, limit=desk.broker.terms.price(4695 * 4)))
    desk.broker.tell(replace(stop, stop=desk.broker.terms.price(leg * 4)))
    desk.run(25)

    assert [order.broker_id for order in desk.orders] == known


def test_a_request_that_never_arrived_is_given_up_after_three_answers_and_not_sent_again() -> None:
    desk = Desk(Scripted(BUY, BUY)).start()
    desk.faults.lost_request = 1.0

    desk.bar(seconds=20)
    assert desk.orders[0].state is OrderState.PRE_SENT
    assert desk.alarms == {"order_unresolved"}
    desk.run(20)

    assert desk.orders[0].state is OrderState.REJECTED
    assert desk.orders[0].reason == "the broker does not have it"
    asked = [effect for effect in desk.all_of(do.AskOrders) if "unknown" in effect.reason]
    assert len(asked) >= 2
    assert desk.alarms == set()
    desk.faults.lost_request = 0.0
    desk.bar()
    assert desk.sent == ["abcd7-1-1", "abcd7-1-2"]


def test_an_unknown_answer_counts_for_nothing() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.faults.lost_request = desk.faults.unknown = 1.0

    desk.bar(seconds=200)

    assert desk.orders[0].state is OrderState.PRE_SENT
    assert "order_unresolved" in desk.alarms


def test_an_order_that_comes_after_it_was_given_up_is_booked_recorded_and_cancelled() -> None:
    desk = Desk(Scripted(RESTING, BUY)).start()
    desk.faults.lost_request = 1.0
    desk.bar(seconds=60)
    assert desk.orders[0].state is OrderState.REJECTED
    desk.faults.lost_request = 0.0
    (send,) = desk.all_of(do.Send)
    desk.broker.now = desk.orders[0].created_at

    desk.broker.place(send.request)
    desk.tell(events.ReconcileCommanded("me"))
    desk.run(1)
    desk.bar(seconds=0.5)
    assert desk.orders[0].broker_id == "900"
    desk.run(10)

    assert desk.broker.orders["900"].state is OrderState.CANCELLED
    assert [row.kind.value for row in desk.divergences] == ["order_state"]
    assert desk.orders[0].state is OrderState.REJECTED
    desk.run(5)
    assert "order_reappeared" not in desk.alarms


def test_a_twin_that_somebody_else_holds_is_not_taken() -> None:
    desk = Desk(Scripted(RESTING, RESTING)).start()
    desk.bar()
    desk.faults.lost_request = 1.0

    desk.bar(seconds=40)

    assert [(order.state.value, order.broker_id) for order in desk.orders] == [
        ("submitted", "900"),
        ("rejected", None),
    ]


@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_bracket_whose_reply_was_lost_is_the_order_with_legs_and_not_what_somebody_bought_meanwhile(
    is_streamed: bool,
) -> None:
    desk = Desk(Scripted(BRACKET), broker=ExchangeBroker(echoes=False)).start()
    desk.faults.lost_reply = desk.faults.lost_picture = desk.faults.unknown = 1.0
    desk.bar(seconds=1)
    ours = dict(desk.broker.orders)
    desk.broker.by_hand(2)
    (theirs,) = (each for broker_id, each in desk.broker.orders.items() if broker_id not in ours)
    desk.run(5)

    if is_streamed:
        desk.tell(events.OrderUpdated(theirs))
    desk.tell(events.OrdersAnswered(desk.state.broker.orders.number, Known((theirs, *ours.values()))))

    assert [order.broker_id for order in desk.orders] == ["900", "901", "902"]


@pytest.mark.parametrize("copies", [1, 2])
def test_a_refusal_ends_the_bracket_and_a_second_one_changes_nothing(copies: int) -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.broker.rejects = True
    desk.bar()

    for _ in range(copies - 1):
        desk.tell(events.SubmitAnswered("abcd7-1-1", Refused("no")))

    assert {order.state for order in desk.orders} == {OrderState.REJECTED}
    assert {order.reason for order in desk.orders} == {"no"}
    assert desk.alarms == set()


def test_a_submit_that_was_surely_not_sent_is_over_at_once() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.next_outcome = Unanswered("no connection", was_sent=False)

    desk.bar()

    assert desk.orders[0].state is OrderState.REJECTED
    assert desk.state.engine.pending == {}


def test_a_reply_that_contradicts_the_stream_is_kept_and_raises_an_alarm() -> None:
    desk = Desk(Scripted(RESTING), broker=ExchangeBroker(echoes=True)).start()
    desk.tell(events.CandleReceived(candle(desk.candles)))
    desk.tell(events.Persisted(1))
    working = desk.broker.orders["900"]
    desk.tell(events.OrderUpdated(replace(working)))

    desk.tell(events.SubmitAnswered("abcd7-1-1", Refused("no")))

    assert desk.orders[0].state is OrderState.SUBMITTED
    assert desk.alarms == {"illegal_transition"}
    assert desk.database.events[-1].what == "illegal_refused"
    desk.tell(events.ReconcileCommanded("me"))
    assert desk.alarms == set()


def test_accepted_without_the_ids_of_the_legs_learns_them_by_asking() -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.tell(events.CandleReceived(candle(desk.candles)))
    desk.tell(events.Persisted(1))
    desk.queue.clear()

    desk.tell(events.SubmitAnswered("abcd7-1-1", Accepted({"abcd7-1-1": "900"})))
    desk.run(6)

    assert [order.broker_id for order in desk.orders] == ["900", "901", "902"]
    assert desk.orders[1].state is OrderState.SUBMITTED


def test_a_reply_for_an_order_that_is_not_ours_is_no_harm() -> None:
    desk = Desk().start()

    desk.tell(events.SubmitAnswered("abcd9-9-9", Accepted({})))
    desk.tell(events.CancelAnswered("abcd9-9-9", Accepted({})))

    assert desk.orders == []


def test_a_change_whose_reply_was_lost_is_settled_by_asking() -> None:
    def trail(view: View) -> Decision:
        assert view.stop_loss is not None
        return ModifyOrders((OrderChange(view.stop_loss.id, stop=4795.0),))

    desk = Desk(Scripted(BRACKET, trail)).start()
    desk.bar()
    desk.faults.lost_request = 1.0

    desk.bar(seconds=4)
    assert desk.orders[1].in_flight == "modify"
    desk.run(20)

    assert desk.orders[1].in_flight is None
    assert desk.setup.instrument.price(desk.orders[1].stop or 0) == 4790
    assert desk.database.events[-1].what == "modify_not_done"


def test_an_order_that_was_forgotten_is_not_taken_for_one_that_was_given_up() -> None:
    desk = Desk(Scripted(BUY, BUY)).start()
    desk.bar(seconds=5)
    desk.faults.lost_request = 1.0
    desk.bar(seconds=60)
    first, given_up = desk.orders
    assert (first.state, given_up.state) == (OrderState.FILLED, OrderState.REJECTED)

    again = Desk(Scripted(), broker=desk.broker, database=desk.database, fence=2, now=desk.now)
    again.start(forgotten=[first.id])
    again.run(60)

    assert again.database.orders[given_up.id] == given_up
    assert [fill.order_id for fill in again.database.fills.values()] == [first.id]
    assert (again.position, again.divergences) == (1, [])


def test_a_long_life_forgets_orders_and_not_whose_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "KEPT_ORDERS", 1)
    desk = Desk(Scripted(BUY, SELL, BUY, SELL)).start()
    for _ in range(4):
        desk.bar(seconds=2)
    assert desk.state.broker.ids["900"] not in desk.state.engine.orders

    desk.tell(events.OrderUpdated(desk.broker.orders["900"]))

    assert desk.state.broker.strays == {}
    monkeypatch.setattr(turn, "KEPT_IDS", 2)
    desk.run(1)
    desk.strategy.plans.append(BUY)
    desk.bar(seconds=2)
    assert "900" not in desk.state.broker.ids

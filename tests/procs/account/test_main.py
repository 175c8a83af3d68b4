"""The account manager: forwards once, answers always, and asks when the streams are quiet."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from tests import bodies
from tests.actor import Actor
from tests.brokers.tradestation import examples
from tests.procs.stage import ACCOUNT, Ear, Script, Stage, picture
from tradeproc.brokers.contract import (
    SnapshotEnded,
    StreamedOrder,
    StreamedPosition,
    StreamedUnreadable,
    StreamEnded,
    UnreadableRecord,
)
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Answered, Deferred, Node, Reply
from tradeproc.bus.requests import RequestRefused
from tradeproc.bus.serving import seconds_left
from tradeproc.domain.book import Position
from tradeproc.domain.orders import OrderState, OrderType
from tradeproc.domain.units import Contracts, Price
from tradeproc.procs.account.main import Account, AccountTiming
from tradeproc.procs.feeds.account_feed import AccountFeed
from tradeproc.procs.follower import FollowerTiming
from tradeproc.protocol.link_messages import OF_ACCOUNTS
from tradeproc.testing.waiting import wait_until

LINK, ME = "link-paper.link", "session-1.account"
ORDERS, POSITIONS = f"link-paper.orders-{ACCOUNT}", f"link-paper.positions-{ACCOUNT}"
QUICK = AccountTiming(poll=0.3, rest=0.3, retry=0.3, follower=FollowerTiming(silence=0.8))
REQUEST = bodies.request_to_body(examples.request("o1"))
POSITION = Position(ACCOUNT, "ESH24", Contracts(1), Price(Decimal(4800)))


class Link:
    """The link's side: counts what it is asked; `answers` say what it answers, `held` is what it has not answered."""

    def __init__(self, stage: Stage) -> None:
        self.asked: list[tuple[str, Body]] = []
        self.patience: list[float] = []
        self.held: list[Deferred] = []
        self.answers: dict[str, Callable[[Body], Body | Deferred]] = {
            "need": lambda body: {"process": f"link-paper.{body['feed']}-{body['account']}"},
            "submit": lambda _: {"outcome": "accepted", "broker_ids": {"o1": "b1"}},
            "orders": lambda _: {"known": []},
            "balances": lambda _: {"unknown": "not now"},
        }
        self.actor: Actor = stage.enter(LINK, self._prepare)

    def _prepare(self, node: Node) -> None:
        for method in (*(method.name for method in OF_ACCOUNTS), "need"):
            node.handle(method, lambda body, method=method: self._answer(method, body))  # type: ignore[misc]

    def _answer(self, method: str, body: Body) -> Body | Deferred:
        if method != "need":
            self.asked.append((method, dict(body)))
            self.patience.append(seconds_left(body))
        answer = self.answers.get(method)
        return {"unknown": "nothing"} if answer is None else answer(body)

    def hold(self, method: str) -> None:
        """Answer no more, but keep what is asked."""

        def keep(_: Body) -> Deferred:
            self.held.append(Deferred())
            return self.held[-1]

        self.answers[method] = keep

    def count(self, method: str) -> int:
        return sum(asked == method for asked, _ in list(self.asked))


class Desk:
    """An account manager between a link and two real feeds, and an ear that hears what it tells."""

    def __init__(self, stage: Stage, timing: AccountTiming | None = None) -> None:
        self.stage, self.timing = stage, timing or QUICK
        self.link = Link(stage)
        self.orders, self.positions = Script(), Script(StreamedPosition(POSITION), SnapshotEnded())
        self.orders_feed = self.feed(ORDERS, "order", self.orders)
        self.positions_feed = self.feed(POSITIONS, "position", self.positions)
        self.account: Account
        self.actor = stage.enter(ME, self._prepare)
        self.ear = Ear(stage, ME, "order", "position", "stream", "resync", "balance")

    def feed(self, process: str, topic: str, script: Script) -> Actor:
        return self.stage.enter(process, lambda node: AccountFeed(node, topic, script.connect).feed.start())

    def _prepare(self, node: Node) -> None:
        self.account = Account(node, "paper", ACCOUNT, self.timing)

    def streams(self) -> Body:
        return self.stage.ask(ME, "streams")

    def are_up(self) -> bool:
        found = self.streams()
        return bool(found["orders"] == found["positions"] == "up")

    def submit(self, seconds: float = 7.0) -> Body:
        return self.stage.ask(ME, "submit", seconds, request=REQUEST)

    def told(self, broker_id: str) -> list[str]:
        return [body["state"] for body in self.ear.bodies("order") if body["broker_id"] == broker_id]


@pytest.fixture
def desk(on_stage: Stage) -> Desk:
    made = Desk(on_stage)
    wait_until("both streams are up", made.are_up)
    return made


def test_an_operation_is_forwarded_once_with_our_account_and_the_time_that_is_left(desk: Desk) -> None:
    assert desk.submit(seconds=7.0) == {"outcome": "accepted", "broker_ids": {"o1": "b1"}}

    (sent,) = [body for method, body in desk.link.asked if method == "submit"]
    assert sent["account"] == ACCOUNT
    assert sent["request"] == REQUEST
    assert desk.link.patience[[method for method, _ in desk.link.asked].index("submit")] <= 5.0


def test_the_time_left_travels_in_the_header_only(desk: Desk) -> None:
    desk.submit(seconds=5.0)

    (sent,) = [body for method, body in desk.link.asked if method == "submit"]
    assert sent.keys() == {"account", "request", "timeout"}
    assert sent["timeout"] == 120.0, "the same whatever is left, for links of the version before"
    assert desk.link.patience[[method for method, _ in desk.link.asked].index("submit")] <= 3.0


def test_an_operation_that_comes_too_late_is_not_sent_at_all(desk: Desk) -> None:
    """What is sent after the trader gave up would surprise it, and an exit might go out twice."""
    answer = desk.submit(seconds=0.25)

    assert (answer["outcome"], answer["was_sent"]) == ("unanswered", False)
    assert desk.link.count("submit") == 0


def test_a_link_that_dies_in_the_middle_leaves_the_operation_unanswered(desk: Desk) -> None:
    desk.link.hold("submit")
    answers: list[Body] = []
    asker = desk.stage.enter("test.asker")
    asker.do(
        lambda: asker.node.request(
            ME,
            "submit",
            {"request": REQUEST},
            seconds=4.0,
            on_reply=lambda reply: answers.append(getattr(reply, "body", {})),
        )
    )
    wait_until("the link has it", lambda: desk.link.held)

    desk.link.actor.stop()

    wait_until("an answer", lambda: answers)
    assert answers[0]["outcome"] == "unanswered"
    assert answers[0]["was_sent"]


def test_what_the_link_refuses_is_refused(desk: Desk) -> None:
    def refuse(_: Body) -> Body:
        raise RequestRefused("no such order")

    desk.link.answers["cancel"] = refuse

    assert desk.stage.ask(ME, "cancel", broker_id="b1") == {
        "outcome": "refused",
        "reason": "no such order",
    }


@pytest.mark.parametrize("seconds", [1e4, 1e9])
def test_an_asker_with_all_the_time_in_the_world_is_answered_and_kills_nobody(desk: Desk, seconds: float) -> None:
    asker, answers = desk.stage.enter("test.asker"), list[Reply]()
    asker.do(lambda: asker.node.request(ME, "submit", {"request": REQUEST}, seconds=seconds, on_reply=answers.append))

    wait_until("an answer", lambda: answers)

    assert isinstance(answers[0], Answered)
    assert desk.link.patience[[method for method, _ in desk.link.asked].index("submit")] <= 120.0
    assert desk.streams()


def test_a_question_that_nobody_answers_is_unknown_before_its_asker_gives_up(desk: Desk) -> None:
    desk.link.hold("positions")

    assert "unknown" in desk.stage.ask(ME, "positions", 4.0)


def test_pictures_and_positions_are_told_on(desk: Desk) -> None:
    desk.orders.tell(StreamedOrder(picture("b1")))
    desk.positions.tell(StreamedPosition(POSITION))

    wait_until("the order", lambda: desk.told("b1") == ["submitted"])
    wait_until("the position", lambda: bodies.position_to_body(POSITION) in desk.ear.bodies("position"))


def test_a_dropped_frame_is_found_by_asking_while_the_stream_is_quiet(desk: Desk) -> None:
    desk.orders.tell(StreamedOrder(picture("b1")))
    wait_until("it works", lambda: desk.told("b1"))
    filled = bodies.broker_order_to_body(picture("b1", OrderState.FILLED))
    desk.link.answers["orders"] = lambda _: {"known": [filled]}

    wait_until("the fill is told", lambda: desk.told("b1") == ["submitted", "filled"])

    asked = desk.link.count("orders")
    desk.actor.turns(QUICK.poll, 4)
    assert desk.told("b1") == ["submitted", "filled"]
    assert desk.link.count("orders") <= asked + 1, "nothing works any more, so nothing is asked"


def test_a_dropped_frame_is_found_by_asking_while_the_stream_tells_a_lot(desk: Desk) -> None:
    """Other orders of the account keep the stream busy; the one frame that was dropped does not come by that."""
    desk.orders.tell(StreamedOrder(picture("b1")))
    wait_until("it works", lambda: desk.told("b1"))
    filled = bodies.broker_order_to_body(picture("b1", OrderState.FILLED))
    desk.link.answers["orders"] = lambda _: {"known": [filled]}

    def told_among_others() -> bool:
        desk.orders.tell(StreamedOrder(picture("other", OrderState.CANCELLED)))
        return desk.told("b1") == ["submitted", "filled"]

    wait_until("the fill is told", told_among_others, every=QUICK.poll / 4)


def test_orders_that_rest_are_asked_for_seldom_and_sooner_once_something_is_expected(on_stage: Stage) -> None:
    desk = Desk(on_stage, replace(QUICK, rest=300.0, rest_share=4.0))
    wait_until("both streams are up", desk.are_up)
    leg = replace(picture("b2", OrderState.PENDING), parent="b1", type=OrderType.LIMIT)
    stop = replace(picture("b1"), type=OrderType.STOP)
    desk.orders.tell(StreamedOrder(stop), StreamedOrder(leg))
    wait_until("they work", lambda: desk.told("b1") and desk.told("b2"))

    asked = desk.link.count("orders")
    desk.actor.turns(QUICK.poll, 4)
    assert desk.link.count("orders") == asked
    desk.submit()
    wait_until("asked because of the operation", lambda: desk.link.count("orders") > asked)


def test_an_operation_whose_frames_never_come_makes_us_ask(desk: Desk) -> None:
    asked = desk.link.count("orders")
    desk.submit()

    wait_until("asked", lambda: desk.link.count("orders") > asked)


def test_an_answer_older_than_the_stream_changes_nothing(desk: Desk) -> None:
    desk.orders.tell(StreamedOrder(picture("b1")))
    desk.link.hold("orders")
    wait_until("asked", lambda: desk.link.held)
    desk.orders.tell(StreamedOrder(picture("b1", OrderState.FILLED)))
    wait_until("the stream is faster", lambda: "filled" in desk.told("b1"))

    old = bodies.broker_order_to_body(picture("b1"))
    other = bodies.broker_order_to_body(picture("b2"))
    desk.link.actor.do(lambda: desk.link.held[0].answer({"known": [old, other]}))

    wait_until("the answer is taken", lambda: desk.told("b2"))
    assert desk.told("b1") == ["submitted", "filled"]


def test_an_order_that_the_broker_does_not_list_any_more_is_not_asked_about_for_ever(desk: Desk) -> None:
    desk.orders.tell(StreamedOrder(picture("gone")))
    wait_until("it works", lambda: desk.told("gone"))

    wait_until("nothing works", lambda: desk.stage.ask(ME, "status")["statistics"]["working"] == 0)


def test_ended_orders_are_forgotten_in_the_end(desk: Desk) -> None:
    def tell_many() -> None:
        for number in range(2_500):
            desk.account._take_order(picture(f"b{number}", OrderState.FILLED))

    desk.actor.do(tell_many)

    assert len(desk.account._orders) <= 2_001
    assert "b2499" in desk.account._orders


def test_a_feed_forgets_ended_orders_and_keeps_those_that_work(on_stage: Stage) -> None:
    script = Script(StreamedOrder(picture("works")), SnapshotEnded())
    on_stage.enter(ORDERS, lambda node: AccountFeed(node, "order", script.connect).feed.start())
    wait_until("the feed is connected", lambda: script.connections)
    script.tell(*(StreamedOrder(picture(f"b{number}", OrderState.FILLED)) for number in range(1_100)))

    def held() -> list[str]:
        snapshot = on_stage.ask(ORDERS, "snapshot", topic="order")
        return [body["broker_id"] for body in snapshot["orders"]]

    wait_until("all are told", lambda: "b1099" in held())
    assert held() == ["works", *(f"b{number}" for number in range(100, 1_100))]
    broken = [UnreadableRecord(f"u{number}", ACCOUNT, "ESH24", "Status makes no sense") for number in range(1_100)]
    script.tell(*(StreamedUnreadable(each) for each in broken))
    wait_until("the broken ones too", lambda: "u1099" in held())
    assert held() == ["works", *(f"u{number}" for number in range(100, 1_100))]


def test_a_stream_that_is_cut_is_told_down_and_everything_is_told_again_when_it_is_back(desk: Desk) -> None:
    desk.orders.first = (StreamedOrder(picture("b1")), StreamedOrder(picture("b2")), SnapshotEnded())
    resyncs, states = len(desk.ear.bodies("resync")), len(desk.ear.bodies("stream"))
    desk.orders.tell(StreamEnded("cut", is_polite=False))

    wait_until("down", lambda: any(body["orders"] == "down" for body in desk.ear.bodies("stream")[states:]))
    wait_until("up again", desk.are_up)
    wait_until("told", lambda: desk.told("b1") and desk.told("b2"))
    wait_until("that was all", lambda: {"feed": "orders"} in desk.ear.bodies("resync")[resyncs:])
    down = next(body for body in desk.ear.bodies("stream")[states:] if body["orders"] == "down")
    assert "cut" in down["reason"]
    assert down["positions"] == "up"


def test_a_feed_that_is_stopped_is_silent_and_down_until_it_goes_on(desk: Desk) -> None:
    go_on = desk.positions_feed.hold()
    wait_until("silence is noticed", lambda: "silent" in desk.streams()["reason"])
    assert desk.streams()["orders"] == "up"

    go_on.set()

    wait_until("up again", desk.are_up)


def test_garbage_from_link_and_feeds_kills_nobody(desk: Desk) -> None:
    desk.link.answers |= {
        "need": lambda _: {"process": 5},
        "orders": lambda _: {"known": [{"broker_id": 1}]},
        "balances": lambda _: {"known": "much"},
    }
    feed = desk.orders_feed.node
    desk.orders_feed.do(lambda: feed.publish("order", {"what": "garbage"}))
    desk.orders_feed.do(lambda: feed.publish("stream", {}))
    desk.orders_feed.do(lambda: feed.snapshot("order", lambda _: {"up": True}))
    desk.orders_feed.do(feed.renew_epoch)
    desk.submit()
    asked = desk.link.count("orders")
    wait_until("it asks on", lambda: desk.link.count("orders") > asked + 1)

    assert desk.streams()["orders"] == "down"
    assert desk.streams()["positions"] == "up"


def test_working_orders_are_asked_for_by_their_ids_and_what_cannot_be_read_still_works(desk: Desk) -> None:
    broken = UnreadableRecord("b1", ACCOUNT, "ESH24", "order b1: Status makes no sense")
    desk.link.answers["orders"] = lambda _: {"known": [bodies.unreadable_to_body(broken)]}
    desk.orders.tell(StreamedOrder(picture("b1")), StreamedUnreadable(broken))

    wait_until("told on", lambda: bodies.unreadable_to_body(broken) in desk.ear.bodies("order"))
    wait_until("asked twice", lambda: desk.link.count("orders") >= 2)
    assert ("orders", {"account": ACCOUNT, "ids": ["b1"], "within": QUICK.share}) in desk.link.asked
    assert desk.stage.ask(ME, "status")["statistics"]["working"] == 1

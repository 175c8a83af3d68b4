"""Link, feeds and account manager together over a real broker server: what it loses on the way is found by asking."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests import bodies
from tests.procs.stage import Ear, Stage
from tradeproc.brokers.contract import Environment, Login
from tradeproc.brokers.registry import broker
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.domain.broker_orders import OrderRequest
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.units import Contracts
from tradeproc.procs.account.main import Account, AccountTiming
from tradeproc.procs.feeds.account_feed import AccountFeed
from tradeproc.procs.link.main import Link
from tradeproc.testing.brokers import LocalTokens, RunningBroker, running_local_broker
from tradeproc.testing.waiting import wait_until

ME, LINK = "session-1.account", "link-paper.link"
ACCOUNTS = [f"SIM{number:07}F" for number in range(1, 5)]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningBroker]:
    with running_local_broker(paused=True, accounts=ACCOUNTS) as started:
        yield started


@dataclass
class Desk:
    """One account of the running broker, and everything of ours between it and a trader."""

    stage: Stage
    running: RunningBroker
    account: str

    def __post_init__(self) -> None:
        tradestation = broker("tradestation")
        login = Login("paper", "tradestation", Environment.PAPER, f"{self.running.url}/v3", self.running.url)
        tokens = LocalTokens(self.running)

        def link(node: Node) -> None:
            Link(node, tradestation.account_manager(login, tokens), None)
            node.handle("need", lambda body: {"process": f"link-paper.{body['feed']}-{self.account}"})

        streams = {"order": tradestation.order_stream, "position": tradestation.position_stream}
        for topic, stream in streams.items():
            self.stage.enter(
                f"link-paper.{topic}s-{self.account}",
                lambda node, topic=topic, stream=stream: AccountFeed(  # type: ignore[misc]
                    node, topic, lambda: stream(login, tokens, self.account)
                ).feed.start(),
            )
        self.stage.enter(LINK, link)
        self.stage.enter(ME, lambda node: Account(node, "paper", self.account, AccountTiming(poll=0.5)))
        self.ear = Ear(self.stage, ME, "order", "position", "stream")
        wait_until("both streams are up", lambda: self.streams() == ("up", "up"))

    def streams(self) -> tuple[str, str]:
        found = self.stage.ask(ME, "streams")
        return found["orders"], found["positions"]

    def submit(self, order_id: str, seconds: float = 7.0) -> Body:
        request = OrderRequest(
            order_id, Contract.parse("ESH24"), Side.BUY, Contracts(1), OrderType.MARKET, OrderRole.ENTRY
        )
        body = bodies.request_to_body(request)
        return self.stage.ask(ME, "submit", seconds, request=body)

    def is_filled(self) -> bool:
        return any(body["state"] == "filled" for body in self.ear.bodies("order"))

    def taken(self) -> int:
        return sum(order["account"] == self.account for order in self.running.control.ledger()["orders"])


@pytest.fixture
def desk(on_stage: Stage, running: RunningBroker, request: pytest.FixtureRequest) -> Iterator[Desk]:
    yield Desk(on_stage, running, request.param)
    running.control.clear_faults()


@pytest.mark.parametrize("desk", ACCOUNTS[:1], indirect=True)
def test_an_order_is_sent_filled_and_told_with_the_position_it_made(desk: Desk) -> None:
    answer = desk.submit("aaaa1-1-1")

    assert answer["outcome"] == "accepted"
    wait_until("the fill", desk.is_filled)
    wait_until("the position", lambda: [body["quantity"] for body in desk.ear.bodies("position")][-1:] == [1])


@pytest.mark.parametrize("desk", ACCOUNTS[1:2], indirect=True)
def test_frames_that_the_broker_drops_while_its_heartbeats_go_on_are_found_by_asking(desk: Desk) -> None:
    desk.running.control.fault("drop_order_frames", account=desk.account)

    assert desk.submit("aaaa1-1-2")["outcome"] == "accepted"

    wait_until("the fill", desk.is_filled)
    assert desk.streams() == ("up", "up")


@pytest.mark.parametrize("desk", ACCOUNTS[2:3], indirect=True)
def test_an_order_whose_answer_is_lost_is_unanswered_and_told_by_the_stream_and_never_sent_again(desk: Desk) -> None:
    desk.running.control.fault("accept_then_time_out", target="place", account=desk.account)

    answer = desk.submit("aaaa1-1-3", 4.0)

    assert (answer["outcome"], answer["was_sent"]) == ("unanswered", True)
    wait_until("the fill", desk.is_filled)
    assert desk.submit("aaaa1-1-3")["outcome"] == "unanswered"
    assert desk.taken() == 1


@pytest.mark.parametrize("desk", ACCOUNTS[3:], indirect=True)
def test_streams_that_are_cut_come_back_by_themselves(desk: Desk) -> None:
    desk.running.control.fault("cut", target="stream", account=desk.account, count=2)

    def was_down(kind: str) -> bool:
        return any(body[kind] == "down" for body in desk.ear.bodies("stream"))

    wait_until("both were cut", lambda: was_down("orders") and was_down("positions"))
    wait_until("both are up again", lambda: desk.streams() == ("up", "up"))
    assert desk.submit("aaaa1-1-4")["outcome"] == "accepted"
    wait_until("the fill", desk.is_filled)

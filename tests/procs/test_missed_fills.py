"""Sixteen account managers on one login, at a broker that answers little and a stream that drops a frame."""

import time
from collections.abc import Sequence

from tests.procs.link.test_main import Broker
from tests.procs.stage import ACCOUNT, Ear, Script, Stage, picture
from tradeproc.brokers.contract import BrokerOrder, QuestionKind, Quota, SnapshotEnded, StreamedOrder
from tradeproc.bus.node import Node
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.orders import OrderState
from tradeproc.procs.account.main import Account, AccountTiming
from tradeproc.procs.feeds.account_feed import AccountFeed
from tradeproc.procs.link.main import Link
from tradeproc.testing.waiting import wait_until

SESSIONS = 16
QUOTA = Quota(40, 60.0)


class Strict(Broker):
    """Answers as many questions for orders as its quota says, and refuses all others."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []
        self.refused = 0

    def quota(self, _kind: QuestionKind) -> Quota:
        return QUOTA

    def requests_made(self, _kind: QuestionKind) -> int:
        return len(self.at) + self.refused

    def orders(self, account: str, ids: Sequence[str] = ()) -> Answer[Sequence[BrokerOrder]]:
        now = time.monotonic()
        if sum(now - at < QUOTA.seconds for at in self.at) >= QUOTA.questions:
            self.refused += 1
            return Unknown("too many questions")
        self.at.append(now)
        return Known(self.listed)


def test_sixteen_sessions_of_a_login_hear_of_a_fill_that_the_stream_dropped_within_its_quota(on_stage: Stage) -> None:
    broker, ids = Strict(), [str(number) for number in range(SESSIONS)]
    broker.listed = tuple(picture(each) for each in ids)
    working, positions = Script(SnapshotEnded()), Script(SnapshotEnded())

    def link(node: Node) -> None:
        Link(node, broker, None)
        node.handle("need", lambda body: {"process": f"link-paper.{body['feed']}-{body['account']}"})

    for feed, topic, script in (("orders", "order", working), ("positions", "position", positions)):
        on_stage.enter(
            f"link-paper.{feed}-{ACCOUNT}",
            lambda node, topic=topic, script=script: AccountFeed(node, topic, script.connect).feed.start(),  # type: ignore[misc]
        )
    on_stage.enter("link-paper.link", link)
    names = [f"session-{number}.account" for number in range(1, SESSIONS + 1)]
    for name in names:
        on_stage.enter(name, lambda node: Account(node, "paper", ACCOUNT, AccountTiming(rest=5.0, rest_share=1.0)))
    ears = [Ear(on_stage, name, "order") for name in names]

    def all_heard(state: OrderState) -> bool:
        told = [{body["broker_id"] for body in ear.bodies("order") if body["state"] == state.value} for ear in ears]
        return all(each == set(ids) for each in told)

    # the stream is up and tells that the orders work; then they fill, and it does not say so
    working.tell(*(StreamedOrder(order) for order in broker.listed))
    wait_until("all work", lambda: all_heard(OrderState.SUBMITTED))
    broker.listed = tuple(picture(each, OrderState.FILLED) for each in ids)
    asked, since = len(broker.at), time.monotonic()

    wait_until("all are told as filled", lambda: all_heard(OrderState.FILLED))

    assert broker.refused == 0
    assert len(broker.at) - asked <= 3 + (time.monotonic() - since) / 5, "one question answers all sixteen"

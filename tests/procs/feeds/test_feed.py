"""A feed: connected again for as long as it lives, without hammering the broker, and dead when that cannot help."""

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.bodies import listed_order_from_body
from tests.procs.stage import Ear, Script, Stage, picture
from tradeproc.brokers.contract import (
    SnapshotEnded,
    Stream,
    StreamedOrder,
    StreamedUnreadable,
    StreamEnded,
    StreamEvent,
    UnreadableRecord,
)
from tradeproc.domain.units import Nanos
from tradeproc.errors import Halt
from tradeproc.procs.feeds.account_feed import AccountFeed
from tradeproc.procs.feeds.feed import FeedTiming, StreamIsOver
from tradeproc.testing.waiting import wait_until

FEED = "link-paper.orders-SIM1"


class Refusing:
    """A broker that politely ends every connection at once."""

    def __init__(self) -> None:
        self.connected_at: list[float] = []

    def connect(self) -> Stream:
        self.connected_at.append(time.monotonic())
        return self

    def __iter__(self) -> Iterator[StreamEvent]:
        yield SnapshotEnded()
        yield StreamEnded("go away", is_polite=True)

    def close(self) -> None:
        """Nothing is open."""


def test_a_broker_that_ends_every_connection_politely_is_not_hammered(on_stage: Stage) -> None:
    broker = Refusing()
    on_stage.enter(FEED, lambda node: AccountFeed(node, "order", broker.connect).feed.start())

    wait_until("five connections", lambda: len(broker.connected_at) >= 5)

    pauses = [later - earlier for earlier, later in pairwise(broker.connected_at[:5])]
    assert all(pause >= least for pause, least in zip(pauses, [0.25, 0.375, 0.5625, 0.84375], strict=True)), pauses


def test_every_connection_is_a_new_epoch_and_the_copy_is_incomplete_until_the_broker_has_told_all(
    on_stage: Stage,
) -> None:
    script = Script(StreamedOrder(picture("b1")), SnapshotEnded())
    feed = on_stage.enter(FEED, lambda node: AccountFeed(node, "order", script.connect).feed.start())
    ear = Ear(on_stage, FEED, "stream")

    def snapshot() -> dict[str, object]:
        return on_stage.ask(FEED, "snapshot", topic="order")

    wait_until("complete", lambda: snapshot()["complete"])
    epoch = feed.node.epoch
    script.first = (StreamedOrder(picture("b1")),)
    script.tell(StreamEnded("cut"))
    wait_until("connected again", lambda: feed.node.epoch > epoch and snapshot()["orders"])
    found = snapshot()
    assert (found["complete"], found["up"]) == (False, False)

    script.tell(SnapshotEnded())
    wait_until("complete again", lambda: snapshot()["complete"] and snapshot()["up"])
    wait_until("told", lambda: [body["state"] for body in ear.bodies("stream")][-2:] == ["down", "up"])


def test_a_bug_in_the_brokers_code_is_an_end_of_the_stream_and_not_of_the_feed(on_stage: Stage) -> None:
    script, calls = Script(), [0]

    def connect() -> Stream:
        calls[0] += 1
        if calls[0] == 1:
            raise ZeroDivisionError("a bug")
        return script.connect()

    on_stage.enter(FEED, lambda node: AccountFeed(node, "order", connect).feed.start())

    wait_until("up", lambda: on_stage.ask(FEED, "status")["statistics"]["up"])


class Revoked(Halt):
    """The login is gone."""


@pytest.mark.parametrize("way", ["told", "raised"])
def test_what_connecting_again_cannot_mend_ends_the_feed_for_a_person_to_look_at(on_stage: Stage, way: str) -> None:
    script = Script(StreamEnded("unknown symbol", is_fatal=True))

    def connect() -> Stream:
        if way == "raised":
            raise Revoked("log in again")
        return script.connect()

    feed = on_stage.enter(FEED, lambda node: AccountFeed(node, "order", connect).feed.start())
    feed.join()

    assert isinstance(feed.error, StreamIsOver)
    assert isinstance(feed.error, Halt)


def test_a_reader_that_is_stuck_in_the_brokers_code_shows_in_the_heartbeat(on_stage: Stage) -> None:
    never = threading.Event()

    def connect() -> Stream:
        never.wait()
        raise AssertionError

    timing = FeedTiming(stuck=0.5)
    on_stage.enter(FEED, lambda node: AccountFeed(node, "order", connect, timing).feed.start())

    wait_until("it shows", lambda: on_stage.ask(FEED, "status")["statistics"].get("stuck_threads") == ["stream"])
    never.set()


def test_a_feed_ends_at_once_while_its_stream_waits(on_stage: Stage) -> None:
    script = Script()
    feed = on_stage.enter(FEED, lambda node: AccountFeed(node, "order", script.connect).feed.start())
    wait_until("connected", lambda: script.connections)

    feed.stop()

    wait_until("the reader ended", lambda: "stream" not in {thread.name for thread in threading.enumerate()})


def test_an_order_that_cannot_be_passed_on_ends_its_stream_and_not_the_feed(on_stage: Stage) -> None:
    bad = picture("b2", opened_at=Nanos(2**64))
    script = Script(StreamedOrder(picture("b1")), SnapshotEnded())
    feed = on_stage.enter(FEED, lambda node: AccountFeed(node, "order", script.connect).feed.start())
    ear = Ear(on_stage, FEED, "stream")

    def snapshot() -> dict[str, Any]:
        return on_stage.ask(FEED, "snapshot", topic="order")

    wait_until("complete", lambda: snapshot()["complete"])
    script.tell(StreamedOrder(bad), StreamedOrder(picture("b3")))

    wait_until("connected again", lambda: len(script.connections) == 2 and snapshot()["complete"])
    assert [order["broker_id"] for order in snapshot()["orders"]] == ["b1"]
    wait_until("told", lambda: any("cannot be" in body["reason"] for body in ear.bodies("stream")))
    assert feed.is_alive


def test_an_order_that_cannot_be_read_is_told_in_its_place(on_stage: Stage) -> None:
    broken = UnreadableRecord("b2", "SIM1", "ESH24", "order b2: Status makes no sense")
    script = Script(
        StreamedOrder(picture("b1")), StreamedOrder(picture("b2")), StreamedUnreadable(broken), SnapshotEnded()
    )
    on_stage.enter(FEED, lambda node: AccountFeed(node, "order", script.connect).feed.start())

    found = wait_until(
        "complete", lambda: (told := on_stage.ask(FEED, "snapshot", topic="order"))["complete"] and told
    )

    assert [listed_order_from_body(body) for body in found["orders"]] == [picture("b1"), broken]

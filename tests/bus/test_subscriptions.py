"""What a subscriber hears, and how it learns what it did not hear."""

from collections.abc import Callable
from typing import Any

import zmq

from tests.actor import Actor
from tests.bodies import position_from_body
from tests.bus.conftest import Bare, wait_until
from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Envelope, encode_published
from tradeproc.bus.node import Node

Start = Callable[..., Actor]
HOUR = 3600.0


class Listener:
    """Subscribes and keeps the story in order: a resync's reason or a message's number."""

    def __init__(self, process: str = "core.pub", topic: str = "t") -> None:
        self.process, self.topic = process, topic
        self.story: list[str | int] = []
        self.messages: list[Envelope] = []

    def __call__(self, node: Node) -> None:
        node.subscribe(self.process, self.topic, self._hear, self.story.append)

    def _hear(self, envelope: Envelope) -> None:
        self.story.append(envelope.sequence)
        self.messages.append(envelope)


class Far:
    """A publisher played by the test, which can leave messages out."""

    def __init__(self, bare: Bare, directory: Directory) -> None:
        self.socket = bare(zmq.XPUB)
        self.socket.bind(directory.pub("core.pub"))
        self._directory = directory

    def wait_for_subscribers(self, subscriptions: int = 2) -> None:
        for _ in range(subscriptions):
            assert self.socket.poll(10_000)
            self.socket.recv()

    def say(self, topic: str, sequence: int, epoch: int = 1, body: dict[str, Any] | None = None) -> None:
        self.socket.send_multipart(encode_published(topic.encode(), epoch, sequence, 0, body or {}))

    def beat(self, topics: dict[str, int], epoch: int = 1) -> None:
        self.say("heartbeat", 1, epoch, {"topics": topics})


def test_a_message_arrives_as_it_was_published(start: Start) -> None:
    listener = Listener(topic="candle")
    publisher = start("core.pub")
    start("core.sub", listener)
    wait_until(lambda: listener.story == ["start"])

    publisher.do(lambda: publisher.node.publish("candle", {"close": 4500.25}))

    wait_until(lambda: listener.messages)
    told = listener.messages[0]
    assert (told.publisher, told.topic, told.sequence, told.body) == ("core.pub", "candle", 1, {"close": 4500.25})
    assert told.epoch == publisher.node.epoch


def test_a_newcomer_is_greeted_at_once_not_at_the_next_heartbeat(start: Start) -> None:
    start("core.pub", heartbeat_seconds=HOUR)
    listener = Listener()

    start("core.sub", listener)

    wait_until(lambda: listener.story == ["start"])


def test_a_second_topic_of_a_known_publisher_starts_once_and_without_a_gap(start: Start) -> None:
    publisher = start("core.pub", heartbeat_seconds=HOUR)
    for _ in range(5):
        publisher.do(lambda: publisher.node.publish("late", {}))
    first, second = Listener(topic="t"), Listener(topic="late")
    subscriber = start("core.sub", first)
    wait_until(lambda: first.story == ["start"])

    subscriber.do(lambda: second(subscriber.node))
    wait_until(lambda: second.story == ["start"])
    publisher.do(lambda: publisher.node.publish("late", {}))

    wait_until(lambda: len(second.story) > 1)
    assert second.story == ["start", 6]
    assert first.story == ["start"]


def test_a_dropped_message_shows_at_the_next_one(start: Start, directory: Directory, bare: Bare) -> None:
    far, listener = Far(bare, directory), Listener()
    start("core.sub", listener)
    far.wait_for_subscribers()

    for sequence in (1, 2, 4, 5):
        far.say("t", sequence)

    wait_until(lambda: listener.story[-1:] == [5])
    assert listener.story == ["start", 1, 2, "gap", 4, 5]


def test_a_dropped_last_message_shows_at_the_heartbeat(start: Start, directory: Directory, bare: Bare) -> None:
    far, listener, other = Far(bare, directory), Listener(), Listener(topic="other")

    def prepare(node: Node) -> None:
        listener(node)
        other(node)

    start("core.sub", prepare)
    far.wait_for_subscribers(3)

    far.beat({"t": 0})
    far.say("t", 1)
    far.beat({"t": 2, "unheard": 9})
    far.beat({"t": 2, "unheard": 9})
    far.say("t", 3)

    wait_until(lambda: listener.story[-1:] == [3])
    assert listener.story == ["start", 1, "gap", 3]
    assert other.story == ["start"]


def test_a_new_epoch_is_told_before_its_first_message(start: Start, directory: Directory, bare: Bare) -> None:
    far, listener = Far(bare, directory), Listener()
    start("core.sub", listener)
    far.wait_for_subscribers()

    far.say("t", 1, epoch=7)
    far.say("t", 1, epoch=3)
    far.say("t", 2, epoch=3)

    wait_until(lambda: listener.story[-1:] == [2])
    assert listener.story == ["start", 1, "epoch", 1, 2]


def test_a_repeated_message_is_dropped(start: Start, directory: Directory, bare: Bare) -> None:
    far, listener = Far(bare, directory), Listener()
    start("core.sub", listener)
    far.wait_for_subscribers()

    for sequence in (1, 2, 2, 1, 3):
        far.say("t", sequence)

    wait_until(lambda: listener.story[-1:] == [3])
    assert listener.story == ["start", 1, 2, 3]


def test_a_publisher_that_renews_its_epoch_tells_idle_subscribers_at_once(start: Start) -> None:
    publisher, listener = start("core.pub", heartbeat_seconds=HOUR), Listener()
    start("core.sub", listener)
    wait_until(lambda: listener.story == ["start"])

    publisher.do(publisher.node.renew_epoch)

    wait_until(lambda: listener.story == ["start", "epoch"])


def test_garbage_from_a_publisher_is_survived(start: Start, directory: Directory, bare: Bare) -> None:
    far, listener = Far(bare, directory), Listener()
    subscriber = start("core.sub", listener)
    far.wait_for_subscribers()

    for frames in (
        [b"t"],
        [b"t", b"", b""],
        [b"t", b"x" * 25, b"{}"],
        [b"t\xff", *encode_published(b"t", 1, 1, 1, {})[1:]],
    ):
        far.socket.send_multipart(frames)
    far.say("heartbeat", 1, body={"topics": "many"})
    far.say("heartbeat", 1, body={"topics": {"t": None}})
    far.say("t", 1)

    wait_until(lambda: listener.story[-1:] == [1])
    assert subscriber.do(lambda: subscriber.node._status()).statistics["bus"]["garbage"] == 6
    assert listener.story == ["start", 1]


def test_a_message_that_a_listener_refuses_is_counted_and_the_next_one_heard(start: Start) -> None:
    publisher, heard = start("core.pub"), Listener()
    started = list[str]()

    def refuse(envelope: Envelope) -> None:
        position_from_body(envelope.body)

    def prepare(node: Node) -> None:
        node.subscribe("core.pub", "t", refuse, started.append)
        heard(node)

    subscriber = start("core.sub", prepare)
    wait_until(lambda: started and heard.story)

    publisher.do(lambda: publisher.node.publish("t", {"account": 1}))
    publisher.do(lambda: publisher.node.publish("t", {"account": 2}))

    wait_until(lambda: heard.story == ["start", 1, 2])
    asker = start("core.ask")
    body = asker.do(lambda: asker.node.call("core.sub", "status", {}, seconds=10))
    assert body["statistics"]["bus"]["refused"] == 2
    assert subscriber.node.exit_status == 0


def test_nothing_comes_after_unsubscribing_and_a_new_subscription_starts_again(start: Start) -> None:
    publisher, listener = start("core.pub"), Listener()
    subscriber = start("core.sub", listener)
    wait_until(lambda: listener.story == ["start"])

    subscriber.do(lambda: subscriber.node.unsubscribe("core.pub", "t"))
    publisher.do(lambda: publisher.node.publish("t", {}))
    again = Listener()
    subscriber.do(lambda: again(subscriber.node))
    wait_until(lambda: again.story == ["start"])

    assert listener.story == ["start"]


def test_a_publisher_never_waits_for_a_subscriber_that_does_not_read(start: Start) -> None:
    publisher, listener = start("core.pub"), Listener()
    subscriber = start("core.sub", listener)
    wait_until(lambda: listener.story == ["start"])
    body = {"text": "x" * 500}

    def flood() -> None:
        for _ in range(60_000):
            publisher.node.publish("t", body)

    # the subscriber's loop stands still until the flood is over: far more than its queues can hold
    subscriber.node.post(lambda: publisher.do(flood))

    wait_until(lambda: "gap" in listener.story, "the loss is told")
    wait_until(lambda: publisher.do(lambda: True))
    assert len(listener.messages) < 60_000


def test_silence_is_measured_from_the_last_thing_heard(start: Start) -> None:
    subscriber = start("core.sub", Listener())
    assert subscriber.do(lambda: subscriber.node.silent_for("core.pub")) == float("inf")

    publisher = start("core.pub")
    wait_until(lambda: subscriber.do(lambda: subscriber.node.silent_for("core.pub")) < 60)
    publisher.stop()
    wait_until(lambda: subscriber.do(lambda: subscriber.node.silent_for("core.pub")) > 0.2)

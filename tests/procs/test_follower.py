"""Following a feed: never believed while it is silent, incomplete or new, and always found again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.actor import Actor
from tests.procs.stage import Script, Stage, picture
from tradeproc.brokers.contract import SnapshotEnded, StreamedOrder
from tradeproc.bus.codec import Body, Envelope
from tradeproc.bus.node import Node
from tradeproc.errors import Halt, Refusal
from tradeproc.procs.feeds.account_feed import AccountFeed
from tradeproc.procs.follower import Follower, FollowerTiming
from tradeproc.protocol.codec import BadMessage
from tradeproc.protocol.feed_messages import ORDER, STREAM, ListedOrders, StreamBody
from tradeproc.protocol.link_messages import Need
from tradeproc.testing.waiting import wait_until

LINK, FEED = "link-paper.link", "link-paper.orders-SIM1"
ROOT = Path(__file__).parents[2]


class Busy(Refusal):
    """The link cannot start a feed now."""


class Desk:
    """A follower between a link that names the feed and the feed itself."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.timing = FollowerTiming(silence=0.8, retry=0.1)
        self.process: Any = FEED
        self.is_busy = False
        self.asked: list[Body] = []
        self.snapshots: list[Body] = []
        self.messages: list[Envelope] = []
        self.states: list[tuple[bool, str]] = []
        self.refuses = False
        self.never = ""

    def link(self) -> Actor:
        def need(body: Body) -> Body:
            self.asked.append(dict(body))
            if self.is_busy:
                raise Busy("no feed now")
            return {"never": self.never} if self.never else {"process": self.process}

        return self.stage.enter(LINK, lambda node: node.handle("need", need))

    def feed(self, script: Script, process: str = FEED) -> Actor:
        return self.stage.enter(process, lambda node: AccountFeed(node, "order", script.connect).feed.start())

    def follow(self) -> Actor:
        def begin(node: Node) -> None:
            self.follower = Follower(
                node,
                LINK,
                ORDER,
                Need("orders", node.name, account="SIM1"),
                self.messages.append,
                self._snapshot,
                lambda: self.states.append((self.follower.is_up, self.follower.reason)),
                self.timing,
            )

        return self.stage.enter("session-1.account", begin)

    def _snapshot(self, told: ListedOrders) -> None:
        if self.refuses:
            raise BadMessage("order", "garbage")
        self.snapshots.append(ORDER.snapshot_codec.plain(told))

    def is_up(self) -> bool:
        return self.follower.is_up

    def reason(self) -> str:
        return self.follower.reason


@pytest.fixture
def desk(on_stage: Stage) -> Desk:
    return Desk(on_stage)


def test_the_whole_copy_is_told_before_the_stream_counts_as_up(desk: Desk) -> None:
    desk.link()
    desk.feed(Script(StreamedOrder(picture("b1")), SnapshotEnded()))
    desk.follow()

    wait_until("up", lambda: desk.states)

    assert desk.states == [(True, "")]
    assert [order["broker_id"] for order in desk.snapshots[-1]["orders"]] == ["b1"]
    assert desk.asked[0]["who"] == "session-1.account"


def test_an_incomplete_copy_is_not_taken_and_a_late_end_of_it_is_heard(desk: Desk) -> None:
    script = Script(StreamedOrder(picture("b1")))
    desk.link()
    desk.feed(script)
    desk.follow()
    wait_until("known to be incomplete", lambda: "not told everything" in desk.reason())
    assert desk.snapshots == []

    script.tell(SnapshotEnded())

    wait_until("up", desk.is_up)
    assert len(desk.snapshots) == 1


def test_a_lost_word_that_the_stream_is_up_is_noticed(desk: Desk) -> None:
    script = Script(StreamedOrder(picture("b1")))
    desk.link()
    feed = desk.feed(script)
    desk.follow()
    wait_until("known to be incomplete", lambda: "not told everything" in desk.reason())

    def lose_it() -> None:
        """Number a word that never goes out, as one that was dropped on the way."""
        feed.node._publisher._sequences["stream"] = feed.node._publisher._sequences.get("stream", 0) + 1

    def be_up_in_silence() -> None:
        feed.node.snapshot("order", lambda _: {"orders": [], "complete": True, "up": True})
        lose_it()

    feed.do(be_up_in_silence)

    wait_until("up", desk.is_up)


def test_why_a_stream_is_down_is_not_forgotten_over_a_copy_that_is_not_whole(desk: Desk) -> None:
    desk.link()
    feed = desk.feed(Script())
    follows = desk.follow()
    wait_until("up", desk.is_up)
    copies: list[bool] = []

    def become(*, up: bool) -> None:
        def copy(_: Body) -> Body:
            copies.append(up)
            return {"orders": [], "complete": up, "up": up}

        feed.node.snapshot("order", copy)
        feed.node.publish(STREAM, StreamBody("up" if up else "down", "" if up else "the broker is gone"))

    feed.do(lambda: become(up=False))
    wait_until("down", lambda: desk.reason() == "the broker is gone")
    follows.do(lambda: desk.follower._missed("gap"))
    wait_until("another copy", lambda: False in copies and desk.follower._follow and desk.follower._follow.is_current)
    feed.do(lambda: become(up=True))

    wait_until("up again", desk.is_up)
    assert desk.states == [(True, ""), (False, "the broker is gone"), (True, "")]


def test_a_restarted_feed_is_a_new_epoch_and_is_asked_again(desk: Desk) -> None:
    desk.link()
    first = desk.feed(Script(StreamedOrder(picture("b1")), SnapshotEnded()))
    desk.follow()
    wait_until("up", desk.is_up)
    first.stop()

    script = Script(StreamedOrder(picture("b2")))
    desk.feed(script)
    wait_until("down, for the new one knows nothing yet", lambda: not desk.is_up())
    script.tell(SnapshotEnded())

    wait_until("up again", desk.is_up)
    assert [order["broker_id"] for order in desk.snapshots[-1]["orders"]] == ["b2"]


def test_a_silent_feed_is_down_and_its_copy_is_taken_again_when_it_speaks(desk: Desk) -> None:
    desk.link()
    feed = desk.feed(Script())
    desk.follow()
    wait_until("up", desk.is_up)
    snapshots = len(desk.snapshots)

    go_on = feed.hold()
    wait_until("down", lambda: not desk.is_up())
    assert desk.reason() == f"{FEED} is silent"
    go_on.set()

    wait_until("up again", desk.is_up)
    assert len(desk.snapshots) > snapshots


def test_a_link_that_is_away_busy_or_talks_nonsense_is_asked_until_it_makes_sense(desk: Desk) -> None:
    desk.is_busy = True
    desk.follow()
    desk.link()
    wait_until("refused", lambda: len(desk.asked) >= 2)
    assert "no feed now" in desk.reason()

    desk.is_busy, desk.process = False, {"what": 1}
    wait_until("nonsense", lambda: "cannot be read" in desk.reason())

    desk.process = FEED
    desk.feed(Script())
    wait_until("up", desk.is_up)


def test_a_copy_that_cannot_be_read_is_asked_for_until_it_can(desk: Desk) -> None:
    desk.refuses = True
    desk.link()
    desk.feed(Script())
    follows = desk.follow()
    wait_until("followed", lambda: desk.follower.process)
    assert not desk.is_up()

    desk.refuses = False

    wait_until("up", desk.is_up)
    assert follows.is_alive


def test_another_process_for_the_same_need_is_followed_instead(desk: Desk) -> None:
    desk.timing = replace(desk.timing, renew=0.2)
    desk.link()
    desk.feed(Script(StreamedOrder(picture("b1")), SnapshotEnded()))
    desk.follow()
    wait_until("up", desk.is_up)

    other = "link-paper.orders-SIM1b"
    desk.feed(Script(StreamedOrder(picture("b2")), SnapshotEnded()), other)
    desk.process = other

    wait_until("the other", lambda: any(order["broker_id"] == "b2" for s in desk.snapshots for order in s["orders"]))


@pytest.fixture
def child(on_stage: Stage) -> Iterator["subprocess.Popen[bytes]"]:
    folder = on_stage.directory.path(FEED, "pub").parent
    command = [sys.executable, "-m", "tests.procs.feed_child", str(folder), FEED]
    process = subprocess.Popen(command, cwd=ROOT)
    yield process
    process.kill()
    process.wait()


def test_a_feed_process_that_is_stopped_and_continued_and_killed_is_known_as_what_it_is(
    desk: Desk, child: "subprocess.Popen[bytes]"
) -> None:
    desk.timing = replace(desk.timing, silence=2.5)
    desk.link()
    desk.follow()
    wait_until("up", desk.is_up)

    os.kill(child.pid, signal.SIGSTOP)
    wait_until("silent", lambda: "is silent" in desk.reason())
    os.kill(child.pid, signal.SIGCONT)
    wait_until("up again", desk.is_up)
    child.kill()
    wait_until("silent for good", lambda: "is silent" in desk.reason())


def test_a_feed_that_its_broker_never_has_ends_the_process_with_one_line_and_is_asked_for_once(
    on_stage: Stage,
) -> None:
    desk = Desk(on_stage)
    desk.link()
    desk.never = "login 'paper': Toy Data manages no accounts"

    following = desk.follow()

    following.join()
    assert isinstance(following.error, Halt)
    assert "Toy Data manages no accounts" in str(following.error)
    assert len(desk.asked) == 1

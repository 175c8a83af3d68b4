"""A copy is never older than its snapshot and never misses what came after it, whichever socket is faster."""

from collections.abc import Callable, Iterator

import pytest
import zmq

from tests.actor import Actor
from tests.bus.conftest import Bare, wait_until
from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Body, ReplyStatus, decode_request, encode_published, encode_reply
from tradeproc.bus.follow import Follow
from tradeproc.bus.node import Node
from tradeproc.protocol.codec import BadMessage

Start = Callable[..., Actor]


class Far:
    """A publisher played by the test: the order of its two sockets is in the test's hand."""

    def __init__(self, bare: Bare, directory: Directory) -> None:
        self.pub, self.rpc = bare(zmq.XPUB), bare(zmq.ROUTER)
        self.pub.bind(directory.pub("core.far"))
        self.rpc.bind(directory.rpc("core.far"))

    def wait_for_subscriber(self) -> None:
        for _ in range(2):
            assert self.pub.poll(15_000)
            self.pub.recv()

    def say(self, sequence: int, epoch: int = 1) -> None:
        self.pub.send_multipart(encode_published(b"t", epoch, sequence, 0, {}))

    def asked(self) -> tuple[bytes, int]:
        assert self.rpc.poll(15_000)
        asker, *frames = self.rpc.recv_multipart()
        return asker, decode_request(frames).id

    def answer(self, question: tuple[bytes, int], name: str, sequence: int, epoch: int = 1) -> None:
        body = {"name": name, "epoch": epoch, "sequences": {"t": sequence}}
        self.rpc.send_multipart([question[0], *encode_reply(ReplyStatus.ANSWERED, question[1], body)])


class Copy:
    """Keeps the story that a follower is told."""

    def __init__(self) -> None:
        self.story: list[str | int] = []
        self.follow: Follow | None = None
        self.refuses = 0

    def __call__(self, node: Node) -> None:
        self.follow = Follow(
            node,
            "core.far",
            "t",
            on_snapshot=self._snapshot,
            on_message=lambda envelope: self.story.append(envelope.sequence),
        )

    def is_current(self) -> bool:
        assert self.follow is not None
        return self.follow.is_current

    def _snapshot(self, body: Body) -> None:
        if self.refuses:
            self.refuses -= 1
            raise BadMessage("snapshot", "refused by the test")
        self.story.append(body["name"])


@pytest.fixture
def far(bare: Bare, directory: Directory) -> Iterator[Far]:
    yield Far(bare, directory)


def test_messages_that_overtake_the_snapshot_are_told_after_it_once(start: Start, far: Far) -> None:
    copy = Copy()
    start("core.sub", copy)
    far.wait_for_subscriber()
    far.say(5)
    question = far.asked()
    for sequence in (6, 7, 8):
        far.say(sequence)

    far.answer(question, "holds 6", 6)
    wait_until(lambda: copy.story == ["holds 6", 7, 8])

    far.say(9)
    wait_until(lambda: copy.story == ["holds 6", 7, 8, 9])


def test_a_snapshot_that_overtakes_messages_is_not_undone_by_them(start: Start, far: Far) -> None:
    copy = Copy()
    start("core.sub", copy)
    far.wait_for_subscriber()
    far.say(5)

    far.answer(far.asked(), "holds 7", 7)
    wait_until(lambda: copy.story == ["holds 7"])
    for sequence in (6, 7, 8):
        far.say(sequence)

    wait_until(lambda: copy.story == ["holds 7", 8])


def test_a_loss_makes_the_copy_stale_until_the_next_snapshot(start: Start, far: Far) -> None:
    copy = Copy()
    start("core.sub", copy)
    far.wait_for_subscriber()
    far.say(1)
    far.answer(far.asked(), "first", 1)
    wait_until(lambda: copy.story == ["first"])
    assert copy.is_current()

    far.say(4)
    question = far.asked()
    assert not copy.is_current()
    far.answer(question, "second", 3)

    wait_until(lambda: copy.story == ["first", "second", 4])
    assert copy.is_current()


def test_the_answer_to_a_question_from_before_a_loss_is_ignored(start: Start, far: Far) -> None:
    copy = Copy()
    start("core.sub", copy)
    far.wait_for_subscriber()
    far.say(1)
    old = far.asked()
    far.say(4)
    new = far.asked()

    far.answer(new, "new", 4)
    far.answer(old, "old", 1)
    far.say(5)

    wait_until(lambda: copy.story[-1:] == [5])
    assert copy.story == ["new", 5]


def test_a_new_epoch_asks_again_and_its_low_numbers_are_news(start: Start, far: Far) -> None:
    copy = Copy()
    start("core.sub", copy)
    far.wait_for_subscriber()
    far.say(50)
    far.answer(far.asked(), "old life", 50)
    wait_until(lambda: copy.story == ["old life"])

    far.say(1, epoch=2)
    far.answer(far.asked(), "new life", 1, epoch=2)
    far.say(2, epoch=2)

    wait_until(lambda: copy.story == ["old life", "new life", 2])


def test_old_messages_still_under_way_do_not_undo_the_snapshot_of_a_new_epoch(start: Start, far: Far) -> None:
    copy = Copy()
    start("core.sub", copy)
    far.wait_for_subscriber()
    far.say(50)
    far.answer(far.asked(), "new life", 1, epoch=2)
    wait_until(lambda: copy.story == ["new life"])

    far.say(51)
    far.say(2, epoch=2)
    far.answer(far.asked(), "new life again", 1, epoch=2)

    wait_until(lambda: copy.story == ["new life", "new life again", 2])


def test_a_snapshot_that_is_refused_or_cannot_be_read_is_asked_for_again(start: Start, far: Far) -> None:
    copy = Copy()
    copy.refuses = 1
    start("core.sub", copy)
    far.wait_for_subscriber()
    far.say(1)
    asker, number = far.asked()
    far.rpc.send_multipart([asker, *encode_reply(ReplyStatus.REFUSED, number, {"reason": "not yet"})])

    far.answer(far.asked(), "unreadable", 1)
    far.say(2)
    far.answer(far.asked(), "readable", 1)

    wait_until(lambda: copy.story == ["readable", 2])


def test_nothing_is_told_after_close(start: Start, far: Far) -> None:
    copy = Copy()
    subscriber = start("core.sub", copy)
    far.wait_for_subscriber()
    far.say(1)
    question = far.asked()
    follow = copy.follow
    assert follow is not None

    subscriber.do(follow.close)
    far.answer(question, "too late", 1)

    wait_until(lambda: subscriber.do(lambda: len(subscriber.node._requests)) == 0)
    assert copy.story == []

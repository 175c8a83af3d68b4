"""A copy of somebody's state: snapshot first, then every message after it, again after every loss.

The snapshot and the messages travel on two sockets, so either may overtake the other. What comes while a snapshot
is awaited is kept; what the snapshot holds already is not told again.
"""

import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from tradeproc.bus.codec import BadFrames, Body, Envelope
from tradeproc.bus.node import Node
from tradeproc.bus.requests import Answered, NoAnswer, Reply, RequestWasRefused
from tradeproc.errors import Refusal
from tradeproc.protocol.definitions import SNAPSHOT, FollowedTopic

log = logging.getLogger(__name__)

B = TypeVar("B")
S = TypeVar("S")

_PATIENCE = 2.0
_PAUSE = 0.5
_MOST_KEPT = 10_000


class Follow(Generic[B, S]):
    """Follows a topic of one process, or the topics that begin with a plain name, from construction until `close`.

    `on_snapshot` gets the snapshot and replaces what was known; `on_message` gets each newer message, in
    order. `is_current` is False from a loss until the next snapshot; the copy is stale in between. It says nothing
    about whether the publisher lives: for that ask `Node.silent_for`.
    """

    @overload
    def __init__(
        self,
        node: Node,
        process: str,
        topic: FollowedTopic[B, S],
        *,
        on_snapshot: Callable[[S], None],
        on_message: Callable[[Envelope[B]], None],
    ) -> None: ...

    @overload
    def __init__(
        self: "Follow[Body, Body]",
        node: Node,
        process: str,
        topic: str,
        *,
        on_snapshot: Callable[[Body], None],
        on_message: Callable[[Envelope[Body]], None],
    ) -> None: ...

    def __init__(
        self,
        node: Node,
        process: str,
        topic: FollowedTopic[Any, Any] | str,
        *,
        on_snapshot: Callable[[Any], None],
        on_message: Callable[[Envelope[Any]], None],
    ) -> None:
        self.process, self.topic = process, topic if isinstance(topic, str) else topic.name
        self._read = None if isinstance(topic, str) else topic.snapshot_codec.read
        self.is_current = False
        self._node, self._on_snapshot, self._on_message = node, on_snapshot, on_message
        self._kept: list[Envelope[Any]] = []
        self._known: dict[str, int] = {}
        self._epoch = 0
        self._question = 0
        self._is_closed = False
        node.subscribe(process, topic, self._take, self._resync)

    @property
    def epoch(self) -> int:
        """The publisher's life from which the copy is; 0 before the first snapshot."""
        return self._epoch

    def close(self) -> None:
        """Stop following; also ends other subscriptions of this node to the same process and topic."""
        self._is_closed = True
        self._node.unsubscribe(self.process, self.topic)

    def renew(self) -> None:
        """Ask for everything again, because what was told is not enough."""
        self._resync("renewed")

    def _resync(self, reason: str) -> None:
        del reason
        self.is_current = False
        self._kept.clear()
        self._ask()

    def _ask(self) -> None:
        # the answer to an older question may lack what was lost since: only the newest one counts
        self._question += 1
        question = self._question
        self._node.request(
            self.process,
            SNAPSHOT,
            {"topic": self.topic},
            seconds=_PATIENCE,
            on_reply=lambda reply: self._answered(question, reply),
        )

    def _answered(self, question: int, reply: Reply[Body]) -> None:
        if question != self._question or self._is_closed:
            return
        match reply:
            case Answered(body):
                self._begin(body)
            case NoAnswer() | RequestWasRefused():
                self._ask_later()

    def _ask_later(self) -> None:
        question = self._question
        self._node.after(_PAUSE, lambda: self._ask_again(question))

    def _ask_again(self, question: int) -> None:
        if question == self._question and not self._is_closed:
            self._ask()

    def _begin(self, body: Body) -> None:
        epoch, known = body.pop("epoch", None), body.pop("sequences", None)
        try:
            if type(epoch) is not int or not isinstance(known, dict) or set(map(type, known.values())) - {int}:
                raise BadFrames("a snapshot without its epoch and numbers")
            self._epoch, self._known = epoch, known
            self._on_snapshot(body if self._read is None else self._read(body))
        except Refusal as refusal:
            log.warning("snapshot_refused publisher=%s topic=%s reason=%s", self.process, self.topic, refusal)
            self._ask_later()
            return
        self.is_current = True
        kept, self._kept = self._kept, []
        for envelope in kept:
            try:
                self._take(envelope)
            except Refusal as refusal:
                log.warning("message_refused publisher=%s topic=%s reason=%s", self.process, self.topic, refusal)

    def _take(self, envelope: Envelope[Any]) -> None:
        if not self.is_current:
            if len(self._kept) < _MOST_KEPT:
                self._kept.append(envelope)
            else:
                self._resync("full")
        elif envelope.epoch == self._epoch and envelope.sequence > self._known.get(envelope.topic, 0):
            # a message of another epoch is from before the snapshot: a newer epoch is told by a resync first
            self._on_message(envelope)

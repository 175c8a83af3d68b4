"""Follow one feed of a link: renew the need for it, take what it publishes, notice when it falls silent."""

import logging
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from tradeproc.bus.codec import Envelope
from tradeproc.bus.follow import Follow
from tradeproc.bus.node import Answered, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.domain.frozen import dataclass
from tradeproc.errors import Halt
from tradeproc.procs.needs import RENEW_SECONDS
from tradeproc.protocol.definitions import FollowedTopic
from tradeproc.protocol.feed_messages import STREAM, FeedState, StreamBody
from tradeproc.protocol.link_messages import NEED, FeedGranted, FeedNeverServed, Need

log = logging.getLogger(__name__)

B = TypeVar("B")
S = TypeVar("S", bound=FeedState)

_NOT_COMPLETE = "the broker has not told everything yet"


@dataclass(frozen=True, slots=True)
class FollowerTiming:
    """How long a follower waits, in seconds.

    Heartbeats come once a second, and after `silence` without one the feed counts as down.
    """

    silence: float = 4.0
    retry: float = 1.0
    answer: float = 20.0
    renew: float = RENEW_SECONDS


USUAL = FollowerTiming()


class NeverServed(Halt):
    """A feed that the login's broker declares not to have; caught by the entry point."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"{reason}, so there are no {kind} for this session; create it with another login")


class Follower(Generic[B, S]):
    """One feed as a subscriber sees it.

    `on_message` gets what the feed publishes on its own topic; `on_snapshot` what it holds, after the first contact,
    a loss or a new connection, and only when that is complete; `on_state()` is called when `is_up` or its `reason`
    changed. After a silence `on_snapshot` comes again.
    """

    def __init__(
        self,
        node: Node,
        link: str,
        topic: FollowedTopic[B, S],
        need: Need,
        on_message: Callable[[Envelope[B]], None],
        on_snapshot: Callable[[S], None],
        on_state: Callable[[], None],
        timing: FollowerTiming = USUAL,
    ) -> None:
        self.node, self.link, self.topic, self.need = node, link, topic, need
        self.kind: Final = need.feed
        self._on_message, self._on_snapshot, self._on_state = on_message, on_snapshot, on_state
        self.is_up = False
        self.reason = "not asked for yet"
        self._told_reason = ""  # why the stream is down, in the feed's own words
        self._follow: Follow[B, S] | None = None
        self._timing, self._again = timing, timing.renew
        node.after(0.0, self._ask)
        node.every(1.0, self._listen_for_silence)
        # shows which connection of the feed our copy is from
        node.add_statistics(lambda: {f"followed_{self.kind}": self._follow.epoch if self._follow else 0})

    @property
    def process(self) -> str | None:
        """Return the feed's process, None before the link has named it."""
        return self._follow.process if self._follow else None

    def _ask(self) -> None:
        """Tell the link that the feed is needed.

        Repeat it when the link says, or sooner when the link does not answer.
        """
        # A question may die with its link. It is asked again in time, because the next link stops a feed whose need
        # nobody has renewed.
        patience = self._timing.answer
        seconds = patience if self._follow is None else min(patience, self._again)
        self.node.request(self.link, NEED, self.need, seconds=seconds, on_reply=self._asked)

    def _asked(self, reply: Reply[FeedGranted | FeedNeverServed]) -> None:
        match reply:
            case Answered(answer):
                self._take(answer)
            case RequestWasRefused(reason) | NoAnswer(reason):
                self._ask_again(reason)

    def _take(self, answer: FeedGranted | FeedNeverServed) -> None:
        match answer:
            case FeedGranted(process, again):
                self._begin(process)
                self._again = self._timing.renew if again is None else max(0.1, again)
                self.node.after(self._again, self._ask)
            case FeedNeverServed(reason):
                raise NeverServed(self.kind, reason)

    def _ask_again(self, reason: str) -> None:
        if self._follow is None:
            self._set(is_up=False, reason=reason)
        log.warning("feed_not_granted feed=%s link=%s reason=%s", self.kind, self.link, reason)
        self.node.after(self._timing.retry, self._ask)

    def _begin(self, process: str) -> None:
        if process == self.process:
            return
        self._told_reason = ""
        if self._follow is not None:
            self.node.unsubscribe(self._follow.process, STREAM)
            self._follow.close()
        self.node.subscribe(process, STREAM, lambda envelope: self._stream(envelope.body), self._missed)
        self._follow = Follow(self.node, process, self.topic, on_snapshot=self._snapshot, on_message=self._on_message)

    def _stream(self, told: StreamBody) -> None:
        self._told_reason = "" if told.state == "up" else told.reason or "no reason given"
        if self._told_reason:
            self._set(is_up=False, reason=self._told_reason)
        elif not self.is_up and self._follow is not None:
            self._follow.renew()  # the feed is complete now; the stream counts as up when its snapshot has come

    def _missed(self, reason: str) -> None:
        """Read the stream's state from a snapshot, after a message about it was lost."""
        if reason == "gap" and self._follow is not None:
            self._follow.renew()

    def _snapshot(self, told: S) -> None:
        if told.is_whole:
            self._on_snapshot(told)
            self._set(is_up=True, reason="")
        else:
            # The feed's own reason says more, and the health check knows by it that this is the stream's line again.
            self._set(is_up=False, reason=self._told_reason or _NOT_COMPLETE)

    def _listen_for_silence(self) -> None:
        if self._follow is None:
            return
        is_silent = self.node.silent_for(self._follow.process) > self._timing.silence
        if is_silent and self.is_up:
            self._set(is_up=False, reason=f"{self._follow.process} is silent")
        elif not is_silent and not self.is_up and self.reason.endswith("is silent"):
            self._follow.renew()

    def _set(self, *, is_up: bool, reason: str) -> None:
        if (is_up, reason) != (self.is_up, self.reason):
            self.is_up, self.reason = is_up, reason
            self._on_state()

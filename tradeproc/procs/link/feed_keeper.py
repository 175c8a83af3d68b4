"""Which feeds of a link run: started when somebody needs them, pruned when nobody does.

The answer to a need names the feed's process and says after how many seconds to renew the need, or that the broker
never has such a feed.
"""

import logging
import re
import time
from collections.abc import Callable

from tradeproc.bus.node import Deferred, Node
from tradeproc.domain.session import ACCOUNT
from tradeproc.errors import TradeprocError
from tradeproc.procs.lanes import Lanes
from tradeproc.procs.link.asking import BadRequest
from tradeproc.procs.needs import FeedKey, Needs
from tradeproc.protocol import names
from tradeproc.protocol.link_messages import (
    FEEDS,
    LINK,
    NEED,
    FeedGranted,
    FeedNeverServed,
    Feeds,
    Need,
    RunningFeeds,
)
from tradeproc.supervision.feed_programs import FeedPrograms

log = logging.getLogger(__name__)

# supervisord is away, or the disk that holds the group's file is full
_TROUBLE = (TradeprocError, OSError)


class FeedKeeper:
    """Starts, keeps and prunes the feeds of a link, and ends the link when nobody needs it.

    `lacking` says in one line why the broker can never serve a kind of feed, and is empty for those it serves.
    """

    def __init__(
        self,
        node: Node,
        login: str,
        needs: Needs,
        programs: FeedPrograms,
        lacking: Callable[[str], str] = lambda kind: "",
    ) -> None:
        self.node, self.login, self.needs, self.programs = node, login, needs, programs
        self._lacking = lacking
        self._lane = Lanes("feeds", 1)
        self._running: list[str] = []
        self._is_ending = False
        node.handle_timed(NEED, self._need)
        node.handle(FEEDS, lambda _: Feeds(self._feeds()))
        self._look_seconds = min(5.0, needs.need_seconds / 3)
        node.every(self._look_seconds, self._look)
        node.add_statistics(lambda: {"feeds": self._running})
        node.on_stop(self._stop)

    def _need(self, need: Need, seconds: float) -> FeedNeverServed | Deferred[FeedGranted | FeedNeverServed]:
        """Note a need and answer with the feed's process once it is started; already started is fine.

        A feed that the broker declares not to serve is answered with `FeedNeverServed`: asking again cannot help.
        """
        if self._is_ending:
            raise BadRequest("the link is ending because nobody needed it; ask the next one")
        key = _feed_key(need)
        if lacking := self._lacking(key.kind):
            return FeedNeverServed(f"login {self.login!r}: {lacking}")
        self.needs.renew(key, need.who, time.monotonic())
        deferred = Deferred[FeedGranted | FeedNeverServed]()

        def start(_left: float) -> None:
            try:
                self.programs.ensure(key.program, [key.kind, self.login, *key.subject])
            except _TROUBLE as error:
                reason = f"{key.program}: cannot be started: {error}"
                self.node.post(lambda: deferred.refuse(reason))
                return
            process = names.link_group(self.login).process(key.program)
            self.node.post(lambda: deferred.answer(FeedGranted(process, self.needs.renew_seconds)))

        self._lane.submit(seconds, start, deferred.fail)
        return deferred

    def _feeds(self) -> dict[str, tuple[str, ...]]:
        return {key.program: tuple(users) for key, users in self.needs.wanted(time.monotonic()).items()}

    def _look(self) -> None:
        """Prune what nobody needs; end when nothing has been needed for long enough."""
        if self._is_ending:
            return
        now = time.monotonic()
        stale_of = self.needs.stale(now)
        self._is_ending = self.needs.is_idle(now)
        is_ending = self._is_ending

        def prune(_left: float) -> None:
            try:
                states = self.programs.states()
                # a feed that has ended and that nobody needs would otherwise stay in its group and be reported as
                # halted
                for name in stale_of(states):
                    self.programs.remove(name)
                    log.info("feed_pruned program=%s was=%s", name, states.pop(name))
                running = sorted(name for name, state in states.items() if state.is_up)
                self.node.post(lambda: self._looked(running))
            except _TROUBLE as error:
                log.warning("feeds_unknown reason=%s", error)
            if is_ending:
                self.node.post(self._end)

        def too_late(reason: str) -> None:
            log.warning("feeds_not_looked_at reason=%s", reason)
            if is_ending:
                self.node.post(self._end)

        # a look that waits for longer than this is not done, because the one before it has done its work
        self._lane.submit(max(1.0, self._look_seconds), prune, too_late)

    def _looked(self, running: list[str]) -> None:
        if running != self._running:
            self._running = running
            self.node.publish(LINK, RunningFeeds(tuple(running)))

    def _stop(self) -> None:
        self._lane.close(0.0)

    def _end(self) -> None:
        log.info("link_idle login=%s seconds=%.0f: nobody needs it, ending", self.login, self.needs.idle_seconds)
        self.node.stop(0)


def _feed_key(need: Need) -> FeedKey:
    if need.feed == "bars":
        if need.contract is None or need.minutes is None:
            raise BadRequest(f"{'contract' if need.contract is None else 'minutes'}: missing")
        return FeedKey(need.feed, (need.contract.code, str(need.minutes)))
    if not need.account:
        raise BadRequest("account: missing")
    if not re.fullmatch(ACCOUNT, need.account):
        raise BadRequest(f"account: {need.account[:40]!r} is not allowed; write up to 16 letters, digits, . _ -")
    return FeedKey(need.feed, (need.account,))

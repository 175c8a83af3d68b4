"""The bars of a witness, a second data login: only their last price counts, to be held against the session's own."""

from collections.abc import Callable

from tradeproc.bus.codec import Envelope
from tradeproc.bus.node import Node
from tradeproc.domain.instruments import Contract
from tradeproc.domain.session import SessionSpec
from tradeproc.engine import events
from tradeproc.engine.events import Event
from tradeproc.procs.follower import Follower, FollowerTiming
from tradeproc.protocol import feed_messages, names
from tradeproc.protocol.feed_messages import CandleBody, Candles
from tradeproc.protocol.link_messages import FeedGranted, FeedNeverServed, Need


class _WitnessFollower(Follower[CandleBody, Candles]):
    """A follower that stays down where the witness's broker has no bars: the session does not depend on it."""

    def _take(self, answer: FeedGranted | FeedNeverServed) -> None:
        if isinstance(answer, FeedNeverServed):
            self._set(is_up=False, reason=answer.reason)
        else:
            super()._take(answer)


class WitnessFeed:
    """Follows the witness's bars and tells the engine its last price and whether it is up."""

    def __init__(self, node: Node, spec: SessionSpec, tell: Callable[[Event], None], timing: FollowerTiming) -> None:
        self._tell = tell
        need = Need("bars", node.name, contract=Contract.parse(spec.contract), minutes=spec.minutes)
        link = names.link(spec.witness_login)
        self._bars = _WitnessFollower(
            node, link, feed_messages.CANDLE, need, self._candle, self._candles, self._state, timing
        )

    def _candle(self, envelope: Envelope[CandleBody]) -> None:
        if not envelope.body.history:
            self._tell(events.WitnessPriced(envelope.body.candle.close))

    def _candles(self, told: Candles) -> None:
        """Take the newest of what the feed holds; those before it are of the past."""
        if told.candles:
            self._tell(events.WitnessPriced(told.candles[-1].candle.close))

    def _state(self) -> None:
        self._tell(events.WitnessChanged(self._bars.is_up, self._bars.reason))

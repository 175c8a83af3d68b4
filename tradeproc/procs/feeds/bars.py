"""`link-<login>.bars-<CONTRACT>-<minutes>m`: one bar stream; publishes every change of the forming bar.

Keeps the newest 500 candles in memory for subscribers that missed something; nothing else.
"""

from collections.abc import Sequence

from tradeproc.brokers.contract import Stream, StreamedBar, StreamEvent
from tradeproc.bus.node import Node
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import Contract
from tradeproc.procs.feeds.feed import Feed, Place, find_place, read_arguments
from tradeproc.protocol import names
from tradeproc.protocol.feed_messages import CANDLE, CandleBody, Candles

KEPT = 500
# each connection begins with so many of the newest bars, among them those that closed during a short absence
OVERLAP = 60


class BarsFeed:
    """The newest candles of one contract and interval, as the broker tells them."""

    def __init__(self, node: Node, place: Place, contract: Contract, minutes: int) -> None:
        self.node, self.place, self.contract, self.minutes = node, place, contract, minutes
        self._candles: dict[int, Candle] = {}
        self.feed = Feed(node, self._connect, self._hear)
        node.snapshot(CANDLE, self._snapshot)

    def _connect(self) -> Stream:
        place = self.place
        return place.broker.bar_stream(place.login, place.tokens, self.contract, self.minutes, OVERLAP)

    def _hear(self, event: StreamEvent) -> None:
        if not isinstance(event, StreamedBar):
            self.node.note_event()
            return
        candle = event.candle
        # what cannot be published is not kept for snapshots either
        self.node.publish(CANDLE, self._body(candle, is_history=event.is_history))
        self._candles[candle.opened_at] = candle
        if len(self._candles) > KEPT:
            del self._candles[min(self._candles)]
        self.node.note_event(market_at=candle.closed_at if candle.is_closed else candle.opened_at)
        self.feed.went_up()

    def _body(self, candle: Candle, *, is_history: bool) -> CandleBody:
        return CandleBody.of(candle, self.contract.code, self.minutes, is_history=is_history)

    def _snapshot(self) -> Candles:
        candles = [self._candles[opened_at] for opened_at in sorted(self._candles)]
        return Candles(candles=tuple(self._body(candle, is_history=True) for candle in candles), up=self.feed.is_up)


def main(arguments: Sequence[str]) -> int:
    """Run the feed: login, contract, minutes."""
    given = read_arguments("bars", arguments)
    place = find_place(given.login)
    node = Node(names.bars_feed(given.login, given.contract, given.minutes), place.directory)
    BarsFeed(node, place, given.contract, given.minutes).feed.start()
    node.run()
    return node.exit_status

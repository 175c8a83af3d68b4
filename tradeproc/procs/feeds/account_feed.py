"""What the feeds of orders and positions share: a snapshot, its end, then each change in full.

A snapshot is complete only after the broker has said so on the present connection; before, it is unknown, not empty.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from tradeproc.brokers.contract import (
    Beat,
    Broker,
    Login,
    SnapshotEnded,
    Stream,
    StreamedOrder,
    StreamedPosition,
    StreamedUnreadable,
    StreamEvent,
    TokenSource,
)
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.domain.messages import broker_order_to_body, position_to_body, unreadable_to_body
from tradeproc.procs.feeds.feed import USUAL, Feed, FeedTiming, find_place, read_arguments
from tradeproc.protocol import names

log = logging.getLogger(__name__)

_KEPT_ENDED = 1_000

Connect = Callable[[Login, TokenSource, str], Stream]
"""One of a broker's streams of an account."""


class AccountFeed:
    """All orders (topic `order`) or positions (topic `position`) that the present connection has told."""

    def __init__(self, node: Node, topic: str, connect: Callable[[], Stream], timing: FeedTiming = USUAL) -> None:
        self.node, self.topic, self._connect = node, topic, connect
        self._told: dict[str, Body] = {}
        self._ended: dict[str, None] = {}
        self._is_complete = False
        self.feed = Feed(node, self._begin, self._hear, timing)
        node.snapshot(topic, lambda _topic: self._snapshot())

    def _begin(self) -> Stream:
        self.node.post(self._forget)
        return self._connect()

    def _forget(self) -> None:
        self._told.clear()
        self._ended.clear()
        self._is_complete = False

    def _hear(self, event: StreamEvent) -> None:
        self.node.note_event()
        match event:
            case StreamedOrder(order):
                self._tell(order.broker_id, broker_order_to_body(order))
                self._keep_newest(order.broker_id, is_over=order.state.is_terminal)
            case StreamedPosition(position):
                self._tell(position.contract, position_to_body(position))
            case StreamedUnreadable(record):
                log.warning("record_unreadable process=%s reason=%s", self.node.name, record.reason)
                key = record.broker_id or record.contract
                self._tell(key, unreadable_to_body(record))
                if self.topic == "order":
                    self._keep_newest(key, is_over=True)
            case SnapshotEnded():
                self._is_complete = True
                self.feed.went_up()
            case Beat(at):
                self.node.publish("beat", {"at": at})
            case _:
                pass

    def _tell(self, key: str, body: Body) -> None:
        # what cannot be published is not kept for snapshots either
        self.node.publish(self.topic, body)
        self._told[key] = body

    def _keep_newest(self, broker_id: str, *, is_over: bool) -> None:
        """Forget the orders that ended longest ago: a connection may last for months."""
        self._ended.pop(broker_id, None)
        if is_over:
            self._ended[broker_id] = None
        while len(self._ended) > _KEPT_ENDED:
            oldest = next(iter(self._ended))
            del self._ended[oldest], self._told[oldest]

    def _snapshot(self) -> dict[str, Any]:
        return {f"{self.topic}s": list(self._told.values()), "complete": self._is_complete, "up": self.feed.is_up}


def run(topic: str, arguments: Sequence[str], stream_of: Callable[[Broker], Connect]) -> int:
    """Run the feed of one topic from its command line: login, account."""
    given = read_arguments(f"{topic}s", arguments)
    place = find_place(given.login)
    node = Node(names.account_feed(given.login, f"{topic}s", given.account), place.directory)
    connect = stream_of(place.broker)
    AccountFeed(node, topic, lambda: connect(place.login, place.tokens, given.account)).feed.start()
    node.run()
    return node.exit_status

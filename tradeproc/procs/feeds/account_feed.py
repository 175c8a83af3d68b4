"""What the feeds of orders and positions share: a snapshot, its end, then each change in full.

A snapshot is complete only after the broker has said so on the present connection; before, it is unknown, not empty.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Literal

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
from tradeproc.bus.node import Node
from tradeproc.domain.broker_orders import ListedOrder, ListedPosition
from tradeproc.procs.feeds.feed import USUAL, Feed, FeedTiming, find_place, read_arguments
from tradeproc.protocol import names
from tradeproc.protocol.feed_messages import BEAT, ORDER, POSITION, BeatBody, ListedOrders, ListedPositions

log = logging.getLogger(__name__)

_KEPT_ENDED = 1_000

Connect = Callable[[Login, TokenSource, str], Stream]
"""One of a broker's streams of an account."""

OrdersOrPositions = Literal["order", "position"]


class AccountFeed:
    """All orders (topic `order`) or positions (topic `position`) that the present connection has told."""

    def __init__(
        self, node: Node, topic: OrdersOrPositions, connect: Callable[[], Stream], timing: FeedTiming = USUAL
    ) -> None:
        self.node, self.topic, self._connect = node, topic, connect
        self._orders: dict[str, ListedOrder] = {}
        self._positions: dict[str, ListedPosition] = {}
        self._ended: dict[str, None] = {}
        self._is_complete = False
        self.feed = Feed(node, self._begin, self._hear, timing)
        if topic == "order":
            node.snapshot(ORDER, self._all_orders)
        else:
            node.snapshot(POSITION, self._all_positions)

    def _begin(self) -> Stream:
        self.node.post(self._forget)
        return self._connect()

    def _forget(self) -> None:
        self._orders.clear()
        self._positions.clear()
        self._ended.clear()
        self._is_complete = False

    def _hear(self, event: StreamEvent) -> None:
        self.node.note_event()
        match event:
            case StreamedOrder(order):
                self._tell_order(order.broker_id, order, is_over=order.state.is_terminal)
            case StreamedPosition(position):
                self._tell_position(position.contract, position)
            case StreamedUnreadable(record):
                log.warning("record_unreadable process=%s reason=%s", self.node.name, record.reason)
                key = record.broker_id or record.contract
                if self.topic == "order":
                    self._tell_order(key, record, is_over=True)
                else:
                    self._tell_position(key, record)
            case SnapshotEnded():
                self._is_complete = True
                self.feed.went_up()
            case Beat(at):
                self.node.publish(BEAT, BeatBody(at))
            case _:
                pass

    def _tell_position(self, key: str, position: ListedPosition) -> None:
        # what cannot be published is not kept for snapshots either
        self.node.publish(POSITION, position)
        self._positions[key] = position

    def _tell_order(self, broker_id: str, order: ListedOrder, *, is_over: bool) -> None:
        """Publish and keep an order; forget those that ended longest ago: a connection may last for months."""
        self.node.publish(ORDER, order)
        self._orders[broker_id] = order
        self._ended.pop(broker_id, None)
        if is_over:
            self._ended[broker_id] = None
        while len(self._ended) > _KEPT_ENDED:
            oldest = next(iter(self._ended))
            del self._ended[oldest], self._orders[oldest]

    def _all_orders(self) -> ListedOrders:
        return ListedOrders(orders=tuple(self._orders.values()), complete=self._is_complete, up=self.feed.is_up)

    def _all_positions(self) -> ListedPositions:
        told = tuple(self._positions.values())
        return ListedPositions(positions=told, complete=self._is_complete, up=self.feed.is_up)


def run(topic: OrdersOrPositions, arguments: Sequence[str], stream_of: Callable[[Broker], Connect]) -> int:
    """Run the feed of one topic from its command line: login, account."""
    given = read_arguments(f"{topic}s", arguments)
    place = find_place(given.login)
    node = Node(names.account_feed(given.login, f"{topic}s", given.account), place.directory)
    connect = stream_of(place.broker)
    AccountFeed(node, topic, lambda: connect(place.login, place.tokens, given.account)).feed.start()
    node.run()
    return node.exit_status

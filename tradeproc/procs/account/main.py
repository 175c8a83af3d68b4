"""`session-<id>.account`: order operations and account events of one trading session; knows no broker.

Forwards operations to the link with the caller's remaining time, and follows the feeds of its account. While orders
work it asks the link for them, however much the order stream tells, because streams are known to drop frames: every
5 s while something is expected or the stream is down, every 20 s for orders that only rest. Those the trader asks for
sooner where prices say that one may have filled (`engine/resting.py`). The link asks the broker once for all sessions
of the account.
"""

import argparse
import logging
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Envelope
from tradeproc.bus.forwarding import forward
from tradeproc.bus.node import Answered, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.clock import monotonic_ns
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Balance
from tradeproc.domain.broker_orders import (
    BrokerOrder,
    ListedOrder,
    ListedPosition,
    Outcome,
    Refused,
    Unanswered,
    UnreadableRecord,
)
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.orders import OrderType
from tradeproc.home import find_home
from tradeproc.procs import follower
from tradeproc.procs.follower import Follower, FollowerTiming
from tradeproc.procs.lanes import LEAST_SECONDS
from tradeproc.protocol import feed_messages, link_messages, names
from tradeproc.protocol.account_messages import (
    BALANCE,
    ORDER,
    POSITION,
    RESYNC,
    STREAM,
    STREAMS,
    Resync,
    StreamStates,
)
from tradeproc.protocol.definitions import Method
from tradeproc.protocol.feed_messages import ListedOrders, ListedPositions, UpOrDown
from tradeproc.protocol.link_messages import AccountQuestion, Need, OfAccount, Operation, OrdersQuestion

log = logging.getLogger(__name__)

_KEPT_ENDED = 1_000

Q = TypeVar("Q", bound=OfAccount)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AccountTiming:
    """How often an account manager asks, and how long it waits for answers to its own questions, in seconds.

    It asks for orders `poll` after the last answer, `rest` when all of them rest, or `retry` after a question that
    failed. It may wait `share` at the link for those of other sessions, one about resting orders `rest_share`.
    """

    poll: float = 5.0
    rest: float = 20.0
    retry: float = 2.0
    share: float = 1.0
    rest_share: float = 5.0
    balance: float = 60.0
    question: float = 10.0
    follower: FollowerTiming = follower.USUAL


USUAL = AccountTiming()


class Account:
    """The account manager of one session."""

    def __init__(self, node: Node, login: str, account: str, timing: AccountTiming = USUAL) -> None:
        self.node, self.link, self.account = node, names.link(login), account
        self._timing = timing
        self._orders: dict[str, BrokerOrder] = {}
        self._told_meanwhile: set[str] = set()
        self._told_at = self._answered_at = time.monotonic()
        self._is_polling = self._is_expecting = self._has_failed = False
        self._order_feed = Follower(
            node,
            self.link,
            feed_messages.ORDER,
            Need("orders", node.name, account=account),
            self._hear_order,
            self._resync_orders,
            self._state,
            timing.follower,
        )
        self._position_feed = Follower(
            node,
            self.link,
            feed_messages.POSITION,
            Need("positions", node.name, account=account),
            self._hear_position,
            self._resync_positions,
            self._state,
            timing.follower,
        )
        self._forward_all()
        node.handle(STREAMS, lambda _: self._streams())
        node.every(min(1.0, timing.poll / 2), self._poll)
        node.every(timing.balance, self._ask_balance)
        node.after(1.0, self._ask_balance)
        node.add_statistics(lambda: {"streams": STREAM.codec.plain(self._streams()), "working": len(self._working())})

    # --- operations and questions

    def _forward_all(self) -> None:
        self._forward_operation(link_messages.SUBMIT)
        self._forward_operation(link_messages.MODIFY)
        self._forward_operation(link_messages.CANCEL)
        self._forward_question(link_messages.ACCOUNTS)
        self._forward_question(link_messages.BALANCES)
        self._forward_question(link_messages.ORDERS)
        self._forward_question(link_messages.OPEN_ORDERS)
        self._forward_question(link_messages.POSITION)
        self._forward_question(link_messages.POSITIONS)

    def _forward_operation(self, method: Method[Q, Outcome]) -> None:
        """Forward an order operation once, for as long as its asker waits; no reply is told as `Unanswered`."""

        def too_late(seconds: float) -> Outcome | None:
            if seconds < LEAST_SECONDS:
                return Unanswered(f"{self.node.name}: too late to send it", was_sent=False)
            self.node.note_event()
            return None

        def unanswered(reply: RequestWasRefused | NoAnswer) -> Outcome:
            if isinstance(reply, RequestWasRefused):
                return Refused(reply.reason)
            log.warning("operation_unanswered what=%s reason=%s", method.name, reply.reason)
            return Unanswered(reply.reason)

        def replied(reply: Reply[Any]) -> None:
            self._note_answer(reply)
            # whatever happened, the order stream should report it now; if it does not, the broker is asked
            self._expect()

        account = Operation(account=self.account)
        forward(self.node, method, self.link, account, instead=too_late, without=unanswered, after=replied)

    def _forward_question(self, method: Method[Q, Answer[T]]) -> None:
        """Forward a question for as long as its asker waits; a lost answer is unknown."""

        def unknown(reply: RequestWasRefused | NoAnswer) -> Answer[T]:
            return Unknown(reply.reason)

        account = OfAccount(account=self.account)
        forward(
            self.node,
            method,
            self.link,
            account,
            instead=lambda _: None,
            without=unknown,
            after=self._note_answer,
        )

    def _note_answer(self, reply: Reply[Any]) -> None:
        if isinstance(reply, Answered):
            self.node.note_work()

    # --- what the feeds tell

    def _hear_order(self, envelope: Envelope[ListedOrder]) -> None:
        self._take_order(envelope.body)
        self._note_heard(envelope.sent_at)

    def _hear_position(self, envelope: Envelope[ListedPosition]) -> None:
        self.node.publish(POSITION, envelope.body)
        self._note_heard(envelope.sent_at)

    def _note_heard(self, sent_at: int) -> None:
        self.node.note_work()
        self.node.note_event(sent_at=sent_at)

    def _take_order(self, order: ListedOrder) -> None:
        if isinstance(order, UnreadableRecord):
            self._expect()  # the answer to a question may be readable
            self.node.publish(ORDER, order)
            return
        self._orders[order.broker_id] = order
        if self._is_polling:
            self._told_meanwhile.add(order.broker_id)
        self._told_at, self._is_expecting = time.monotonic(), False
        self.node.publish(ORDER, order)
        if len(self._orders) > 2 * _KEPT_ENDED:
            self._forget()

    def _forget(self) -> None:
        """Drop the oldest ended orders, because the process may live for months."""
        ended = [broker_id for broker_id, order in self._orders.items() if order.state.is_terminal]
        for broker_id in ended[:-_KEPT_ENDED]:
            del self._orders[broker_id]

    def _resync_orders(self, told: ListedOrders) -> None:
        """Publish what the feed holds after a start, a loss or a new connection, then `resync`: this was all."""
        self._orders.clear()  # what the broker does not list any more does not work any more
        for order in told.orders:
            self._take_order(order)
        self.node.publish(RESYNC, Resync("orders"))

    def _resync_positions(self, told: ListedPositions) -> None:
        for position in told.positions:
            self.node.publish(POSITION, position)
        self.node.publish(RESYNC, Resync("positions"))

    def _state(self) -> None:
        streams = self._streams()
        self.node.publish(STREAM, streams)
        self.node.set_state("degraded" if streams.reason else "ready", streams.reason)

    def _streams(self) -> StreamStates:
        down = {feed.kind: feed.reason for feed in (self._order_feed, self._position_feed) if not feed.is_up}
        reason = "; ".join(f"{kind}: {reason}" for kind, reason in down.items())
        orders: UpOrDown = "up" if self._order_feed.is_up else "down"
        positions: UpOrDown = "up" if self._position_feed.is_up else "down"
        return StreamStates(orders, positions, reason, monotonic_ns())

    # --- questions of our own

    def _expect(self) -> None:
        """Note that the order stream should tell something soon; if it does not, the broker is asked."""
        if not self._is_expecting:
            self._is_expecting, self._told_at = True, time.monotonic()

    def _working(self) -> list[BrokerOrder]:
        return [order for order in self._orders.values() if not order.state.is_terminal]

    def _poll(self) -> None:
        """Ask for the orders while some work, one was operated on and the stream is quiet, or the stream is down.

        A stream that tells a lot may have dropped the one frame that matters, so that working orders are asked for
        whatever it tells.
        """
        now = time.monotonic()
        is_quiet = now - self._told_at >= self._timing.poll
        working, is_urgent = self._working(), (self._is_expecting and is_quiet) or not self._order_feed.is_up
        if self._is_polling or not (working or is_urgent):
            return
        is_resting = not is_urgent and all(_rests(order) for order in working)
        pace = self._timing.rest if is_resting else self._timing.poll
        if now - self._answered_at < (self._timing.retry if self._has_failed else pace):
            return
        self._is_polling = True
        self._told_meanwhile.clear()
        known = set(self._orders)
        self.node.request(
            self.link,
            link_messages.ORDERS,
            OrdersQuestion(
                tuple(order.broker_id for order in working),
                account=self.account,
                within=self._timing.rest_share if is_resting else self._timing.share,
            ),
            seconds=self._timing.question,
            on_reply=lambda reply: self._polled(known, reply),
        )

    def _polled(self, known: set[str], reply: Reply[Answer[tuple[ListedOrder, ...]]]) -> None:
        """Take over what the answer lists; what the stream has told since the question is newer and stays."""
        self._is_polling = False
        is_known = isinstance(reply, Answered) and isinstance(reply.body, Known)
        self._answered_at, self._has_failed = time.monotonic(), not is_known
        if not isinstance(reply, Answered) or not isinstance(answer := reply.body, Known):
            return
        unread = {order.broker_id for order in answer.value if isinstance(order, UnreadableRecord)}
        readable = [order for order in answer.value if isinstance(order, BrokerOrder)]
        self._is_expecting = False
        listed = {order.broker_id: order for order in readable if order.broker_id not in self._told_meanwhile}
        for broker_id in known - listed.keys() - self._told_meanwhile - unread:
            self._orders.pop(broker_id, None)
        changed = [order for order in listed.values() if self._orders.get(order.broker_id) != order]
        for order in changed:
            self._orders[order.broker_id] = order
            self.node.publish(ORDER, order)
        if changed and self._order_feed.is_up:
            log.warning("order_stream_silent account=%s told_by_asking=%d", self.account, len(changed))

    def _ask_balance(self) -> None:
        def replied(reply: Reply[Answer[Balance]]) -> None:
            if isinstance(reply, Answered) and isinstance(reply.body, Known):
                self.node.publish(BALANCE, reply.body.value)

        question = AccountQuestion(account=self.account, within=self._timing.share)
        self.node.request(
            self.link, link_messages.BALANCES, question, seconds=self._timing.question, on_reply=replied
        )


def _rests(order: BrokerOrder) -> bool:
    """Tell whether an order waits for a price, or for its entry: nothing is expected of it until the market moves."""
    is_waiting = order.state.is_working or order.parent is not None
    return is_waiting and order.type is not OrderType.MARKET and not order.has_cancel_pending


def main(arguments: Sequence[str]) -> int:
    """Run the account manager of a session.

    Its command tells login and account, which a session never changes. A group that an earlier version wrote tells
    neither: then they are read from the database, whose driver is loaded for that only, because it is a third of
    this process's memory.
    """
    parser = argparse.ArgumentParser(prog="tradeproc.procs account")
    parser.add_argument("session", type=int, help="number of the trading session")
    parser.add_argument("login", nargs="?", default="", help="login through which it orders")
    parser.add_argument("account", nargs="?", default="", help="its account there")
    given = parser.parse_args(arguments)
    if not given.account:
        from tradeproc.procs.account.by_number import run_by_number

        return run_by_number(given.session)
    node = Node(names.account(given.session), Directory(find_home().sockets))
    Account(node, given.login, given.account)
    node.run()
    return node.exit_status

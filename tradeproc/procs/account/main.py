"""`session-<id>.account`: order operations and account events of one trading session; knows no broker.

Forwards operations to the link with the caller's remaining time, follows the feeds of its account, and asks the link
every 5 s while orders work and the order stream is quiet, because streams are known to drop frames.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tradeproc.bus.codec import Body, Envelope
from tradeproc.bus.node import Answered, Deferred, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.bus.serving import seconds_left
from tradeproc.clock import monotonic_ns
from tradeproc.domain import messages
from tradeproc.domain.answers import Known
from tradeproc.domain.broker_orders import BrokerOrder, Refused, Unanswered, UnreadableRecord
from tradeproc.home import Home
from tradeproc.procs import follower
from tradeproc.procs.follower import Follower, FollowerTiming
from tradeproc.procs.lanes import LEAST_SECONDS
from tradeproc.procs.session_start import run_session
from tradeproc.protocol import names
from tradeproc.store.rows import SessionRow

log = logging.getLogger(__name__)

_KEPT_ENDED = 1_000
OPERATIONS = ("submit", "modify", "cancel")
QUESTIONS = ("accounts", "balances", "orders", "open_orders", "position", "positions")


@dataclass(frozen=True, slots=True)
class AccountTiming:
    """How often an account manager looks, and how long it waits for answers to its own questions, in seconds."""

    poll: float = 5.0
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
        self._told_at = time.monotonic()
        self._is_polling = self._is_expecting = False
        self._feeds = {
            kind: Follower(
                node,
                self.link,
                {"feed": kind, "account": account},
                self._hear,
                self._resync,
                self._state,
                timing.follower,
            )
            for kind in ("orders", "positions")
        }
        for method in OPERATIONS:
            node.handle(method, partial(self._operate, method))
        for method in QUESTIONS:
            node.handle(method, partial(self._ask, method))
        node.handle("streams", lambda _: self._streams())
        node.every(timing.poll, self._poll)
        node.every(timing.balance, self._ask_balance)
        node.after(1.0, self._ask_balance)
        node.add_statistics(lambda: {"streams": self._streams(), "working": len(self._working())})

    # --- operations and questions

    def _operate(self, method: str, body: Body) -> Deferred[Body]:
        """Forward an order operation once, for as long as its asker waits; no answer is an answer: nobody knows."""
        deferred = Deferred[Body]()
        seconds = seconds_left(body)
        if seconds < LEAST_SECONDS:
            deferred.answer(messages.outcome_to_body(Unanswered(f"{self.node.name}: too late to send it", False)))
            return deferred

        def replied(reply: Reply[Body]) -> None:
            match reply:
                case Answered(outcome):
                    self.node.note_work()
                    deferred.answer(outcome)
                case RequestWasRefused(reason):
                    deferred.answer(messages.outcome_to_body(Refused(reason)))
                case NoAnswer(reason):
                    log.warning("operation_unanswered what=%s reason=%s", method, reason)
                    deferred.answer(messages.outcome_to_body(Unanswered(reason)))
            # whatever happened, the stream should tell something now; if it does not, the broker is asked
            self._is_expecting = True

        params = {**body, "account": self.account}
        self.node.request(self.link, method, params, seconds=seconds, on_reply=replied)
        self.node.note_event()
        return deferred

    def _ask(self, method: str, body: Body) -> Deferred[Body]:
        """Forward a question for as long as its asker waits; a lost answer is unknown."""
        deferred = Deferred[Body]()

        def replied(reply: Reply[Body]) -> None:
            match reply:
                case Answered(answer):
                    self.node.note_work()
                    deferred.answer(answer)
                case RequestWasRefused(reason) | NoAnswer(reason):
                    deferred.answer({"unknown": reason})

        params = {**body, "account": self.account}
        self.node.request(self.link, method, params, seconds=max(0.0, seconds_left(body)), on_reply=replied)
        return deferred

    # --- what the feeds tell

    def _hear(self, envelope: Envelope[Body]) -> None:
        if envelope.topic == "order":
            self._take_order(envelope.body)
        elif envelope.topic == "position":
            self.node.publish("position", envelope.body)
        self.node.note_work()
        self.node.note_event(sent_at=envelope.sent_at)

    def _take_order(self, body: Body) -> None:
        order = messages.listed_order_from_body(body)
        if isinstance(order, UnreadableRecord):
            self._is_expecting = True  # asking may tell it better
            self.node.publish("order", body)
            return
        self._orders[order.broker_id] = order
        if self._is_polling:
            self._told_meanwhile.add(order.broker_id)
        self._told_at, self._is_expecting = time.monotonic(), False
        self.node.publish("order", body)
        if len(self._orders) > 2 * _KEPT_ENDED:
            self._forget()

    def _forget(self) -> None:
        """Drop the oldest ended orders: a life lasts for months."""
        ended = [broker_id for broker_id, order in self._orders.items() if order.state.is_terminal]
        for broker_id in ended[:-_KEPT_ENDED]:
            del self._orders[broker_id]

    def _resync(self, kind: str, body: Body) -> None:
        """Tell on what a feed holds after a start, a loss or a new connection, then that this was all."""
        if kind == "orders":
            self._orders.clear()  # what the broker does not list any more does not work any more
        for item in body[kind]:
            if kind == "orders":
                self._take_order(item)
            else:
                self.node.publish("position", item)
        self.node.publish("resync", {"feed": kind})

    def _state(self) -> None:
        streams = self._streams()
        self.node.publish("stream", streams)
        self.node.set_state("degraded" if streams["reason"] else "ready", streams["reason"])

    def _streams(self) -> Body:
        body: dict[str, Any] = {kind: "up" if feed.is_up else "down" for kind, feed in self._feeds.items()}
        reason = "; ".join(f"{kind}: {feed.reason}" for kind, feed in self._feeds.items() if not feed.is_up)
        return body | {"reason": reason, "as_of": monotonic_ns()}

    # --- what is asked unbidden

    def _working(self) -> list[BrokerOrder]:
        return [order for order in self._orders.values() if not order.state.is_terminal]

    def _poll(self) -> None:
        """Ask for the orders while some work and the stream is quiet, or is down."""
        is_quiet = time.monotonic() - self._told_at >= self._timing.poll
        is_worth_asking = self._is_expecting or self._working() or not self._feeds["orders"].is_up
        if self._is_polling or not (is_worth_asking and is_quiet):
            return
        self._is_polling = True
        self._told_meanwhile.clear()
        known = set(self._orders)
        self.node.request(
            self.link,
            "orders",
            {"account": self.account, "ids": [order.broker_id for order in self._working()]},
            seconds=self._timing.question,
            on_reply=lambda reply: self._polled(known, reply),
        )

    def _polled(self, known: set[str], reply: Reply[Body]) -> None:
        """Take what the answer tells; what the stream told since the question is newer and stays."""
        self._is_polling = False
        if not isinstance(reply, Answered):
            return
        answer = messages.answer_from_body(reply.body, messages.each(messages.listed_order_from_body))
        if not isinstance(answer, Known):
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
            self.node.publish("order", messages.broker_order_to_body(order))
        if changed and self._feeds["orders"].is_up:
            log.warning("order_stream_silent account=%s told_by_asking=%d", self.account, len(changed))

    def _ask_balance(self) -> None:
        def replied(reply: Reply[Body]) -> None:
            if isinstance(reply, Answered) and "known" in reply.body:
                self.node.publish("balance", reply.body["known"])

        self.node.request(
            self.link, "balances", {"account": self.account}, seconds=self._timing.question, on_reply=replied
        )


def main(arguments: Sequence[str]) -> int:
    """Run the account manager of a session."""
    return run_session("account", arguments, _begin)


def _begin(node: Node, _home: Home, _url: str, row: SessionRow) -> None:
    Account(node, row.spec.login, row.spec.account)

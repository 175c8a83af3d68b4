"""`link-<login>.link`: the one process that talks REST to a broker for one login; shared by all its sessions.

Order operations and questions run in lanes of threads of their own, so that a slow answer to a question never holds
up an order. Feeds are programs of the same supervisord group: started when somebody needs them, pruned when nobody
does, kept when the link crashes, stopped when it ends because nobody needed it.
"""

import argparse
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tradeproc.brokers.contract import (
    AccountManager,
    BracketRequest,
    DataSource,
    OrderRequest,
    Outcome,
    Refused,
    Unanswered,
)
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Deferred, Node
from tradeproc.config import load
from tradeproc.domain import messages
from tradeproc.domain.answers import Answer, Unknown
from tradeproc.domain.instruments import Contract
from tradeproc.errors import Halt, Refusal, TradeprocError
from tradeproc.home import find_home
from tradeproc.procs.feed import find_place
from tradeproc.procs.needs import FeedKey, Needs
from tradeproc.supervision.feed_programs import FeedPrograms

log = logging.getLogger(__name__)

_ORDER_LANES, _QUESTION_LANES = 4, 3
_REMEMBERED = 10_000

T = TypeVar("T")
Handler = Callable[[Body], Body | Deferred]


class BadRequest(Refusal):
    """A request that lacks something or names what this login has not; answered as refused."""


class Link:
    """Order operations, questions and feeds of one login."""

    def __init__(self, node: Node, manager: AccountManager | None, data: DataSource | None) -> None:
        self.node, self.manager, self.data = node, manager, data
        self._orders = ThreadPoolExecutor(_ORDER_LANES, "orders")
        self._questions = ThreadPoolExecutor(_QUESTION_LANES, "questions")
        self._sent_ids: OrderedDict[str, None] = OrderedDict()
        handlers: dict[str, Handler] = {}
        if manager is not None:
            handlers |= self._account_handlers(manager)
        if data is not None:
            handlers |= self._data_handlers(data)
        for method, handler in handlers.items():
            node.handle(method, handler)
        node.on_stop(self._stop)

    # --- what can be asked

    def _account_handlers(self, manager: AccountManager) -> dict[str, Handler]:
        def contract(body: Body) -> Contract:
            return Contract.parse(_text(body, "contract"))

        def account(body: Body) -> str:
            return _text(body, "account")

        ask = self._ask
        order, position = messages.broker_order_to_body, messages.position_to_body
        return {
            "submit": lambda body: self._submit(manager, body),
            "modify": lambda body: self._modify(manager, body),
            "cancel": lambda body: self._cancel(manager, body),
            "accounts": lambda _: ask(manager.accounts, messages.each(messages.broker_account_to_body)),
            "balances": lambda body: ask(lambda: manager.balances(account(body)), messages.balance_to_body),
            "orders": lambda body: ask(lambda: manager.orders(account(body)), messages.each(order)),
            "open_orders": lambda body: ask(lambda: manager.open_orders(account(body)), messages.each(order)),
            "position": lambda body: ask(lambda: manager.current_position(account(body), contract(body)), position),
            "positions": lambda body: ask(lambda: manager.positions(account(body)), messages.each(position)),
        }

    def _data_handlers(self, data: DataSource) -> dict[str, Handler]:
        def details(body: Body) -> Deferred:
            contract = Contract.parse(_text(body, "contract"))
            return self._ask(lambda: data.contract_details(contract), messages.contract_details_to_body)

        def front_month(body: Body) -> Deferred:
            root = _text(body, "root")
            return self._ask(lambda: data.front_month(root), lambda contract: contract.code)

        def history(body: Body) -> Deferred:
            contract, minutes, count = (
                Contract.parse(_text(body, "contract")),
                int(body["minutes"]),
                int(body["count"]),
            )
            return self._ask(
                lambda: data.history(contract, minutes, count),
                lambda candles: [
                    messages.candle_to_body(candle, contract.code, minutes, is_history=True) for candle in candles
                ],
            )

        return {"contract_details": details, "front_month": front_month, "history": history}

    def _ask(self, question: Callable[[], Answer[T]], encode: Callable[[T], Any]) -> Deferred:
        """Ask the broker in a thread; an error is an unknown, never an empty answer."""
        deferred = Deferred()

        def ask() -> None:
            answer: Answer[T]
            try:
                answer = question()
                body = messages.answer_to_body(answer, encode)
            except Halt as halt:
                self.node.post(_raiser(halt))
                return
            except Exception as error:  # noqa: BLE001  a broker's bug is an unknown, not the end of the link
                _log_unless_expected("question_failed", error)
                body = messages.answer_to_body(Unknown(f"{type(error).__name__}: {error}"), encode)
            self.node.post(lambda: deferred.answer(body))

        self._questions.submit(ask)
        return deferred

    # --- what can be done

    def _submit(self, manager: AccountManager, body: Body) -> Body | Deferred:
        account, timeout = _text(body, "account"), float(body["timeout"])
        request = messages.request_from_body(body["request"])
        for order_id in _ids(request):
            if order_id in self._sent_ids:
                return messages.outcome_to_body(Refused(f"{order_id}: was sent before; an order is never sent twice"))
            self._sent_ids[order_id] = None
        while len(self._sent_ids) > _REMEMBERED:
            self._sent_ids.popitem(last=False)
        return self._do("submit", lambda: manager.submit(account, request, timeout))

    def _modify(self, manager: AccountManager, body: Body) -> Deferred:
        account, broker_id, timeout = _text(body, "account"), _text(body, "broker_id"), float(body["timeout"])
        change = messages.order_request_from_body(body["change"])
        return self._do("modify", lambda: manager.modify(account, broker_id, change, timeout))

    def _cancel(self, manager: AccountManager, body: Body) -> Deferred:
        account, broker_id, timeout = _text(body, "account"), _text(body, "broker_id"), float(body["timeout"])
        return self._do("cancel", lambda: manager.cancel(account, broker_id, timeout))

    def _do(self, what: str, operation: Callable[[], Outcome]) -> Deferred:
        """Run an order operation in a thread; an error after it began is unanswered, never refused."""
        deferred = Deferred()

        def do() -> None:
            outcome: Outcome
            try:
                outcome = operation()
            except Exception as error:  # noqa: BLE001  whatever happened, it may have been done
                _log_unless_expected(f"{what}_failed", error)
                outcome = Unanswered(f"{type(error).__name__}: {error}")
            self.node.post(lambda: self._finish(what, outcome, deferred))

        self._orders.submit(do)
        return deferred

    def _finish(self, what: str, outcome: Outcome, deferred: Deferred) -> None:
        self.node.note_event()
        deferred.answer(messages.outcome_to_body(outcome))
        log.info("order_operation what=%s outcome=%s", what, outcome)

    def _stop(self) -> None:
        """Let order operations that are under way end; questions may be forgotten."""
        self._questions.shutdown(wait=False, cancel_futures=True)
        self._orders.shutdown(wait=True, cancel_futures=True)
        for side in (self.manager, self.data):
            if side is not None:
                side.shutdown()


class FeedKeeper:
    """Starts, keeps and prunes the feeds of a link, and ends the link when nobody needs it."""

    def __init__(self, node: Node, login: str, needs: Needs, programs: FeedPrograms) -> None:
        self.node, self.login, self.needs, self.programs = node, login, needs, programs
        self._lane = ThreadPoolExecutor(1, "feeds")
        self._running: list[str] = []
        self._is_ending = False
        node.handle("need", self._need)
        node.handle("feeds", lambda _: {"feeds": self._feeds()})
        node.every(min(5.0, needs.need_seconds / 3), self._look)
        node.add_statistics(lambda: {"feeds": self._running})
        node.on_stop(lambda: self._lane.shutdown(wait=False, cancel_futures=True))

    def _need(self, body: Body) -> Deferred:
        """Note a need and answer with the feed's process once it is started; already started is fine."""
        if self._is_ending:
            raise BadRequest("the link is ending because nobody needed it; ask the next one")
        key = _feed_key(body)
        self.needs.renew(key, _text(body, "who"), time.monotonic())
        deferred = Deferred()

        def start() -> None:
            try:
                self.programs.ensure(key.program, [key.kind, self.login, *key.subject])
            except TradeprocError as error:
                reason = f"{key.program}: cannot be started: {error}"
                self.node.post(lambda: deferred.refuse(reason))
                return
            self.node.post(lambda: deferred.answer({"process": f"link-{self.login}.{key.program}"}))

        self._lane.submit(start)
        return deferred

    def _feeds(self) -> Body:
        return {key.program: users for key, users in self.needs.wanted(time.monotonic()).items()}

    def _look(self) -> None:
        """Prune what nobody needs; end when nothing has been needed for long enough."""
        if self._is_ending:
            return
        now = time.monotonic()
        wanted = {key.program for key in self.needs.wanted(now)}
        self._is_ending = self.needs.is_idle(now)
        is_ending = self._is_ending

        def prune() -> None:
            try:
                running = self.programs.running()
                # a fresh link does not know yet who needs the feeds that a crashed one left behind
                stale = [name for name in running if name not in wanted] if is_ending or self._may_prune(now) else []
                for name in stale:
                    self.programs.remove(name)
                    log.info("feed_pruned program=%s", name)
                self.node.post(lambda: self._looked(sorted(set(running) - set(stale))))
            except TradeprocError as error:
                log.warning("feeds_unknown reason=%s", error)
            if is_ending:
                self.node.post(self._end)

        self._lane.submit(prune)

    def _may_prune(self, now: float) -> bool:
        return now - self.needs.started_at > self.needs.need_seconds

    def _looked(self, running: list[str]) -> None:
        if running != self._running:
            self._running = running
            self.node.publish("link", {"feeds": running})

    def _end(self) -> None:
        log.info("link_idle login=%s seconds=%.0f: nobody needs it, ending", self.login, self.needs.idle_seconds)
        self.node.stop(0)


def _feed_key(body: Body) -> FeedKey:
    kind = _text(body, "feed")
    if kind == "bars":
        return FeedKey(kind, (Contract.parse(_text(body, "contract")).code, str(int(body["minutes"]))))
    if kind in ("orders", "positions"):
        return FeedKey(kind, (_text(body, "account"),))
    raise BadRequest(f"feed: {kind!r} is none of bars, orders, positions")


def _ids(request: OrderRequest | BracketRequest) -> list[str]:
    if isinstance(request, OrderRequest):
        return [request.id]
    legs = [request.stop_loss] if request.profit_target is None else [request.stop_loss, request.profit_target]
    return [request.entry.id, *(leg.id for leg in legs)]


def _text(body: Body, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{key}: missing")
    return value


def _raiser(halt: Halt) -> Callable[[], None]:
    def end() -> None:
        raise halt

    return end


def _log_unless_expected(event: str, error: Exception) -> None:
    if isinstance(error, TradeprocError):
        log.warning("%s reason=%s", event, error)
    else:
        log.exception("%s", event)


def main(arguments: Sequence[str]) -> int:
    """Run the link of a login."""
    parser = argparse.ArgumentParser(prog="tradeproc.procs link")
    parser.add_argument("login", help="name of the broker login")
    login: str = parser.parse_args(arguments).login
    place, home = find_place(login), find_home()
    configured = load(home).login(login)
    node = Node(f"link-{login}.link", place.directory)
    broker = place.broker
    manager = broker.account_manager(place.login, place.tokens) if broker.has_account_management else None
    data = broker.data_source(place.login, place.tokens) if broker.is_data_source else None
    Link(node, manager, data)
    if manager is not None:
        node.add_statistics(lambda: {"clock_skew": manager.clock_skew()})
    needs = Needs(configured.need_seconds, configured.idle_seconds, time.monotonic())
    FeedKeeper(node, login, needs, FeedPrograms(home, login))
    node.set_state("ready")
    node.run()
    return node.exit_status

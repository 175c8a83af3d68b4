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
from tradeproc.errors import Halt, TradeprocError
from tradeproc.home import find_home
from tradeproc.procs.feed import find_place
from tradeproc.procs.feed_keeper import FeedKeeper
from tradeproc.procs.needs import Needs
from tradeproc.procs.parameters import text
from tradeproc.supervision.feed_programs import FeedPrograms

log = logging.getLogger(__name__)

_ORDER_LANES, _QUESTION_LANES = 4, 3
_REMEMBERED = 10_000
SLOW_SECONDS = 1.0

T = TypeVar("T")
Handler = Callable[[Body], Body | Deferred]


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
            return Contract.parse(text(body, "contract"))

        def account(body: Body) -> str:
            return text(body, "account")

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
            contract = Contract.parse(text(body, "contract"))
            return self._ask(lambda: data.contract_details(contract), messages.contract_details_to_body)

        def front_month(body: Body) -> Deferred:
            root = text(body, "root")
            return self._ask(lambda: data.front_month(root), lambda contract: contract.code)

        def history(body: Body) -> Deferred:
            contract, minutes, count = (
                Contract.parse(text(body, "contract")),
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
            began = time.monotonic()
            try:
                answer = question()
                body = messages.answer_to_body(answer, encode)
            except Halt as halt:
                self.node.post(_raiser(halt))
                return
            except Exception as error:  # noqa: BLE001  a broker's bug is an unknown, not the end of the link
                _log_unless_expected("question_failed", error)
                body = messages.answer_to_body(Unknown(f"{type(error).__name__}: {error}"), encode)
            _log_answer(body, time.monotonic() - began)
            self.node.post(lambda: deferred.answer(body))

        self._questions.submit(ask)
        return deferred

    # --- what can be done

    def _submit(self, manager: AccountManager, body: Body) -> Body | Deferred:
        account, timeout = text(body, "account"), float(body["timeout"])
        request = messages.request_from_body(body["request"])
        for order_id in _ids(request):
            if order_id in self._sent_ids:
                return messages.outcome_to_body(Refused(f"{order_id}: was sent before; an order is never sent twice"))
            self._sent_ids[order_id] = None
        while len(self._sent_ids) > _REMEMBERED:
            self._sent_ids.popitem(last=False)
        return self._do("submit", lambda: manager.submit(account, request, timeout))

    def _modify(self, manager: AccountManager, body: Body) -> Deferred:
        account, broker_id, timeout = text(body, "account"), text(body, "broker_id"), float(body["timeout"])
        change = messages.order_request_from_body(body["change"])
        return self._do("modify", lambda: manager.modify(account, broker_id, change, timeout))

    def _cancel(self, manager: AccountManager, body: Body) -> Deferred:
        account, broker_id, timeout = text(body, "account"), text(body, "broker_id"), float(body["timeout"])
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
        level = logging.WARNING if isinstance(outcome, Unanswered) else logging.INFO
        log.log(level, "order_operation what=%s outcome=%s", what, outcome)

    def _stop(self) -> None:
        """Let order operations that are under way end; questions may be forgotten."""
        self._questions.shutdown(wait=False, cancel_futures=True)
        self._orders.shutdown(wait=True, cancel_futures=True)
        for side in (self.manager, self.data):
            if side is not None:
                side.shutdown()


def _ids(request: OrderRequest | BracketRequest) -> list[str]:
    if isinstance(request, OrderRequest):
        return [request.id]
    legs = [request.stop_loss] if request.profit_target is None else [request.stop_loss, request.profit_target]
    return [request.entry.id, *(leg.id for leg in legs)]


def _raiser(halt: Halt) -> Callable[[], None]:
    def end() -> None:
        raise halt

    return end


def _log_answer(body: Body, seconds: float) -> None:
    if "unknown" in body:
        log.warning("question_unknown reason=%s", body["unknown"])
    elif seconds > SLOW_SECONDS:
        log.warning("question_slow seconds=%.1f", seconds)


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

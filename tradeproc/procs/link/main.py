"""`link-<login>.link`: the one process that talks REST to a broker for one login; shared by all its sessions.

Order operations and questions run in lanes of threads of their own, so that a slow answer to a question never holds
up an order, and what its asker has given up is not begun any more. Feeds are programs of the same supervisord group:
started when somebody needs them, pruned when nobody does, kept when the link crashes, stopped when it ends because
nobody needed it.
"""

import argparse
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from tradeproc.brokers.contract import (
    AccountManager,
    BracketRequest,
    DataSource,
    KnowsContracts,
    ListedOrder,
    OrderRequest,
    Outcome,
    Unanswered,
    lacks,
)
from tradeproc.brokers.registry import check_account_manager
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Deferred, Node
from tradeproc.bus.serving import seconds_left
from tradeproc.domain import messages
from tradeproc.domain.answers import Answer
from tradeproc.domain.instruments import Contract
from tradeproc.domain.session import LONGEST_BAR
from tradeproc.errors import Halt, Refusal, TradeprocError
from tradeproc.procs.feeds.feed import find_place
from tradeproc.procs.lanes import Lanes
from tradeproc.procs.link.feed_keeper import FeedKeeper
from tradeproc.procs.needs import Needs
from tradeproc.procs.parameters import text, texts, whole
from tradeproc.protocol import names
from tradeproc.supervision.feed_programs import FeedPrograms

log = logging.getLogger(__name__)

_ORDER_LANES, _QUESTION_LANES = 4, 3
_REMEMBERED = 10_000
# supervision kills what takes longer to end than 3 s
_STOP_SECONDS = 2.0
_MOST_CANDLES = 100_000
_MOST_IDS = 20_000
SLOW_SECONDS = 1.0
# a call that still runs so long after its time is stuck, because the limits of the HTTP client should have ended it
_STUCK_SECONDS = 60.0

T = TypeVar("T")
Handler = Callable[[Body], Body | Deferred[Body]]


_ACCOUNT_METHODS = (
    *("submit", "modify", "cancel"),
    *("accounts", "balances", "orders", "open_orders", "position", "positions"),
)
_DATA_METHODS = ("contract_details", "front_month", "history")


class NotDeclared(Refusal):
    """A method that the broker declares not to support; answered as refused, and never passed to the broker."""


class Link:
    """Order operations, questions and feeds of one login."""

    def __init__(self, node: Node, manager: AccountManager | None, data: DataSource | None) -> None:
        self.node, self.manager, self.data = node, manager, data
        self._orders = Lanes("orders", _ORDER_LANES)
        self._questions = Lanes("questions", _QUESTION_LANES)
        self._sent_ids: OrderedDict[str, None] = OrderedDict()
        self._done: deque[tuple[str, Outcome, Body, Deferred[Body]]] = deque()
        handlers: dict[str, Handler] = {}
        if manager is not None:
            handlers |= self._account_handlers(manager)
        if data is not None:
            handlers |= self._data_handlers(data)
        if isinstance(terms := data if data is not None else manager, KnowsContracts):
            handlers["contract_details"] = self._terms_handler(terms)
        for method in (*_ACCOUNT_METHODS, *_DATA_METHODS):
            handlers.setdefault(method, partial(_refuse, method))
        for method, handler in handlers.items():
            node.handle(method, handler)
        node.on_stop(self._stop)
        node.add_thread("orders", lambda: self._orders.is_stuck(_STUCK_SECONDS))
        node.add_thread("questions", lambda: self._questions.is_stuck(_STUCK_SECONDS))

    # --- what can be asked

    def _account_handlers(self, manager: AccountManager) -> dict[str, Handler]:
        def contract(body: Body) -> Contract:
            return Contract.parse(text(body, "contract"))

        def account(body: Body) -> str:
            return text(body, "account")

        def orders(body: Body) -> Answer[Sequence[ListedOrder]]:
            ids = texts(body, "ids", most=_MOST_IDS)
            return manager.orders(account(body), ids) if ids else manager.orders(account(body))

        ask = self._ask
        order, position = messages.listed_order_to_body, messages.listed_position_to_body
        return {
            "submit": lambda body: self._submit(manager, body),
            "modify": lambda body: self._modify(manager, body),
            "cancel": lambda body: self._cancel(manager, body),
            "accounts": lambda body: ask(body, manager.accounts, messages.each(messages.broker_account_to_body)),
            "balances": lambda body: ask(body, lambda: manager.balances(account(body)), messages.balance_to_body),
            "orders": lambda body: ask(body, lambda: orders(body), messages.each(order)),
            "open_orders": lambda body: ask(body, lambda: manager.open_orders(account(body)), messages.each(order)),
            "position": lambda body: ask(
                body, lambda: manager.current_position(account(body), contract(body)), messages.position_to_body
            ),
            "positions": lambda body: ask(body, lambda: manager.positions(account(body)), messages.each(position)),
        }

    def _terms_handler(self, terms: KnowsContracts) -> Handler:
        def details(body: Body) -> Deferred[Body]:
            contract = Contract.parse(text(body, "contract"))
            return self._ask(body, lambda: terms.contract_details(contract), messages.contract_details_to_body)

        return details

    def _data_handlers(self, data: DataSource) -> dict[str, Handler]:
        def front_month(body: Body) -> Deferred[Body]:
            root = text(body, "root")
            return self._ask(body, lambda: data.front_month(root), lambda contract: contract.code)

        def history(body: Body) -> Deferred[Body]:
            contract = Contract.parse(text(body, "contract"))
            minutes, count = whole(body, "minutes", most=LONGEST_BAR), whole(body, "count", most=_MOST_CANDLES)
            return self._ask(
                body,
                lambda: data.history(contract, minutes, count),
                lambda candles: [
                    messages.candle_to_body(candle, contract.code, minutes, is_history=True) for candle in candles
                ],
            )

        return {"front_month": front_month, "history": history}

    def _ask(self, body: Body, question: Callable[[], Answer[T]], encode: Callable[[T], Any]) -> Deferred[Body]:
        """Ask the broker in a thread; an error is an unknown, never an empty answer."""
        deferred = Deferred[Body]()

        def ask(_left: float) -> None:
            began = time.monotonic()
            try:
                answer = messages.answer_to_body(question(), encode)
            except Halt as halt:
                self.node.post(_raiser(halt))
                return
            except Exception as error:  # noqa: BLE001  a broker's bug is an unknown, not the end of the link
                _log_unless_expected("question_failed", error)
                answer = {"unknown": f"{type(error).__name__}: {error}"}
            if "unknown" not in answer:
                self.node.note_work()
            _log_answer(answer, time.monotonic() - began)
            self.node.post(lambda: deferred.answer(answer))

        # nobody reads an answer that comes too late, and it would hold up the next question
        self._begin_in(self._questions, body, ask, deferred.fail)
        return deferred

    # --- what can be done

    def _submit(self, manager: AccountManager, body: Body) -> Body | Deferred[Body]:
        account = text(body, "account")
        request = messages.request_from_body(body["request"])
        ids = _ids(request)
        known = [order_id for order_id in ids if order_id in self._sent_ids]
        if known:
            log.error("order_sent_again orders=%s: not sent", ",".join(known))
            # unanswered and not refused, because the order that was sent first may work at the broker
            return messages.outcome_to_body(Unanswered(f"{known[0]}: was sent before; an order is never sent twice"))
        self._sent_ids.update(dict.fromkeys(ids))
        while len(self._sent_ids) > _REMEMBERED:
            self._sent_ids.popitem(last=False)
        return self._do("submit", body, lambda left: manager.submit(account, request, left))

    def _modify(self, manager: AccountManager, body: Body) -> Deferred[Body]:
        account, broker_id = text(body, "account"), text(body, "broker_id")
        change = messages.order_request_from_body(body["change"])
        return self._do("modify", body, lambda left: manager.modify(account, broker_id, change, left))

    def _cancel(self, manager: AccountManager, body: Body) -> Deferred[Body]:
        account, broker_id = text(body, "account"), text(body, "broker_id")
        return self._do("cancel", body, lambda left: manager.cancel(account, broker_id, left))

    def _do(self, what: str, body: Body, operation: Callable[[float], Outcome]) -> Deferred[Body]:
        """Run an order operation in a thread; an error after it began is unanswered, never refused.

        One that could not begin while its asker waits is not begun, because an order that goes out after its asker
        gave up would be unexpected.
        """
        deferred = Deferred[Body]()

        def do(left: float) -> None:
            outcome: Outcome
            try:
                outcome = operation(left)
                answer = messages.outcome_to_body(outcome)
            except Exception as error:  # noqa: BLE001  whatever happened, it may have been done
                _log_unless_expected(f"{what}_failed", error)
                outcome = Unanswered(f"{type(error).__name__}: {error}")
                answer = messages.outcome_to_body(outcome)
            if not isinstance(outcome, Unanswered):
                self.node.note_work()
            finish(outcome, answer)

        def too_late(reason: str) -> None:
            outcome = Unanswered(f"{self.node.name}: {reason}", was_sent=False)
            finish(outcome, messages.outcome_to_body(outcome))

        def finish(outcome: Outcome, answer: Body) -> None:
            self._done.append((what, outcome, answer, deferred))
            self.node.post(self._finish)

        self._begin_in(self._orders, body, do, too_late)
        return deferred

    def _begin_in(
        self, lanes: Lanes, body: Body, run: Callable[[float], None], too_late: Callable[[str], None]
    ) -> None:
        """Run a request in a lane with the seconds that are left, or tell its asker in time that it was not begun."""
        seconds = seconds_left(body)
        give_up = lanes.submit(seconds, run, too_late)
        self.node.after(max(0.0, seconds), give_up)

    def _finish(self) -> None:
        while self._done:
            what, outcome, answer, deferred = self._done.popleft()
            self.node.note_event()
            deferred.answer(answer)
            level = logging.WARNING if isinstance(outcome, Unanswered) else logging.INFO
            log.log(level, "order_operation what=%s outcome=%s", what, outcome)

    def _stop(self) -> None:
        """Let order operations that are under way end, and tell what came of them; questions may be forgotten."""
        self._questions.close(0.0)
        if not self._orders.close(_STOP_SECONDS):
            log.warning("order_operations_abandoned process=%s: nobody knows what becomes of them", self.node.name)
        self._finish()
        for side in (self.manager, self.data):
            if side is not None:
                side.shutdown()


def _refuse(method: str, _body: Body) -> Body:
    what = "market data" if method in _DATA_METHODS else "accounts"
    raise NotDeclared(f"{method}: the broker of this login declares that it has no {what}")


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
    place = find_place(login)
    node = Node(names.link(login), place.directory)
    broker = place.broker
    manager = None
    if broker.has_account_management:
        manager = check_account_manager(broker.key, broker.account_manager(place.login, place.tokens))
    data = broker.data_source(place.login, place.tokens) if broker.is_data_source else None
    Link(node, manager, data)
    if manager is not None:
        node.add_statistics(lambda: {"clock_skew": manager.clock_skew()})
    needs = Needs(place.configured.need_seconds, place.configured.idle_seconds, time.monotonic())
    FeedKeeper(node, login, needs, FeedPrograms(place.home, login), lambda kind: lacks(broker, kind))
    node.set_state("ready")
    node.run()
    return node.exit_status

"""`link-<login>.link`: the one process that talks REST to a broker for one login; shared by all its sessions.

Order operations and questions run in lanes of threads of their own, so that a slow answer to a question never holds
up an order, and what its asker has given up is not begun any more. Questions for orders and positions have lanes that
no other question may use: a history that hangs, or balances, cannot hide a fill. A new order is written by the loop
itself where the broker's connection takes it without waiting, and a lane waits for its answer.

Feeds are programs of the same supervisord group: started when somebody needs them, pruned when nobody does, kept when
the link crashes, stopped when it ends because nobody needed it.
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
    BeginsSubmit,
    BracketRequest,
    DataSource,
    KnowsContracts,
    OrderRequest,
    Outcome,
    Unanswered,
    lacks,
)
from tradeproc.brokers.registry import check_account_manager
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Deferred, Node
from tradeproc.domain.answers import Answer, Known
from tradeproc.domain.broker_orders import Accepted, Refused
from tradeproc.errors import Refusal
from tradeproc.procs.feeds.feed import find_place
from tradeproc.procs.lanes import LEAST_SECONDS, Lanes
from tradeproc.procs.link.asking import account_of, ask_broker, check, log_unless_expected
from tradeproc.procs.link.feed_keeper import FeedKeeper
from tradeproc.procs.link.shared_questions import SharedQuestions
from tradeproc.procs.needs import Needs
from tradeproc.protocol import link_messages, names
from tradeproc.protocol.definitions import Method
from tradeproc.protocol.feed_messages import CandleBody
from tradeproc.protocol.link_messages import (
    ACCOUNTS,
    CANCEL,
    CONTRACT_DETAILS,
    FRONT_MONTH,
    HISTORY,
    MODIFY,
    OPEN_ORDERS,
    SUBMIT,
    CancelOrder,
    HistoryQuestion,
    ModifyOrder,
    OfAccount,
    PlaceOrder,
)
from tradeproc.supervision.feed_programs import FeedPrograms

log = logging.getLogger(__name__)

_ORDER_LANES, _RESERVED_LANES, _QUESTION_LANES = 4, 2, 2
_REMEMBERED = 10_000
# supervision kills what takes longer to end than 3 s
_STOP_SECONDS = 2.0
# a call that still runs so long after its time is stuck, because the limits of the HTTP client should have ended it
_STUCK_SECONDS = 60.0

Q = TypeVar("Q")
T = TypeVar("T")
_Begun = Callable[[], Outcome]
_Begin = Callable[[str, OrderRequest | BracketRequest, float], _Begun | None]


class NotDeclared(Refusal):
    """A method that the broker declares not to support; answered as refused, and never passed to the broker."""


class Link:
    """Order operations, questions and feeds of one login."""

    def __init__(self, node: Node, manager: AccountManager | None, data: DataSource | None) -> None:
        self.node, self.manager, self.data = node, manager, data
        self._orders = Lanes("orders", _ORDER_LANES)
        self._reserved = Lanes("order-questions", _RESERVED_LANES)
        self._questions = Lanes("questions", _QUESTION_LANES)
        # asked once: for each order it would cost more than the hand-over to a thread that it saves
        self._begin: _Begin | None = manager.begin_submit if isinstance(manager, BeginsSubmit) else None
        self._sent_ids: OrderedDict[str, None] = OrderedDict()
        self._done: deque[tuple[str, Outcome, Deferred[Outcome]]] = deque()
        self._shared: SharedQuestions | None = None
        if manager is not None:
            self._serve_account(manager)
        else:
            self._refuse(link_messages.OF_ACCOUNTS, "accounts")
        if data is not None:
            self._serve_data(data)
        else:
            self._refuse(link_messages.OF_DATA, "market data")
        if isinstance(terms := data if data is not None else manager, KnowsContracts):
            self._serve_terms(terms)
        else:
            self._refuse((CONTRACT_DETAILS,), "market data")
        node.on_stop(self._stop)
        node.add_thread("orders", lambda: self._orders.is_stuck(_STUCK_SECONDS))
        node.add_thread("order-questions", lambda: self._reserved.is_stuck(_STUCK_SECONDS))
        node.add_thread("questions", lambda: self._questions.is_stuck(_STUCK_SECONDS))

    # --- what can be asked

    def _serve_account(self, manager: AccountManager) -> None:
        self.node.handle_timed(SUBMIT, partial(self._submit, manager))
        self.node.handle_timed(MODIFY, partial(self._modify, manager))
        self.node.handle_timed(CANCEL, partial(self._cancel, manager))
        # who asks which accounts there are names none
        self._serve(ACCOUNTS, lambda _: _tuple(manager.accounts()), is_of_one=False)
        self._serve(OPEN_ORDERS, lambda question: _tuple(manager.open_orders(account_of(question))))
        self._shared = SharedQuestions(self.node, self._reserved, self._questions, manager)

    def _serve_data(self, data: DataSource) -> None:
        def history(question: HistoryQuestion) -> Answer[tuple[CandleBody, ...]]:
            contract, minutes = question.contract, question.minutes
            found = data.history(contract, minutes, question.count)
            return found.then(
                lambda bars: Known(
                    tuple(CandleBody.of(each, contract.code, minutes, is_history=True) for each in bars)
                )
            )

        self._serve(FRONT_MONTH, lambda question: data.front_month(question.root))
        self._serve(HISTORY, history)

    def _serve_terms(self, terms: KnowsContracts) -> None:
        self._serve(CONTRACT_DETAILS, lambda question: terms.contract_details(question.contract))

    def _refuse(self, methods: Sequence[Method[Any, Any]], what: str) -> None:
        """Refuse methods of what the broker declares not to have, whatever is asked."""

        def refuse(name: str, _params: Body) -> Body:
            raise NotDeclared(f"{name}: the broker of this login declares that it has no {what}")

        for method in methods:
            self.node.handle(method.name, partial(refuse, method.name))

    def _serve(self, method: Method[Q, Answer[T]], ask: Callable[[Q], Answer[T]], *, is_of_one: bool = True) -> None:
        """Serve a question; one that `is_of_one` account is refused when it names none."""
        self.node.handle_timed(method, partial(self._ask, ask, is_of_one))

    def _ask(
        self, ask: Callable[[Q], Answer[T]], is_of_one: bool, question: Q, seconds: float
    ) -> Deferred[Answer[T]]:
        """Ask the broker in a thread for one asker alone."""
        if is_of_one and isinstance(question, OfAccount):
            account_of(question)
        deferred = Deferred[Answer[T]]()

        def run(_left: float) -> None:
            answer = ask_broker(self.node, partial(ask, question))
            if answer is not None:
                self.node.post(partial(deferred.answer, answer))

        # a question whose time is over is not asked: nobody would read the answer, and it would hold up the next one
        self._begin_in(self._questions, seconds, run, deferred.fail)
        return deferred

    # --- what can be done

    def _submit(self, manager: AccountManager, question: PlaceOrder, seconds: float) -> Outcome | Deferred[Outcome]:
        account, request = account_of(question), question.request
        ids = _ids(request)
        known = [order_id for order_id in ids if order_id in self._sent_ids]
        if known:
            log.error("order_sent_again orders=%s: not sent", ",".join(known))
            # unanswered and not refused, because the order that was sent first may work at the broker
            return Unanswered(f"{known[0]}: was sent before; an order is never sent twice")
        self._sent_ids.update(dict.fromkeys(ids))
        while len(self._sent_ids) > _REMEMBERED:
            self._sent_ids.popitem(last=False)
        begun = None
        if self._begin is not None:
            begun = self._begun(seconds, partial(self._begin, account, request, seconds))
        return self._do("submit", seconds, lambda left: manager.submit(account, request, left), begun)

    def _begun(self, seconds: float, begin: Callable[[], _Begun | None]) -> _Begun | None:
        """Let the broker write an order at once if a lane is free to await its answer; None if it was not sent."""
        if seconds < LEAST_SECONDS or not self._orders.has_free():
            return None
        try:
            return begin()
        except Exception as error:  # noqa: BLE001  whatever happened, it may have been sent
            log_unless_expected("submit_failed", error)
            lost = Unanswered(f"{type(error).__name__}: {error}")
            return lambda: lost

    def _modify(self, manager: AccountManager, question: ModifyOrder, seconds: float) -> Deferred[Outcome]:
        account, broker_id, change = account_of(question), question.broker_id, question.change
        return self._do("modify", seconds, lambda left: manager.modify(account, broker_id, change, left))

    def _cancel(self, manager: AccountManager, question: CancelOrder, seconds: float) -> Deferred[Outcome]:
        account, broker_id = account_of(question), question.broker_id
        return self._do("cancel", seconds, lambda left: manager.cancel(account, broker_id, left))

    def _do(
        self, what: str, seconds: float, operation: Callable[[float], Outcome], begun: _Begun | None = None
    ) -> Deferred[Outcome]:
        """Run an order operation in a thread, or the rest of one that was `begun`.

        An error after it began is unanswered, never refused. One that could not begin while its
        asker waits is not begun, because an order that goes out after its asker gave up would be unexpected.
        """
        deferred = Deferred[Outcome]()

        def do(left: float) -> None:
            outcome: Outcome
            try:
                outcome = operation(left) if begun is None else begun()
                check(outcome, (Accepted, Refused, Unanswered))
            except Exception as error:  # noqa: BLE001  whatever happened, it may have been done
                log_unless_expected(f"{what}_failed", error)
                outcome = Unanswered(f"{type(error).__name__}: {error}")
            if not isinstance(outcome, Unanswered):
                self.node.note_work()
            finish(outcome)

        def too_late(reason: str) -> None:
            finish(Unanswered(f"{self.node.name}: {reason}", was_sent=begun is not None))

        def finish(outcome: Outcome) -> None:
            self._done.append((what, outcome, deferred))
            self.node.post(self._finish)

        self._begin_in(self._orders, seconds, do, too_late)
        return deferred

    def _begin_in(
        self, lanes: Lanes, seconds: float, run: Callable[[float], None], too_late: Callable[[str], None]
    ) -> None:
        """Run a request in a lane with the seconds that are left, or tell its asker in time that it was not begun."""
        give_up = lanes.submit(seconds, run, too_late)
        self.node.after(max(0.0, seconds), give_up)

    def _finish(self) -> None:
        while self._done:
            what, outcome, deferred = self._done.popleft()
            self.node.note_event()
            deferred.answer(outcome)
            level = logging.WARNING if isinstance(outcome, Unanswered) else logging.INFO
            log.log(level, "order_operation what=%s outcome=%s", what, outcome)

    def _stop(self) -> None:
        """Let order operations that are under way end, and tell what came of them; questions may be forgotten."""
        self._reserved.close(0.0)
        self._questions.close(0.0)
        if self._shared is not None:
            self._shared.close()
        if not self._orders.close(_STOP_SECONDS):
            log.warning("order_operations_abandoned process=%s: nobody knows what becomes of them", self.node.name)
        self._finish()
        for side in (self.manager, self.data):
            if side is not None:
                side.shutdown()


def _tuple(answer: Answer[Sequence[T]]) -> Answer[tuple[T, ...]]:
    return answer.then(lambda found: Known(tuple(found)))


def _ids(request: OrderRequest | BracketRequest) -> list[str]:
    if isinstance(request, OrderRequest):
        return [request.id]
    legs = [request.stop_loss] if request.profit_target is None else [request.stop_loss, request.profit_target]
    return [request.entry.id, *(leg.id for leg in legs)]


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

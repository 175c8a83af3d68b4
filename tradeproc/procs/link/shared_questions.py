"""The questions about an account that its sessions ask again and again, asked of the broker once for all of them.

`question_pool.py` decides which is asked when; here it is asked in a thread, and each asker gets the answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from tradeproc.brokers.contract import AccountManager, KnowsQuotas, ListsOrdersTogether, QuestionKind
from tradeproc.bus.node import Deferred, Node
from tradeproc.bus.timers import Timer
from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import BrokerOrder, ListedOrder, UnreadableRecord, position_among
from tradeproc.procs.lanes import Lanes
from tradeproc.procs.link.asking import account_of, ask_broker, check
from tradeproc.procs.link.question_pool import Flight, QuestionPool
from tradeproc.protocol.link_messages import (
    BALANCES,
    ORDERS,
    POSITION,
    POSITIONS,
    AccountQuestion,
    OrdersQuestion,
    PositionQuestion,
)

Q = TypeVar("Q", bound=AccountQuestion)
T = TypeVar("T")

_WAITED = "it waited too long behind others"

_ByAccount = Mapping[str, Answer[Any]]
"""What one question to the broker tells of each account that it is about."""


class SharedQuestions:
    """Serves orders, positions and balances for a link; all but the broker's answers happens on the node's thread.

    Those for orders and positions run in `reserved` lanes, balances in those of all `others`.
    """

    def __init__(self, node: Node, reserved: Lanes, others: Lanes, manager: AccountManager) -> None:
        self.node, self.manager = node, manager
        self._lanes = {kind: others if kind is QuestionKind.BALANCES else reserved for kind in QuestionKind}
        self._quotas: KnowsQuotas | None = manager if isinstance(manager, KnowsQuotas) else None
        self._together: ListsOrdersTogether | None = manager if isinstance(manager, ListsOrdersTogether) else None
        self._pool = QuestionPool(
            {kind: self._quotas.quota(kind) for kind in QuestionKind} if self._quotas else None,
            {QuestionKind.ORDERS: self._together.most_accounts} if self._together else None,
        )
        self._made = dict.fromkeys(QuestionKind, 0)
        self._askers: dict[int, tuple[AccountQuestion, Deferred[Any]]] = {}
        self._wake: Timer | None = None
        node.handle_timed(ORDERS, partial(self._ask, QuestionKind.ORDERS))
        node.handle_timed(POSITION, partial(self._ask, QuestionKind.POSITIONS))
        node.handle_timed(POSITIONS, partial(self._ask, QuestionKind.POSITIONS))
        node.handle_timed(BALANCES, partial(self._ask, QuestionKind.BALANCES))
        node.add_statistics(lambda: {"asked": self._pool.asked(), "askers": len(self._askers)})

    def close(self) -> None:
        """Tell all who wait that nothing more is asked."""
        for _, deferred in self._askers.values():
            deferred.fail("it is stopping")
        self._askers.clear()

    def _ask(self, kind: QuestionKind, question: Q, seconds: float) -> Deferred[Any]:
        place, deferred = (kind, account_of(question)), Deferred[Any]()
        number = self._pool.add(place, monotonic_ns(), question.within, seconds)
        self._askers[number] = question, deferred
        self.node.after(max(0.0, seconds), partial(self._give_up, number))
        self._turn()
        return deferred

    def _give_up(self, number: int) -> None:
        if (asker := self._askers.pop(number, None)) is not None:
            asker[1].fail(_WAITED)

    def _turn(self) -> None:
        """Ask what has to be asked by now, and come back when the next question has to be."""
        now = monotonic_ns()
        for flight in self._pool.begin(now):
            self._begin(flight, now)
        # one appointment at a time: each that were left standing would make the next, and there would be ever more
        if self._wake is not None:
            self._wake.cancel()
        at = self._pool.next_at(now)
        self._wake = None if at is None else self.node.after(max(0.0, (at - now) / SECOND), self._turn)

    def _begin(self, flight: Flight, now: int) -> None:
        asked: dict[str, list[AccountQuestion]] = {account: [] for account in flight.accounts}
        for number in flight.numbers:
            if number in self._askers:
                question = self._askers[number][0]
                asked[question.account].append(question)

        def run(_left: float) -> None:
            answer = ask_broker(self.node, partial(self._of_broker, flight, asked))
            if answer is not None:
                self.node.post(partial(self._ended, flight, answer))

        def too_late(_reason: str) -> None:
            self.node.post(partial(self._ended, flight, None))

        self._lanes[flight.kind].submit((flight.give_up_at - now) / SECOND, run, too_late)

    def _of_broker(self, flight: Flight, asked: Mapping[str, Sequence[AccountQuestion]]) -> Answer[_ByAccount]:
        """Return what the broker says about each account of a question, unknown where it says nothing of any."""
        if len(asked) > 1 and self._together is not None:
            ids = {account: _ids(questions) for account, questions in asked.items()}
            return self._together.orders_together(ids).then(lambda found: Known(_told_of(found, asked)))
        account, questions = next(iter(asked.items()))
        said = self._of_one(flight.kind, account, questions)
        check(said, (Known, Unknown))
        return said.then(lambda found: Known({account: Known(found)}))

    def _of_one(self, kind: QuestionKind, account: str, questions: Sequence[AccountQuestion]) -> Answer[Any]:
        if kind is QuestionKind.BALANCES:
            return self.manager.balances(account)
        if kind is QuestionKind.ORDERS:
            ids = _ids(questions)
            listed = self.manager.orders(account, ids) if ids else self.manager.orders(account)
            return listed.then(lambda found: _all_of(found, (BrokerOrder, UnreadableRecord)))
        contracts = {question.contract if isinstance(question, PositionQuestion) else None for question in questions}
        if len(contracts) == 1 and (contract := contracts.pop()) is not None:
            return self.manager.current_position(account, contract)
        return self.manager.positions(account).then(lambda found: _all_of(found, (Position, UnreadableRecord)))

    def _ended(self, flight: Flight, answer: Answer[_ByAccount] | None) -> None:
        """Give the answer to all who waited for it; None: the broker was not asked in time."""
        told = answer.value if isinstance(answer, Known) else {}
        listed = [account for account, said in told.items() if isinstance(said, Known) and said.value]
        if answer is None:
            self._pool.ended(flight, monotonic_ns(), 0)
        else:
            self._pool.ended(flight, monotonic_ns(), self._requests(flight.kind), listed)
        for number in flight.numbers:
            if (asker := self._askers.pop(number, None)) is None:
                continue
            question, deferred = asker
            if answer is None:
                deferred.fail(_WAITED)
            elif isinstance(answer, Unknown):
                deferred.answer(answer)
            else:
                deferred.answer(_for_one(question, told[question.account]))
        self._turn()

    def _requests(self, kind: QuestionKind) -> int:
        """Return how many requests of a kind were made since the last time."""
        if self._quotas is None:
            return 1
        before, self._made[kind] = self._made[kind], self._quotas.requests_made(kind)
        return self._made[kind] - before


def _ids(questions: Iterable[AccountQuestion]) -> list[str]:
    """Return the broker's ids that these questions name, each once."""
    asked = (question.ids for question in questions if isinstance(question, OrdersQuestion))
    return list(dict.fromkeys(each for one in asked for each in one))


def _told_of(found: Mapping[str, Sequence[ListedOrder]], accounts: Iterable[str]) -> _ByAccount:
    """Return what a list of several accounts tells of each.

    An account that it does not list is unknown, not empty: each was listed when it was asked about last, so that the
    broker may have left it out. The next question is about it alone.
    """
    nothing = Unknown("a list of several accounts tells nothing of this one")
    orders = (BrokerOrder, UnreadableRecord)
    return {account: _all_of(listed, orders) if (listed := found.get(account)) else nothing for account in accounts}


def _all_of(found: Iterable[T], kinds: tuple[type[Any], ...]) -> Answer[tuple[T, ...]]:
    listed = tuple(found)
    for each in listed:
        check(each, kinds)
    return Known(listed)


def _for_one(question: AccountQuestion, answer: Answer[Any]) -> Answer[Any]:
    """Return what an answer to several says to one of them."""
    match question, answer:
        case OrdersQuestion(ids), Known(listed):
            return Known(tuple(order for order in listed if _is_for(order, ids)))
        case PositionQuestion(contract), Known(tuple(listed)):
            return position_among(listed, question.account, contract)
        case _:
            return answer


def _is_for(order: ListedOrder, ids: Sequence[str]) -> bool:
    """Leave out what another asked for by its id in vain: it says nothing to those who did not ask."""
    return not (isinstance(order, UnreadableRecord) and order.is_unlisted and order.broker_id not in ids)

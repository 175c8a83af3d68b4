"""A connection that is cut at any byte, there or back: what the account manager then says of it is so.

Written against the broker contract alone. Each operation is cut before, within and after its request, and before,
within and after its answer; then the broker's own books tell whether the outcome was honest: accepted was done once,
refused and "not sent" were not done, and nothing was ever sent a second time.

A run takes some bytes of each; with `TRADEPROC_EVERY_CUT=1` it takes every byte, which needs some minutes.
"""

import itertools
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from tests.contract.cut_proxy import Cut, CutProxy, Way, cut_proxy
from tradeproc.brokers.contract import (
    Accepted,
    AccountManager,
    BrokerOrder,
    Login,
    Outcome,
    Refused,
    SnapshotEnded,
    StreamedOrder,
    StreamEnded,
    Unanswered,
)
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.units import Contracts
from tradeproc.testing.brokers import OverLocalBroker, RunningBroker
from tradeproc.testing.contract_parts import accepted, away, bracket, known, open_orders_of, order
from tradeproc.testing.listening import listening

T = TypeVar("T")
SECONDS = 30.0
WHOLE = 1 << 30


class ThroughProxy(OverLocalBroker):
    """An account of the local broker whose connections go through a proxy."""

    def __init__(self, running: RunningBroker, account: str, proxy: CutProxy) -> None:
        super().__init__(running, account)
        self.proxy, self.control = proxy, running.control
        base = self.login.base_url.replace(str(running.port), str(proxy.port))
        self.login = Login("local", "tradestation", self.login.environment, base, self.login.auth_url)

    def requests(self, call: str) -> list[dict[str, Any]]:
        """Return what the broker was asked to do for this account, as its own books have it."""
        asked = self.control.ledger()["requests"]
        return [each for each in asked if each["account"] == self.account and each["call"] == call]


@pytest.fixture
def desk(running: RunningBroker, fresh_accounts: Iterator[str]) -> Iterator[ThroughProxy]:
    with cut_proxy(running.port) as proxy:
        yield ThroughProxy(running, next(fresh_accounts), proxy)


@pytest.fixture
def accounts(desk: ThroughProxy) -> Iterator[AccountManager]:
    manager = desk.broker.account_manager(desk.login, desk.tokens)
    yield manager
    manager.shutdown()


def cuts(desk: ThroughProxy, operation: Callable[[], T]) -> Iterator[tuple[str, Callable[[Callable[[], T]], T]]]:
    """Yield a name for each place where an operation can be cut, and what makes an operation with that cut.

    `operation` is made once, whole, to learn how long request and answer are.
    """
    whole = desk.proxy.arm(Way.ANSWER, WHOLE)
    operation()
    places = [(Way.REQUEST, after) for after in chosen(whole.sent + 1)]
    places += [(Way.ANSWER, after) for after in chosen(whole.answered)]
    for way, after in places:

        def made(operation: Callable[[], T], way: Way = way, after: int = after) -> T:
            cut = desk.proxy.arm(way, after)
            try:
                return operation()
            finally:
                desk.proxy.disarm()
                assert_was_cut(cut)

        yield f"{way.value}{after}", made


@contextmanager
def managers(desk: ThroughProxy) -> Iterator[Iterator[AccountManager]]:
    """Give account managers, one for a hundred questions, because none may ask as often as there are bytes."""
    made: list[AccountManager] = []

    def endless() -> Iterator[AccountManager]:
        while True:
            made.append(desk.broker.account_manager(desk.login, desk.tokens))
            yield from itertools.repeat(made[-1], 100)

    yield endless()
    for manager in made:
        manager.shutdown()


def chosen(count: int) -> list[int]:
    """Return the bytes after which a run of tests cuts: the first and last ones, and every 37th."""
    if os.environ.get("TRADEPROC_EVERY_CUT"):
        return list(range(count))
    return sorted({0, 1, *range(0, count, 37), count - 2, count - 1})


def assert_was_cut(cut: Cut) -> None:
    """Assert that an operation ran into its cut; an answer that was a byte shorter this time came whole instead."""
    assert cut.is_taken
    assert cut.is_done or cut.way is Way.ANSWER


def assert_honest(outcome: Outcome, times_done: int) -> None:
    """Assert that an outcome is true of an operation that the broker has done so many times."""
    match outcome:
        case Accepted():
            assert times_done == 1
        case Refused() | Unanswered(was_sent=False):
            assert times_done == 0
        case Unanswered():
            assert times_done <= 1


def test_an_order_that_is_cut_off_at_any_byte_is_placed_once_or_never_and_never_told_otherwise(
    desk: ThroughProxy, accounts: AccountManager
) -> None:
    outcomes: dict[str, Outcome] = {}

    def submit(order_id: str) -> Outcome:
        return accounts.submit(desk.account, bracket(desk, order(desk, order_id)), SECONDS)

    for place, cut in cuts(desk, lambda: submit("request000")):
        assert isinstance(
            accounts.cancel(desk.account, "123456789", SECONDS), Refused
        )  # on a connection that is kept
        outcomes[place] = cut(lambda place=place: submit(place.ljust(10, "-")))  # type: ignore[misc]

    placed = [each for request in desk.requests("place") for each in request["client_ids"]]
    assert any(isinstance(each, Unanswered) and each.was_sent for each in outcomes.values())
    for place, outcome in outcomes.items():
        assert_honest(outcome, placed.count(place.ljust(10, "-")))
    assert isinstance(outcomes["answer0"], Unanswered)


def test_an_order_on_a_connection_that_the_broker_ends_meanwhile_is_placed_once_or_never(
    desk: ThroughProxy, accounts: AccountManager
) -> None:
    outcomes: dict[str, Outcome] = {}

    for number in range(30):
        assert isinstance(
            accounts.cancel(desk.account, "123456789", SECONDS), Refused
        )  # on a connection that is kept
        ending = threading.Timer(number / 10_000, desk.proxy.end_connections)
        ending.start()
        outcomes[f"order{number}"] = accounts.submit(desk.account, order(desk, f"order{number}"), SECONDS)
        ending.join()

    placed = [each for request in desk.requests("place") for each in request["client_ids"]]
    for order_id, outcome in outcomes.items():
        assert_honest(outcome, placed.count(order_id))


@pytest.mark.parametrize("what", ["replace", "cancel"])
def test_a_change_that_is_cut_off_at_any_byte_is_done_once_or_never_and_never_told_otherwise(
    desk: ThroughProxy, accounts: AccountManager, what: str
) -> None:
    outcomes: dict[str, Outcome] = {}
    numbers = itertools.count()

    def rest() -> str:
        """Place an order for one change only, so that the broker's books tell what became of it."""
        resting = order(desk, f"rest{next(numbers)}")
        (broker_id,) = accepted(accounts.submit(desk.account, resting, SECONDS)).broker_ids.values()
        return broker_id

    def change(broker_id: str) -> Outcome:
        if what == "cancel":
            return accounts.cancel(desk.account, broker_id, SECONDS)
        changed = order(desk, "rest", quantity=Contracts(2), limit=away(desk, -70))
        return accounts.modify(desk.account, broker_id, changed, SECONDS)

    first = rest()
    for _, cut in cuts(desk, lambda: change(first)):
        broker_id = rest()
        outcomes[broker_id] = cut(lambda broker_id=broker_id: change(broker_id))  # type: ignore[misc]

    done = Counter(each for request in desk.requests(what) for each in request["order_ids"])
    assert done[first] == 1
    for broker_id, outcome in outcomes.items():
        assert_honest(outcome, done[broker_id])
    assert {type(outcome) for outcome in outcomes.values()} == {Unanswered}


def test_a_question_that_is_cut_off_at_any_byte_is_unknown_or_answered_whole(
    desk: ThroughProxy, accounts: AccountManager
) -> None:
    accepted(accounts.submit(desk.account, order(desk, "first"), SECONDS))
    accepted(accounts.submit(desk.account, order(desk, "second"), SECONDS))
    asked: Sequence[Callable[[AccountManager], Answer[Any]]] = [
        lambda manager: manager.orders(desk.account),
        lambda manager: manager.positions(desk.account),
        lambda manager: manager.accounts(),
    ]
    for question in asked:
        answers: dict[str, Answer[Any]] = {}
        with managers(desk) as fresh:
            truth = known(question(next(fresh)))
            for place, cut in cuts(desk, lambda: question(next(fresh))):  # noqa: B023
                answers[place] = cut(lambda: question(next(fresh)))  # noqa: B023
        assert all(isinstance(each, Unknown) or each == Known(truth) for each in answers.values())
        assert isinstance(answers["answer0"], Unknown)


def test_an_order_stream_that_is_cut_off_at_any_byte_tells_nothing_wrong_and_ends(
    desk: ThroughProxy, accounts: AccountManager
) -> None:
    accepted(accounts.submit(desk.account, order(desk, "first"), SECONDS))
    orders: list[BrokerOrder] = open_orders_of(accounts, desk)

    for after in chosen(1200):
        desk.proxy.arm(Way.ANSWER, after)
        with listening(desk.broker.order_stream(desk.login, desk.tokens, desk.account)) as heard:
            end = heard.wait_for((StreamEnded, SnapshotEnded))
        told = [event.order for event in heard.events if isinstance(event, StreamedOrder)]
        assert told == orders[: len(told)]
        assert isinstance(end, StreamEnded) or told == orders

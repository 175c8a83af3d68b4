"""The link: order operations in lanes of their own, sent once, ended in time, and told whatever happens."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests import bodies
from tests.actor import Actor
from tests.procs.stage import ACCOUNT, Stage, picture
from tradeproc.brokers.contract import BracketRequest, BrokerAccount, BrokerOrder, OrderRequest, Outcome
from tradeproc.bus.requests import Answered, NoAnswer, NoReply, Reply, RequestRefused
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Balance, Position
from tradeproc.domain.broker_orders import Accepted, ContractDetails
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.units import Contracts, Nanos, Price
from tradeproc.errors import Halt
from tradeproc.home import Home
from tradeproc.procs.link import main
from tradeproc.procs.link.main import Link
from tradeproc.supervision.groups import link_group, render
from tradeproc.testing.waiting import wait_until

LINK = "link-paper.link"


class Revoked(Halt):
    """The login is gone."""


@dataclass
class Broker:
    """A small broker in this process: does what it is told, and can be slow or broken."""

    gate: threading.Event = field(default_factory=threading.Event)
    sent: list[str] = field(default_factory=list)
    asked: int = 0
    timeouts: list[float] = field(default_factory=list)
    error: Exception | None = None
    questions_hang: bool = False
    orders_hang: bool = False
    is_shut: bool = False
    listed: tuple[BrokerOrder, ...] = field(default_factory=lambda: (picture("1"),))
    wanted: Sequence[str] = ()

    def accounts(self) -> Answer[Sequence[BrokerAccount]]:
        return Unknown("not asked here")

    def balances(self, account: str) -> Answer[Balance]:
        return Unknown(account)

    def submit(self, account: str, request: OrderRequest | BracketRequest, timeout: float) -> Outcome:
        entry = request if isinstance(request, OrderRequest) else request.entry
        self.sent.append(entry.id)
        self.timeouts.append(timeout)
        if self.orders_hang:
            self.gate.wait(20)
        if self.error is not None:
            raise self.error
        return Accepted({entry.id: f"b-{entry.id}"})

    def modify(self, account: str, broker_id: str, change: OrderRequest, timeout: float) -> Outcome:
        return Accepted()

    def cancel(self, account: str, broker_id: str, timeout: float) -> Outcome:
        if self.error is not None:
            raise self.error
        return Accepted()

    def orders(self, account: str, ids: Sequence[str] = ()) -> Answer[Sequence[BrokerOrder]]:
        self.asked, self.wanted = self.asked + 1, ids
        if self.questions_hang:
            self.gate.wait(20)
        if self.error is not None:
            raise self.error
        return Known(self.listed)

    open_orders = orders

    def current_position(self, account: str, contract: Contract) -> Answer[Position]:
        return Known(Position(account, contract.code, Contracts(0), None))

    def positions(self, account: str) -> Answer[Sequence[Position]]:
        return Known(())

    def clock_skew(self) -> float | None:
        return None

    def shutdown(self) -> None:
        self.is_shut = True


def order(order_id: str, **changes: Any) -> OrderRequest:
    values: dict[str, Any] = {
        "id": order_id,
        "contract": Contract.parse("ESH24"),
        "side": Side.BUY,
        "quantity": Contracts(1),
        "type": OrderType.MARKET,
        "role": OrderRole.ENTRY,
    }
    return OrderRequest(**values | changes)


@dataclass
class QuickBroker(Broker):
    """A broker that writes orders on the loop of the link, and notes on which threads things are done."""

    begins: bool = True
    begin_error: Exception | None = None
    answer: Outcome = field(default_factory=lambda: Accepted({"x": "1"}))
    begun: list[tuple[str, str]] = field(default_factory=list)
    finished_by: list[str] = field(default_factory=list)

    def begin_submit(
        self, account: str, request: OrderRequest | BracketRequest, timeout: float
    ) -> Callable[[], Outcome] | None:
        assert isinstance(request, OrderRequest)
        if not self.begins:
            return None
        self.begun.append((request.id, threading.current_thread().name))
        if self.begin_error is not None:
            raise self.begin_error

        def finish() -> Outcome:
            self.finished_by.append(threading.current_thread().name)
            if self.orders_hang:
                self.gate.wait(20)
            return self.answer

        return finish


class Desk:
    """A link over the broker, and one who asks it."""

    def __init__(self, stage: Stage, broker: Broker | None = None) -> None:
        self.stage, self.broker = stage, broker or Broker()
        self.link: Actor = stage.enter(LINK, lambda node: Link(node, self.broker, None))
        self.asker = stage.enter("test.asker")

    def ask(self, method: str, seconds: float = 10.0, **params: Any) -> Callable[[], Reply | None]:
        """Ask without waiting; what is returned gives the reply once it is there."""
        replies: list[Reply] = []
        body = {"account": ACCOUNT, **params}

        def begin() -> None:
            self.asker.node.request(LINK, method, body, seconds=seconds, on_reply=replies.append)

        self.asker.do(begin)
        return lambda: replies[0] if replies else None

    def submit(self, order_id: str, seconds: float = 6.0) -> Callable[[], Reply | None]:
        return self.ask("submit", seconds, request=bodies.request_to_body(order(order_id)))


@pytest.fixture
def desk(on_stage: Stage) -> Iterator[Desk]:
    made = Desk(on_stage)
    yield made
    made.broker.gate.set()


def outcome(reply: Callable[[], Reply | None]) -> dict[str, Any]:
    found = wait_until("a reply", reply)
    assert isinstance(found, Answered), found
    return found.body


def test_orders_never_wait_behind_questions(desk: Desk) -> None:
    desk.broker.questions_hang = True
    questions = [desk.ask("open_orders") for _ in range(10)]
    wait_until("the questions' lanes are full", lambda: desk.broker.asked == main._QUESTION_LANES)

    assert outcome(desk.submit("o1")) == {"outcome": "accepted", "broker_ids": {"o1": "b-o1"}}
    assert not any(question() for question in questions)


def test_an_order_is_never_sent_twice_and_the_second_request_is_not_called_refused(desk: Desk) -> None:
    assert outcome(desk.submit("o1"))["outcome"] == "accepted"

    again = outcome(desk.submit("o1"))

    assert desk.broker.sent == ["o1"]
    # the first may work at the broker, so "nothing was placed" would be a lie
    assert (again["outcome"], again["was_sent"]) == ("unanswered", True)


def test_no_leg_of_a_bracket_is_sent_twice(desk: Desk) -> None:
    stop = {"type": OrderType.STOP, "side": Side.SELL, "role": OrderRole.STOP_LOSS, "stop": Price(Decimal(4790))}
    outcome(desk.submit("leg"))
    bracket = bodies.request_to_body(BracketRequest(order("entry"), order("leg", **stop)))

    assert outcome(desk.ask("submit", request=bracket))["outcome"] == "unanswered"
    assert desk.broker.sent == ["leg"]


def test_a_bug_of_the_brokers_code_is_unanswered_and_unknown_and_the_link_lives(desk: Desk) -> None:
    desk.broker.error = ZeroDivisionError("a bug")

    assert outcome(desk.submit("o1")) == {
        "outcome": "unanswered",
        "reason": "ZeroDivisionError: a bug",
        "was_sent": True,
    }
    assert outcome(desk.ask("cancel", broker_id="1"))["outcome"] == "unanswered"
    assert outcome(desk.ask("orders")) == {"unknown": "ZeroDivisionError: a bug"}
    desk.broker.error = None
    assert "known" in outcome(desk.ask("orders"))


def test_what_only_a_person_can_mend_ends_the_link(desk: Desk) -> None:
    desk.broker.error = Revoked("log in again")
    desk.ask("orders")

    desk.link.join()

    assert isinstance(desk.link.error, Revoked)


def test_an_operation_that_waited_out_its_time_is_never_begun(desk: Desk) -> None:
    """Sent after its asker gave up, an exit might be the second one."""
    desk.broker.orders_hang = True
    under_way = [desk.submit(f"slow-{number}", 20.0) for number in range(4)]
    wait_until("all lanes are busy", lambda: len(desk.broker.sent) == 4)

    late = desk.submit("late", 4.0)

    # it is told in time, while the lanes are still busy
    answer = outcome(late)
    desk.broker.gate.set()
    assert (answer["outcome"], answer["was_sent"]) == ("unanswered", False)
    assert all(outcome(each)["outcome"] == "accepted" for each in under_way)
    assert "late" not in desk.broker.sent


def test_an_operation_is_given_no_more_time_than_its_asker_waits(desk: Desk) -> None:
    outcome(desk.submit("o1", 5.0))

    assert desk.broker.timeouts[0] <= 4.0


def test_questions_whose_askers_gave_up_are_not_asked(desk: Desk) -> None:
    desk.broker.questions_hang = True
    for method in ("open_orders", "open_orders", "orders"):
        desk.ask(method)
    wait_until("the lanes are full, and the account is asked about", lambda: desk.broker.asked == 3)
    abandoned = [desk.ask(method, seconds=0.3) for method in ("open_orders", "orders") for _ in range(10)]
    wait_until("their askers gave up", lambda: all(each() for each in abandoned))

    desk.broker.gate.set()

    assert "known" in outcome(desk.ask("open_orders"))
    assert desk.broker.asked == 4


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("submit", {"request": {"kind": "order"}}),
        ("submit", {"request": []}),
        ("submit", {}),
        ("cancel", {"broker_id": None}),
        ("cancel", {}),
        ("modify", {"broker_id": "1", "change": {"kind": "order"}}),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_kills_nobody(
    desk: Desk, method: str, params: dict[str, Any]
) -> None:
    with pytest.raises(RequestRefused):
        desk.stage.ask(LINK, method, account=ACCOUNT, **params)
    assert desk.broker.sent == []
    assert desk.link.is_alive


def test_a_stop_waits_for_operations_under_way_and_tells_what_came_of_them(desk: Desk) -> None:
    desk.broker.orders_hang = True
    under_way = [desk.submit(f"slow-{number}") for number in range(4)]
    wait_until("all lanes are busy", lambda: len(desk.broker.sent) == 4)
    waiting = desk.submit("waiting")
    desk.stage.ask(LINK, "ping")  # its request has been read

    desk.link.node.stop()
    wait_until("it waits for them", lambda: desk.link.stands_in("join"))
    assert desk.link.is_alive
    desk.broker.gate.set()

    assert all(outcome(each)["outcome"] == "accepted" for each in under_way)
    told = outcome(waiting)
    assert (told["outcome"], told["was_sent"]) == ("unanswered", False)
    desk.link.join()
    assert desk.broker.is_shut


def test_a_stop_does_not_wait_for_ever(desk: Desk) -> None:
    desk.broker.orders_hang = desk.broker.questions_hang = True
    desk.submit("hangs")
    desk.ask("orders")
    wait_until("both hang", lambda: desk.broker.sent and desk.broker.asked)
    began = time.monotonic()

    desk.link.stop()

    assert time.monotonic() - began < 10
    # supervision kills what takes longer, and then nothing is told
    patience = re.search(r"stopwaitsecs=(\d+)", render(link_group("paper"), Home(Path("/"))))
    assert patience is not None
    assert int(patience[1]) - 1 >= main._STOP_SECONDS


def test_the_list_of_accounts_is_told_to_who_names_none_and_every_other_question_needs_one(desk: Desk) -> None:
    assert desk.stage.ask(LINK, "accounts") == {"unknown": "not asked here"}
    with pytest.raises(RequestRefused, match="account: missing"):
        desk.stage.ask(LINK, "balances")


def test_nobody_answers_for_a_link_that_is_gone(desk: Desk) -> None:
    desk.link.stop()
    with pytest.raises(NoReply):
        desk.stage.ask(LINK, "orders", seconds=0.2, account=ACCOUNT)


@pytest.mark.parametrize(
    ("method", "what"), [("orders", "accounts"), ("submit", "accounts"), ("history", "market data")]
)
def test_what_the_broker_declares_not_to_be_is_refused_in_words_and_never_asked(
    on_stage: Stage, method: str, what: str
) -> None:
    on_stage.enter("link-half.link", lambda node: Link(node, None, None))

    with pytest.raises(RequestRefused, match=f"{method}: the broker of this login declares that it has no {what}"):
        on_stage.ask("link-half.link", method)


def test_an_order_from_year_9999_is_no_answer_to_its_asker_and_the_link_lives(desk: Desk) -> None:
    desk.broker.listed = (picture("1", opened_at=Nanos(253_402_300_799 * 10**9)),)
    reply = wait_until("a reply", desk.ask("orders"))

    assert isinstance(reply, NoAnswer)
    assert "cannot be written" in reply.reason
    desk.broker.listed = (picture("1"),)
    assert isinstance(wait_until("a reply", desk.ask("orders")), Answered)


def test_orders_are_asked_for_by_the_ids_that_the_asker_names(desk: Desk) -> None:
    wait_until("a reply", desk.ask("orders", ids=["7", "8"]))

    assert desk.broker.wanted == ["7", "8"]


def test_a_broker_without_data_that_knows_contracts_tells_their_terms(on_stage: Stage) -> None:
    class KnowsContracts(Broker):
        def contract_details(self, contract: Contract) -> Answer[ContractDetails]:
            return Unknown(f"{contract.code} is not listed")

    on_stage.enter("link-half.link", lambda node: Link(node, KnowsContracts(), None))
    on_stage.enter("link-other.link", lambda node: Link(node, Broker(), None))

    assert on_stage.ask("link-half.link", "contract_details", contract="ESH24") == {"unknown": "ESH24 is not listed"}
    with pytest.raises(RequestRefused, match="no market data"):
        on_stage.ask("link-other.link", "contract_details", contract="ESH24")


# --- orders that the loop writes


@pytest.fixture
def quick(on_stage: Stage) -> Iterator[tuple[Desk, QuickBroker]]:
    broker = QuickBroker()
    yield Desk(on_stage, broker), broker
    broker.gate.set()


def test_an_order_is_written_by_the_loop_and_its_answer_awaited_by_a_lane(quick: tuple[Desk, QuickBroker]) -> None:
    desk, broker = quick

    assert outcome(desk.submit("a"))["outcome"] == "accepted"

    ((order_id, thread),) = broker.begun
    assert order_id == "a"
    assert not thread.startswith("orders-")
    assert [name[:7] for name in broker.finished_by] == ["orders-"]
    assert broker.sent == [], "what was begun is never submitted as well"


def test_an_order_that_the_loop_cannot_write_is_sent_by_a_lane(quick: tuple[Desk, QuickBroker]) -> None:
    desk, broker = quick
    broker.begins = False

    assert outcome(desk.submit("a"))["outcome"] == "accepted"
    assert broker.sent == ["a"]


def test_an_order_whose_writing_failed_may_have_been_sent_and_is_not_sent_again(
    quick: tuple[Desk, QuickBroker],
) -> None:
    desk, broker = quick
    broker.begin_error = RuntimeError("torn")

    told = outcome(desk.submit("a"))

    assert (told["outcome"], told["was_sent"]) == ("unanswered", True)
    assert outcome(desk.submit("a"))["outcome"] == "unanswered"
    assert broker.sent == []
    assert len(broker.begun) == 1


def test_the_loop_writes_no_order_whose_answer_nobody_could_await(quick: tuple[Desk, QuickBroker]) -> None:
    desk, broker = quick
    broker.orders_hang = True
    busy = [desk.submit(f"busy-{number}") for number in range(main._ORDER_LANES)]
    wait_until("all lanes are busy", lambda: len(broker.finished_by) == main._ORDER_LANES)

    told = outcome(desk.submit("late", seconds=0.5))

    assert (told["outcome"], told["was_sent"]) == ("unanswered", False)
    assert "late" not in [order_id for order_id, _ in broker.begun]
    broker.gate.set()
    assert [outcome(each)["outcome"] for each in busy] == ["accepted"] * main._ORDER_LANES


def test_an_order_with_hardly_any_time_left_is_not_written(quick: tuple[Desk, QuickBroker]) -> None:
    desk, broker = quick

    wait_until("a reply", desk.submit("a", seconds=0.15))

    assert broker.begun == []
    assert broker.sent == []

"""Operations pass the account manager unread: whatever is in them, the link refuses it, and both processes go on."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests import bodies
from tests.procs.link.test_main import LINK, Broker, order
from tests.procs.stage import Stage
from tradeproc.bus.requests import NoReply
from tradeproc.procs.account.main import Account
from tradeproc.procs.link.main import Link

ME, OURS = "session-1.account", "SIM7"


class Noting(Broker):
    """Notes for which accounts orders came."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts_of: list[str] = []

    def submit(self, account: str, request: Any, timeout: float) -> Any:
        self.accounts_of.append(account)
        return super().submit(account, request, timeout)


class Desk:
    """An account manager and its link over a broker."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.broker = stage, Noting()
        self.link = stage.enter(LINK, lambda node: Link(node, self.broker, None))
        self.account = stage.enter(ME, lambda node: Account(node, "paper", OURS))

    def submit(self, order_id: str, **more: Any) -> Any:
        return self.stage.ask(ME, "submit", **{"request": bodies.request_to_body(order(order_id)), **more})


@pytest.fixture
def desk(on_stage: Stage) -> Iterator[Desk]:
    yield Desk(on_stage)


def nested(depth: int) -> Any:
    made: Any = []
    for _ in range(depth):
        made = [made]
    return made


GOOD = bodies.request_to_body(order("bad"))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"request": None},
        {"request": "buy"},
        {"request": nested(200)},
        {"request": {**GOOD, "quantity": -1}},
        {"request": {**GOOD, "quantity": 0}},
        {"request": {**GOOD, "quantity": 1e300}},
        {"request": {**GOOD, "quantity": "NaN"}},
        {"request": {**GOOD, "type": "limit", "limit_price": "NaN"}},
        {"request": {**GOOD, "type": "limit", "limit_price": "Infinity"}},
        {"request": {**GOOD, "type": "iceberg"}},
        {"request": {**GOOD, "contract": "\x00"}},
    ],
)
def test_what_is_no_order_is_refused_and_never_reaches_the_broker(desk: Desk, body: dict[str, Any]) -> None:
    answer = desk.stage.ask(ME, "submit", **body)

    assert answer["outcome"] == "refused"
    assert answer["reason"]
    assert desk.broker.sent == []
    assert desk.submit("good")["outcome"] == "accepted"


@pytest.mark.parametrize(("method", "body"), [("cancel", {"broker_id": ""}), ("modify", {"broker_id": "b1"})])
def test_what_is_no_change_is_refused(desk: Desk, method: str, body: dict[str, Any]) -> None:
    assert desk.stage.ask(ME, method, **body)["outcome"] == "refused"


def test_an_order_goes_into_the_account_of_the_session_whatever_its_body_says(desk: Desk) -> None:
    assert desk.submit("o1", account="SIM-OF-OTHERS")["outcome"] == "accepted"

    assert desk.broker.accounts_of == [OURS]


def test_what_a_newer_sender_says_beside_an_order_is_passed_on_and_does_not_matter(desk: Desk) -> None:
    assert desk.submit("o1", timeout="soon", colour={"a": [1, None]})["outcome"] == "accepted"


@pytest.mark.parametrize("answer", [{"outcome": "perhaps"}, {"known": 1}, {}])
def test_an_answer_that_nobody_knows_is_handed_on_as_it_came(on_stage: Stage, answer: dict[str, Any]) -> None:
    """The trader reads it, and takes what it cannot read for no answer: the order may have been placed."""
    on_stage.enter(LINK, lambda node: node.handle("submit", lambda _: answer))
    on_stage.enter(ME, lambda node: Account(node, "paper", OURS))

    assert on_stage.ask(ME, "submit", request=GOOD) == answer


@pytest.mark.parametrize("question", [{"ids": 5}, {"ids": ["1"] * 20_001}, {"within": -1}, {"within": "soon"}])
def test_a_question_that_fits_nothing_is_unknown_and_never_empty(desk: Desk, question: dict[str, Any]) -> None:
    assert "unknown" in desk.stage.ask(ME, "orders", **question)
    assert "known" in desk.stage.ask(ME, "orders")


def test_an_operation_that_has_no_time_left_is_not_sent(desk: Desk) -> None:
    with pytest.raises(NoReply):
        desk.stage.ask(ME, "submit", 0.0, request=GOOD)

    assert desk.submit("next")["outcome"] == "accepted"
    assert desk.broker.sent == ["next"]

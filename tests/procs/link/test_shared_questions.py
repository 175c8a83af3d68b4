"""What the sessions of an account ask is asked of the broker once; each gets an answer newer than its question."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests import bodies
from tests.procs.link.test_main import LINK, Broker, Revoked, outcome
from tests.procs.stage import ACCOUNT, Stage, picture
from tradeproc.brokers.contract import BrokerOrder, ListedPosition, QuestionKind, Quota, UnreadableRecord
from tradeproc.bus.requests import NoAnswer, Reply, RequestRefused
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Balance, Position
from tradeproc.domain.instruments import Contract
from tradeproc.domain.units import Contracts, Money, Nanos
from tradeproc.procs.link.main import Link
from tradeproc.testing.waiting import wait_until

OTHER = "SIM2"
HELD = Position(ACCOUNT, "ESH24", Contracts(2), None)
BROKEN = UnreadableRecord("", ACCOUNT, "", "a position without Symbol")
MONEY = Balance(ACCOUNT, "USD", Money(1), Money(1), Money(0), Money(0), Nanos(1))


class Counting(Broker):
    """Counts what it is asked, by account; holds its answers while `gate` is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str, Any]] = []
        self.held: tuple[ListedPosition, ...] = (HELD,)
        self.unlisted: tuple[UnreadableRecord, ...] = ()
        self.gate = threading.Event()
        self.gate.set()

    def orders(self, account: str, ids: Sequence[str] = ()) -> Answer[Sequence[BrokerOrder]]:
        self.calls.append(("orders", account, tuple(ids)))
        self.gate.wait(20)
        if self.error is not None:
            raise self.error
        return Known((*self.listed, *self.unlisted))  # type: ignore[arg-type]  # unreadable ones are listed too

    def current_position(self, account: str, contract: Contract) -> Answer[Position]:
        self.calls.append(("position", account, contract.code))
        self.gate.wait(20)
        return Known(Position(account, contract.code, Contracts(1), None))

    def positions(self, account: str) -> Answer[Sequence[Position]]:
        self.calls.append(("positions", account, None))
        return Known(self.held)  # type: ignore[arg-type]

    def balances(self, account: str) -> Answer[Balance]:
        self.calls.append(("balances", account, None))
        self.gate.wait(20)
        return Known(MONEY)

    def count(self, what: str) -> int:
        return sum(name == what for name, _, _ in list(self.calls))


class Paged(Counting):
    """Tells its quota, which is small, and that each list of orders takes a third of what may be asked at once."""

    def quota(self, _kind: QuestionKind) -> Quota:
        return Quota(24, 3_600.0)

    def requests_made(self, kind: QuestionKind) -> int:
        return self.count("orders") if kind is QuestionKind.ORDERS else self.count("positions")


class Several(Counting):
    """Lists the orders of several accounts at once, of each what `of_account` says."""

    most_accounts = 10

    def __init__(self) -> None:
        super().__init__()
        self.of_account = {name: (picture(name),) for name in ("SIM1", "SIM2", "SIM3")}
        self.together: Answer[Mapping[str, Sequence[BrokerOrder]]] | None = None

    def orders(self, account: str, ids: Sequence[str] = ()) -> Answer[Sequence[BrokerOrder]]:
        super().orders(account, ids)
        return Known(self.of_account[account])

    def orders_together(self, ids: Mapping[str, Sequence[str]]) -> Answer[Mapping[str, Sequence[BrokerOrder]]]:
        self.calls.append(("together", ",".join(sorted(ids)), dict(ids)))
        if self.error is not None:
            raise self.error
        if self.together is not None:
            return self.together
        return Known({account: self.of_account[account] for account in ids})


class Desk:
    """A link over a broker, and those who ask it."""

    def __init__(self, stage: Stage, broker: Counting) -> None:
        self.stage, self.broker = stage, broker
        self.link = stage.enter(LINK, lambda node: Link(node, broker, None))
        self.asker = stage.enter("test.asker")

    def ask(
        self, method: str, account: str = ACCOUNT, seconds: float = 20.0, **params: Any
    ) -> Callable[[], Reply | None]:
        replies: list[Reply] = []
        body = {"account": account, **params}
        self.asker.do(lambda: self.asker.node.request(LINK, method, body, seconds=seconds, on_reply=replies.append))
        return lambda: replies[0] if replies else None


@pytest.fixture
def desk(on_stage: Stage) -> Iterator[Desk]:
    made = Desk(on_stage, Counting())
    yield made
    made.broker.gate.set()


def test_sixteen_sessions_that_ask_while_a_question_is_out_are_answered_by_the_next_one_together(desk: Desk) -> None:
    desk.broker.gate.clear()
    first = desk.ask("orders", ids=["1"])
    wait_until("the broker is asked", lambda: desk.broker.count("orders") == 1)
    others = [desk.ask("orders", ids=[str(number)]) for number in range(16)]
    desk.stage.ask(LINK, "ping")  # all their questions have been read

    desk.broker.listed = (picture("1"), picture("2"))
    desk.broker.gate.set()

    assert "known" in outcome(first)
    assert all(len(outcome(each)["known"]) == 2 for each in others)
    assert [ids for _, _, ids in desk.broker.calls] == [("1",), tuple(map(str, range(16)))]


def test_questions_that_may_wait_are_asked_together_and_of_each_account_alone(desk: Desk) -> None:
    asked = [desk.ask("balances", within=1.0) for _ in range(5)] + [desk.ask("balances", OTHER, within=1.0)]

    assert all("known" in outcome(each) for each in asked)
    assert sorted(desk.broker.calls) == [("balances", ACCOUNT, None), ("balances", OTHER, None)]


def test_positions_in_several_contracts_come_from_one_list_and_in_one_from_a_question_about_it(desk: Desk) -> None:
    alone = outcome(desk.ask("position", contract="NQH24"))
    asked = {code: desk.ask("position", contract=code, within=1.0) for code in ("ESH24", "NQH24")}
    listed = desk.ask("positions", within=1.0)

    assert alone["known"]["quantity"] == 1
    assert [outcome(asked[code])["known"]["quantity"] for code in asked] == [2, 0]
    assert outcome(listed) == {"known": [bodies.position_to_body(HELD)]}
    assert desk.broker.calls == [("position", ACCOUNT, "NQH24"), ("positions", ACCOUNT, None)]


@pytest.mark.parametrize("listed", [(HELD, BROKEN), (HELD, "garbage")])
def test_a_list_of_positions_that_cannot_be_read_makes_nobody_flat(desk: Desk, listed: Any) -> None:
    desk.broker.held = listed

    asked = [desk.ask("position", contract=code, within=1.0) for code in ("ESH24", "NQH24")]

    assert all("unknown" in outcome(each) for each in asked)
    assert desk.link.is_alive


def test_what_one_asked_for_by_its_id_in_vain_is_told_to_that_one_only(desk: Desk) -> None:
    desk.broker.unlisted = (UnreadableRecord("9", ACCOUNT, "", "asked for by id: busy", is_unlisted=True),)
    one, other = desk.ask("orders", ids=["9"], within=1.0), desk.ask("orders", ids=["1"], within=1.0)

    assert [order["broker_id"] for order in outcome(one)["known"]] == ["1", "9"]
    assert [order["broker_id"] for order in outcome(other)["known"]] == ["1"]
    assert desk.broker.count("orders") == 1


def test_who_gives_up_is_told_in_time_and_the_others_get_their_answer(desk: Desk) -> None:
    desk.broker.gate.clear()
    patient, hasty = desk.ask("orders", within=0.1), desk.ask("orders", seconds=1.0, within=0.1)

    assert isinstance(wait_until("a reply", hasty), NoAnswer)
    desk.broker.gate.set()
    assert "known" in outcome(patient)
    assert "known" in outcome(desk.ask("orders"))


def test_an_error_of_the_adapter_is_unknown_to_all_and_the_next_question_is_asked(desk: Desk) -> None:
    desk.broker.error = ZeroDivisionError("a bug")
    asked = [desk.ask("orders", within=0.5) for _ in range(3)]
    assert [outcome(each) for each in asked] == [{"unknown": "ZeroDivisionError: a bug"}] * 3

    desk.broker.error = None

    assert "known" in outcome(desk.ask("orders"))


def test_what_only_a_person_can_mend_ends_the_link_for_all(desk: Desk) -> None:
    desk.broker.error = Revoked("log in again")
    for _ in range(3):
        desk.ask("orders")

    desk.link.join()

    assert isinstance(desk.link.error, Revoked)


@pytest.mark.parametrize("within", [-1.0, 1e9, "soon"])
def test_a_question_that_may_wait_for_ever_is_refused(desk: Desk, within: Any) -> None:
    with pytest.raises(RequestRefused, match="within"):
        desk.stage.ask(LINK, "orders", account=ACCOUNT, within=within)


def test_a_link_that_ends_tells_those_who_wait(desk: Desk) -> None:
    waiting = desk.ask("orders", within=15.0)
    desk.stage.ask(LINK, "ping")

    desk.link.stop()

    assert isinstance(wait_until("a reply", waiting), NoAnswer)


def test_the_quota_that_a_broker_tells_is_kept(on_stage: Stage) -> None:
    """24 questions in an hour are three at once; what comes back meanwhile is not worth waiting for."""
    desk = Desk(on_stage, Paged())

    asked = [desk.ask("orders", f"SIM{number}", seconds=4.0) for number in range(8)]

    replies = [wait_until("a reply", each) for each in asked]
    assert sum(isinstance(reply, NoAnswer) for reply in replies) == 5
    assert desk.broker.count("orders") == 3
    assert desk.stage.ask(LINK, "status")["statistics"]["asked"] == {"orders": 3, "positions": 0, "balances": 0}


def test_questions_for_orders_have_lanes_that_balances_and_others_which_hang_cannot_take(on_stage: Stage) -> None:
    class Hanging(Counting):
        def __init__(self) -> None:
            super().__init__()
            self.end = threading.Event()

        def balances(self, account: str) -> Answer[Balance]:
            self.calls.append(("balances", account, None))
            self.end.wait(60)
            return Known(MONEY)

    broker = Hanging()
    desk = Desk(on_stage, broker)
    try:
        waiting = [desk.ask("balances", f"SIM{number}") for number in range(12)]
        wait_until("balances take every lane they may", lambda: broker.count("balances") >= 2)

        asked = desk.ask("orders"), desk.ask("position", contract="ESH24")

        wait_until("orders and position are answered", lambda: all(reply() is not None for reply in asked))
        assert [reply() for reply in waiting] == [None] * 12
    finally:
        broker.end.set()


def of_all(desk: Desk, *patient: str) -> dict[str, Any]:
    """Ask for the orders of all three accounts and return what each is told; the `patient` wait for the others."""
    names = ("SIM1", "SIM2", "SIM3")
    asked = {name: desk.ask("orders", name, ids=[name], within=15.0) for name in patient}
    asked |= {name: desk.ask("orders", name, ids=[name]) for name in names if name not in patient}
    return {name: outcome(asked[name]) for name in names}


def test_accounts_whose_orders_were_listed_are_asked_about_in_one_question_and_each_is_told_its_own(
    on_stage: Stage,
) -> None:
    broker = Several()
    desk = Desk(on_stage, broker)
    first = of_all(desk)
    broker.calls.clear()

    told = of_all(desk, "SIM1", "SIM3")

    assert broker.calls == [("together", "SIM1,SIM2,SIM3", {"SIM1": ["SIM1"], "SIM2": ["SIM2"], "SIM3": ["SIM3"]})]
    assert told == first
    assert [told[name]["known"][0]["broker_id"] for name in told] == ["SIM1", "SIM2", "SIM3"]


def test_an_account_that_a_common_answer_leaves_out_is_unknown_and_asked_about_alone(on_stage: Stage) -> None:
    broker = Several()
    desk = Desk(on_stage, broker)
    of_all(desk)
    broker.together = Known({"SIM1": (picture("SIM1"),), "SIM2": (picture("SIM2"),)})
    broker.calls.clear()

    told, again = of_all(desk, "SIM1", "SIM3"), of_all(desk, "SIM1")

    assert [next(iter(told[name])) for name in told] == ["known", "known", "unknown"]
    assert [next(iter(again[name])) for name in again] == ["known"] * 3
    assert sorted(call[:2] for call in broker.calls) == [
        ("orders", "SIM3"),
        ("together", "SIM1,SIM2"),
        ("together", "SIM1,SIM2,SIM3"),
    ]


@pytest.mark.parametrize("failure", [Unknown("busy"), Known({"SIM1": ("garbage",)}), "no answer at all", None])
def test_a_common_answer_that_fails_is_unknown_to_all_and_each_is_asked_about_alone(
    on_stage: Stage, failure: Any
) -> None:
    broker = Several()
    desk = Desk(on_stage, broker)
    of_all(desk)
    broker.together, broker.error = failure, ZeroDivisionError("a bug") if failure is None else None
    told = of_all(desk, "SIM1", "SIM3")
    broker.error = None
    broker.calls.clear()

    again = of_all(desk)

    assert all(list(each) == ["unknown"] for each in told.values())
    assert all(list(each) == ["known"] for each in again.values())
    assert sorted(call[:2] for call in broker.calls) == [("orders", name) for name in ("SIM1", "SIM2", "SIM3")]

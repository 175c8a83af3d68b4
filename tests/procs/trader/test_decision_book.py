"""Decisions are counted in memory and written off the hot path: a flood is one row, an outage loses few."""

from decimal import Decimal
from typing import Any

import pytest

from tradeproc.domain.book import DecisionMade
from tradeproc.domain.portfolio import HeatAnswer
from tradeproc.domain.units import Money, Nanos
from tradeproc.engine.effects import DecisionNoted
from tradeproc.procs.trader.decision_book import MOST_WAITING, DecisionBook
from tradeproc.protocol.trader_messages import LimitUse
from tradeproc.store import DatabaseDown
from tradeproc.store.database import StatementRefused


class AuditTrail:
    """An audit trail whose database can be away."""

    def __init__(self) -> None:
        self.store = self
        self.is_up, self.is_hanging = True, False
        self.written: dict[int, DecisionMade] = {}
        self.writes = 0
        self.answers: list[HeatAnswer] = []
        self.refuses = False

    def save_decisions(self, session: int, rows: list[DecisionMade]) -> None:
        if self.is_hanging:
            raise DatabaseDown("gone")
        if self.refuses:
            raise StatementRefused("save_decisions", "no such column")
        self.writes += 1
        self.written.update({row.began_at: row for row in rows})

    def save_heat_answers(self, session: int, answers: list[HeatAnswer]) -> None:
        if self.is_hanging:
            raise DatabaseDown("gone")
        self.answers += answers

    def went_down(self, down: DatabaseDown) -> None:
        self.is_up = False


@pytest.fixture
def audit() -> Any:
    return AuditTrail()


def noted(number: int, refusal: str = "", decision: str = "SubmitOrder") -> DecisionNoted:
    return DecisionNoted(decision, "why", refusal, Nanos(0), Nanos(number), Nanos(number))


def test_the_same_refusal_again_is_one_row_whatever_its_numbers(audit: Any) -> None:
    book = DecisionBook(1)
    for number in range(1, 76):
        book.note(noted(number, f"no market data for {90 + number} s"))
        book.flush(audit)

    [row] = audit.written.values()
    assert (row.times, row.began_at, row.at, row.refusal) == (75, 1, 75, "no market data for 165 s")


def test_another_refusal_or_one_that_was_done_begins_a_new_row(audit: Any) -> None:
    book = DecisionBook(1)
    for number, refusal in enumerate(["halted", "halted", "", "", "halted", "the lease is lost"], 1):
        book.note(noted(number, refusal))
    book.flush(audit)

    assert [(row.times, row.refusal) for row in audit.written.values()] == [
        (2, "halted"), (1, ""), (1, ""), (1, "halted"), (1, "the lease is lost"),
    ]  # fmt: skip


def test_nothing_is_written_when_nothing_was_noted_or_the_database_is_away(audit: Any) -> None:
    book = DecisionBook(1)
    book.flush(audit)
    book.note(noted(1))
    audit.is_hanging = True
    book.flush(audit)
    book.flush(audit)
    assert (audit.writes, audit.is_up) == (0, False)

    audit.is_hanging, audit.is_up = False, True
    book.flush(audit)

    assert len(audit.written) == 1


def test_a_long_outage_keeps_the_newest_and_grows_no_further(audit: Any) -> None:
    book = DecisionBook(1)
    for number in range(1, 2 * MOST_WAITING):
        book.note(noted(number))
    book.flush(audit)

    assert len(audit.written) == MOST_WAITING
    assert max(audit.written) == 2 * MOST_WAITING - 1


def test_two_at_the_same_moment_are_two_rows(audit: Any) -> None:
    book = DecisionBook(1)
    book.note(noted(5))
    book.note(noted(5))
    book.flush(audit)

    assert len(audit.written) == 2


def test_the_limits_of_the_newest_refusal_are_kept_with_it(audit: Any) -> None:
    book = DecisionBook(1)
    for number, used in ((1, "3"), (2, "4")):
        limit = LimitUse("max_position", "2", used)
        book.note(DecisionNoted("SubmitOrder", "", "too many", Nanos(0), Nanos(1), Nanos(number), limits=(limit,)))
    book.flush(audit)

    assert [(row.times, row.limits) for row in audit.written.values()] == [(2, {"max_position": "4 of 2"})]


def test_answers_of_the_portfolio_wait_for_the_database_bounded_and_are_written_once(audit: Any) -> None:
    book, answer = DecisionBook(1), HeatAnswer(1, "a", "main", Money(Decimal(1)), "USD", Nanos(1), Nanos(2), "", "")
    audit.is_hanging = True
    for _ in range(MOST_WAITING + 5):
        book.note_heat(answer)
    book.flush(audit)
    audit.is_hanging, audit.is_up = False, True
    for _ in range(2):
        book.flush(audit)

    assert audit.answers == [answer] * MOST_WAITING


def test_decisions_that_the_database_refuses_do_not_take_the_answers_with_them(audit: Any) -> None:
    book, answer = DecisionBook(1), HeatAnswer(1, "a", "main", Money(Decimal(1)), "USD", Nanos(1), Nanos(2), "", "")
    book.note(noted(1))
    book.note_heat(answer)
    audit.refuses = True
    book.flush(audit)
    audit.refuses = False
    book.flush(audit)

    assert (audit.answers, audit.written) == ([answer], {})

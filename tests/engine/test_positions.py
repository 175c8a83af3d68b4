"""Our count against the broker's: suspicion first, divergence only when nothing explains it, then the broker wins."""

import pytest

from tests.engine.desk import Database, Desk, Scripted
from tests.engine.exchange_broker import ExchangeBroker
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.book import DivergenceKind, Position
from tradeproc.domain.orders import Side
from tradeproc.domain.units import SECOND, Contracts
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import Event
from tradeproc.strategies.contract import SubmitOrder

BUY = SubmitOrder(Side.BUY, Contracts(1))


def test_a_position_that_somebody_else_changed_becomes_ours_with_a_row_and_without_an_order() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()
    desk.broker.position = 3

    desk.run(40)

    assert desk.position == 3
    (row,) = desk.divergences
    assert (row.kind, row.subject, row.cause) == (
        DivergenceKind.POSITION,
        "ESH24",
        "+2 by no order of ours, booked at 4800 (from the broker's average)",
    )
    assert (row.ours, row.brokers) == ("1 at 4800", "3 at 4800")
    assert desk.sent == ["abcd7-1-1"]
    assert desk.database.position is not None
    assert desk.database.position.quantity == 3
    assert "position_diverged" in desk.alarms
    desk.run(31)
    assert "position_diverged" not in desk.alarms


def test_a_fill_that_is_on_its_way_explains_a_difference() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.faults.slowest = 3.0

    for _ in range(20):
        desk.bar(seconds=5)

    assert desk.position == desk.broker.position == 1
    assert desk.divergences == []


class SlowReplies(Desk):
    """A broker that fills at once and answers the submit ten seconds later."""

    def later(self, event: Event, delay: int | None = None) -> None:
        super().later(event, 10 * SECOND if isinstance(event, events.SubmitAnswered) else delay)


def test_a_fill_whose_order_is_not_answered_yet_is_not_taken_for_somebody_elses() -> None:
    desk = SlowReplies(Scripted(BUY), broker=ExchangeBroker(echoes=False)).start()

    desk.bar(seconds=9)
    assert desk.position == 0
    assert desk.broker.position == 1
    desk.run(5)

    assert desk.position == 1
    assert desk.divergences == []
    assert desk.alarms == {"position_uncovered"}, "it has no stop, since the broker told it"


class LateAndOld(Desk):
    """Answers about the position come three seconds late, and are what `old` says, as long as it says something."""

    old: Position | None = None

    def later(self, event: Event, delay: int | None = None) -> None:
        if isinstance(event, events.PositionAnswered) and self.old is not None:
            event, delay = events.PositionAnswered(event.number, Known(self.old)), 3 * SECOND
        super().later(event, delay)


def test_answers_that_were_asked_for_right_after_a_fill_and_come_late_are_not_believed() -> None:
    desk = LateAndOld(Scripted(BUY)).start()
    desk.old = desk.broker.current_position()
    desk.tell(events.ReconcileCommanded("me"))
    desk.run(2.5)
    desk.bar(seconds=0.6)
    desk.tell(events.ReconcileCommanded("me"))
    desk.run(1)
    desk.old = None

    desk.run(20)

    assert desk.position == desk.broker.position == 1
    assert desk.divergences == []
    assert desk.state.broker.is_reconciled


def test_one_reading_or_the_same_one_at_once_is_no_divergence() -> None:
    desk = Desk().start()
    wrong = Position("SIM1", "ESH24", Contracts(2), None)

    for _ in range(3):
        desk.tell(events.PositionUpdated(wrong))
    assert desk.state.broker.suspicion is not None
    desk.run(5)

    assert desk.position == 0
    assert desk.divergences == []
    assert desk.state.broker.is_reconciled


def test_while_the_orders_are_not_answered_nothing_is_adopted_and_entries_wait() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.broker.position = 2
    desk.faults.unknown = 1.0
    for _ in range(5):
        desk.tell(events.PositionUpdated(desk.broker.current_position()))
        desk.run(3)

    desk.bar()

    assert desk.position == 0
    assert desk.refusals == ["the position is not reconciled"]
    desk.faults.unknown = 0.0
    desk.run(10)
    assert desk.position == 2


def test_a_position_of_before_the_start_is_taken_over_and_recorded() -> None:
    desk = Desk(database=Database(position=Position("SIM1", "ESH24", Contracts(1), None)))
    desk.broker.position = -2

    desk.start()
    desk.run(10)

    assert desk.position == -2
    assert [row.cause.partition(":")[0] for row in desk.divergences] == ["changed while the trader was not running"]
    assert desk.state.broker.is_reconciled


def test_an_unknown_position_is_never_read_as_flat() -> None:
    desk = Desk(Scripted(BUY)).start()
    desk.bar()

    desk.faults.unknown = 1.0
    desk.run(130)

    assert desk.position == 1
    assert desk.divergences == []
    assert "position_unconfirmed" in desk.alarms
    number = desk.state.broker.position.number
    desk.tell(events.PositionAnswered(number, Unknown("503")))
    assert desk.position == 1


@pytest.mark.parametrize("seconds", [1, 29])
def test_a_question_that_nobody_answers_is_asked_again_after_half_a_minute(seconds: int) -> None:
    desk = Desk().start()
    desk.run(seconds)
    desk.tell(events.ReconcileCommanded("me"))
    desk.queue.clear()
    desk.effects.clear()

    desk.run(35)

    assert 1 <= len(desk.all_of(do.AskPosition)) <= 3
    assert desk.state.broker.position.known_at is not None
    assert desk.now - desk.state.broker.position.known_at < 10 * 10**9

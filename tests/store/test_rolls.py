"""A roll's steps are rows; one of them changes the session's contract with it, for the lease's holder only."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.book import AT, SPEC
from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.units import Contracts, Nanos, Ticks
from tradeproc.store import Lease, Store
from tradeproc.store.journal import Journal
from tradeproc.store.writes import roll_write

OLD, NEXT = SPEC.contract, SPEC.contract[:-3] + "Z30"
BEGUN = Roll(
    "roll-1", 1, OLD, NEXT, RollStep.CLOSING, "anna", "why", Contracts(2), Contracts(2), Ticks(200), Ticks(19200),
    Ticks(19160), None, "", "", Nanos(AT), Nanos(AT), Nanos(AT),
)  # fmt: skip
SWITCHED = replace(BEGUN, step=RollStep.SWITCHED, at=Nanos(AT + 1))


@pytest.fixture
def session(store: Store) -> int:
    return store.create_session(SPEC)


def contract(store: Store) -> str:
    return store.session(1).spec.contract


@pytest.mark.usefixtures("session")
def test_the_contract_changes_with_the_step_and_the_rest_of_the_specification_stays(store: Store) -> None:
    store.write(roll_write(BEGUN))
    assert contract(store) == OLD

    store.write(roll_write(SWITCHED))

    assert store.session(1).spec == replace(SPEC, contract=NEXT)
    assert store.rolls(1) == [SWITCHED]


@pytest.mark.usefixtures("session")
def test_a_step_that_is_told_twice_is_kept_once_and_does_not_turn_a_later_change_back(store: Store) -> None:
    back = replace(SWITCHED, id="roll-2", contract=NEXT, next_contract=OLD)
    for step in (BEGUN, BEGUN, SWITCHED, back, SWITCHED):
        store.write(roll_write(step))

    assert contract(store) == OLD
    assert store.rolls() == [SWITCHED, back]


@pytest.mark.usefixtures("session")
def test_a_trader_whose_lease_is_stale_changes_nothing(store: Store, url: str) -> None:
    first = Lease.acquire(url, 1, "first")
    first.release()
    second = Lease.acquire(url, 1, "second")

    store.write(roll_write(SWITCHED, fence=first.fence))
    assert (contract(store), store.rolls()) == (OLD, [])

    store.write(roll_write(SWITCHED, fence=second.fence))
    assert contract(store) == NEXT
    second.release()


@pytest.mark.usefixtures("session")
def test_a_step_comes_through_the_journal_with_whatever_text_it_has(store: Store, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "session-1.jsonl")
    journal.append(roll_write(replace(BEGUN, reason="a NUL \0"), fence=1))

    assert journal.replay(store) == 1

    assert [roll.step for roll in store.rolls()] == [RollStep.CLOSING]
    journal.close()


@pytest.mark.usefixtures("session")
def test_rows_that_a_journal_brings_late_do_not_turn_a_roll_back(store: Store) -> None:
    reopening = replace(SWITCHED, step=RollStep.REOPENING, entry_orders="e1")
    again = replace(reopening, entry_orders="e1 e2")
    for step in (SWITCHED, again, reopening, replace(BEGUN, close_orders="x1")):
        store.write(roll_write(step))
    assert store.rolls() == [again]

    over = replace(again, step=RollStep.ROLLED)
    for step in (over, replace(again, entry_orders="e1 e2 e3")):
        store.write(roll_write(step))
    assert store.rolls() == [over]

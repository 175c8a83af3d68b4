"""A roll's steps are rows; one of them changes the session's contract with it, for the lease's holder only."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.store.book import AT, EVENT, ORDER, SPEC
from tradeproc.cli.commands.rolling import shown_roll
from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.roll_volumes import RollVolume
from tradeproc.domain.units import Contracts, Nanos, Price, Ticks
from tradeproc.store import Lease, Store
from tradeproc.store.journal import Journal
from tradeproc.store.roll_rows import RollRows
from tradeproc.store.writes import orders_write, roll_volume_write, roll_write

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


@pytest.mark.usefixtures("session")
def test_the_history_tells_each_roll_once_with_what_its_orders_closed_and_opened(store: Store, url: str) -> None:
    bought = replace(ORDER, session=1, fence=0, id="e1", filled=Contracts(1), average=Price(Decimal(4800)))
    rows = [bought, replace(bought, id="e2", average=Price(Decimal(4802))), replace(bought, id="x1", average=None)]
    store.write(orders_write(rows, [replace(EVENT, order_id=each.id) for each in rows], fence=0).without_fence())
    done = replace(SWITCHED, step=RollStep.ROLLED, close_orders="x1", entry_orders="e1 e2", reason="why \x1b[1m")
    for step in (BEGUN, SWITCHED, done, replace(BEGUN, id="roll-2", session=2, spread=None)):
        store.write(roll_write(step))
    rolls = RollRows(url)
    rolls.begin()

    first, second = rolls.history(None)

    assert (first["id"], first["step"], first["closed"], first["opened"]) == ("roll-1", "rolled", 1, 2)
    shown = shown_roll(first)
    assert (shown["closed_price"], shown["opened_price"], shown["spread"]) == ("unknown", "4801", "50")
    assert (second["closed"], second["opened"]) == (0, 0)
    assert (shown_roll(second)["closed_price"], shown_roll(second)["spread"]) == ("unknown", "unknown")
    assert [row["id"] for row in rolls.history(2)] == ["roll-2"]
    rolls.close()


@pytest.mark.usefixtures("session")
def test_a_days_volumes_are_kept_as_they_were_told_first(store: Store, url: str) -> None:
    told = RollVolume(1, OLD, NEXT, "2024-03-07", 5, 6, Nanos(AT))
    for volume in (told, replace(told, volume=9), replace(told, day="2024-03-06")):
        store.write(roll_volume_write(volume))
    rolls = RollRows(url)

    assert store.roll_volumes(1) == rolls.volumes() == [replace(told, day="2024-03-06"), told]
    assert store.roll_volumes(2) == []
    rolls.close()

"""What could not reach the database reaches it later, once."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.book import AT, DIVERGENCE, EVENT, FILL, ORDER, POSITION, SPEC, moved
from tradeproc.domain.orders import OrderState
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.store import DatabaseDown, Journal, JournalInUse, Store
from tradeproc.store.journal import replay_left
from tradeproc.store.writes import Write

NOWHERE = "postgresql://nobody@/nothing?host=/tmp/tradeproc-nowhere"


def fill_journal(journal: Journal) -> None:
    sent, event = moved(ORDER, OrderState.FILLED, AT + 1, filled=Contracts(2))
    journal.save_orders([ORDER], [EVENT], fence=1)
    journal.save_orders([sent], [event], fence=1, fills=[FILL])
    journal.save_fill(replace(FILL, cumulative=Contracts(2)))
    journal.save_position(1, POSITION, "fills", Nanos(AT))
    journal.save_position(1, replace(POSITION, quantity=Contracts(0), average=None), "fills", Nanos(AT + 1))
    journal.save_alarm(1, "database_down", "", Nanos(AT))
    journal.save_divergence(DIVERGENCE)
    journal.close_divergences(1, None, None, Nanos(AT + 2))
    journal.clear_alarms(1, "database_down", Nanos(AT + 2))


def everything(store: Store) -> list[object]:
    return [
        store.orders(),
        store.order_events(ORDER.id),
        store.fills(),
        store.positions(),
        store.alarms(),
        store.divergences(),
    ]


def test_a_journal_replayed_twice_books_everything_once_even_with_a_newer_lease(store: Store, tmp_path: Path) -> None:
    session = store.create_session(SPEC)
    journal = Journal(tmp_path / "session-1")
    fill_journal(journal)
    copy = (tmp_path / "session-1").read_bytes()

    assert journal.replay(store) == 9
    assert journal.is_empty()
    after = everything(store)
    (tmp_path / "session-1").write_bytes(copy)
    assert journal.replay(store) == 9

    assert everything(store) == after
    assert [order.state for order in store.orders(session)] == [OrderState.FILLED]
    assert len(store.fills()) == 2
    assert [row.position.quantity for row in store.positions()] == [0]
    journal.close()


def test_nothing_leaves_the_journal_while_the_database_is_down(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    fill_journal(journal)
    before = journal.path.read_bytes()

    with pytest.raises(DatabaseDown):
        journal.replay(Store(NOWHERE))

    assert journal.path.read_bytes() == before
    journal.close()


@pytest.mark.parametrize("left", [1, 9, 30])
def test_a_torn_last_line_is_dropped_and_the_next_one_is_whole(store: Store, tmp_path: Path, left: int) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    journal.save_fill(FILL)
    whole = path.stat().st_size
    journal.save_fill(replace(FILL, cumulative=Contracts(2)))
    journal.close()
    with path.open("r+b") as file:
        file.truncate(whole + left)

    again = Journal(path)
    again.save_fill(replace(FILL, cumulative=Contracts(3)))

    assert again.replay(store) == 2
    assert [fill.cumulative for fill in store.fills()] == [1, 3]
    again.close()


def test_damage_in_the_middle_costs_one_line_only(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    for number in (1, 2, 3):
        journal.save_fill(replace(FILL, cumulative=Contracts(number)))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"ESH24", b"ESH\xff4")
    path.write_bytes(b"".join(lines))

    assert journal.replay(store) == 2
    assert [fill.cumulative for fill in store.fills()] == [1, 3]
    journal.close()


def test_a_write_that_the_database_refuses_is_put_aside_and_the_others_go_on(store: Store, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(Write("save_fill", {}))
    journal.append(Write("no_such_statement", {}))
    journal.save_orders([replace(ORDER, session=99)], [EVENT], fence=1)
    journal.save_fill(FILL)

    assert journal.replay(store) == 4

    assert store.fills() == [FILL]
    assert len((tmp_path / "j.refused").read_bytes().splitlines()) == 3
    journal.close()


def test_a_journal_belongs_to_one_process_and_those_of_the_dead_are_replayed(store: Store, tmp_path: Path) -> None:
    living, dead = Journal(tmp_path / "living"), Journal(tmp_path / "dead")
    living.save_fill(FILL)
    dead.save_fill(replace(FILL, cumulative=Contracts(2)))
    dead.close()
    with pytest.raises(JournalInUse):
        Journal(tmp_path / "living", wait_seconds=0)

    assert replay_left(tmp_path, store) == 1

    assert [fill.cumulative for fill in store.fills()] == [2]
    assert not living.is_empty()
    living.close()

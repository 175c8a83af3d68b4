"""What could not reach the database reaches it later, once."""

import os
import subprocess
import sys
import zlib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from tests.store.book import AT, DIVERGENCE, EVENT, FILL, ORDER, POSITION, SPEC, booked, moved
from tradeproc.domain.book import FillKind
from tradeproc.domain.orders import OrderEvent, OrderRole, OrderSource, OrderState, OrderType, TimeInForce
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.protocol import names
from tradeproc.store import DatabaseDown, Journal, JournalInUse, Store
from tradeproc.store.journal import DAMAGED_ALARM, REFUSED_ALARM, replay_left
from tradeproc.store.rows import AlarmRow, DivergenceRow, Latch, PositionRow
from tradeproc.store.writes import (
    Write,
    alarm_write,
    alarms_cleared_write,
    divergence_write,
    divergences_closed_write,
    orders_write,
    position_write,
)

NOWHERE = "postgresql://nobody@/nothing?host=/tmp/tradeproc-nowhere"


@pytest.fixture
def store(store: Store) -> Store:
    """A store with the session of the rows."""
    store.create_session(SPEC, key="the only one")
    return store


def fill_journal(journal: Journal) -> None:
    sent, event = moved(ORDER, OrderState.FILLED, AT + 1, filled=Contracts(2))
    journal.append(orders_write([ORDER], [EVENT], fence=1))
    journal.append(orders_write([sent], [event], fence=1, fills=[FILL]))
    journal.append(booked(replace(FILL, cumulative=Contracts(2))))
    journal.append(position_write(PositionRow(1, POSITION, "fills", Nanos(AT))))
    flat = replace(POSITION, quantity=Contracts(0), average=None)
    journal.append(position_write(PositionRow(1, flat, "fills", Nanos(AT + 1))))
    journal.append(alarm_write(1, "database_down", "", Nanos(AT), names.KEEPER))
    journal.append(divergence_write(DIVERGENCE))
    journal.append(divergences_closed_write(1, None, None, Nanos(AT + 2)))
    journal.append(alarms_cleared_write(1, "database_down", Nanos(AT + 2)))


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
    session = store.create_session(SPEC, key="the only one")
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
def test_a_torn_last_line_is_put_aside_and_the_next_one_is_whole(store: Store, tmp_path: Path, left: int) -> None:
    path = tmp_path / "session-1.jsonl"
    journal = Journal(path)
    journal.append(booked(FILL))
    whole = path.stat().st_size
    journal.append(booked(replace(FILL, cumulative=Contracts(2))))
    journal.close()
    with path.open("r+b") as file:
        file.truncate(whole + left)
    torn = path.read_bytes()

    again = Journal(path)
    assert path.read_bytes() == torn, "opening a journal changes nothing"
    again.append(booked(replace(FILL, cumulative=Contracts(3))))

    assert again.replay(store) == 2
    assert [fill.cumulative for fill in store.fills()] == [1, 3]
    assert path.with_suffix(".damaged").read_bytes() == torn[whole:] + b"\n"
    assert [(alarm.session, alarm.name) for alarm in store.alarms()] == [(1, DAMAGED_ALARM)]
    again.close()


def test_damage_in_the_middle_costs_one_line_only_which_is_put_aside(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    for number in (1, 2, 3):
        journal.append(booked(replace(FILL, cumulative=Contracts(number))))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"ESH24", b"ESH\xff4")
    path.write_bytes(b"".join(lines))

    assert journal.replay(store) == 2
    assert [fill.cumulative for fill in store.fills()] == [1, 3]
    assert path.with_suffix(".damaged").read_bytes() == lines[1]
    journal.close()


@pytest.mark.parametrize("garbage", [bytes(4096), b"00000000 ", b"00000000 \n\n", b"\r\n\r", b"[1, 2", b"\xff" * 99])
def test_whatever_a_file_holds_stops_no_replay_and_is_not_lost(store: Store, tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "session-1.jsonl"
    path.write_bytes(garbage)
    journal = Journal(path)
    journal.append(booked(FILL))

    assert journal.replay(store) == 1
    assert journal.is_empty()
    assert store.fills() == [FILL]
    assert path.with_suffix(".damaged").read_bytes().replace(b"\n", b"") == garbage.translate(None, b"\n")
    journal.close()


def test_a_disk_that_does_not_take_what_is_put_aside_keeps_it_in_the_journal(store: Store, tmp_path: Path) -> None:
    path, other = tmp_path / "session-1.jsonl", Journal(tmp_path / "session-2.jsonl")
    path.write_bytes(b"torn")
    path.with_suffix(".damaged").mkdir()
    other.append(booked(FILL))
    other.close()

    assert replay_left(tmp_path, store) == 1, "it holds up no other journal"

    assert path.read_bytes() == b"torn"


def test_the_sweep_takes_only_journals(store: Store, tmp_path: Path) -> None:
    line = Journal(tmp_path / "session-1.jsonl")
    line.append(booked(FILL))
    line.close()
    content = line.path.read_bytes()
    others = [
        "latches.json",
        "session-1",
        "session-1.refused",
        "session-x.jsonl",
        "session-01.jsonl",
        "notes",
        ".new",
    ]
    for name in others:
        (tmp_path / name).write_bytes(content[:-1])
    (tmp_path / "session-7.jsonl").symlink_to(tmp_path / "notes")
    line.path.unlink()

    assert replay_left(tmp_path, store) == 0

    assert {(tmp_path / name).read_bytes() for name in others} == {content[:-1]}


def test_a_write_that_the_database_refuses_is_put_aside_and_the_others_go_on(store: Store, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(Write("save_alarm", {}))
    journal.append(Write("no_such_statement", {}))
    journal.append(orders_write([replace(ORDER, session=99)], [EVENT], fence=1))
    journal.append(booked(FILL))

    assert journal.replay(store) == 4

    assert store.fills() == [FILL]
    assert len((tmp_path / "j.refused").read_bytes().splitlines()) == 3
    assert [alarm.name for alarm in store.alarms()] == [REFUSED_ALARM]
    journal.close()


@pytest.mark.parametrize("text", ["a \x00 in it", "half a pair \ud83d", "\\u0000 is six characters"])
def test_a_text_that_no_database_can_hold_costs_no_row(store: Store, tmp_path: Path, text: str) -> None:
    kept = text.replace("\x00", "\ufffd").replace("\ud83d", "\ufffd")
    store.create_session(SPEC, key="the only one")
    journal = Journal(tmp_path / "j")
    journal.append(orders_write([replace(ORDER, reason=text)], [replace(EVENT, details={"reason": text})], fence=1))
    journal.append(alarm_write(1, "x", text, Nanos(AT), names.KEEPER))

    assert journal.replay(store) == 2

    assert [order.reason for order in store.orders()] == [kept]
    assert [event.details for event in store.order_events(ORDER.id)] == [{"reason": kept}]
    assert [alarm.detail for alarm in store.alarms()] == [kept]
    assert not (tmp_path / "j.refused").exists()
    journal.close()


def test_the_journal_of_the_version_before_is_replayed(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "session-1.jsonl"
    path.write_bytes((Path(__file__).parent / "journals" / "before_columns.jsonl").read_bytes())
    store.create_session(SPEC, key="the only one")
    after, _ = moved(ORDER, OrderState.FILLED, AT + 1, filled=Contracts(2))
    leg = replace(
        ORDER,
        id="abcd1.1.2",
        role=OrderRole.STOP_LOSS,
        type=OrderType.STOP,
        limit=None,
        time_in_force=TimeInForce.GTC,
        state=OrderState.PARTIALLY_FILLED,
        filled=Contracts(1),
        average=FILL.price,
        broker_id="78",
        parent=ORDER.id,
        in_flight="cancel",
        changed_at=Nanos(AT + 9),
        reason="because",
        revision=1,
    )
    event = OrderEvent(
        leg.id,
        Nanos(AT),
        OrderSource.BROKER_STREAM,
        OrderState.SUBMITTED,
        OrderState.PARTIALLY_FILLED,
        "order_filled",
        Contracts(1),
        {"why": "\u2014", "a": "b"},
    )
    undone = replace(FILL, order_id=leg.id, revision=1, kind=FillKind.REVERSAL, price=None, market_at=Nanos(AT - 7))

    assert replay_left(tmp_path, store) == 13

    assert store.orders() == [after, leg]
    assert store.order_events(leg.id) == [event]
    assert store.fills() == [FILL, replace(FILL, cumulative=Contracts(2)), undone]
    assert store.positions() == [
        PositionRow(1, replace(POSITION, quantity=Contracts(0), average=None), "fills", Nanos(AT + 1)),
        PositionRow(1, replace(POSITION, quantity=Contracts(-1), contract="NQH24"), "broker_stream", Nanos(AT + 3)),
    ]
    assert [(balance.equity, balance.unrealized) for balance in store.balances()] == [
        (Decimal("50012.5"), Decimal("12.5"))
    ]
    assert store.divergences() == [DivergenceRow(DIVERGENCE, Nanos(AT + 2))]
    assert store.alarms() == [
        AlarmRow(1, "database_down", "", Nanos(AT), Nanos(AT + 2)),
        AlarmRow(None, "standing", "still", Nanos(AT + 4), None),
    ]
    reason = "sold by hand \u2014 \N{REPLACEMENT CHARACTER}"
    assert store.latches() == [Latch("session:1", "reducing", "external_policy", reason, Nanos(AT))]
    assert [each.name for each in tmp_path.iterdir()] == [path.name], "nothing was put aside"


def test_a_nul_in_a_line_of_an_earlier_version_costs_no_row(store: Store, tmp_path: Path) -> None:
    session = store.create_session(SPEC, key="the only one")
    journal = Journal(tmp_path / "session-1.jsonl")
    moved_to, event = moved(replace(ORDER, reason="a?b"), OrderState.FILLED, AT + 1, filled=Contracts(2))
    for write in (
        orders_write([moved_to], [EVENT, event], [FILL], fence=0).without_fence(),
        alarm_write(session, "order_rejected", "a?b", Nanos(AT), names.KEEPER),
    ):
        # as it was written before texts were made storable
        plain = {
            key: value.replace("a?b", "a\\u0000b" if value.startswith("[") else "a\0b")
            if isinstance(value, str)
            else value
            for key, value in write.parameters.items()
        }
        body = orjson.dumps([write.statement, plain])
        with journal.path.open("ab") as file:
            file.write(b"%08x %b\n" % (zlib.crc32(body), body))

    assert journal.replay(store) == 2
    journal.close()

    assert [order.reason for order in store.orders(session)] == ["a\N{REPLACEMENT CHARACTER}b"]
    assert [alarm.detail for alarm in store.alarms()] == ["a\N{REPLACEMENT CHARACTER}b"]
    assert store.fills() == [FILL]
    assert not journal.path.with_suffix(".refused").exists()


def test_a_journal_belongs_to_one_process_and_those_of_the_dead_are_replayed(store: Store, tmp_path: Path) -> None:
    living, dead = Journal(tmp_path / "session-1.jsonl"), Journal(tmp_path / "session-2.jsonl")
    living.append(booked(FILL))
    dead.append(booked(replace(FILL, cumulative=Contracts(2))))
    dead.close()
    with pytest.raises(JournalInUse):
        Journal(living.path, wait_seconds=0)

    assert replay_left(tmp_path, store) == 1

    assert [fill.cumulative for fill in store.fills()] == [2]
    assert not living.is_empty()
    living.close()


def test_an_alarm_that_an_earlier_version_kept_without_who_raised_it_is_replayed(
    store: Store, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "session-1")
    journal.append(Write("save_alarm", {"session": 1, "name": "close_stuck", "detail": "look", "at": AT}))

    assert journal.replay(store) == 1

    assert store.alarms() == [AlarmRow(1, "close_stuck", "look", Nanos(AT), None)]


APPENDING = """
import sys
from pathlib import Path
from tradeproc.protocol.names import JOBS
from tradeproc.store.journal import Journal
from tradeproc.store.writes import alarm_write
journal = Journal(Path(sys.argv[1]))
for number in range(100_000):
    journal.append(alarm_write(1, f"alarm {number}", "", number + 1, JOBS))
    print(number, flush=True)
"""


def test_what_a_killed_process_was_told_is_kept_is_replayed(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "session-1.jsonl"
    with subprocess.Popen([sys.executable, "-c", APPENDING, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(50):
            child.stdout.readline()
        child.kill()
        told = [int(line) for line in child.stdout.read().splitlines()]
    last = told[-1] if told else 49

    assert replay_left(tmp_path, store) >= last + 1

    assert {alarm.name for alarm in store.alarms()} >= {f"alarm {number}" for number in range(last + 1)}
    assert path.read_bytes() == b""


def test_an_append_returns_when_the_disk_has_the_line_and_the_file_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[str, int]] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        flushed.append((os.readlink(f"/proc/self/fd/{fd}"), os.fstat(fd).st_size))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    path = tmp_path / "session-1.jsonl"
    journal = Journal(path)
    assert [each for each, _ in flushed] == [str(tmp_path)]

    journal.append(booked(FILL))

    assert flushed[1:] == [(str(path), path.stat().st_size)]
    journal.close()

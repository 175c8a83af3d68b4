"""Where a trader writes: no exit waits long or is lost, and no entry is written down where it may be forgotten."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.procs.shut import away, end_connections, hanging
from tests.store.book import AT, EVENT, FILL, ORDER, POSITION, SPEC, moved
from tradeproc.domain.orders import Order, OrderRole, OrderState
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.engine.effects import Persist
from tradeproc.procs.trader.audit_trail import AuditTrail, Superseded
from tradeproc.procs.trader.timing import TraderTiming
from tradeproc.store import Lease, Store
from tradeproc.store.journal import Journal
from tradeproc.testing.waiting import wait_until

EXIT = replace(ORDER, id="abcd1.1.2", role=OrderRole.EXIT)


def unit(order: Order, ticket: int | None = None) -> Persist:
    return Persist((order,), (replace(EVENT, order_id=order.id),), ticket=ticket)


QUICK = TraderTiming(database=0.0)


class Desk:
    """An audit trail over a real database, a second view of that database, and a session in it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.store = Store(url)
        self.session = self.store.create_session(SPEC)
        lease = Lease.acquire(url, self.session, "us")
        journal = Journal(folder / "journal.jsonl")
        self.audit = AuditTrail(
            Store(url, connect_timeout=0.5), journal, lease, self.session, "us", folder / "kept.json", QUICK
        )

    def order(self, number: int, **changes: object) -> Order:
        return replace(EXIT, id=f"abcd1-1-{number}", session=self.session, **changes)  # type: ignore[arg-type]

    def written(self) -> list[str]:
        return [order.id for order in self.store.orders(self.session)]

    def look_until_well(self) -> None:
        def is_well() -> bool:
            self.audit.look_after()
            return self.audit.is_up and self.audit.is_lease_held

        wait_until("the database is back", is_well)


@pytest.fixture
def desk(book_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(book_url, tmp_path)
    yield made
    made.audit.close()
    made.store.close()


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_unit_is_in_the_database_when_persist_says_so(desk: Desk) -> None:
    order = desk.order(1)
    position = replace(POSITION, account=SPEC.account)

    assert desk.audit.persist(replace(unit(order), position=position, source="fills")) == ""

    assert desk.written() == [order.id]
    assert desk.store.positions(desk.session)[0].position == position
    assert desk.audit.journal.is_empty()


def test_while_the_database_is_away_exits_go_into_the_journal_and_come_back_in_order(desk: Desk) -> None:
    first = desk.order(1)
    desk.audit.persist(unit(first))
    told = [first]
    with away(desk.url):
        for number, state in enumerate((OrderState.PENDING, OrderState.SUBMITTED, OrderState.FILLED), 1):
            after, event = moved(told[-1], state, AT + number, filled=Contracts(number // 3 * 2))
            assert "away" in desk.audit.persist(Persist((after,), (event,)))
            told.append(after)
        assert not desk.audit.is_up
        assert not desk.audit.journal.is_empty()

    desk.look_until_well()

    assert desk.audit.journal.is_empty()
    assert desk.store.orders(desk.session) == [told[-1]]
    states = [event.after for event in desk.store.order_events(first.id)]
    assert states == [OrderState.PRE_SENT, OrderState.PENDING, OrderState.SUBMITTED, OrderState.FILLED]


def test_an_entry_is_refused_while_the_database_is_away_and_is_nowhere(desk: Desk) -> None:
    entry = desk.order(1, role=OrderRole.ENTRY)
    with away(desk.url):
        assert desk.audit.persist(unit(entry, ticket=1)) != ""
        assert desk.audit.persist(unit(entry, ticket=2)) != ""
        assert desk.audit.journal.is_empty()

    desk.look_until_well()
    assert desk.written() == []
    assert desk.audit.persist(unit(entry, ticket=3)) == ""


def test_what_a_full_disk_does_not_take_is_kept_in_memory_and_written_later_in_order(desk: Desk) -> None:
    orders = [desk.order(number) for number in range(5)]
    with away(desk.url):
        desk.audit.persist(unit(orders[0]))
        with full_disk():
            for order in orders[1:4]:
                desk.audit.persist(unit(order))
            assert "rows are in memory only" in desk.audit.refusal
        desk.audit.persist(unit(orders[4]))

    desk.look_until_well()

    assert desk.written() == [order.id for order in orders]
    assert not desk.audit.refusal, "what is stored is no reason to be degraded for ever"


def test_what_is_still_in_memory_at_the_end_goes_to_the_disk_if_it_can(book_url: str, tmp_path: Path) -> None:
    desk = Desk(book_url, tmp_path)
    with away(desk.url), full_disk():
        desk.audit.persist(unit(desk.order(1)))

    desk.audit.close()

    assert Journal(tmp_path / "journal.jsonl").replay(desk.store) > 0
    assert desk.written() == [desk.order(1).id]
    desk.store.close()


def test_a_lease_whose_connection_was_cut_refuses_entries_writes_exits_and_is_taken_again(desk: Desk) -> None:
    fence = desk.audit.fence
    end_connections(desk.url)
    wait_until("it is noticed", lambda: not desk.audit.lease.is_held())

    assert desk.audit.persist(unit(desk.order(1, role=OrderRole.ENTRY), ticket=1)) != ""
    desk.audit.persist(unit(desk.order(2)))

    desk.look_until_well()
    assert desk.audit.fence > fence
    wait_until("the exit is written", lambda: desk.written() == [desk.order(2).id])
    assert desk.audit.persist(unit(desk.order(3, role=OrderRole.ENTRY), ticket=2)) == ""


def test_an_audit_trail_whose_session_another_trader_took_ends_before_it_does_anything(desk: Desk) -> None:
    desk.audit.lease.release()
    other = wait_until("the lease is free", lambda: Lease.acquire(desk.url, desk.session, "them"))
    try:
        with pytest.raises(Superseded, match="them"):
            desk.audit.persist(unit(desk.order(1)))
    finally:
        other.release()


def test_a_database_that_hangs_holds_up_an_exit_for_a_moment_once_and_then_not_at_all(desk: Desk) -> None:
    desk.audit.persist(unit(desk.order(0)))
    took: list[float] = []
    with hanging(desk.url):
        for number in range(1, 6):
            began = time.monotonic()
            desk.audit.persist(unit(desk.order(number)))
            desk.audit.look_after()
            took.append(time.monotonic() - began)

    assert took[0] < 10
    assert max(took[1:]) < took[0]
    desk.look_until_well()
    assert desk.written() == [desk.order(number).id for number in range(6)]


def test_a_long_journal_is_replayed_in_moments_and_nothing_overtakes_it(
    desk: Desk,
) -> None:
    desk.audit.timing = replace(QUICK, replay=0.02)
    with away(desk.url):
        for number in range(150):
            desk.audit.persist(unit(desk.order(1000 + number)))
    looks = 0

    def look() -> bool:
        nonlocal looks
        desk.audit.look_after()
        if looks == 1 and not desk.audit.is_up:
            desk.audit.persist(unit(desk.order(5000)))
        looks += 1
        return desk.audit.is_up and desk.audit.is_lease_held

    wait_until("all is replayed", look, every=0.002)

    assert 3 < looks < 2_000
    assert [order_id for order_id in desk.written() if order_id != desk.order(5000).id] == [
        desk.order(1000 + number).id for number in range(150)
    ]


def test_fills_are_booked_once_however_often_they_are_told(desk: Desk) -> None:
    order = desk.order(1)
    fill = replace(FILL, order_id=order.id, session=desk.session, at=Nanos(AT))
    booked = replace(unit(order), fills=(fill,))
    desk.audit.persist(booked)
    with away(desk.url):
        desk.audit.persist(booked)
    desk.look_until_well()

    assert desk.store.fills(desk.session) == [fill]


def test_alarms_and_balances_find_their_way_too(desk: Desk) -> None:
    with away(desk.url):
        desk.audit.save_alarm("position_uncovered", "no stop", Nanos(AT))
        desk.audit.clear_alarm("position_uncovered", Nanos(AT + 1))
        desk.audit.save_alarm("close_stuck", "refused", Nanos(AT + 2))

    desk.look_until_well()

    assert [alarm.name for alarm in desk.store.alarms(desk.session, only_standing=True)] == ["close_stuck"]


@pytest.mark.parametrize("reason", ["a text with a \x00 in it", "half a pair: \ud800"])
def test_a_text_that_no_database_can_hold_stops_neither_entry_nor_exit(desk: Desk, reason: str) -> None:
    entry, leaving = desk.order(1, role=OrderRole.ENTRY, reason=reason), desk.order(2, reason=reason)

    assert desk.audit.persist(unit(entry, ticket=1)) == ""
    assert desk.audit.persist(unit(leaving)) == ""
    desk.audit.save_alarm("close_stuck", reason, Nanos(AT))

    assert ["\ufffd" in order.reason for order in desk.store.orders(desk.session)] == [True, True]
    assert not desk.audit.refusal
    assert desk.audit.is_up


def test_a_row_that_the_database_does_not_take_stops_no_exit_and_is_put_aside(desk: Desk) -> None:
    order = desk.order(1, quantity=Contracts(2**40))

    assert desk.audit.persist(unit(order, ticket=1)) != "", "an entry is not sent without its row"
    desk.audit.persist(unit(order))
    desk.audit.look_after()

    assert desk.audit.refusal
    assert desk.audit.is_up
    assert desk.audit.journal.is_empty()
    assert order.id.encode() in desk.audit.journal.path.with_suffix(".refused").read_bytes()
    assert desk.audit.persist(unit(desk.order(2), ticket=2)) == ""

"""At most one trader a session, and a trader that was cut off knows it or is refused."""

from dataclasses import replace

import psycopg
import pytest

from tests.store.book import EVENT, ORDER, SPEC
from tradeproc.store import DatabaseDown, Lease, LeaseLost, LeaseTaken, Store
from tradeproc.store.writes import orders_write
from tradeproc.testing.waiting import wait_until


@pytest.fixture
def session(store: Store) -> int:
    return store.create_session(SPEC)


def end_holder(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as direct:
        direct.execute(
            "select pg_terminate_backend(pid, 5000) from pg_locks where locktype = 'advisory'"
            " and database = (select oid from pg_database where datname = current_database())"
        )


def test_a_second_trader_is_told_who_holds_the_lease(url: str, session: int) -> None:
    first = Lease.acquire(url, session, "host a, pid 1")
    try:
        with pytest.raises(LeaseTaken, match="host a, pid 1"):
            Lease.acquire(url, session, "host b, pid 2")
        assert first.is_held()
    finally:
        first.release()


def test_each_lease_has_the_next_fence_and_the_older_one_cannot_write(url: str, session: int, store: Store) -> None:
    first = Lease.acquire(url, session, "a")
    first.release()
    second = wait_until("the lease is free", lambda: Lease.acquire(url, session, "b"))
    try:
        assert (first.fence, second.fence) == (1, 2)
        assert (first.is_held(), second.is_held()) == (False, True)
        with pytest.raises(LeaseLost):
            store.write(orders_write([ORDER], [EVENT], fence=first.fence))
        store.write(orders_write([replace(ORDER, fence=2)], [EVENT], fence=second.fence))
    finally:
        second.release()


def test_a_holder_whose_connection_was_killed_notices_at_once(url: str, session: int) -> None:
    first = Lease.acquire(url, session, "a")
    end_holder(url)

    assert not first.is_held()
    second = Lease.acquire(url, session, "b")
    assert second.fence == 2
    second.release()
    first.release()


def test_different_sessions_do_not_disturb_each_other(url: str, session: int, store: Store) -> None:
    other = store.create_session(SPEC)
    leases = [Lease.acquire(url, one, "a") for one in (session, other)]
    assert all(lease.is_held() for lease in leases)
    for lease in leases:
        lease.release()


def test_a_session_that_is_not_there_cannot_be_leased(url: str) -> None:
    with pytest.raises(LeaseTaken, match="no such session"):
        Lease.acquire(url, 99, "a")


def test_no_lease_without_a_database() -> None:
    with pytest.raises(DatabaseDown):
        Lease.acquire("postgresql://nobody@/nothing?host=/tmp/tradeproc-nowhere", 1, "a")

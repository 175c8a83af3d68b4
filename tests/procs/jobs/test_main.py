"""The database's process and the job queue's, as real processes: trades follow fills, whatever dies in between."""

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import psycopg
import pytest

from tests.databases import fresh_database, server
from tests.store.book import AT, EVENT, FILL, ORDER, SPEC, booked
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.domain.book import Fill
from tradeproc.domain.orders import Side
from tradeproc.domain.units import Contracts, Nanos, Price
from tradeproc.home import Home
from tradeproc.store import Journal, Store
from tradeproc.store.embedded import database_url
from tradeproc.store.writes import orders_write
from tradeproc.testing.running import Child, furnish, temporary_home
from tradeproc.testing.waiting import wait_until


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture
def url(server_url: str) -> Iterator[str]:
    with fresh_database(server_url) as url:
        yield url


@pytest.fixture
def home() -> Iterator[Home]:
    with temporary_home() as home:
        furnish(home)
        yield home


class Process(Child):
    """One process of a home that says how it is."""

    def __init__(self, home: Home, kind: str, url: str = "") -> None:
        super().__init__(home, kind, database=url)
        self.name = f"core.{kind}"

    def __enter__(self) -> "Process":
        return self

    def state(self) -> str:
        with Client(Directory(self.home.sockets)) as client:
            return str(client.call(self.name, "status", {}, 1.0)["state"])

    def is_in(self, state: str) -> None:
        wait_until(f"{self.name} {state}: {self.log.read_text()}", lambda: self.state() == state)


def fill(number: int, side: Side, price: str) -> Fill:
    return replace(
        FILL,
        order_id=f"o{number}",
        side=side,
        price=Price(Decimal(price)),
        at=Nanos(AT + number),
        cumulative=Contracts(1),
    )


def profits(store: Store) -> list[Decimal]:
    return [trade.profit for trade in store.trades()]


def test_trades_follow_fills_at_once_and_a_stop_is_clean(home: Home, url: str) -> None:
    store = Store(url)
    store.migrate()
    session = store.create_session(SPEC)
    with Process(home, "jobs", url) as jobs:
        jobs.is_in("ready")

        began = time.monotonic()
        store.write(orders_write([replace(ORDER, fence=0)], [EVENT], fence=0, fills=[fill(1, Side.BUY, "100")]))
        store.write(booked(fill(2, Side.SELL, "101.25")))
        wait_until("a trade", lambda: profits(store) == [Decimal("62.5")])
        took = time.monotonic() - began
        store.write(booked(fill(3, Side.SELL, "103")))
        store.write(booked(fill(4, Side.BUY, "104")))
        wait_until("two trades", lambda: profits(store) == [Decimal("62.5"), Decimal("-50")])

        assert took < 30, "the minute's sweep found it, not the queue"
        assert jobs.end() == 0
    assert [trade.session for trade in store.trades(session)] == [session, session]
    assert not list(home.sockets.glob("core.jobs.*.pub"))
    store.close()


def test_what_happened_while_no_worker_was_there_is_found_at_its_start(home: Home, url: str) -> None:
    store = Store(url)
    store.migrate()
    store.create_session(SPEC)
    store.write(booked(fill(1, Side.BUY, "100")))
    with psycopg.connect(url, autocommit=True) as direct:
        direct.execute("delete from procrastinate_jobs")
    journal = Journal(home.journal / "session-1.jsonl")
    journal.append(booked(fill(2, Side.SELL, "102")))
    journal.close()

    with Process(home, "jobs", url):
        wait_until("the trade", lambda: profits(store) == [Decimal(100)])

    assert journal.path.read_bytes() == b""
    store.close()


def test_a_job_whose_worker_was_killed_does_not_hold_up_the_next_one(home: Home, url: str) -> None:
    store = Store(url)
    store.migrate()
    store.create_session(SPEC)
    with Process(home, "jobs", url) as jobs:
        jobs.is_in("ready")
        with psycopg.connect(url) as blocker:
            blocker.execute("lock table trades_computed in exclusive mode")
            store.write(booked(fill(1, Side.BUY, "100")))
            doing = "select 1 from procrastinate_jobs where status = 'doing'"
            with psycopg.connect(url, autocommit=True) as direct:
                wait_until("a job at work", lambda: direct.execute(doing.encode()).fetchone())
            jobs.end(signal.SIGKILL)

    with Process(home, "jobs", url) as jobs:
        store.write(booked(fill(2, Side.SELL, "101")))
        wait_until("the trade", lambda: profits(store) == [Decimal(50)])
        jobs.is_in("ready")
    store.close()


def test_jobs_wait_for_a_database_that_comes_late_and_goes_and_comes_again(home: Home) -> None:
    store = Store(database_url(home))
    with Process(home, "jobs") as jobs:
        jobs.is_in("degraded")
        with Process(home, "postgres") as postgres:
            postgres.is_in("ready")
            jobs.is_in("ready")
            store.create_session(SPEC)
            store.write(booked(fill(1, Side.BUY, "100")))
            store.write(booked(fill(2, Side.SELL, "101")))
            wait_until("the trade", lambda: profits(store) == [Decimal(50)])
            postgres.end(signal.SIGKILL)
            jobs.is_in("degraded")
        with Process(home, "postgres") as postgres:
            wait_until("the database", store.is_up)
            jobs.is_in("ready")
            store.write(booked(fill(3, Side.BUY, "100")))
            store.write(booked(fill(4, Side.SELL, "103")))
            wait_until("the second trade", lambda: profits(store) == [Decimal(50), Decimal(150)])
            assert jobs.end() == 0
            assert postgres.end() == 0
    assert not (home.postgres / "postmaster.pid").exists()
    store.close()


def test_with_an_external_database_there_is_nothing_to_keep_up(home: Home, url: str) -> None:
    postgres = Process(home, "postgres", url)

    assert postgres.wait() == 0
    assert "database_external" in postgres.said()
    assert not home.postgres.exists()

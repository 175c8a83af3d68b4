"""One trader a session, ever: supervisord killed, two hosts over one database, a trader that wakes up too late."""

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any, NamedTuple

import psutil
import psycopg
import pytest

from tests.databases import fresh_database, server
from tests.drills.desk import Desk, duplicates
from tests.drills.long_tape import write_tape
from tradeproc.testing.desk import ACCOUNT, wait_for
from tradeproc.testing.running import Child

pytestmark = pytest.mark.drill

LEASES = "select pid from pg_locks where locktype = 'advisory' and classid = 7463 and objid = 1 and granted"


def working(desk: Desk) -> set[str]:
    """Return the orders that work at the broker."""
    over = ("filled", "cancelled", "rejected", "expired")
    return {order["id"] for order in desk.broker.ledger()["orders"] if order["status"] not in over}


class Hosts(NamedTuple):
    """Two installations that share a database and a broker; `url` is the database's."""

    first: Desk
    second: Desk
    url: str


@contextlib.contextmanager
def exchange(desk: Desk) -> Iterator[None]:
    """Run the local broker of a desk's configuration beside it, as a process of nobody's."""
    with Child(desk.home, "localbroker") as process:
        yield
        process.end()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Session 1 runs on the first host; the second has heard of it."""
    folder = tmp_path_factory.mktemp("hosts")
    market = Desk(folder / "exchange", speed=30.0, history_minutes=10)
    market.configure(speed=30.0, history_minutes=10, tape=write_tape(market.home.root))
    with server() as server_url, fresh_database(server_url) as url, exchange(market):
        first, second = (Desk(folder / name, database=url) for name in ("first", "second"))
        for desk in (first, second):
            desk.port, desk.broker_home = market.port, market.home
            desk.configure(speed=30.0, history_minutes=10, tape="shipped")
            file = desk.home.conf / "tradeproc.toml"
            file.write_text(file.read_text().replace("enabled = true", "enabled = false"))
        with first:
            assert first.begin() == 1
            # not before: both hosts would start the session, and a busy machine lets the second one win
            second.boot()
            try:
                yield Hosts(first, second, url)
            finally:
                second.down()


def status(desk: Desk) -> dict[str, Any]:
    return desk.ask("session-1.trader", "status", {}, 2.0)


def wait_standing_by(desk: Desk) -> None:
    wait_for("it stands by", lambda: status(desk)["detail"].startswith("standing by: session 1: the lease is held"))


def fences(desk: Desk) -> list[int]:
    """Return the fences of all orders, in the order in which they were made."""
    return [row["fence"] for row in desk.rows("select fence from orders where session = 1 order by created_at, id")]


def assert_one_trader(desk: Desk, fence_before: int) -> None:
    """Check that the present trader's orders carry a newer fence, and that the broker never saw an order twice."""
    desk.wait_fills(1)
    desk.assert_books_agree(1)
    assert not duplicates(desk.broker.ledger()["requests"], ACCOUNT)
    found = fences(desk)
    assert found == sorted(found)
    assert found[-1] > fence_before


def test_the_second_host_stands_by_and_does_nothing(hosts: Hosts) -> None:
    wait_standing_by(hosts.second)
    pid = hosts.second.pid("session-1.trader")
    hosts.first.wait_fills(1, 2)

    assert set(fences(hosts.first)) == {1}
    hosts.first.wait_ready(1)
    assert hosts.second.pid("session-1.trader") == pid
    assert not hosts.first.rows("select * from alarms where (session is null or session = 1) and cleared_at is null")


def test_when_the_first_host_dies_the_second_takes_over_and_the_first_then_stands_by(hosts: Hosts) -> None:
    last = max(fences(hosts.first))

    hosts.first.cut_power()

    hosts.second.wait_ready(1)
    assert_one_trader(hosts.second, last)
    hosts.first.up()
    wait_standing_by(hosts.first)
    assert_one_trader(hosts.second, last)


def test_a_host_that_wakes_up_after_the_other_took_over_does_nothing_more(hosts: Hosts) -> None:
    old, new = hosts.second, hosts.first
    wait_standing_by(new)
    last = max(fences(new))
    wait_for("a protected position", lambda: len(old.state(1)["orders"]) == 2)
    frozen = freeze(old)
    try:
        with psycopg.connect(hosts.url, autocommit=True) as admin:  # what the server's keepalive does after 10 s
            admin.execute(f"select pg_terminate_backend(pid) from ({LEASES}) as held")
        new.wait_ready(1)
        new.wait_fills(1)
        asleep = trader_of(frozen)
    finally:
        for process in frozen:
            process.resume()

    wait_for("it ended", lambda: old.pid("session-1.trader") not in (0, asleep))
    wait_standing_by(old)
    assert_one_trader(new, last)


def test_orphans_of_a_killed_supervisord_end_by_themselves_and_the_next_adopts_what_they_left(hosts: Hosts) -> None:
    desk = hosts.first
    wait_for("a protected position", lambda: len(desk.state(1)["orders"]) == 2)
    desk.broker.pause()
    position, left = desk.state(1)["position"], working(desk)
    hosts.second.down()

    desk.crash()

    desk.up()
    desk.wait_ready(1)
    assert desk.state(1)["position"] == position != 0
    assert working(desk) == left
    desk.assert_books_agree(1)


def test_orphans_that_hang_are_ended_by_their_successors(hosts: Hosts) -> None:
    desk = hosts.first
    desk.wait_ready(1)
    hung = [
        psutil.Process(desk.kill(process, signal.SIGSTOP))
        for process in ("session-1.trader", "link-paper.link", "core.keeper", "warden.warden")
    ]
    assert desk.supervisord is not None
    desk.supervisord.kill()
    desk.supervisord.wait(10)
    try:
        desk.up()
        desk.wait_ready(1)
        wait_for("their end", lambda: not any(process.is_running() for process in hung))
    finally:
        for process in hung:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    desk.assert_books_agree(1)


def freeze(desk: Desk) -> list[psutil.Process]:
    """Stop a whole host: supervisord and all its processes."""
    assert desk.supervisord is not None
    parent = psutil.Process(desk.supervisord.pid)
    processes = [parent, *parent.children(recursive=True)]
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    return processes


def trader_of(processes: list[psutil.Process]) -> int:
    return next(each.pid for each in processes if "trader" in each.cmdline())

"""How a trader begins: real processes, and whatever may be missing or in the way at that moment."""

import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.procs.shut import away
from tests.store.book import EVENT, ORDER, SPEC
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.codec import Body
from tradeproc.domain.orders import OrderState
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import Nanos
from tradeproc.errors import TradeprocError
from tradeproc.home import Home
from tradeproc.procs.trader import main
from tradeproc.protocol import names
from tradeproc.store import Lease, Store
from tradeproc.store.journal import Journal
from tradeproc.store.writes import orders_write
from tradeproc.testing.running import Child, furnish, kill, temporary_home
from tradeproc.testing.waiting import wait_until

CROSS = replace(SPEC, strategy="moving_average_cross", arguments={})


class Desk:
    """A home, a database, and traders as processes of their own."""

    def __init__(self, home: Home, url: str) -> None:
        self.home, self.url = home, url
        furnish(home)
        self.store = Store(url)
        self.client = Client(Directory(home.sockets))
        self.children: list[Child] = []

    def session(self, spec: SessionSpec = CROSS) -> int:
        return self.store.create_session(spec)

    def start(self, session: int) -> Child:
        self.children.append(Child(self.home, "trader", session, database=self.url))
        return self.children[-1]

    def status(self, session: int) -> Body:
        try:
            return self.client.call(f"session-{session}.trader", "status", {}, 1.0)
        except TradeprocError:
            return {"state": "away", "detail": ""}

    def waits_for(self, session: int, what: str) -> None:
        def does() -> bool:
            assert self.children[-1].is_alive, ended(self.children[-1])
            return what in self.status(session)["detail"]

        wait_until(f"it waits: {what}", does)

    def close(self) -> None:
        kill(*self.children)
        self.client.close()
        self.store.close()


@pytest.fixture
def desk(book_url: str) -> Iterator[Desk]:
    with temporary_home() as home:
        made = Desk(home, book_url)
        yield made
        made.close()


def ended(child: Child) -> tuple[int, list[str]]:
    """Return the exit code and the lines it said."""
    return child.wait(), child.said().splitlines()


def test_a_database_that_is_away_delays_the_start_and_nothing_else_not_even_an_end(desk: Desk) -> None:
    first, second = desk.session(), desk.session()
    with away(desk.url):
        told_to_end, child = desk.start(first), desk.start(second)
        desk.waits_for(first, "waiting for the database")
        desk.waits_for(second, "waiting for the database")
        began = time.monotonic()
        told_to_end.popen.send_signal(signal.SIGTERM)
        assert ended(told_to_end)[0] == 0
        assert time.monotonic() - began < 10

    desk.waits_for(second, "waiting for the broker's terms")
    assert desk.store.session(second).fence == 1
    child.popen.send_signal(signal.SIGTERM)
    assert ended(child)[0] == 0


def test_behind_a_living_trader_it_stands_by_and_takes_over_from_a_dead_one(desk: Desk) -> None:
    session = desk.session()
    other = Lease.acquire(desk.url, session, "another host")
    try:
        desk.start(session)
        desk.waits_for(session, "another host")
    finally:
        other.release()

    desk.waits_for(session, "waiting for the broker's terms")
    assert desk.store.session(session).fence == 2


def test_a_journal_in_use_is_waited_for_and_replayed_first_and_old_alarms_are_cleared(desk: Desk) -> None:
    session = desk.session()
    journal = Journal(desk.home.journal / f"session-{session}.jsonl")
    order = replace(ORDER, session=session)
    journal.append(orders_write([order], [replace(EVENT, order_id=order.id)], fence=0))
    desk.store.save_alarm(session, "lease_lost", "of a life that was killed", Nanos(1), names.KEEPER)
    desk.store.save_alarm(session, "given_up", "the warden's", Nanos(2), names.KEEPER)
    desk.start(session)
    desk.waits_for(session, "in use by another process")

    journal.close()

    desk.waits_for(session, "waiting for the broker's terms")
    assert [kept.id for kept in desk.store.orders(session)] == [order.id]
    assert [alarm.name for alarm in desk.store.alarms(session, only_standing=True)] == ["given_up"]


def test_what_only_a_person_can_mend_ends_it_with_one_line(desk: Desk) -> None:
    (desk.home.root / "broken.py").write_text("def broken(:\n")
    said = {
        desk.session(replace(CROSS, strategy="broken.py:Broken")): "SyntaxError",
        desk.session(replace(CROSS, arguments={"lenght": 3})): "lenght",
        99: "there is no session 99",
    }
    children = [desk.start(session) for session in said]

    for child, expected in zip(children, said.values(), strict=True):
        code, lines = ended(child)
        assert code == 78
        (line,) = [each for each in lines if "CRITICAL" in each]
        assert expected in line
        assert "Traceback" not in "".join(lines)


def test_a_trader_begins_with_the_owners_of_more_orders_than_it_reads(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "KEPT_ORDERS", 1)
    session = desk.session()
    orders = [
        replace(ORDER, id=f"own-{n}", session=session, fence=0, created_at=Nanos(n), state=state, broker_id=f"90{n}")
        for n, state in enumerate([OrderState.FILLED, OrderState.SUBMITTED, OrderState.FILLED, OrderState.FILLED])
    ]
    desk.store.write(orders_write(orders, [replace(EVENT, order_id=order.id) for order in orders], fence=0))

    started = main._known(desk.store, desk.store.session(session), [])

    assert [order.id for order in started.orders] == ["own-1", "own-3"]
    assert started.claimed == {f"90{n}": f"own-{n}" for n in range(4)}


@pytest.mark.parametrize("by", ["strategy", "warden (its trader died)"])
def test_a_session_whose_strategy_ended_its_traders_comes_up_without_it_until_a_person_resumes(
    desk: Desk, by: str
) -> None:
    session = desk.session()
    desk.store.set_latch(f"session:{session}", "halted", by, "session-1: trader died 3 times: KeyError")
    desk.start(session)
    trader = f"session-{session}.trader"

    def state() -> Body:
        return desk.client.call(trader, "state", {}, 2.0)

    wait_until("it is up without its strategy", lambda: "strategy_off" in state()["alarms"])
    assert state()["why"].endswith("session-1: trader died 3 times: KeyError")

    desk.client.call(trader, "resume", {"by": "me", "reason": "mended"}, 2.0)

    assert "strategy_off" not in state()["alarms"]

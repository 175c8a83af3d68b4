"""The kill switch with half the desk dead: flat by whoever can, by the broker's own books, and never twice."""

import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.drills.desk import Desk, duplicates, is_over
from tests.drills.long_tape import write_tape
from tradeproc.protocol import names
from tradeproc.supervision.client import Supervisor
from tradeproc.testing.desk import ACCOUNT, wait_for

pytestmark = pytest.mark.drill

# holds for good, so that a position is there whenever a drill begins
PATIENT: dict[str, Any] = {"hold": 100_000, "stop_ticks": 2000, "target_ticks": 2000}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("desk")
    with Desk(folder, speed=60.0, history_minutes=10, tape=write_tape(folder)) as running:
        assert running.begin(**PATIENT) == 1
        yield running


def at_the_broker(desk: Desk) -> tuple[set[str], int]:
    books = desk.broker.ledger()
    orders = {each["id"] for each in books["orders"] if each["account"] == ACCOUNT and not is_over(each["status"])}
    return orders, sum(int(each["quantity"]) for each in books["positions"] if each["account"] == ACCOUNT)


def hold(desk: Desk) -> int:
    """Wait until session 1 holds a position with its stop and target, and return it."""
    desk.broker.clear_faults()
    wait_for("its trader", lambda: desk.ask(names.trader(1), "status", {}, 2.0)["state"] == "ready")
    wait_for("resumed", lambda: desk.tradectl("resume", "--reason", "next drill") is not None)
    wait_for("resumed", lambda: desk.tradectl("resume", "--session", "1", "--reason", "next drill") is not None)
    wait_for("a protected position", lambda: desk.state(1)["position"] and len(desk.state(1)["orders"]) == 2)
    return at_the_broker(desk)[1]


def stop(desk: Desk, *processes: str) -> None:
    """Stop processes so that nobody starts them again."""
    for process in processes:
        group, _, name = process.partition(".")
        Supervisor(desk.home).stop(group, name)
        wait_for(f"{process} down", partial(is_down, desk, process))


def is_down(desk: Desk, process: str) -> bool:
    return not desk.pid(process)


def start(desk: Desk, *processes: str) -> None:
    for process in processes:
        group, _, name = process.partition(".")
        Supervisor(desk.home).start(group, name)


def closes(desk: Desk) -> list[dict[str, Any]]:
    """Return the market orders of the account at the broker."""
    return [
        each for each in desk.broker.ledger()["orders"] if each["account"] == ACCOUNT and each["type"] == "market"
    ]


DEAD = [
    ("session-1.account", "core.portfolio", "core.keeper", "session-1.trader"),
    ("core.keeper", "core.postgres", "session-1.trader"),
]


@pytest.mark.parametrize("dead", DEAD, ids="+".join)
def test_whatever_is_dead_it_ends_flat_by_the_brokers_books_with_one_close(desk: Desk, dead: tuple[str, ...]) -> None:
    held = hold(desk)
    before = len(closes(desk))
    stop(desk, *dead)

    told = desk.tradectl("halt", "--flatten", "--reason", "drill", code=None)

    assert at_the_broker(desk) == (set(), 0), told
    (confirmed,) = told["confirmed"]
    assert confirmed["is_flat"], told
    assert len(closes(desk)) == before + 1
    assert duplicates(desk.broker.ledger()["requests"], ACCOUNT) == []
    assert held
    start(desk, *reversed(dead))
    desk.wait_ready(1)
    assert desk.state(1)["trading_state"] == "halted"
    desk.assert_books_agree(1)
    assert not desk.rows("select * from fills where kind <> 'own'")


def test_a_trader_that_hangs_is_stopped_and_its_session_flat(desk: Desk) -> None:
    held = hold(desk)
    before = len(closes(desk))
    desk.kill("session-1.trader", signal.SIGSTOP)

    told = desk.tradectl("halt", "--flatten", "--session", "1", code=None)

    assert at_the_broker(desk) == (set(), 0), told
    assert told["confirmed"][0]["is_flat"], told
    assert (held != 0, len(closes(desk))) == (True, before + 1)
    start(desk, "session-1.trader")
    desk.wait_ready(1)
    desk.assert_books_agree(1)

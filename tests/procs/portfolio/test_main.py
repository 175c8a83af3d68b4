"""The sum over sessions: pure sums, and the process on a real bus."""

import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.desk.states import told
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.node import Node
from tradeproc.home import Home
from tradeproc.procs.portfolio.main import Portfolio
from tradeproc.procs.portfolio.sums import Report, most_severe, sum_up
from tradeproc.protocol.codec import BadMessage
from tradeproc.protocol.trader_messages import STATE
from tradeproc.protocol.writing import plain
from tradeproc.store import Store
from tradeproc.testing.waiting import wait_until

NOW, SECOND = 1_000_000_000_000, 1_000_000_000


def summary(session: int, **changes: Any) -> dict[str, Any]:
    return {
        **told(),
        "session": session,
        "name": f"s{session}",
        "account": "A",
        "contract": "ESH24",
        "position": 1,
        "average": "4800",
        "realized": "12.50",
        "unrealized": "-2.50",
        "currency": "USD",
        "trading_state": "active",
        **changes,
    }


def total(*bodies: dict[str, Any], expected: list[int] | None, at: int = NOW) -> dict[str, Any]:
    reports = {body["session"]: Report(STATE.codec.read(body), at) for body in bodies}
    found: dict[str, Any] = plain(sum_up(reports, expected, NOW, patience=5 * SECOND))
    return found


def test_positions_and_profit_are_summed_by_account_contract_and_currency() -> None:
    found = total(
        summary(1), summary(2, position=-3), summary(3, contract="NQH24", currency="EUR"), expected=[1, 2, 3]
    )

    assert found["is_complete"]
    assert found["positions"] == [
        {"account": "A", "contract": "ESH24", "quantity": -2},
        {"account": "A", "contract": "NQH24", "quantity": 1},
    ]
    assert found["profit"] == {
        "EUR": {"realized": "12.50", "unrealized": "-2.50"},
        "USD": {"realized": "25.00", "unrealized": "-5.00"},
    }


def test_who_has_not_reported_is_missing_and_the_sum_incomplete() -> None:
    assert total(summary(1), expected=[1, 2])["missing"] == [2]
    assert total(summary(1), expected=[1], at=NOW - 6 * SECOND)["missing"] == [1]
    assert not total(summary(1), expected=[1, 2])["is_complete"]
    assert not total(summary(1), expected=None)["is_complete"]
    unpriced = total(summary(1, unrealized=None), expected=[1])
    assert unpriced["unpriced"] == [1]
    assert not unpriced["is_complete"]


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**6), max_value=10**6)))
def test_sums_are_exact(amounts: list[Decimal]) -> None:
    bodies = [summary(number, realized=str(amount)) for number, amount in enumerate(amounts)]

    found = total(*bodies, expected=[])

    assert Decimal(found["profit"].get("USD", {}).get("realized", "0")) == sum(amounts, Decimal(0))


@pytest.mark.parametrize("changes", [{"position": "many"}, {"realized": "a lot"}, {"unrealized": []}])
def test_a_summary_that_cannot_be_summed_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        STATE.codec.read(summary(1, **changes))


def test_the_most_severe_state_counts() -> None:
    assert most_severe([]) == "active"
    assert most_severe(["active", "halted", "reducing"]) == "halted"
    assert most_severe(["active", "reducing"]) == "reducing"


def test_without_a_database_the_trading_state_is_not_known_and_traders_are_heard_all_the_same(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    ready = threading.Event()
    nodes: list[Node] = []

    def live() -> None:
        trader = Node("session-5.trader", directory)
        nodes.append(trader)
        trader.every(0.05, lambda: trader.publish("state", summary(5)))
        trader.after(0.0, ready.set)
        trader.run()

    def portfolio() -> None:
        node = Node("core.portfolio", directory)
        nodes.append(node)
        store = Store("postgresql:///nowhere?host=/nonexistent")
        Portfolio(node, directory, store, Home(directory.folder))
        node.run()
        store.close()

    threads = [threading.Thread(target=live), threading.Thread(target=portfolio)]
    threads[0].start()
    assert ready.wait(10)
    threads[1].start()
    try:
        with Client(directory) as client:

            def state() -> dict[str, Any]:
                return client.call("core.portfolio", "state", {}, 2.0)

            wait_until("the report", lambda: state()["sessions"])
            found = state()
            assert found["positions"] == [{"account": "A", "contract": "ESH24", "quantity": 1}]
            assert not found["is_complete"]
            assert client.call("core.portfolio", "trading_state", {}, 2.0) == {
                "trading_state": "halted",
                "is_known": False,
            }
            assert client.call("core.portfolio", "status", {}, 2.0)["state"] == "degraded"
    finally:
        for node in nodes:
            node.stop()
        for thread in threads:
            thread.join(10)

"""The recovery benchmark's own parts: when a desk counts as well, what hangs, and that the reference restarts."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.desk.states import state
from tradeproc.bench.bare import LATER, bare_desk
from tradeproc.bench.detection import until_dead
from tradeproc.bench.in_and_out import HANG, InAndOut
from tradeproc.bench.recovery import Recoveries, summed_up
from tradeproc.bench.wellness import Wellness
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.procs.__main__ import KINDS, module_of
from tradeproc.protocol.trader_messages import ASK_STATE
from tradeproc.strategies.contract import SubmitBracket
from tradeproc.testing.candles import candles
from tradeproc.testing.strategies import view

TRADER, FEED = "session-1.trader", "link-paper.orders-X"


class Played:
    """Two processes of a desk, as they say they are."""

    def __init__(self) -> None:
        self.summary = state(entries="allowed", warm=True, reconciled=True, lease=True, streams={"orders": "up"})
        self.followed = 0


@contextmanager
def played(folder: Path) -> Iterator[tuple[Played, Wellness, Node]]:
    directory, desk = Directory(folder), Played()
    feed, trader = Node(FEED, directory), Node(TRADER, directory)
    desk.followed = feed.epoch

    def statistics() -> Body:
        return {"followed_orders": desk.followed}

    trader.add_statistics(statistics)
    trader.handle(ASK_STATE, lambda _: desk.summary)
    for node in (feed, trader):
        node.set_state("ready")
    threads = [threading.Thread(target=node.run) for node in (feed, trader)]
    for thread in threads:
        thread.start()
    try:
        with Client(directory) as client:
            yield desk, Wellness(client, [TRADER, FEED], TRADER), feed
    finally:
        for node in (feed, trader):
            node.stop()
        for thread in threads:
            thread.join()


def test_a_desk_is_well_when_all_are_ready_know_each_other_and_the_session_may_trade(tmp_path: Path) -> None:
    with played(tmp_path) as (desk, wellness, feed):
        assert wellness.wait({}) > 0

        assert wellness.trouble({TRADER: os.getpid()}) == f"{TRADER} is still the killed one"
        desk.followed = 7
        assert wellness.trouble({}) == f"{TRADER} has not heard the new orders"
        desk.followed = feed.epoch
        desk.summary = replace(desk.summary, streams={"orders": "silent"})
        assert wellness.trouble({}) == f"{TRADER}: orders: silent"
        desk.summary = replace(desk.summary, entries="the database is down")
        assert wellness.trouble({}) == f"{TRADER}: the database is down"
        feed.post(lambda: feed.set_state("degraded", "cut"))
        wait = threading.Event()
        feed.post(wait.set)
        assert wait.wait(10)
        assert wellness.trouble({}) == f"{FEED} is degraded: cut"


def test_a_desk_of_which_somebody_is_silent_is_not_well(tmp_path: Path) -> None:
    with Client(Directory(tmp_path)) as client:
        assert "no answer" in Wellness(client, [TRADER], TRADER).trouble({})


def test_bare_supervisord_starts_a_killed_program_again() -> None:
    with bare_desk(["positions"]) as desk:
        before = desk.pid("positions")

        took = desk.recovery("positions")

        assert took > 0
        assert desk.pid("positions") not in (0, before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_imports_what_a_kind_imports(kind: str) -> None:
    told = "import importlib, sys; [importlib.import_module(each) for each in sys.argv[1:]]"

    subprocess.run([sys.executable, "-c", told, module_of(kind), *LATER.get(kind, ())], check=True)


def test_until_dead_is_the_time_until_somebody_killed_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as child:
        killer = threading.Timer(0.3, child.kill)
        killer.start()

        assert until_dead(child.pid, signal.SIGSTOP) >= 0.2
        killer.join()


def test_the_strategy_enters_when_idle_and_hangs_only_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEPROC_HOME", str(tmp_path))
    decision, _ = InAndOut().on_candle(view(candles([4800.0], first=7)), None, InAndOut.Arguments())

    assert isinstance(decision, SubmitBracket)
    assert not (tmp_path / HANG).exists()


def test_the_ratio_is_the_median_over_kinds_of_ratios_of_medians() -> None:
    found = Recoveries(
        ours={"a": [1.0, 2.0, 9.0], "b": [1.0, 1.0, 1.0], "c": [6.0, 6.0, 6.0]},
        bare={"a": [1.0, 1.0, 1.0], "b": [1.0, 1.0, 1.0], "c": [2.0, 2.0, 9.0]},
        last=dict.fromkeys("abc", ""),
    )

    values = summed_up(found).values

    assert values["recovery_vs_supervisord"] == 2.0
    assert values["recovery_p50_s"] == 2.0
    assert 6.0 < values["recovery_p95_s"] < 9.0

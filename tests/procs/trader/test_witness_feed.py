"""A real trader whose prices a second login's feed contradicts, and one whose second login has no bars at all."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.desk import candle
from tests.procs.stage import Stage
from tests.procs.trading_desk import TradingDesk, _candle_body
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.procs.trader.timing import TraderTiming
from tradeproc.protocol import names
from tradeproc.testing.waiting import wait_until

FEED = "link-other.bars-ESH24-1m"


@pytest.fixture
def make(on_stage: Stage, book_url: str, tmp_path: Path) -> Iterator[Callable[[Body], TradingDesk]]:
    made: list[TradingDesk] = []

    def desk(granted: Body) -> TradingDesk:
        def prepare(node: Node) -> None:
            node.handle("need", lambda _: granted)

        on_stage.enter(names.link("other"), prepare)
        made.append(
            TradingDesk(
                on_stage, book_url, tmp_path, timing=TraderTiming(again=0.3), witness_login="other", witness_seconds=1
            )
        )
        return made[-1]

    yield desk
    for each in made:
        each.store.close()


def test_a_second_login_that_tells_other_prices_closes_entries_until_both_agree(
    on_stage: Stage, make: Callable[[Body], TradingDesk]
) -> None:
    told = {"close": 4803.0}

    def prepare(node: Node) -> None:
        node.snapshot("candle", lambda _: {"candles": [_candle_body(candle(3, told["close"]))], "up": True})

    feed = on_stage.enter(FEED, prepare)
    desk = make({"process": FEED}).ready()
    desk.bar()

    wait_until("the alarm", lambda: "witness_disagrees" in desk.alarms(), 30)
    assert "last prices differ: 4800 by login paper, 4803 by the witness other" in desk.state()["entries"]

    feed.do(lambda: feed.node.publish("candle", _candle_body(candle(4, 4800.5))))
    wait_until("they agree", lambda: desk.state()["entries"] == "allowed", 30)
    assert "witness_disagrees" not in desk.alarms()


def test_a_session_lives_although_its_witness_has_no_bars(make: Callable[[Body], TradingDesk]) -> None:
    desk = make({"never": "the broker of this login has no market data"}).ready()
    desk.bar()

    wait_until("it knows", lambda: "no market data" in desk.trader.state.engine.witness.down, 30)
    assert desk.state()["entries"] == "allowed"

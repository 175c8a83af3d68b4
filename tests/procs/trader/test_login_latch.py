"""A latch that a trader sets on its login reaches the other sessions, the database, and without it the keeper."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import bodies
from tests.engine.desk import FIRST_MINUTE
from tests.procs.stage import Stage
from tests.procs.trader.test_perform import Desk
from tests.procs.trading_desk import TradingDesk
from tests.store.book import AT
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.bus.requests import RequestRefused
from tradeproc.domain.orders import Side
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.engine import effects
from tradeproc.engine.events import TradingState
from tradeproc.procs.trader.timing import TraderTiming
from tradeproc.store import DatabaseDown
from tradeproc.strategies.contract import SubmitBracket
from tradeproc.testing import candles
from tradeproc.testing.waiting import wait_until

LATCH = effects.KeepLatch("login:paper", TradingState.HALTED, "inert_stop_watch", "a stop does nothing", Nanos(AT))
SWITCH = {"by": "inert_stop_watch", "reason": "a stop does nothing"}


@pytest.fixture
def desk(on_stage: Stage, book_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(on_stage, book_url, tmp_path)
    yield made
    made.close()


class Peer:
    """Another trader, or the keeper: writes down what it is told; refuses the first `refusals` times."""

    def __init__(self, stage: Stage, name: str, method: str, answer: Body, refusals: int = 0) -> None:
        self.told: list[Body] = []
        self.answer, self.refusals = answer, refusals
        stage.enter(name, lambda node: self._prepare(node, method))

    def _prepare(self, node: Node, method: str) -> None:
        node.handle(method, self._hear)

    def _hear(self, body: Body) -> Body:
        self.told.append(dict(body))
        if len(self.told) <= self.refusals:
            raise RequestRefused("not now")
        return self.answer


def another_trader(stage: Stage) -> Peer:
    return Peer(stage, "session-77.trader", "halt", {"trading_state": "halted"})


def keeper(stage: Stage, refusals: int = 0) -> Peer:
    answer = {"scope": "login:paper", "latch": "kept", "standing": None, "sessions": []}
    return Peer(stage, "core.keeper", "halt_login", answer, refusals)


def test_every_other_trader_is_told_and_the_database_has_the_row(desk: Desk) -> None:
    other, asked = another_trader(desk.stage), keeper(desk.stage)

    desk.perform(LATCH)

    wait_until("the other trader hears", lambda: other.told)
    assert other.told == [{**SWITCH, "scope": "login:paper"}]
    assert desk.store.latch("login:paper").state == "halted"
    assert asked.told == [], "the row is there"


def test_a_latch_of_the_own_session_is_told_to_nobody(desk: Desk) -> None:
    other = another_trader(desk.stage)

    desk.perform(replace(LATCH, scope="session:1"))
    desk.perform(LATCH)

    wait_until("the other trader hears", lambda: other.told)
    assert [each["scope"] for each in other.told] == ["login:paper"]


def test_without_a_database_the_keeper_keeps_it_however_often_it_has_to_be_asked(desk: Desk) -> None:
    desk.audit.timing = TraderTiming(again=0.05)
    other, asked = another_trader(desk.stage), keeper(desk.stage, refusals=2)
    desk.trader.do(lambda: desk.audit.went_down(DatabaseDown("gone")))

    desk.perform(LATCH)

    wait_until("the keeper is asked until it says yes", lambda: len(asked.told) == 3)
    assert asked.told[-1] == {**SWITCH, "login": "paper"}
    assert len(other.told) == 1
    assert not desk.audit.journal.is_empty()


def test_a_real_trader_halts_its_login_for_an_inert_stop(on_stage: Stage, book_url: str, tmp_path: Path) -> None:
    bracket = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4790.0)
    desk = TradingDesk(on_stage, book_url, tmp_path, bracket, inert_stop_seconds=1).ready()
    other = another_trader(on_stage)
    desk.bar()
    wait_until("the stop works", lambda: any(each["state"] == "submitted" for each in desk.state()["orders"]))
    trades = 0

    def is_found() -> bool:
        """Let the market trade below the stop, at changing prices, while the broker leaves the stop standing."""
        nonlocal trades
        trades += 1
        price = 4780.0 - 0.25 * (trades % 2)
        forming = replace(candles.candle(FIRST_MINUTE + desk.number + 1, price, volume=trades), is_closed=False)
        body = bodies.candle_to_body(forming, "ESH24", 1)
        desk.bars.do(lambda: desk.bars.node.publish("candle", body))
        return "stop_inert" in desk.alarms()

    wait_until("it is found", is_found, 30, every=0.2)

    latch = desk.store.latch("login:paper")
    assert (latch.state, latch.by) == ("halted", "inert_stop_watch")
    assert desk.state()["trading_state"] == "halted"
    wait_until("the other trader hears", lambda: other.told)
    desk.store.close()

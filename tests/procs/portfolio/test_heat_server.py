"""The portfolio server on a real bus and a real database: what it stores, and what its next life takes over."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.engine.desk import spec
from tests.procs.stage import Stage
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.bus.requests import NoReply, RequestRefused
from tradeproc.domain.portfolio import PortfolioSpec
from tradeproc.home import Home
from tradeproc.procs.keeper.portfolios import PortfolioCommands
from tradeproc.procs.portfolio.main import Portfolio
from tradeproc.protocol.heat_messages import HEAT_REPORT, RESERVE_HEAT, HeatQuestion, HeatReport
from tradeproc.protocol.portfolio_commands import CREATE_PORTFOLIO, CreatePortfolio
from tradeproc.store import Store
from tradeproc.testing.waiting import wait_until

SPEC = PortfolioSpec(name="main", warn_percent=50, block_percent=60, worst_case=1000, equity=1000)


class Scene:
    """A trader that we play, and a portfolio server that may be ended and begun again."""

    def __init__(self, stage: Stage, url: str, folder: Path) -> None:
        self.stage, self.url, self.folder = stage, url, folder
        self.store = Store(url)
        self.session = self.store.create_session(spec())
        self.store.set_desired(self.session, "running")
        assert self.store.portfolios.create(SPEC, [self.session])
        (row,) = self.store.portfolios.all()
        self.revision, self.sequence, self.heat, self.asked = row.created_at, 0, 0, 0
        self.me = f"session-{self.session}.trader"
        self.trader = stage.enter(self.me, lambda node: node.every(0.1, lambda: self.report(node)))

    @contextmanager
    def server(self) -> Iterator[None]:
        stores: list[Store] = []

        def prepare(node: Node) -> None:
            stores.append(Store(self.url))
            Portfolio(node, self.stage.directory, stores[0], Home(self.folder))

        actor = self.stage.enter("core.portfolio", prepare)
        try:
            wait_until("the heat is known", lambda: self.standing()["heat"] is not None, 30)
            yield
        finally:
            actor.stop()
            stores[0].close()

    def report(self, node: Node) -> None:
        self.sequence += 1
        heat = Decimal(self.heat)
        node.publish(
            HEAT_REPORT,
            HeatReport(
                session=self.session, fence=1, sequence=self.sequence, life=self.life, asked=self.asked,
                portfolio="main", revision=self.revision, heat=heat, currency="USD", account="A", equity=None,
            ),
        )  # fmt: skip

    life = ""

    def standing(self) -> Body:
        told = self.stage.ask("core.portfolio", "portfolios_heat")
        self.life = told["life"]
        return dict(told["portfolios"][0]) if told["portfolios"] else {"heat": None}

    def reserve(self, number: int, heat: int) -> Body:
        question = HeatQuestion(
            session=self.session, fence=1, life=self.life, number=number, portfolio="main", order_id=f"o{number}",
            heat=Decimal(heat), currency="USD",
        )  # fmt: skip
        body: Body = RESERVE_HEAT.question_codec.plain(question)
        return self.stage.ask("core.portfolio", "reserve_heat", 3.0, **body)

    def alarms(self) -> list[tuple[str, bool]]:
        return [(row.name, row.cleared_at is None) for row in self.store.alarms()]


@pytest.fixture
def scene(on_stage: Stage, book_url: str, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(on_stage, book_url, tmp_path)
    yield made
    made.store.close()


def test_a_block_is_a_row_and_an_alarm_and_its_end_is_told_by_the_next_life(scene: Scene) -> None:
    with scene.server():
        assert scene.reserve(1, 500)["number"] == 1
        assert scene.standing()["reserved"] == "500"
        with pytest.raises(RequestRefused, match=r"above its block at 600\.00 USD"):
            scene.reserve(2, 200)
        wait_until("stored", lambda: len(scene.store.portfolios.blocks("main")) == 1)
        wait_until("told", lambda: ("heat_blocked:main", True) in scene.alarms())
        (block,) = scene.store.portfolios.blocks("main")
        assert block.ended_at is None
        assert "above its block" in block.reason

    scene.asked = 2
    with scene.server():
        wait_until("over", lambda: scene.store.portfolios.blocks("main")[0].ended_at is not None)
        wait_until("and told", lambda: ("heat_blocked:main", False) in scene.alarms())
        assert scene.standing()["heat"] == "0", "the reservation was the old life's, and the trader reports none"


def test_a_server_that_knows_nobody_keeps_a_question_until_its_asker_goes(scene: Scene) -> None:
    with scene.server():
        pass
    life = scene.life
    with scene.server():
        scene.life = life

        with pytest.raises((RequestRefused, NoReply)) as refused:
            scene.reserve(1, 10)

    assert "does not know that the portfolio server has restarted" in str(refused.value)


def test_a_portfolio_that_cannot_be_read_leaves_the_latches_known(scene: Scene) -> None:
    """A row of a later version, after a return to this one: the host's trading state has nothing to do with it."""
    scene.store.set_latch("host", "reducing", "me", "a test")
    with psycopg.connect(scene.url, autocommit=True) as direct:
        direct.execute("""update portfolios set spec = spec || '{"of_a_later_version": 1}'""")
    stores: list[Store] = []

    def prepare(node: Node) -> None:
        stores.append(Store(scene.url))
        Portfolio(node, scene.stage.directory, stores[0], Home(scene.folder))

    actor = scene.stage.enter("core.portfolio", prepare)
    try:
        wait_until(
            "the latches are known",
            lambda: (
                scene.stage.ask("core.portfolio", "trading_state") == {"trading_state": "reducing", "is_known": True}
            ),
            30,
        )
        assert "of_a_later_version" in scene.stage.ask("core.portfolio", "state")["database"]
        with pytest.raises((RequestRefused, NoReply), match="the portfolios are not read yet"):
            scene.reserve(1, 10)
    finally:
        actor.stop()
        stores[0].close()


def _serve(node: Node, store: Store) -> None:
    PortfolioCommands(node, store)


def test_a_session_that_a_file_names_twice_is_in_the_portfolio_once(scene: Scene) -> None:
    stores = [Store(scene.url)]
    keeper = scene.stage.enter("core.keeper", lambda node: _serve(node, stores[0]))
    scene.store.portfolios.remove("main")
    try:
        asked: Body = CREATE_PORTFOLIO.question_codec.plain(
            CreatePortfolio(SPEC.to_dict(), (scene.session, scene.session))
        )
        assert scene.stage.ask("core.keeper", "create_portfolio", **asked) == {"portfolio": "main"}
    finally:
        keeper.stop()
        stores[0].close()

    assert [each.session for each in scene.store.portfolios.sessions()] == [scene.session]


def test_the_tables_refuse_what_there_is_already(scene: Scene) -> None:
    tables = scene.store.portfolios
    other: Any = PortfolioSpec.from_dict({**SPEC.to_dict(), "name": "other"})

    assert not tables.create(SPEC), "there is one of that name"
    assert tables.create(other)
    assert not tables.add("other", scene.session), "a session is in one portfolio"
    assert not tables.take("other", scene.session)
    assert not tables.add("none", scene.session)
    assert tables.take("main", scene.session)
    assert tables.add("other", scene.session)
    assert [(each.session, each.portfolio) for each in tables.sessions()] == [(scene.session, "other")]
    assert tables.remove("other")
    assert tables.sessions() == []
    assert tables.of_session(scene.session) is None
    assert not tables.remove("other")

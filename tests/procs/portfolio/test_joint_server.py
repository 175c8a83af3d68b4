"""Limits of a portfolio and an account over bus and database: the latch, the alarm, the next life, the resume."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.engine.desk import spec
from tests.procs.stage import Stage
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.bus.requests import RequestRefused
from tradeproc.domain.joint_limits import JointLimits
from tradeproc.domain.portfolio import PortfolioSpec
from tradeproc.domain.units import Money, WholeMoney
from tradeproc.home import Home
from tradeproc.procs.portfolio.joint_rows import AccountLimits
from tradeproc.procs.portfolio.main import Portfolio
from tradeproc.protocol.heat_messages import HEAT_REPORT, RESERVE_HEAT, HeatQuestion, HeatReport
from tradeproc.store import Store
from tradeproc.testing.waiting import wait_until

LIMITS = JointLimits(max_daily_loss=WholeMoney(500))
SPEC = PortfolioSpec(name="main", warn_percent=50, block_percent=60, worst_case=1000, equity=1000, limits=LIMITS)


class Scene:
    """A trader that we play, in a portfolio and an account that both have limits."""

    def __init__(self, stage: Stage, url: str, folder: Path) -> None:
        self.stage, self.url, self.folder = stage, url, folder
        self.store = Store(url)
        self.session = self.store.create_session(spec())
        self.store.set_desired(self.session, "running")
        assert self.store.portfolios.create(SPEC, [self.session])
        (row,) = self.store.portfolios.all()
        self.revision, self.sequence, self.number, self.asked, self.life = row.created_at, 0, 0, 0, ""
        self.profit = self.today = 0
        stage.enter(f"session-{self.session}.trader", lambda node: node.every(0.1, lambda: self.report(node)))

    @contextmanager
    def server(self) -> Iterator[None]:
        stores: list[Store] = []

        def prepare(node: Node) -> None:
            stores.append(Store(self.url))
            accounts = {spec().account: AccountLimits(LIMITS, "USD")}
            Portfolio(node, self.stage.directory, stores[0], Home(self.folder), accounts)

        actor = self.stage.enter("core.portfolio", prepare)
        try:
            wait_until(
                "the sums are known", lambda: all(not each["unknown"] for each in self.standing().values()), 30
            )
            yield
        finally:
            actor.stop()
            stores[0].close()

    def report(self, node: Node) -> None:
        self.sequence += 1
        node.publish(
            HEAT_REPORT,
            HeatReport(
                session=self.session, fence=1, sequence=self.sequence, life=self.life, asked=self.asked,
                portfolio="main", revision=self.revision, heat=Money(Decimal(0)), currency="USD",
                account=spec().account, equity=Money(Decimal(9000 + self.today)), equity_currency="USD",
                day_profit=Money(Decimal(self.today)), product="ES", profit=Money(Decimal(self.profit)),
                notional=Money(Decimal(0)),
            ),
        )  # fmt: skip

    def standing(self) -> dict[str, Body]:
        """Return how the limits stand, by scope; unknown before the server says which there are."""
        told = self.stage.ask("core.portfolio", "portfolios_heat")
        self.life = told["life"]
        return {each["scope"]: each for each in told["joint"]} or {"": {"unknown": "not read"}}

    def enter(self) -> Body:
        self.number += 1
        question = HeatQuestion(
            session=self.session, fence=1, life=self.life, number=self.number, portfolio="main",
            order_id=f"o{self.number}", heat=Money(Decimal(1)), currency="USD",
        )  # fmt: skip
        body: Body = RESERVE_HEAT.question_codec.plain(question)
        try:
            return self.stage.ask("core.portfolio", "reserve_heat", 8.0, **body)
        finally:
            self.asked = self.number

    def alarms(self) -> dict[str, bool]:
        return {row.name: row.cleared_at is None for row in self.store.alarms()}


@pytest.fixture
def scene(on_stage: Stage, book_url: str, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(on_stage, book_url, tmp_path)
    yield made
    made.store.close()


@pytest.mark.parametrize("field", ["profit", "today"])
def test_a_limit_latches_outlives_the_server_and_counts_from_where_a_person_lifts_it(
    scene: Scene, field: str
) -> None:
    scope = "portfolio:main" if field == "profit" else f"account:{spec().account}"
    name = f"loss_limit_reached:{scope}"
    with scene.server():
        assert scene.enter()["number"] == 1
        setattr(scene, field, -500)
        wait_until("it is latched", lambda: scene.store.latch(scope).state == "reducing", 30)
        wait_until("people are told", lambda: scene.alarms().get(name), 30)
        assert (scene.store.latch(scope).by, scene.store.latch(scope).state) == ("loss_limit", "reducing")
        assert "500.00 lost this market day" in scene.store.latch(scope).reason
        with pytest.raises(RequestRefused, match="max_daily_loss 500 USD is reached"):
            scene.enter()
        assert scene.standing()[scope]["used"] == {"max_daily_loss": "500.00"}

    with scene.server():
        setattr(scene, field, 0)
        wait_until(
            "the next life counts on", lambda: scene.standing()[scope]["used"] == {"max_daily_loss": "0.00"}, 30
        )
        with pytest.raises(RequestRefused, match="is reached"):
            scene.enter()
        setattr(scene, field, -700)
        wait_until("and down", lambda: scene.standing()[scope]["used"] == {"max_daily_loss": "700.00"}, 30)

        scene.store.set_latch(scope, "active", "anna", "looked at it")
        wait_until("it is over", lambda: scene.alarms()[name] is False, 30)
        wait_until("it begins anew", lambda: scene.standing()[scope]["used"] == {"max_daily_loss": "0.00"}, 30)
        scene.enter()
        setattr(scene, field, -1199)
        wait_until("it counts", lambda: scene.standing()[scope]["used"] == {"max_daily_loss": "499.00"}, 30)
        assert scene.store.latch(scope).state == "active"
        wait_until("it is kept", lambda: scene.store.portfolios.joint_marks()[scope].armed_at > 0, 30)

    with scene.server():
        assert scene.store.latch(scope).state == "active"
        setattr(scene, field, -1200)
        wait_until("it is latched again", lambda: scene.store.latch(scope).state == "reducing", 30)


def test_limits_are_changed_by_creating_the_portfolio_again_which_forgets_neither_loss_nor_latch(
    scene: Scene,
) -> None:
    def replaced(limit: int) -> None:
        assert scene.store.portfolios.remove("main")
        wait_until("the server knows", lambda: "portfolio:main" not in scene.standing(), 30)
        limits = JointLimits(max_daily_loss=WholeMoney(limit))
        assert scene.store.portfolios.create(replace(SPEC, limits=limits), [scene.session])
        (row,) = scene.store.portfolios.all()
        scene.revision = row.created_at
        wait_until("it is counted again", lambda: used() not in ("", "unknown"), 30)

    def used() -> str:
        return str(scene.standing().get("portfolio:main", {}).get("used", {}).get("max_daily_loss", ""))

    with scene.server():
        wait_until("it is counted", lambda: "portfolio:main" in scene.store.portfolios.joint_marks(), 30)
        scene.profit = -400
        wait_until("it is lost", lambda: used() == "400.00", 30)

        replaced(400)

        wait_until("it is latched", lambda: scene.store.latch("portfolio:main").state == "reducing", 30)
        replaced(300)
        wait_until("it is told", lambda: scene.standing()["portfolio:main"]["reached"], 30)
        assert scene.store.latch("portfolio:main").state == "reducing"
        with pytest.raises(RequestRefused, match="max_daily_loss 400 USD is reached"):
            scene.enter()

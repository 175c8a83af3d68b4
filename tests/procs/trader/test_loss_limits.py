"""A real trader and its real database while it loses money: latched, over a restart, and re-armed by a person."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.procs.stage import Stage
from tests.procs.trading_desk import TradingDesk
from tradeproc.domain.orders import OrderRole, Side
from tradeproc.domain.session import SessionLimits
from tradeproc.domain.units import Contracts, WholeMoney
from tradeproc.procs.trader.timing import TraderTiming
from tradeproc.strategies.contract import NOTHING, SubmitOrder
from tradeproc.testing.waiting import wait_until

ENTER = SubmitOrder(Side.BUY, Contracts(1))
EXIT = SubmitOrder(Side.SELL, Contracts(1), role=OrderRole.EXIT)


@pytest.fixture
def desk(on_stage: Stage, book_url: str, tmp_path: Path) -> Iterator[TradingDesk]:
    limits = SessionLimits(
        Contracts(3), Contracts(3), max_daily_loss=WholeMoney(500), max_drawdown=WholeMoney(100_000)
    )
    plans = (ENTER, EXIT, ENTER, NOTHING)
    made = TradingDesk(on_stage, book_url, tmp_path, *plans, timing=TraderTiming(again=0.3), limits=limits)
    yield made
    made.store.close()


def used(desk: TradingDesk) -> dict[str, tuple[str, str]]:
    return {each["name"]: (each["used"], each["allowed"]) for each in desk.state()["limits"]}


def price(desk: TradingDesk, points: str) -> None:
    with desk.lock:
        desk.broker.price = Decimal(points)
    desk.bar(float(points))


def test_a_loss_limit_latches_in_the_database_outlives_the_trader_and_counts_anew_after_a_resume(
    desk: TradingDesk,
) -> None:
    desk.ready()
    desk.bar()
    wait_until("the position", lambda: desk.state()["position"] == 1)
    scope = f"session:{desk.session}"

    price(desk, "4785.00")
    wait_until("it is latched", lambda: desk.store.latch(scope).state == "reducing", 30)
    assert desk.store.latch(scope).by == "loss_limit"
    wait_until("it is flat", lambda: desk.state()["position"] == 0, 30)
    assert used(desk)["max_daily_loss"] == ("750.00", "500")
    wait_until("the marks are kept", lambda: desk.store.loss_marks(desk.session) is not None, 30)
    desk.actor.stop()

    desk.begin()
    wait_until("it lives again", lambda: desk.state()["reconciled"] and desk.state()["warm"], 30)
    desk.bar(4785.0)
    wait_until("it says why", lambda: "loss_limit_reached" in desk.alarms(), 30)
    assert desk.count("submit") == 2
    desk.actor.stop()

    # a person resumes while no trader lives
    desk.store.set_latch(scope, "active", "anna", "looked at it")
    desk.begin()
    wait_until("it lives again", lambda: desk.state()["reconciled"] and desk.state()["warm"], 30)
    desk.bar(4785.0)
    wait_until("it counts anew", lambda: used(desk)["max_daily_loss"] == ("0.00", "500"), 30)
    assert "loss_limit_reached" not in desk.alarms()
    wait_until("so it is kept", lambda: getattr(desk.store.loss_marks(desk.session), "armed_at", 0) > 0, 30)

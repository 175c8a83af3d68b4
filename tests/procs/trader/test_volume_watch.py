"""A session that rolls by volume asks once a market day, keeps what it hears, and goes by days while nobody tells."""

from typing import Any

import pytest

from tests import bodies
from tests.engine.desk import spec
from tests.procs.stage import Stage
from tests.procs.trading_desk import LINK
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.bus.requests import RequestRefused
from tradeproc.domain.candles import Candle
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.roll_rules import RollMode, RollPolicy, RollRule
from tradeproc.domain.roll_volumes import RollVolume
from tradeproc.domain.units import MINUTE, Nanos, from_iso
from tradeproc.engine.events import Event, RollPlanned
from tradeproc.procs.trader.contract_rolls import RollPlans
from tradeproc.procs.trader.timing import TraderTiming
from tradeproc.procs.trader.volume_watch import VolumeWatch
from tradeproc.testing.waiting import wait_until

THURSDAY, FRIDAY_NOON = "2024-02-15", from_iso("2024-02-16T18:00:00Z")
BY_VOLUME: dict[str, Any] = {"mode": RollMode.AUTO, "rule": RollRule.VOLUME}


def whole_day(volume: int) -> list[Candle]:
    """Return bars that hold Thursday: one at its opening with the volume, one at its end."""
    session = market_hours("cme_equity").session_at(from_iso(f"{THURSDAY}T18:00:00Z"))
    assert session is not None
    starts = (session.opened_at, Nanos(session.closed_at - 30 * MINUTE))
    return [
        Candle(at, Nanos(at + 30 * MINUTE), 4800.0, 4801.0, 4799.0, 4800.0, traded, 1)
        for at, traded in zip(starts, (volume, 0), strict=True)
    ]


class Desk:
    """A trader's watch and plans, and a link that tells the volumes it is given."""

    def __init__(self, stage: Stage, known: tuple[RollVolume, ...] = (), **policy: Any) -> None:
        self.asked: list[str] = []
        self.volumes: dict[str, int] = {}
        self.kept: list[RollVolume] = []
        self.told: list[Event] = []
        self._spec = spec(roll=RollPolicy(**{**BY_VOLUME, **policy}))
        self._known = known
        self.timing = TraderTiming(volumes_again=0.02)
        stage.enter(LINK, lambda node: node.handle("history", self._history))
        self.trader = stage.enter("session-1.trader", self._prepare)

    def _prepare(self, node: Node) -> None:
        self.watch = VolumeWatch(node, 1, self._spec, self._known, self)
        self.plans = RollPlans(self._spec, self.told.append, self.watch)

    def save_roll_volume(self, volume: RollVolume) -> None:
        self.kept.append(volume)

    def _history(self, body: Body) -> Body:
        self.asked.append(body["contract"])
        if body["contract"] not in self.volumes:
            raise RequestRefused("it serves no bars")
        assert body["minutes"] == 30
        found = whole_day(self.volumes[body["contract"]])
        return {"known": [bodies.candle_to_body(each, body["contract"], 30) for each in found]}

    def look(self, at: Nanos = FRIDAY_NOON) -> RollPlanned:
        """Look at the market time as the trader does each second; return the newest plan."""
        self.trader.do(lambda: self.plans.look(at))
        newest = self.told[-1]
        assert isinstance(newest, RollPlanned)
        return newest


def test_a_crossing_is_kept_and_has_the_session_roll_on_the_business_day_after_it(on_stage: Stage) -> None:
    desk = Desk(on_stage)
    desk.volumes = {"ESH24": 500, "ESM24": 501}
    assert desk.look().roll_on == "2024-03-08"

    wait_until("the crossing is kept", lambda: desk.kept)

    plan = desk.look()
    assert (plan.roll_on, plan.is_due) == ("2024-02-16", True)
    assert plan.why == "ESM24 traded more than ESH24 on 2024-02-15"
    (row,) = desk.kept
    assert (row.session, row.day, row.volume, row.next_volume) == (1, THURSDAY, 500, 501)
    assert desk.asked == ["ESH24", "ESM24"]


def test_a_day_without_a_crossing_is_kept_and_asked_for_once(on_stage: Stage) -> None:
    desk = Desk(on_stage)
    desk.volumes = {"ESH24": 500, "ESM24": 500}
    desk.look()
    wait_until("the day is kept", lambda: desk.kept)

    for _ in range(3):
        plan = desk.look()

    assert (plan.roll_on, plan.is_due, plan.why) == ("2024-03-08", False, "")
    assert desk.asked == ["ESH24", "ESM24"]


def test_where_nobody_tells_the_volumes_the_days_decide_and_the_plan_says_so_until_they_are_told(
    on_stage: Stage,
) -> None:
    desk = Desk(on_stage)
    desk.volumes = {"ESH24": 500}
    desk.look()
    wait_until("it has failed", lambda: desk.watch.problem)

    plan = desk.look()
    assert plan.roll_on == "2024-03-08"
    assert plan.why.startswith("volumes are unknown (bars of ESM24: ")
    assert plan.why.endswith("so the rule of days decides alone")

    desk.volumes["ESM24"] = 501
    wait_until("it asks again", lambda: desk.look().roll_on == "2024-02-16")
    assert desk.watch.problem == ""


def test_bars_that_do_not_hold_the_whole_day_are_not_compared(on_stage: Stage) -> None:
    desk = Desk(on_stage)
    desk.volumes = {"ESH24": 500, "ESM24": 501}

    desk.look(from_iso("2024-02-20T18:00:00Z"))  # the newest whole day is Friday, of which there is no bar

    wait_until("it has failed", lambda: "for the whole of 2024-02-16" in desk.watch.problem)
    assert desk.kept == []


def test_a_crossing_counts_over_a_restart_without_a_question(on_stage: Stage) -> None:
    row = RollVolume(1, "ESH24", "ESM24", THURSDAY, 1, 2, Nanos(0))
    desk = Desk(on_stage, known=(row,))

    assert desk.look().roll_on == "2024-02-16"
    assert desk.asked == []


@pytest.mark.parametrize("policy", [{"rule": RollRule.DAYS}, {"mode": RollMode.OFF}])
def test_who_does_not_roll_by_volume_asks_nothing(on_stage: Stage, policy: dict[str, Any]) -> None:
    desk = Desk(on_stage, known=(RollVolume(1, "ESH24", "ESM24", THURSDAY, 1, 2, Nanos(0)),), **policy)

    assert desk.look().roll_on == "2024-03-08"
    assert desk.asked == []

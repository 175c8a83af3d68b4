"""A strategy that wants more bars than the next contract has gets them from the contracts before, adjusted."""

import pytest

from tests import bodies
from tests.engine.desk import candle, spec
from tests.procs.stage import Stage
from tests.procs.trading_desk import LINK
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.bus.requests import RequestRefused
from tradeproc.domain.candles import Candle
from tradeproc.domain.roll_rules import BackAdjust, RollPolicy
from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.units import Contracts, Nanos, Ticks
from tradeproc.procs.trader.past_contracts import PastContracts, past_of
from tradeproc.procs.trader.timing import TraderTiming
from tradeproc.testing.waiting import wait_until


def roll(contract: str, into: str, at: int, spread: int | None = 200, step: RollStep = RollStep.ROLLED) -> Roll:
    """Return a roll that left a contract at the opening of a bar, at 4800."""
    flat = Contracts(0)
    return Roll(
        f"{contract}-{into}", 1, contract, into, step, "anna", "", flat, flat,
        None if spread is None else Ticks(spread), Ticks(4800 * 4), None, None, "", "", candle(at).opened_at,
        Nanos(0), Nanos(0),
    )  # fmt: skip


def test_only_rolls_that_lead_into_the_sessions_contract_count_and_an_unknown_spread_ends_the_past() -> None:
    rolls = [
        roll("ESU23", "ESZ23", 1),
        roll("ESZ23", "ESH24", 2, spread=None),
        roll("ESH24", "ESM24", 3),
        roll("ESM24", "ESU24", 4, step=RollStep.CLOSING),
    ]

    assert [str(contract) for contract, _ in past_of(spec(contract="ESM24"), rolls)] == ["ESH24"]


@pytest.fixture
def told() -> list[tuple[Candle, ...]]:
    return []


class Desk:
    def __init__(self, stage: Stage, back_adjust: BackAdjust = BackAdjust.DIFFERENCE) -> None:
        self.spec = spec(contract="ESM24", roll=RollPolicy(back_adjust=back_adjust))
        self.asked: list[str] = []
        self.prices = {"ESH24": 4800.0, "ESZ23": 4750.0}
        stage.enter(LINK, lambda node: node.handle("history", self._history))
        self.trader = stage.enter("session-1.trader", self._prepare)

    def _prepare(self, node: Node) -> None:
        rolls = [roll("ESZ23", "ESH24", 5, 200), roll("ESH24", "ESM24", 10, 200)]
        self.past = PastContracts(node, self.spec, rolls, TraderTiming(again=0.05))

    def _history(self, body: Body) -> Body:
        code = body["contract"]
        self.asked.append(code)
        if code not in self.prices:
            raise RequestRefused("it has ended")
        found = [candle(number, self.prices[code]) for number in range(12)]
        return {"known": [bodies.candle_to_body(each, code, 1) for each in found]}

    def complete(self, count: int, told: list[tuple[Candle, ...]]) -> tuple[Candle, ...]:
        own = [candle(number, 4850.0) for number in range(9, 13)]
        self.trader.do(lambda: self.past.complete(own, count, told.append))
        return wait_until("told", lambda: told)[0]


@pytest.fixture
def desk(on_stage: Stage) -> Desk:
    return Desk(on_stage)


def test_bars_are_fetched_over_two_rolls_in_the_prices_of_the_newest_contract(
    desk: Desk, told: list[tuple[Candle, ...]]
) -> None:
    history = desk.complete(50, told)

    assert [each.opened_at for each in history] == [candle(number).opened_at for number in range(13)]
    assert [each.close for each in history] == [4850.0] * 13
    assert desk.asked == ["ESH24", "ESZ23"]


def test_with_a_ratio_bars_are_stretched_by_each_rolls_quotient(
    on_stage: Stage, told: list[tuple[Candle, ...]]
) -> None:
    desk = Desk(on_stage, BackAdjust.RATIO)
    desk.prices = {"ESH24": 2400.0, "ESZ23": 1200.0}

    history = desk.complete(50, told)

    # both rolls were at 4800 into 4850
    stretched = 4850 / 4800
    assert [each.close for each in history[:5]] == [pytest.approx(1200 * stretched * stretched, abs=0.25)] * 5
    assert [each.close for each in history[5:9]] == [pytest.approx(2400 * stretched, abs=0.25)] * 4


def test_enough_bars_of_its_own_need_no_question(desk: Desk, told: list[tuple[Candle, ...]]) -> None:
    assert len(desk.complete(3, told)) == 4
    assert desk.asked == []


def test_a_contract_that_nobody_tells_any_more_ends_the_history_after_a_few_tries(
    desk: Desk, told: list[tuple[Candle, ...]]
) -> None:
    del desk.prices["ESZ23"]

    history = desk.complete(50, told)

    assert history[0].opened_at == candle(0).opened_at
    assert desk.asked == ["ESH24", *["ESZ23"] * 3]

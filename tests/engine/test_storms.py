"""Whatever the network does: written before sent, sent once, never too large, flat when told, and nothing unresolved.

`desk.py` checks the first two on every effect. Here random markets and random strategies meet lost requests, lost and
late replies, lost, doubled and reordered pictures, and questions without an answer; then the weather clears.
"""

import contextlib
import random
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.engine.desk import Desk, Faults, Killed, Scripted
from tests.engine.exchange_broker import ExchangeBroker
from tradeproc.domain.book import DivergenceKind, FillKind
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side
from tradeproc.domain.session import StopPolicy
from tradeproc.domain.units import SECOND, Contracts
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.strategies.contract import (
    NOTHING,
    CancelOrders,
    ClosePosition,
    Decision,
    ModifyOrders,
    OrderChange,
    SubmitBracket,
    SubmitOrder,
    View,
)


class Erratic(Scripted):
    """Decides anything a strategy can, by a seeded source."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)

    def on_candle(self, view: View, state: int, arguments: object) -> tuple[Decision, int]:
        return self.decide(view), state

    def decide(self, view: View) -> Decision:
        chance, close = self.chance, view.candle.close
        side = chance.choice(list(Side))
        quantity = Contracts(chance.randint(1, 3))
        near, far = close - side.sign * chance.uniform(1, 9), close + side.sign * chance.uniform(1, 9)
        match chance.randrange(7):
            case 0 | 1:
                return SubmitBracket(side, quantity, stop_loss=near, profit_target=chance.choice([far, None]))
            case 2:
                return SubmitOrder(side, quantity, type=OrderType.LIMIT, limit=near)
            case 3 if view.orders:
                order = chance.choice(view.orders)
                return ModifyOrders((OrderChange(order.id, stop=near, limit=near),))
            case 4 if view.orders:
                return CancelOrders((chance.choice(view.orders).id,))
            case 5 if view.position:
                side = Side.SELL if view.position > 0 else Side.BUY
                return SubmitOrder(side, Contracts(5), role=OrderRole.EXIT)
            case 6 if view.position:
                return ClosePosition("enough")
        return NOTHING


def trade(desk: Desk, chance: random.Random) -> None:
    desk.broker.trade(desk.broker.price + chance.randint(-24, 24) * Decimal("0.25"))
    desk.bar(seconds=chance.choice([1, 3, 20, 50]))


def storm(seed: int, share: float, slowest: float, echoes: bool, fills_by: int) -> Desk:
    """Return a desk after a storm, with the weather cleared and everything asked that will be asked."""
    faults = Faults(random.Random(seed), share, share, share, share, share, slowest)
    policy = list(StopPolicy)[seed % 3]
    broker = ExchangeBroker(echoes=echoes, fills_by=fills_by)
    desk = Desk(Erratic(seed), faults=faults, broker=broker, stop_policy=policy)
    chance = random.Random(seed + 1)
    desk.start()
    for _ in range(12):
        trade(desk, chance)
    desk.faults = Faults(chance)
    return desk


def check(desk: Desk) -> None:
    assert desk.broker.received == list(dict.fromkeys(desk.broker.received)), "nothing reached the broker twice"
    assert desk.broker.largest <= 3, "never beyond max_position"
    assert desk.position == desk.broker.position
    for order in desk.orders:
        pictures = [p for p in desk.broker.orders.values() if desk.broker.client_ids[p.broker_id] == order.id]
        assert len(pictures) <= 1
        if pictures and not desk.state.broker.reappeared:
            assert (order.filled, order.state.is_terminal) == (pictures[0].filled, pictures[0].state.is_terminal)
    assert sum(f.quantity * f.side.sign for f in desk.database.fills.values()) == desk.position
    assert {f.kind for f in desk.database.fills.values()} <= {FillKind.OWN}, "nobody else traded"
    assert desk.all_of(do.KeepLatch) == []


weather = st.tuples(
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.05, 0.2]),
    st.sampled_from([0.0, 0.5, 4.0]),
    st.booleans(),
    st.sampled_from([1, 1000]),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(weather)
def test_after_any_storm_both_sides_agree_and_nothing_was_sent_twice(
    drawn: tuple[int, float, float, bool, int],
) -> None:
    desk = storm(*drawn)

    desk.tell(events.TradingStateSet("session", events.TradingState.HALTED))
    desk.run(700)

    check(desk)
    assert not desk.state.engine.pending
    assert desk.state.broker.is_reconciled


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(weather)
@example((1944, 0.2, 4.0, False, 1))  # slow answers showed the position before one fill and after the next
def test_flatten_in_a_storm_ends_flat_with_nothing_working(drawn: tuple[int, float, float, bool, int]) -> None:
    desk = storm(*drawn)

    for _ in range(3):
        desk.tell(events.FlattenCommanded("me"))
    for _ in range(14):
        desk.broker.trade(desk.broker.price)
        desk.run(50)

    check(desk)
    assert desk.position == desk.broker.position == 0
    assert desk.broker.open() == []
    assert desk.state.engine.closing is None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.integers(3, 120), st.sampled_from([0.0, 0.2]), st.booleans())
@example(63, 43, 0.2, False)  # a target's fill used up a stop that its strategy had made smaller than the position
def test_killed_at_any_instant_a_new_life_agrees_and_sends_nothing_again(
    seed: int, lives: int, share: float, echoes: bool
) -> None:
    faults = Faults(random.Random(seed), share, share, share, share, share, 0.5)
    first = Desk(Erratic(seed), faults=faults, broker=ExchangeBroker(echoes=echoes, fills_by=1))
    chance = random.Random(seed + 1)
    first.start()
    first.lives = lives
    with contextlib.suppress(Killed):
        for _ in range(20):
            trade(first, chance)
    first.broker.told.clear()

    second = Desk(Erratic(seed), broker=first.broker, database=first.database, fence=2, now=first.now + 2 * SECOND)
    second.broker.trade(second.broker.price + 2)
    second.start()
    for _ in range(4):
        trade(second, chance)
    second.tell(events.FlattenCommanded("me"))
    for _ in range(14):
        second.broker.trade(second.broker.price)
        second.run(50)

    check(second)
    assert second.position == 0
    assert {order.id for order in second.database.orders.values() if not order.state.is_terminal} == set()


@pytest.mark.parametrize("echoes", [True, False])
def test_in_fair_weather_there_is_nothing_to_record(echoes: bool) -> None:
    for seed in range(8):
        desk = storm(seed, 0.0, 0.0, echoes, 1)
        desk.run(400)
        check(desk)
        # a stop that its own strategy moves to the wrong side of the market, or that the market has passed when its
        # entry fills, is rejected by the exchange: that is worth a row, and nothing else is
        rejected = {
            desk.broker.client_ids[each.broker_id]
            for each in desk.broker.orders.values()
            if each.state is OrderState.REJECTED
        }
        subjects = [row.subject for row in desk.divergences]
        assert len(subjects) == len(set(subjects))
        assert set(subjects) <= rejected
        told = {(row.kind, row.brokers) for row in desk.divergences}
        assert told <= {(DivergenceKind.ORDER_STATE, "rejected filled 0")}

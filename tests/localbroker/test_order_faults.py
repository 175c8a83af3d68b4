"""Faults of orders in the market: what they do to which orders, how often, and that it passes."""

import pytest

from tests.localbroker.test_market import ACCOUNT, CONTRACT, START, Clock, opened
from tradeproc.domain.orders import OrderType, Side
from tradeproc.domain.units import SECOND, Contracts, Ticks
from tradeproc.exchange.orders import ExchangeOrder, GroupKind, MarketTrade, OrderStatus, Placed, Ticket, TicketGroup
from tradeproc.localbroker.faults import BadFault, FaultTable
from tradeproc.localbroker.market import Market
from tradeproc.localbroker.order_faults import OrderFaults
from tradeproc.localbroker.tape import generated


class Scene:
    """A market that stands still at a known price, its faults, and a hand that lets it trade elsewhere."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.market: Market = opened(self.clock, generated(CONTRACT, 7, START, 60), speed=0.0001)
        self.table = FaultTable(now=self.clock)
        self.faults = OrderFaults(self.table, self.market, self.clock)
        self.last = self.market.exchange.last(CONTRACT) or Ticks(0)

    def buy(self, quantity: int = 2) -> tuple[ExchangeOrder, ...]:
        """Buy with a stop 10 ticks below and a target 10 above."""
        far = {OrderType.STOP: {"stop": Ticks(self.last - 10)}, OrderType.LIMIT: {"limit": Ticks(self.last + 10)}}
        legs = tuple(Ticket(CONTRACT, Side.SELL, Contracts(quantity), kind, **at) for kind, at in far.items())
        group = TicketGroup(GroupKind.ONE_REDUCES_OTHER, legs)
        entry = Ticket(CONTRACT, Side.BUY, Contracts(quantity), OrderType.MARKET, then=(group,))
        placed = self.market.place(ACCOUNT, TicketGroup(GroupKind.INDEPENDENT, (entry,)))
        assert isinstance(placed, Placed)
        return placed.orders

    def trade(self, ticks: int) -> None:
        self.market.exchange.step(MarketTrade(CONTRACT, Ticks(self.last + ticks), Contracts(99)), self.market.now())

    def status(self, order: ExchangeOrder) -> OrderStatus:
        found = self.market.exchange.order(order.id)
        assert found is not None
        return found.status


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_an_inert_stop_works_on_until_the_fault_is_cleared_and_then_fills(scene: Scene) -> None:
    fault = scene.table.set({"name": "inert_stop"}, 0)
    _, stop, _ = scene.buy()

    scene.trade(-9)
    assert fault.hits == 0, "the market has not reached it"
    for ticks in (-10, -50, -90):
        scene.trade(ticks)
        assert scene.status(stop) is OrderStatus.WORKING
    assert (fault.hits, [hit.where for hit in fault.newest]) == (1, [f"stops order {stop.id} {ACCOUNT}"])

    scene.table.clear("inert_stop")
    scene.trade(-90)

    assert scene.status(stop) is OrderStatus.FILLED
    assert scene.market.exchange.holdings(ACCOUNT) == []


def test_an_inert_stop_is_so_for_its_seconds(scene: Scene) -> None:
    scene.table.set({"name": "inert_stop", "seconds": 5}, 0)
    _, stop, _ = scene.buy()

    scene.trade(-20)
    scene.clock.now += 4 * SECOND
    scene.trade(-20)
    assert scene.status(stop) is OrderStatus.WORKING
    scene.clock.now += 2 * SECOND
    scene.trade(-20)

    assert scene.status(stop) is OrderStatus.FILLED


def test_only_as_many_orders_are_inert_as_were_asked_for_and_targets_only_by_name(scene: Scene) -> None:
    scene.table.set({"name": "inert_stop"}, 0)
    scene.table.set({"name": "inert_stop", "target": "limits"}, 0)
    (_, first, target), (_, second, _) = scene.buy(), scene.buy()

    scene.trade(10)
    scene.trade(20)
    scene.trade(-20)

    assert sorted((scene.status(first).value, scene.status(second).value)) == ["cancelled", "working"]
    assert scene.status(target) is OrderStatus.WORKING


@pytest.mark.parametrize(
    ("name", "status", "quantity"),
    [
        ("cancel_stop", OrderStatus.CANCELLED, 2),
        ("reject_stop", OrderStatus.REJECTED, 2),
        ("cut_stop", OrderStatus.WORKING, 1),
    ],
)
def test_the_broker_can_end_or_cut_a_stop_by_itself_once(
    scene: Scene, name: str, status: OrderStatus, quantity: int
) -> None:
    scene.table.set({"name": name}, 0)
    scene.faults.strike()
    _, stop, target = scene.buy()

    for _ in range(3):
        scene.faults.strike()

    found = scene.market.exchange.order(stop.id)
    assert found is not None
    assert (found.status, found.quantity) == (status, quantity)
    assert scene.status(target) is OrderStatus.WORKING
    assert [each for each in scene.market.books.requests() if each["call"] != "place"] == []


def test_a_stop_of_one_contract_is_not_cut(scene: Scene) -> None:
    fault = scene.table.set({"name": "cut_stop"}, 0)
    scene.buy(1)

    scene.faults.strike()

    assert fault.hits == 0


def test_legs_are_lost_once_and_the_entry_is_taken(scene: Scene) -> None:
    bare = Ticket(CONTRACT, Side.BUY, Contracts(1), OrderType.MARKET)
    fault = scene.table.set({"name": "lose_legs"}, 0)
    scene.market.place(ACCOUNT, TicketGroup(GroupKind.INDEPENDENT, (bare,)))
    assert fault.hits == 0, "it had no legs"

    first, second = scene.buy(), scene.buy()

    assert (len(first), len(second)) == (1, 3)
    assert scene.status(first[0]) is OrderStatus.FILLED


def test_what_is_no_order_in_the_market_cannot_be_hit() -> None:
    with pytest.raises(BadFault, match="inert_stop cannot hit orders_stream; it hits limits, stops"):
        FaultTable().set({"name": "inert_stop", "target": "orders_stream"}, 0)

"""A real trader and its real database while somebody else trades the same contract in the same account."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.engine.desk import Plan
from tests.procs.stage import Stage
from tests.procs.trading_desk import TradingDesk
from tradeproc.bus.requests import RequestRefused
from tradeproc.domain.book import FillKind
from tradeproc.domain.orders import OrderType, Side
from tradeproc.domain.session import ExternalPolicy
from tradeproc.domain.units import Contracts, Ticks
from tradeproc.procs.trader.timing import TraderTiming
from tradeproc.store import round_trips
from tradeproc.strategies.contract import Decision, SubmitBracket, SubmitOrder
from tradeproc.testing.waiting import wait_until

ENTER = SubmitOrder(Side.BUY, Contracts(1))
BRACKET = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4790.0)
QUICK = TraderTiming(again=0.3)
Make = Callable[..., TradingDesk]


@pytest.fixture
def make(on_stage: Stage, book_url: str, tmp_path: Path) -> Iterator[Make]:
    made: list[TradingDesk] = []

    def desk(*plans: Plan | Decision, timing: TraderTiming = QUICK, **changes: Any) -> TradingDesk:
        made.append(TradingDesk(on_stage, book_url, tmp_path, *plans, timing=timing, **changes))
        return made[-1]

    yield desk
    for each in made:
        each.store.close()


def by_hand(desk: TradingDesk, change: int, price: str) -> None:
    with desk.lock:
        desk.broker.price = Decimal(price)
        desk.broker.by_hand(change)
        desk.tell_pictures()


def latch(desk: TradingDesk) -> tuple[str, str]:
    found = desk.store.latch(f"session:{desk.session}")
    return found.state, found.by


def test_a_lot_sold_by_hand_is_in_all_books_and_closes_entries_over_a_restart_until_a_reason_is_given(
    make: Make,
) -> None:
    desk = make(ENTER, ENTER, ENTER, ENTER).ready()
    desk.bar()
    wait_until("the position", lambda: desk.state()["position"] == 1)

    by_hand(desk, -1, "4779.50")

    wait_until("it is adopted", lambda: desk.state()["position"] == 0, 30)
    assert latch(desk) == ("reducing", "external_policy")
    before = desk.state()
    assert (Decimal(before["realized"]), before["trading_state"]) == (Decimal(-1025), "reducing")
    fills = desk.store.fills(desk.session)
    assert [(fill.kind, fill.broker_id) for fill in fills] == [(FillKind.OWN, "900"), (FillKind.EXTERNAL, "hand-1")]
    assert [trade.profit for trade in round_trips(fills)] == [Decimal("-1025")]
    desk.bar()
    desk.actor.stop()

    desk.begin()
    wait_until("it lives again", lambda: desk.state()["reconciled"] and desk.state()["warm"])
    desk.bar()

    after = desk.state()
    assert [after[key] for key in ("realized", "position", "trading_state")] == [before["realized"], 0, "reducing"]
    assert "external_change" in desk.alarms()
    assert desk.count("submit") == 1
    assert [row.position.quantity for row in desk.store.positions(desk.session)] == [0]


def test_one_sold_while_the_trader_was_away_is_the_same(make: Make) -> None:
    desk = make(ENTER, ENTER, ENTER).ready()
    desk.bar()
    wait_until("the position", lambda: desk.state()["position"] == 1)
    desk.actor.stop()
    by_hand(desk, -1, "4779.50")

    desk.begin()
    wait_until("it is adopted", lambda: desk.state()["position"] == 0 and desk.state()["reconciled"], 30)
    desk.bar()

    assert latch(desk) == ("reducing", "external_policy")
    assert Decimal(desk.state()["realized"]) == -1025
    assert desk.count("submit") == 1


def test_a_session_that_was_only_ever_flat_is_latched_when_somebody_bought_while_it_was_away(make: Make) -> None:
    desk = make().ready()
    wait_until("its flat position is stored", lambda: len(desk.store.positions(desk.session)) == 1)
    desk.actor.stop()
    by_hand(desk, 1, "4800")

    desk.begin()

    wait_until("it is latched", lambda: latch(desk) == ("reducing", "external_policy"), 30)


def test_a_stop_cancelled_by_hand_leaves_a_row_and_the_latch(make: Make) -> None:
    desk = make(BRACKET).ready()
    desk.bar()
    wait_until("the stop works", lambda: any(each["state"] == "submitted" for each in desk.state()["orders"]))

    with desk.lock:
        (stop,) = [each.broker_id for each in desk.broker.open() if each.type is OrderType.STOP]
        desk.broker.cancel(stop)
        desk.tell_pictures()

    wait_until("it is latched", lambda: latch(desk) == ("reducing", "external_policy"), 30)
    wait_until("the row", lambda: desk.store.divergences(desk.session))
    assert [row.divergence.brokers for row in desk.store.divergences(desk.session)] == ["cancelled filled 0"]


def stops(desk: TradingDesk) -> list[tuple[str, int, str]]:
    """Return the open orders once all of them work; one that is on its way is none yet."""
    orders = desk.state()["orders"]
    is_quiet = all(each["state"] == "submitted" for each in orders)
    return [(each["role"], each["quantity"], each["stop_price"]) for each in orders] if is_quiet else []


def test_a_lot_bought_by_hand_is_adopted_with_its_stop_and_the_session_goes_on(make: Make) -> None:
    desk = make(external_policy=ExternalPolicy.ADOPT, adopt_stop_ticks=Ticks(40)).ready()
    desk.bar()

    by_hand(desk, 2, "4800.00")

    wait_until("it has its stop", lambda: stops(desk) == [("stop_loss", 2, "4790")], 60)
    assert desk.state()["position"] == 2
    assert latch(desk)[0] == "active"
    (order,) = desk.store.open_orders(desk.session)
    assert desk.store.order_events(order.id)[0].details["reason"] == "stop of an adopted position"


def test_a_person_adopts_a_lot_with_a_stop_and_entries_stay_closed_until_they_resume(make: Make) -> None:
    desk = make().ready()
    desk.bar()
    by_hand(desk, 2, "4800.00")
    wait_until("it is paused", lambda: latch(desk) == ("reducing", "external_policy"), 60)

    with pytest.raises(RequestRefused, match="would fill at once"):
        desk.stage.ask(desk.me, "adopt", by="anna", reason="mine", stop="4801")
    told = desk.stage.ask(desk.me, "adopt", by="anna", reason="mine", stop="4795.25")

    assert (told["position"], [order["stop_price"] for order in told["stops"]]) == (2, ["4795.25"])
    wait_until("it works", lambda: stops(desk) == [("stop_loss", 2, "4795.25")], 30)
    with pytest.raises(RequestRefused, match="cover the whole position"):
        desk.stage.ask(desk.me, "adopt", by="anna", reason="mine", stop="4795.25")
    assert latch(desk) == ("reducing", "external_policy")

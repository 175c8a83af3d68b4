"""A fill that the broker is slow to tell is not booked as a stranger's while something else tells of it."""

from decimal import Decimal

import pytest

from tests.engine.desk import Desk, Scripted
from tradeproc.domain.book import FillKind
from tradeproc.domain.broker_orders import BrokerOrder
from tradeproc.domain.orders import OrderType, Side
from tradeproc.domain.units import Contracts
from tradeproc.engine.events import TradingState
from tradeproc.strategies.contract import ClosePosition, SubmitBracket

BRACKET = SubmitBracket(Side.BUY, Contracts(2), type=OrderType.LIMIT, limit=4790.0, stop_loss=4780.0)


def filled_unseen(*, hides: set[str], plans: tuple[ClosePosition, ...] = ()) -> tuple[Desk, list[BrokerOrder]]:
    """Return a desk whose entry has filled, while neither stream nor list show it of the orders `hides`.

    Beside it what they would have shown.
    """
    desk = Desk(Scripted(BRACKET, *plans)).start()
    desk.bar()
    before = dict(desk.broker.orders)
    desk.broker.trade(Decimal(4789))
    assert desk.broker.position == 2
    hidden = [desk.broker.orders[broker_id] for broker_id in sorted(hides)]
    desk.broker.orders.update((broker_id, before[broker_id]) for broker_id in hides)
    desk.broker.told = [
        each for each in desk.broker.told if not (isinstance(each, BrokerOrder) and each.broker_id in hides)
    ]
    return desk, hidden


def kinds(desk: Desk) -> list[FillKind]:
    return [fill.kind for fill in desk.database.fills.values()]


def test_an_entry_whose_legs_work_has_filled_though_nobody_has_told_it() -> None:
    desk, hidden = filled_unseen(hides={"900"})
    desk.run(9)
    assert desk.position == 0
    assert desk.state.broker.suspicion is not None, "no entry goes out meanwhile"

    desk.broker.tell(hidden[0])
    desk.run(5)

    assert (desk.position, kinds(desk)) == (2, [FillKind.OWN])
    assert desk.database.latch is None
    assert desk.alarms == set()


def test_an_entry_that_the_market_has_traded_through_has_filled_though_nobody_has_told_it() -> None:
    desk, hidden = filled_unseen(hides={"900", "901"})
    desk.bar(close=4789.0, seconds=4)
    desk.bar(close=4788.5, seconds=4)
    assert desk.position == 0

    for picture in hidden:
        desk.broker.tell(picture)
    desk.run(5)

    assert (desk.position, kinds(desk)) == (2, [FillKind.OWN])
    assert desk.database.latch is None
    assert desk.alarms == set()


def test_a_fill_that_is_not_told_for_long_is_booked_as_the_broker_has_it() -> None:
    desk, _ = filled_unseen(hides={"900"})

    desk.run(25)

    assert (desk.position, kinds(desk)) == (2, [FillKind.EXTERNAL])
    assert desk.state.engine.trading is TradingState.REDUCING


@pytest.mark.parametrize("change", [-1, 3], ids=["the other way", "more than is open"])
def test_what_no_fill_of_ours_explains_is_booked_at_once(change: int) -> None:
    desk = Desk(Scripted(BRACKET)).start()
    desk.bar(seconds=5)
    desk.bar(close=4789.0, seconds=0.5)

    desk.broker.by_hand(change)
    desk.run(7)

    assert desk.position == desk.broker.position == change
    assert kinds(desk) == [FillKind.EXTERNAL]


def test_a_closing_does_not_wait_for_such_a_fill() -> None:
    desk, _ = filled_unseen(hides={"900"}, plans=(ClosePosition("end"),))

    desk.bar(close=4789.0, seconds=7)

    assert desk.state.engine.closing is not None
    assert (desk.position, kinds(desk)) == (2, [FillKind.EXTERNAL])

"""Whatever closes trading, no entry works on: what would fill afterwards is an entry too."""

from typing import Any

import pytest

from tests.engine.desk import Desk, Scripted
from tests.engine.test_external import again
from tradeproc.domain.broker_orders import Refused
from tradeproc.domain.orders import OrderState, OrderType, Side
from tradeproc.domain.session import ExternalPolicy
from tradeproc.domain.units import Contracts
from tradeproc.engine.events import TradingState
from tradeproc.strategies.contract import NOTHING, SubmitOrder, View

RESTING = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4790.0)


def fails(view: View) -> Any:
    raise ZeroDivisionError("x")


def state_of(desk: Desk, broker_id: str = "900") -> OrderState:
    return desk.broker.orders[broker_id].state


def test_a_change_by_others_cancels_the_entry_that_rests() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    assert state_of(desk) is OrderState.SUBMITTED

    desk.broker.by_hand(1)
    desk.run(20)

    assert desk.state.engine.trading is TradingState.REDUCING
    assert state_of(desk) is OrderState.CANCELLED


def test_a_policy_to_ignore_leaves_it_working() -> None:
    desk = Desk(Scripted(RESTING), external_policy=ExternalPolicy.IGNORE).start()
    desk.bar()

    desk.broker.by_hand(1)
    desk.run(40)

    assert state_of(desk) is OrderState.SUBMITTED


def test_a_strategy_that_is_switched_off_leaves_no_entry_behind() -> None:
    desk = Desk(Scripted(RESTING, fails, fails, fails)).start()

    for _ in range(4):
        desk.bar()

    assert desk.state.engine.trading is TradingState.REDUCING
    assert state_of(desk) is OrderState.CANCELLED


def test_a_trader_that_was_killed_between_the_latch_and_the_cancel_cancels_when_it_is_back() -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()

    later = again(desk, NOTHING)
    later.state.engine.latches["session:7"] = TradingState.REDUCING
    later.start()
    later.run(20)

    assert state_of(later) is OrderState.CANCELLED


def test_a_cancel_that_the_broker_refuses_is_asked_again_at_most_every_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    asked: list[str] = []

    def refuse(broker_id: str) -> Refused:
        asked.append(broker_id)
        return Refused("not now")

    with monkeypatch.context() as patched:
        patched.setattr(desk.broker, "cancel", refuse)
        desk.broker.by_hand(1)
        desk.run(60)
    desk.run(20)

    assert 2 <= len(asked) <= 13
    assert state_of(desk) is OrderState.CANCELLED

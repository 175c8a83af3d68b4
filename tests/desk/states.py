"""What a trader says of its session, in the tests of those who show it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side
from tradeproc.domain.units import Contracts, Money, Nanos, Price, Ticks
from tradeproc.protocol.trader_messages import STATE, DecisionCounts, OrderBody, SessionState

DECISIONS = DecisionCounts(9, 0, "", "", 0, 0, ())
QUIET = SessionState(
    session=1,
    name="mine",
    login="paper",
    data_login="paper",
    account="SIM1",
    contract="ESH24",
    minutes=1,
    strategy="moving_average_cross",
    fence=1,
    trading_state="active",
    entries="allowed",
    why="",
    decisions=DECISIONS,
    position=0,
    average=None,
    realized=Money(Decimal(0)),
    unrealized=None,
    currency="USD",
    fills=0,
    orders=(),
    last=None,
    market_at=None,
    bars=9,
    warm=True,
    reconciled=True,
    closing=False,
    lease=True,
    database="up",
    streams={"market": "up", "orders": "up", "positions": "up"},
    alarms={},
)
STOP = OrderBody(
    id="stop_loss",
    session=1,
    fence=1,
    contract="ESH24",
    side=Side.SELL,
    quantity=Contracts(1),
    type=OrderType.STOP,
    role=OrderRole.STOP_LOSS,
    created_at=Nanos(1),
    market_at=Nanos(1),
    stop=Ticks(19_197),
    state=OrderState.SUBMITTED,
    stop_price=Price(Decimal("4799.25")),
)


def state(**changes: Any) -> SessionState:
    """Return what a trader without anything to do says, with changes; `decisions` are changes of its counts."""
    counts = replace(DECISIONS, **changes.pop("decisions", {}))
    return replace(QUIET, decisions=counts, **changes)


def told(**changes: Any) -> dict[str, Any]:
    """Return the same as it goes over the bus."""
    plain: dict[str, Any] = STATE.codec.plain(state(**changes))
    return plain

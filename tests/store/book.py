"""One valid thing of each kind; override what matters."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tradeproc.domain.book import Divergence, DivergenceKind, Fill, Position
from tradeproc.domain.orders import Order, OrderEvent, OrderRole, OrderSource, OrderState, OrderType, Side
from tradeproc.domain.session import SessionLimits, SessionSpec
from tradeproc.domain.units import Contracts, Nanos, Price, Ticks
from tradeproc.store.writes import Write, orders_write

AT = 1_700_000_000_123_456_789

SPEC = SessionSpec(
    name="morning",
    login="paper",
    account="SIM0000001F",
    contract="ESH24",
    minutes=5,
    strategy="donchian_atr",
    quantity=Contracts(2),
    environment="paper",
    limits=SessionLimits(Contracts(2), Contracts(4)),
    arguments={"length": 20, "factor": 2.5, "both": True},
)

ORDER = Order(
    id="abcd1.1.1",
    session=1,
    fence=1,
    contract="ESH24",
    side=Side.BUY,
    quantity=Contracts(2),
    type=OrderType.STOP_LIMIT,
    role=OrderRole.ENTRY,
    created_at=Nanos(AT),
    market_at=Nanos(AT - 5),
    limit=Ticks(19_001),
    stop=Ticks(19_000),
    changed_at=Nanos(AT),
)

EVENT = OrderEvent(ORDER.id, Nanos(AT), OrderSource.STRATEGY, None, OrderState.PRE_SENT, "order_made")

FILL = Fill(
    order_id=ORDER.id,
    broker_id="77",
    session=1,
    contract="ESH24",
    side=Side.BUY,
    quantity=Contracts(1),
    cumulative=Contracts(1),
    price=Price(Decimal("4750.375")),
    at=Nanos(AT),
    market_at=Nanos(AT),
)

POSITION = Position("SIM0000001F", "ESH24", Contracts(2), Price(Decimal("4750.25")))

DIVERGENCE = Divergence(1, DivergenceKind.POSITION, "ESH24", "2", "1", "unexplained", Nanos(AT))


def booked(fill: Fill) -> Write:
    """Return the write of one fill alone, whatever the lease of its session."""
    return orders_write([], [], [fill], fence=0).without_fence()


def moved(order: Order, state: OrderState, at: int, **changes: Any) -> tuple[Order, OrderEvent]:
    """Return the order in its next state and the event that says so."""
    after = replace(order, state=state, changed_at=Nanos(at), **changes)
    event = OrderEvent(
        order.id, Nanos(at), OrderSource.BROKER_STREAM, order.state, state, f"order_{state.value}", after.filled
    )
    return after, event

"""A view of closes as a strategy sees it: one flat candle a minute, unless told otherwise."""

from collections.abc import Sequence
from decimal import Decimal

from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import instrument
from tradeproc.domain.orders import Order, OrderRole, OrderState, OrderType, Side
from tradeproc.domain.units import MINUTE, Contracts, Nanos, Price, Ticks
from tradeproc.market.candle_series import CandleSeries
from tradeproc.strategies.contract import View


def candles(closes: Sequence[float], *, first: int = 0, reach: float = 0.0) -> list[Candle]:
    """Return one candle a minute from minute `first` on, each `reach` higher and lower than its close."""
    return [
        Candle(
            Nanos((first + index) * MINUTE),
            Nanos((first + index + 1) * MINUTE),
            close,
            close + reach,
            close - reach,
            close,
            1,
            1,
        )
        for index, close in enumerate(closes)
    ]


def view(
    bars: Sequence[Candle], *, position: int = 0, orders: tuple[Order, ...] = (), opened_at: int | None = None
) -> View:
    """Return the view right after the last of `bars` closed."""
    return View(
        candles=CandleSeries(bars),
        candle=bars[-1],
        position=Contracts(position),
        average=Price(Decimal(100)) if position else None,
        orders=orders,
        instrument=instrument("ES"),
        market_at=bars[-1].closed_at,
        quantity=Contracts(2),
        session_opened_at=None if opened_at is None else Nanos(opened_at),
    )


def stop_loss(
    side: Side, ticks: int, *, state: OrderState = OrderState.SUBMITTED, in_flight: str | None = None
) -> Order:
    """Return a protecting stop at the broker."""
    return Order(
        id="abcd-1-2",
        session=1,
        fence=1,
        contract="ESH24",
        side=side,
        quantity=Contracts(2),
        type=OrderType.STOP,
        role=OrderRole.STOP_LOSS,
        created_at=Nanos(1),
        market_at=Nanos(1),
        stop=Ticks(ticks),
        state=state,
        in_flight=in_flight,
    )

"""The whole of a trader in one page for people: what the `state` topic and the `state` command tell."""

from dataclasses import dataclass

from tradeproc.domain.book import Balance
from tradeproc.domain.orders import Order
from tradeproc.domain.units import Contracts, Money, Nanos, Price, plain
from tradeproc.engine.events import TradingState
from tradeproc.engine.limits import closed_gate
from tradeproc.engine.protection import uncovered
from tradeproc.engine.state import State


@dataclass(frozen=True, slots=True)
class Summary:
    """A trader at one moment.

    `gate` says why no entry could go out now, empty when one could. `open_profit` is in the instrument's currency at
    the newest candle's close, None when flat or where the average is not known. `confirmed_at` is when the broker
    last answered for the position.
    """

    session: int
    strategy: str
    contract: str
    position: Contracts
    average: Price | None
    open_profit: Money | None
    uncovered: Contracts
    orders: tuple[Order, ...]
    trading: TradingState
    gate: str
    closing: str
    alarms: dict[str, str]
    candles: int
    last_price: float | None
    market_at: Nanos
    confirmed_at: Nanos | None
    balance: Balance | None
    is_ready: bool


def summary(state: State, now: Nanos) -> Summary:
    """Return the trader as it is; changes nothing."""
    engine, candles = state.engine, state.strategy.candles
    newest = candles.partial or candles.newest
    return Summary(
        session=state.setup.session,
        strategy=state.setup.strategy.name,
        contract=state.setup.spec.contract,
        position=engine.holding.quantity,
        average=engine.holding.average,
        open_profit=_open_profit(state, newest.close) if newest is not None else None,
        uncovered=Contracts(uncovered(state)),
        orders=tuple(reversed(engine.open_orders)),
        trading=engine.trading,
        gate=closed_gate(state, now) or "",
        closing="" if engine.closing is None else f"{engine.closing.phase.value}: {engine.closing.reason}",
        alarms=dict(engine.alarms),
        candles=len(candles),
        last_price=None if newest is None else newest.close,
        market_at=state.strategy.market_at,
        confirmed_at=state.broker.position.known_at,
        balance=state.broker.balance,
        is_ready=state.strategy.is_warm and state.broker.has_orders and state.broker.has_position,
    )


def _open_profit(state: State, last: float) -> Money | None:
    holding, instrument = state.engine.holding, state.setup.instrument
    if not holding.quantity or holding.average is None:
        return None
    points = instrument.price(instrument.nearest(last)) - holding.average
    return Money(plain(points * holding.quantity * instrument.point_value))

"""A strategy in a test: the view of one moment, or a whole run over bars with every decision.

    run = StrategyRun(ThreeInARow(), count=2)
    assert run.over(candles([100, 101, 102])) == [NOTHING, NOTHING, SubmitBracket(...)]

The run checks arguments and decisions with the same functions as a trader, so that a return value that a trader would
count as a failed bar fails the test. It has no exchange and fills no order. The test itself sets `position`,
`average` and `orders` to the result of a decision, and goes on.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import instrument
from tradeproc.domain.orders import Order, OrderRole, OrderState, OrderType, Side
from tradeproc.domain.units import Contracts, Nanos, Price, Ticks
from tradeproc.market.candle_series import CandleSeries, Placement
from tradeproc.strategies.contract import AnyStrategy, Decision, View
from tradeproc.strategies.loading import build_arguments
from tradeproc.strategies.returned import read_return


def view(
    bars: Sequence[Candle] | CandleSeries,
    *,
    position: int = 0,
    orders: tuple[Order, ...] = (),
    opened_at: int | None = None,
    average: Decimal | None = None,
    root: str = "ES",
    quantity: int = 2,
) -> View:
    """Return the view right after the last of `bars` closed; an open position costs 100 points unless told otherwise.

    `opened_at` is when the exchange's session opened, UTC nanoseconds.
    """
    series = bars if isinstance(bars, CandleSeries) else CandleSeries(bars)
    known = Decimal(100) if average is None else average
    return View(
        candles=series,
        candle=series[-1],
        position=Contracts(position),
        average=Price(known) if position else None,
        orders=orders,
        instrument=instrument(root),
        market_at=series[-1].closed_at,
        quantity=Contracts(quantity),
        session_opened_at=None if opened_at is None else Nanos(opened_at),
    )


def stop_loss(
    side: Side, ticks: int, *, state: OrderState = OrderState.SUBMITTED, in_flight: str | None = None
) -> Order:
    """Return a protecting stop for two contracts at the broker; `ticks` is its price in ticks of the contract."""
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


class StrategyRun:
    """A strategy over bars, as a trader calls it; `decisions` has what it decided, one entry a closed bar.

    `position` (signed contracts), `average` (points), `orders` and `opened_at` (UTC nanoseconds) are what the next
    call sees; the test sets them.

    Raises:
        BadStrategy: the arguments are not those of the strategy, or not allowed.
    """

    def __init__(self, strategy: AnyStrategy, *, root: str = "ES", quantity: int = 2, **arguments: Any) -> None:
        self.strategy = strategy
        self.arguments = build_arguments(strategy, arguments)
        self.series = CandleSeries()
        self.decisions: list[Decision] = []
        self.position = 0
        self.average: Decimal | None = None
        self.orders: tuple[Order, ...] = ()
        self.opened_at: int | None = None
        self._root, self._quantity = root, quantity
        self._state: Any = strategy.start(self.arguments)

    def warm_up(self, bars: Iterable[Candle]) -> None:
        """Give bars of the past, as a trader fetches them before the first call; nothing is decided on them."""
        for bar in bars:
            self.series.add_or_replace(bar)

    def over(self, bars: Iterable[Candle]) -> list[Decision]:
        """Call the strategy on each bar that is closed and new, and return what it decided on these.

        Raises:
            BadReturn: it returned what the contract does not know; a trader counts such a bar as failed.
        """
        before = len(self.decisions)
        for bar in bars:
            if self.series.add_or_replace(bar) is Placement.ADDED:
                seen = view(
                    self.series,
                    position=self.position,
                    average=self.average,
                    orders=self.orders,
                    opened_at=self.opened_at,
                    root=self._root,
                    quantity=self._quantity,
                )
                returned = self.strategy.on_candle(seen, self._state, self.arguments)
                decision, self._state = read_return(returned)
                self.decisions.append(decision)
        return self.decisions[before:]

    def restart(self) -> None:
        """Begin with a fresh state, as after a restart of the trader; bars, position and orders stay."""
        self._state = self.strategy.start(self.arguments)

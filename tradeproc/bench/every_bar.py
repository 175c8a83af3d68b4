"""A strategy for the benchmark: sends an order with every candle, whose price tells the candle it belongs to."""

from dataclasses import dataclass

from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.strategies.contract import Decision, SubmitOrder, View

MINUTE = 60_000_000_000
FAR_BELOW = 1000.0
TICK = 0.25
KEYS = 8_000


class EveryBar:
    """Buy far below the market, immediate or cancel: never filled, never left working."""

    name = "every_bar"

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """Nothing can be set."""

    def warmup(self, arguments: Arguments) -> int:
        """Need nothing."""
        return 1

    def start(self, arguments: Arguments) -> None:
        """Keep nothing."""

    def on_candle(self, view: View, state: None, arguments: Arguments) -> tuple[Decision, None]:
        """Order."""
        price = price_of(view.candle.opened_at)
        limit, now_or_never = OrderType.LIMIT, TimeInForce.IOC
        return SubmitOrder(Side.BUY, view.quantity, type=limit, limit=price, time_in_force=now_or_never), None


def price_of(opened_at: int) -> float:
    """Return the price of the order that belongs to a candle; it repeats only after 8,000 minutes."""
    return FAR_BELOW + TICK * (opened_at // MINUTE % KEYS)

"""Strategy prices onto the tick grid, so that no price is worse for the strategy than the one it asked for.

    limit of any order       a buy rounds down, a sell up: never paid more, never sold for less
    stop of an entry         away from the market: a buy stop up, a sell stop down
    stop that protects       towards the market, so that the loss is never larger than intended: a sell stop (under
                             a long position) up, a buy stop down

An entry stop that buys and a protective stop that buys round to different sides: the role decides, not the type.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from tradeproc.domain.orders import OrderRole, Side
from tradeproc.domain.units import Ticks
from tradeproc.errors import Refusal

_NOISE = Decimal("0.000001")
# far above every price; ticks beyond it fit into neither a message nor a column
_MOST = Decimal(10**9)


class NoPrice(Refusal):
    """A strategy's price that cannot be one (not finite, or beyond any market's); caught where its decision is read.

    Zero and negative prices are prices: crude oil settled at -37.63 on 2020-04-20, spreads are often negative.
    """

    def __init__(self, price: float | Decimal) -> None:
        self.price = price
        super().__init__(f"{price} is no price")


def limit_ticks(price: float | Decimal, side: Side, tick_size: Decimal) -> Ticks:
    """Return a limit price in ticks.

    Raises:
        NoPrice: not finite, or beyond any market's.
    """
    return _rounded(price, tick_size, is_up=side is Side.SELL)


def stop_ticks(price: float | Decimal, side: Side, role: OrderRole, tick_size: Decimal) -> Ticks:
    """Return a stop price in ticks; an `ENTRY` rounds away from the market, everything else towards it.

    Raises:
        NoPrice: not finite, or beyond any market's.
    """
    away = side is Side.BUY
    return _rounded(price, tick_size, is_up=away if role is OrderRole.ENTRY else not away)


def _rounded(price: float | Decimal, tick_size: Decimal, *, is_up: bool) -> Ticks:
    exact = price if isinstance(price, Decimal) else Decimal(repr(float(price)))
    if not exact.is_finite() or abs(exact) > _MOST:
        raise NoPrice(price)
    ticks = exact / tick_size
    nearest = ticks.to_integral_value()
    # 4800.250000000001 is what floats make of 4800.25: not a wish for the next tick
    if abs(ticks - nearest) < _NOISE:
        return Ticks(int(nearest))
    return Ticks(int(ticks.to_integral_value(ROUND_CEILING if is_up else ROUND_FLOOR)))

"""Units as types: one line of meaning each, and the few functions that convert between them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, NewType

from msgspec import Meta

from tradeproc.errors import Refusal

Contracts = NewType("Contracts", int)
"""Number of futures contracts; orders and fills carry it positive, positions signed (+ long, - short)."""

Quantity = Annotated[Contracts, Meta(ge=1)]
"""A number of contracts that is ordered or traded: at least one; messages with fewer are refused."""

Filled = Annotated[Contracts, Meta(ge=0)]
"""A number of contracts that may be none, but never negative; messages with fewer are refused."""

Count = Annotated[int, Meta(ge=0)]
"""A count of anything; messages with a negative one are refused."""

Times = NewType("Times", int)
"""How often something may happen."""

Ticks = NewType("Ticks", int)
"""A price as a whole number of the instrument's ticks: price = ticks x tick size."""

Price = NewType("Price", Decimal)
"""A price in points as the exchange writes it; on the tick grid, except averages."""

Money = NewType("Money", Decimal)
"""An amount of money; its currency is in a field beside it. Losses are negative. It is not rounded to cents."""

WholeMoney = NewType("WholeMoney", int)
"""An amount of money in whole units of the instrument's currency, as a person writes a limit."""

Minutes = NewType("Minutes", int)
"""A duration in minutes, as a person writes it."""

Nanos = NewType("Nanos", int)
"""A moment: nanoseconds since 1970-01-01 UTC. Durations are also nanoseconds."""

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


class OffGrid(Refusal):
    """A price that is not a whole number of ticks; caught where the price came in."""

    def __init__(self, price: Decimal, tick_size: Decimal) -> None:
        self.price, self.tick_size = price, tick_size
        super().__init__(f"price {price} is not on the tick grid of {tick_size}")


def to_ticks(price: Decimal, tick_size: Decimal) -> Ticks:
    """Return `price` in whole ticks.

    Raises:
        OffGrid: the price lies between two ticks.
    """
    ticks = price / tick_size
    if ticks != ticks.to_integral_value():
        raise OffGrid(price, tick_size)
    return Ticks(int(ticks))


def nearest_ticks(price: float | Decimal, tick_size: Decimal) -> Ticks:
    """Return the tick nearest to a price that a strategy computed in floats."""
    return Ticks(int((decimal_of(price) / tick_size).to_integral_value()))


def decimal_of(number: float | Decimal) -> Decimal:
    """Return a number with the digits of its text; numpy's scalars are accepted too."""
    if isinstance(number, Decimal | int):
        return Decimal(number)
    # numpy's float64 is a subclass of float, and its own repr contains the name of its type
    return Decimal(float.__repr__(number) if isinstance(number, float) else str(number))


def to_price(ticks: int, tick_size: Decimal) -> Price:
    """Return the price of a whole number of ticks, without padding zeros and never in exponent form."""
    return Price(plain(tick_size * ticks))


def plain(value: Decimal) -> Decimal:
    """Return the same number without trailing zeros and without an exponent (12E+1 becomes 120)."""
    value = value.normalize()
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value


def iso(at: int) -> str:
    """Return a UTC moment as RFC 3339 text with whole seconds, the form brokers use on the wire."""
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_iso(text: str) -> Nanos:
    """Return the moment that an RFC 3339 text names.

    Raises:
        ValueError: the text is no time, or it has no zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time without a zone: {text!r}")
    whole = int(moment.replace(microsecond=0).timestamp())
    return Nanos(whole * SECOND + moment.microsecond * 1000)

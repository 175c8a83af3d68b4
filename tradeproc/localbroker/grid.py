"""Converts between points and ticks: a wire, the books and a tape have points, the exchange has ticks."""

from decimal import Decimal
from fractions import Fraction

from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.units import Price, Ticks, plain


def on_grid(price: Decimal, contract: str) -> Ticks:
    """Return a price of a contract in whole ticks.

    Raises:
        OffGrid: the price lies between two ticks.
    """
    return instrument_of(contract).ticks(price)


def to_points(ticks: Fraction | int, contract: str) -> Price:
    """Return a price, or a sum of prices, in points; an average whose decimals do not end is rounded to 28 digits."""
    exact = instrument_of(contract).tick_size * ticks.numerator
    return Price(plain(exact if ticks.denominator == 1 else exact / ticks.denominator))

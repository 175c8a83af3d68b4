"""Prices onto the tick grid, also where a vendor rounded: 109.28125 is written 109.2812 by many."""

from decimal import Decimal

import numpy as np
import numpy.typing as npt

from tradeproc.domain.instruments import Instrument
from tradeproc.market.tape_files.cells import Integers
from tradeproc.market.tape_files.columns import Prices

# in ticks: the error that reading a decimal into a float may cause
_FLOAT_ERROR = 1e-4
# ticks of 1/32 and finer have at least so many decimals; only prices on such ticks are rounded by vendors
_LONG_FRACTION = 5


def on_grid(prices: Prices, product: Instrument) -> tuple[npt.NDArray[np.float64], Integers]:
    """Return prices on the grid, and the rows of those that do not lie on it.

    A price that is written with fewer decimals than its tick needs was rounded or cut. It is taken for the tick it
    came from, if its decimals leave only one.
    """
    tick = product.tick_size
    step = float(tick)
    ticks = np.round(prices.values / step)
    error = np.abs(prices.values / step - ticks)
    allowed = np.full(len(error), _FLOAT_ERROR)
    needed = _decimals(tick)
    for written in np.unique(prices.decimals).tolist():
        last_place = 10.0 ** -min(written, 20)
        if _LONG_FRACTION <= needed > written and last_place <= step / 2:
            allowed[prices.decimals == written] = last_place / step
    # the float nearest to the decimal, as if it had been written in full; and no negative zero
    return np.asarray(np.round(ticks * step, needed) + 0.0), np.flatnonzero(error > allowed)


def _decimals(tick: Decimal) -> int:
    exponent = tick.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0

"""Ticks and candles (bars) as values; `market/bars.py` assembles candles, `market/candle_series.py` keeps them."""

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Contracts, Count, Nanos


@dataclass(frozen=True, slots=True)
class Tick:
    """One trade on the exchange; `side` is the aggressor: B buy, A sell, N none."""

    at: Nanos
    price: float
    size: Contracts
    side: str = "N"


@dataclass(slots=True)
class Candle:
    """A bar. Mutable only while it is the live bar of a builder.

    `opened_at` is the key: the aligned start of a time bar; for tick and volume bars the time of the first
    tick. `closed_at` is the scheduled end of a time bar, the last tick's time of the others. Prices are
    float64 points, `volume` contracts, `ticks` the number of trades. `is_closed` is False for a partial candle.
    """

    opened_at: Nanos
    closed_at: Nanos
    open: float
    high: float
    low: float
    close: float
    volume: Count
    ticks: Count
    is_closed: bool = True

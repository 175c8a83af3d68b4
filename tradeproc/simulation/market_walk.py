"""The market of a simulated life: trades of a random walk or of a real tape, and the bars that they make.

A bar lasts a third of the minute that the sessions ask for, so that a strategy decides three times as often: no part
of the engine counts on a bar's length, and what a life costs is its time.
"""

import random
from collections.abc import Callable, Sequence

from tradeproc.domain.candles import Candle
from tradeproc.domain.units import SECOND, Contracts, Nanos
from tradeproc.simulation.agenda import Agenda
from tradeproc.simulation.venue import SimulatedVenue

BAR = 20 * SECOND
HISTORY = 3
_STEP = 3.0
"""How far the price walks from one trade to the next, as a standard deviation in ticks."""
_TELL_FORMING = 3 * SECOND


class MarketWalk:
    """Trades at the venue, one every few seconds, and bars for whoever listens.

    `steps` are the price changes of a tape in ticks, one a trade; without them the walk is random.
    """

    def __init__(
        self,
        agenda: Agenda,
        venue: SimulatedVenue,
        chance: random.Random,
        tell: Callable[[Candle], None],
        *,
        pace: float,
        steps: Sequence[int] = (),
    ) -> None:
        self._agenda, self._venue, self._chance, self._tell = agenda, venue, chance, tell
        self._pace, self._steps, self._at_step = pace, steps, 0
        self._tick = float(venue.instrument.tick_size)
        self.closed: list[Candle] = []
        first = agenda.truth // BAR * BAR
        for number in range(HISTORY, 0, -1):
            price = venue.last * self._tick
            self.closed.append(_candle(Nanos(first - number * BAR), price))
        self.forming = _candle(Nanos(first), venue.last * self._tick)
        self._told_at = 0
        self.watchers: list[Callable[[int], None]] = []
        """Who wants to know of each trade's price, after the venue."""
        agenda.after(0, self._trade)
        agenda.after(first + BAR - agenda.truth, self._close)

    def gap(self, ticks: int) -> None:
        """Let the price jump."""
        self._at(self._venue.last + ticks)

    def _trade(self) -> None:
        self._agenda.after(int(self._chance.expovariate(1 / self._pace) * SECOND) + 1, self._trade)
        if self._steps:
            step = self._steps[self._at_step % len(self._steps)]
            self._at_step += 1
        else:
            step = int(self._chance.gauss(0, _STEP))
        self._at(self._venue.last + step)

    def _at(self, price: int) -> None:
        self._venue.trade(price, self._chance.choice((1, 1, 2, 5, 20)))
        for watcher in self.watchers:
            watcher(price)
        points, candle = price * self._tick, self.forming
        candle.high, candle.low, candle.close = max(candle.high, points), min(candle.low, points), points
        candle.volume += 1
        candle.ticks += 1
        if self._agenda.now - self._told_at >= _TELL_FORMING:
            self._told_at = self._agenda.now
            self._tell(_copy(candle, is_closed=False))

    def _close(self) -> None:
        closed = _copy(self.forming, is_closed=True)
        self.closed.append(closed)
        self.forming = _candle(closed.closed_at, closed.close)
        self._agenda.after(BAR, self._close)
        self._tell(closed)


def _candle(opened_at: Nanos, price: float) -> Candle:
    return Candle(opened_at, Nanos(opened_at + BAR), price, price, price, price, Contracts(1), 1, is_closed=True)


def shifted(candle: Candle, points: float) -> Candle:
    """Return the same bar so many points higher."""
    return Candle(
        candle.opened_at,
        candle.closed_at,
        candle.open + points,
        candle.high + points,
        candle.low + points,
        candle.close + points,
        candle.volume,
        candle.ticks,
        candle.is_closed,
    )


def _copy(candle: Candle, *, is_closed: bool) -> Candle:
    return Candle(
        candle.opened_at,
        candle.closed_at,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.ticks,
        is_closed,
    )

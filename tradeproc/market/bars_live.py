"""Ticks into bars, one tick at a time; the forming bar is a `Candle`. Makes the same bars as `bars.bars_of`."""

from tradeproc.domain.candles import Candle, Tick
from tradeproc.domain.market_hours import MarketHours
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.market.bars import BarRule, TickBars, TimeBars, edges_of


class BarBuilder:
    """Assembles the bars of one contract and one rule.

    `add` and `advance` return closed candles first, which never change again, then the forming one. The forming
    candle belongs to the builder, which changes it with the next tick: send it or copy it at once.
    """

    __slots__ = ("_begin", "_end", "_hours", "_last_opened_at", "_length", "_now", "_rule", "_volume", "live")

    def __init__(self, rule: BarRule, hours: MarketHours) -> None:
        self._rule, self._hours = rule, hours
        self._length = rule.seconds * SECOND if isinstance(rule, TimeBars) else 0
        self._begin = self._end = self._now = Nanos(0)
        self._last_opened_at = Nanos(-1)
        self._volume = 0
        self.live: Candle | None = None

    def add(self, tick: Tick) -> list[Candle]:
        """Take a tick and return the candle that its time closed, if any, then the candle that holds the tick."""
        changed = self.advance(tick.at) if tick.at > self._now else []
        if self._now >= self._end:
            self._enter_stretch()
        bar = self.live
        if bar is None:
            bar = self.live = self._open(tick)
        else:
            price = tick.price
            bar.close = price
            if price > bar.high:
                bar.high = price
            elif price < bar.low:
                bar.low = price
            bar.volume += tick.size
            bar.ticks += 1
        changed.append(bar)
        if not self._length:
            self._after_trade(bar, tick.size)
        return changed

    def advance(self, now: Nanos) -> list[Candle]:
        """Advance the time without a tick, and return the candle that closes by it, if any.

        A later tick with an earlier stamp counts at `now`.
        """
        self._now = max(self._now, now)
        bar = self.live
        if bar is None or self._now < (bar.closed_at if self._length else self._end):
            return []
        bar.is_closed, self.live = True, None
        return [bar]

    def _enter_stretch(self) -> None:
        self._begin, self._end, *_ = edges_of(self._rule, self._hours, self._now, self._now)
        self._volume = 0

    def _open(self, tick: Tick) -> Candle:
        if self._length:
            opened_at = Nanos(self._begin + (self._now - self._begin) // self._length * self._length)
            closed_at = Nanos(min(opened_at + self._length, self._end))
        else:
            opened_at = closed_at = Nanos(max(self._now, self._last_opened_at + 1))
            self._last_opened_at = opened_at
        price = tick.price
        return Candle(opened_at, closed_at, price, price, price, price, tick.size, 1, is_closed=False)

    def _after_trade(self, bar: Candle, size: int) -> None:
        """Stamp a tick or volume bar, and close it when it is full."""
        bar.closed_at = max(self._now, bar.opened_at)
        before = self._volume
        self._volume += size
        rule = self._rule
        if isinstance(rule, TickBars):
            is_full = bar.ticks == rule.count
        elif isinstance(rule, TimeBars):
            return
        else:
            is_full = self._volume // rule.contracts > before // rule.contracts
        if is_full:
            bar.is_closed, self.live = True, None

"""What a session has made, from its fills: realized and open profit in the instrument's currency, before fees."""

from collections.abc import Iterable
from decimal import Decimal

from tradeproc.domain.book import Fill, FillKind
from tradeproc.domain.fills import standing
from tradeproc.domain.units import Money
from tradeproc.engine.state import Holding
from tradeproc.engine.turn import after_fill


class SessionProfit:
    """The cash that the fills moved: together with the position's worth at the last price it is the whole profit.

    Every change of the position is a fill, also one by no order of ours, so the same fills give the same profit
    after each restart. A fill that the broker took back counts as if it had never been. Contracts that were closed
    without a known price make what is realized unknown.
    """

    def __init__(self, point_value: Money, fills: Iterable[Fill] = ()) -> None:
        self._point_value = point_value
        self._fills: list[Fill] = []
        self._count_all(standing(fills))

    def _count_all(self, fills: Iterable[Fill]) -> None:
        self._fills.clear()
        self._cash = Decimal(0)
        self._is_known = True
        self.held = Holding()
        for fill in fills:
            self._count(fill)

    @property
    def fills(self) -> int:
        """Return how many fills stand."""
        return len(self._fills)

    def add(self, fill: Fill) -> None:
        """Count a fill, or count all again without one that was taken back."""
        if fill.kind is FillKind.REVERSAL:
            self._count_all(standing([*self._fills, fill]))
        else:
            self._count(fill)

    def _count(self, fill: Fill) -> None:
        before, after = self.held, after_fill(self.held, fill)
        if fill.price is not None and (before.quantity == 0 or before.average is not None):
            self._cash -= fill.side.sign * fill.quantity * fill.price
        else:
            # a price is not known: to open contracts realizes nothing, and what closing them realizes is unknown
            self._is_known = self._is_known and before.quantity * fill.side.sign >= 0
            self._cash += _cost(before) - _cost(after)
        self.held = after
        self._fills.append(fill)

    def unrealized(self, last: float) -> Money | None:
        """Return what the open position would make at the last price, None when its own price is unknown."""
        if self.held.quantity == 0:
            return Money(Decimal(0))
        if self.held.average is None:
            return None
        return Money(self.held.quantity * (Decimal(repr(last)) - self.held.average) * self._point_value)

    @property
    def realized(self) -> Money | None:
        """Return what closed contracts made, None when a price is unknown."""
        if not self._is_known:
            return None
        return Money((self._cash + _cost(self.held)) * self._point_value)


def _cost(held: Holding) -> Decimal:
    return Decimal(0) if held.average is None else held.quantity * held.average

"""What a session has made, from its fills: realized and open profit in the instrument's currency, before fees."""

from collections.abc import Iterable
from decimal import Decimal

from tradeproc.domain.book import Fill, Position
from tradeproc.domain.units import Money
from tradeproc.engine.state import Holding
from tradeproc.engine.turn import after_fill


class Tally:
    """Cash that moved with the fills; with the position at the last price it is the whole profit.

    A position taken over from the broker came without a fill: it counts as bought at its average.
    """

    def __init__(self, point_value: Money, fills: Iterable[Fill] = ()) -> None:
        self._point_value = point_value
        self._cash = Decimal(0)
        self._held = Holding()
        self.fills = 0
        for fill in fills:
            self.add(fill)

    def add(self, fill: Fill) -> None:
        """Count a fill."""
        self._cash -= fill.side.sign * fill.quantity * fill.price
        self._held = after_fill(self._held, fill)
        self.fills += 1

    def settle(self, position: Position) -> None:
        """Take over the position that stands, which may have come without a fill; nothing is realized by it."""
        told = Holding(position.quantity, position.average)
        self._cash += _cost(self._held) - _cost(told)
        self._held = told

    def unrealized(self, position: Position, last: float) -> Money:
        """Return what the open position would make at the last price."""
        if position.average is None:
            return Money(Decimal(0))
        return Money(position.quantity * (Decimal(repr(last)) - position.average) * self._point_value)

    def realized(self, position: Position) -> Money:
        """Return what closed contracts made."""
        held = _cost(Holding(position.quantity, position.average))
        return Money((self._cash + held) * self._point_value)


def _cost(held: Holding) -> Decimal:
    return Decimal(0) if held.average is None else held.quantity * held.average

"""What a session has made, from its fills: realized and open profit in the instrument's currency, before fees."""

from collections.abc import Iterable
from decimal import Decimal

from tradeproc.domain.book import Fill, Position
from tradeproc.domain.units import Money


class Tally:
    """Cash that moved with the fills; with the position at the last price it is the whole profit."""

    def __init__(self, point_value: Money, fills: Iterable[Fill] = ()) -> None:
        self._point_value = point_value
        self._cash = Decimal(0)
        self.fills = 0
        for fill in fills:
            self.add(fill)

    def add(self, fill: Fill) -> None:
        """Count a fill."""
        self._cash -= fill.side.sign * fill.quantity * fill.price
        self.fills += 1

    def unrealized(self, position: Position, last: float) -> Money:
        """Return what the open position would make at the last price."""
        if position.average is None:
            return Money(Decimal(0))
        return Money(position.quantity * (Decimal(repr(last)) - position.average) * self._point_value)

    def realized(self, position: Position) -> Money:
        """Return what closed contracts made."""
        held = Decimal(0) if position.average is None else position.quantity * position.average
        return Money((self._cash + held) * self._point_value)

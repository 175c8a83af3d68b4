"""Which of a list of fills are valid: those that the broker took back are left out."""

from collections.abc import Iterable
from dataclasses import replace

from tradeproc.domain.book import Fill, FillKind
from tradeproc.domain.units import Contracts


def standing(fills: Iterable[Fill]) -> list[Fill]:
    """Return the fills without reversed ones and reversals; a reversal undoes the order's newest fill first."""
    kept: list[Fill] = []
    for fill in fills:
        if fill.kind is not FillKind.REVERSAL:
            kept.append(fill)
            continue
        left: int = fill.quantity
        for at in range(len(kept) - 1, -1, -1):
            undone = kept[at]
            if left and undone.order_id == fill.order_id:
                taken = min(left, undone.quantity)
                left -= taken
                kept[at] = replace(undone, quantity=Contracts(undone.quantity - taken))
        kept = [each for each in kept if each.quantity]
    return kept

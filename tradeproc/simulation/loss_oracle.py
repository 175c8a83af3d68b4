"""What a session lost, counted from its fills one contract at a time, by other means than the engine's.

Only what is certain counts: fills of ours at known prices, closed, in a life in which no person has resumed trading.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

from tradeproc.domain.book import FillKind
from tradeproc.engine.latched_by import LIMIT
from tradeproc.protocol import scopes

if TYPE_CHECKING:
    from tradeproc.simulation.seat import Seat

_POINT = Decimal(50)


def reached(seat: "Seat") -> str:
    """Return which loss limit a flat session has reached, empty when none or when that cannot be said."""
    limits, fills = seat.spec.limits, list(seat.rows.fills.values())
    is_plain = all(fill.kind is FillKind.OWN and fill.price is not None for fill in fills)
    if not limits.watch_losses or seat.had_resume or seat.rows.journal or not is_plain:
        return ""
    cash = began = peak = Decimal(0)
    held = losses = 0
    for fill in fills:
        for _ in range(fill.quantity):
            cash -= fill.side.sign * (fill.price or 0) * _POINT
            held += fill.side.sign
            if held == 0:
                losses = losses + 1 if cash < began else losses if cash == began else 0
                began, peak = cash, max(peak, cash)
    if held:
        return ""
    if limits.max_daily_loss is not None and -cash >= limits.max_daily_loss:
        return f"{-cash} are lost, max_daily_loss is {limits.max_daily_loss}"
    if limits.max_drawdown is not None and peak - cash >= limits.max_drawdown:
        return f"{peak - cash} are lost from the peak, max_drawdown is {limits.max_drawdown}"
    is_latching = limits.max_losses_in_row is not None and limits.cool_down_minutes is None
    if is_latching and losses >= (limits.max_losses_in_row or 0):
        return f"{losses} round trips in a row lost, max_losses_in_row is {limits.max_losses_in_row}"
    return ""


def is_latched(seat: "Seat") -> bool:
    """Tell whether a loss limit has latched the session and nobody has resumed it.

    A latch beneath a person's stored halt has no row of its own, because that halt closes more. It counts too.
    """
    scope = scopes.of_session(seat.number + 1)
    beneath = seat.rows.beneath.get(scope)
    return bool(seat.limit_latch(scope, LIMIT)[1]) or (beneath is not None and beneath.by == LIMIT)

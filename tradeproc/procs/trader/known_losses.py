"""What the database knows of a session's losses when its trader begins."""

from collections.abc import Sequence

from tradeproc.domain.book import Fill
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.units import Nanos
from tradeproc.engine import remembered
from tradeproc.engine.latched_by import LIMIT
from tradeproc.engine.loss_watch import KnownLosses
from tradeproc.protocol import scopes
from tradeproc.store.rows import SessionRow
from tradeproc.store.store import Store


def known_losses(store: Store, row: SessionRow, fills: Sequence[Fill], now: Nanos) -> KnownLosses:
    """Return the tally of all fills and of those before the present market day, the marks, and what a person lifted.

    Raises:
        DatabaseDown: it is away.
    """
    scope = scopes.of_session(row.id)
    return remembered.known_losses(
        fills,
        store.loss_marks(row.id),
        market_hours(row.spec.calendar).day_at(now),
        rearmed_at=store.lifted_at(scope, LIMIT),
        latched=store.latched_by(scope, LIMIT) or "",
    )

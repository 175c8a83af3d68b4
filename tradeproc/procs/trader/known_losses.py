"""What the database knows of a session's losses when its trader begins."""

from collections.abc import Sequence

from tradeproc.domain.book import Fill
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.tally import NEVER, tally_of
from tradeproc.domain.units import Nanos
from tradeproc.engine.loss_limits import LIMIT
from tradeproc.engine.loss_watch import KnownLosses
from tradeproc.protocol import scopes
from tradeproc.store.rows import SessionRow
from tradeproc.store.store import Store


def known_losses(store: Store, row: SessionRow, fills: Sequence[Fill], now: Nanos) -> KnownLosses:
    """Return the tally of all fills and of those before the present market day, the marks, and what a person lifted.

    Raises:
        DatabaseDown: it is away.
    """
    scope, marks = scopes.of_session(row.id), store.loss_marks(row.id)
    day = market_hours(row.spec.calendar).day_at(now)
    armed_at = NEVER if marks is None else marks.armed_at
    earlier = [fill for fill in fills if day is not None and fill.at < day.opened_at]
    return KnownLosses(
        tally=tally_of(fills, armed_at),
        before_day=tally_of(earlier, armed_at),
        marks=marks,
        rearmed_at=store.lifted_at(scope, LIMIT),
        latched=store.latched_by(scope, LIMIT) or "",
    )

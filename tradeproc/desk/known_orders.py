"""Which orders of a session a kill switch knows: from the database, or while it is away, from the session's journal.

Nothing that stands there may end a kill switch. Rows that the database refuses to tell are as unknown as those of a
database that is away, and a line of the journal that another version wrote is counted and left for its replay.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from tradeproc.desk.claim import Claim
from tradeproc.domain.orders import Order
from tradeproc.errors import Refusal
from tradeproc.store.columns import value_of
from tradeproc.store.database import DatabaseDown
from tradeproc.store.journal import Journal, read_line

_NEWEST = 200


@dataclass(frozen=True, slots=True)
class KnownOrders:
    """A session's orders by our ids, and why some may be missing.

    `is_told` is False where no database has told them. `unread` counts lines of the journal that may hold orders
    and cannot be read.
    """

    orders: Mapping[str, Order]
    is_told: bool
    unread: int = 0


def known_orders(claim: Claim) -> KnownOrders:
    """Return the orders of a claimed session that can still fill, and its newest ended ones.

    Without the database only those that this kill switch, or one before it, has left in the journal are known.

    Raises:
        OSError: the journal cannot be read.
    """
    if claim.store is not None:
        try:
            newest = claim.store.orders(claim.known.id, limit=_NEWEST)
            still_open = claim.store.open_orders(claim.known.id)
            return KnownOrders({each.id: each for each in (*still_open, *newest)}, is_told=True)
        except (DatabaseDown, Refusal):
            pass
    return _journalled(claim.journal)


def _journalled(journal: Journal) -> KnownOrders:
    found: dict[str, Order] = {}
    unread = 0
    for line in journal.path.read_bytes().splitlines():
        orders = _orders_of(line)
        if orders is None:
            unread += 1
        else:
            found |= {each.id: each for each in orders}
    return KnownOrders(found, is_told=False, unread=unread)


def _orders_of(line: bytes) -> list[Order] | None:
    """Return the orders that a line of a journal holds, None for a line that cannot be read."""
    write = read_line(line)
    if write is None:
        return None
    if write.statement != "save_orders":
        return []
    try:
        return [value_of(Order, row) for row in orjson.loads(write.parameters["orders"])]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # columns or words of another version
        return None

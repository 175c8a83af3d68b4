"""What a trader writes, but for entries and decisions, as plain values: the name of a statement and its parameters.

The same value goes into the database or, while that is down, into the journal; all of them can be repeated. Each
holds JSON values only (Decimals as text), so a journal line is the write itself.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from tradeproc.domain.book import Balance, Divergence, Fill
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import Order, OrderEvent
from tradeproc.domain.roll_steps import Roll
from tradeproc.domain.roll_volumes import RollVolume
from tradeproc.domain.tally import LossMarks
from tradeproc.domain.texts import storable_value
from tradeproc.domain.units import Nanos
from tradeproc.protocol.names import ProcessName
from tradeproc.store.columns import Values, row_of
from tradeproc.store.rows import Latch, PositionRow

# as JSON writes it; a text that holds these six characters itself is cleaned without need
NUL = b"\\u0000"


@dataclass(frozen=True, slots=True)
class Write:
    """One statement of `queries/*.sql` with its parameters."""

    statement: str
    parameters: Values

    def without_fence(self) -> "Write":
        """Return the same write without a fence, as a journal keeps it: what has happened is written in any case."""
        return Write(self.statement, {**self.parameters, "fence": None}) if "fence" in self.parameters else self


def orders_write(
    orders: Sequence[Order], events: Sequence[OrderEvent], fills: Sequence[Fill] = (), *, fence: int
) -> Write:
    """Return the write of orders of one session with the events and fills that belong to them, at least one of them.

    `fence` is that of the lease under which they are written.
    """
    return Write(
        "save_orders",
        {
            "session": orders[0].session if orders else fills[0].session,
            "fence": fence,
            "orders": packed([_order(order) for order in orders]).decode(),
            "events": packed([_event(event) for event in events]).decode(),
            "fills": packed([row_of(fill) for fill in fills]).decode(),
        },
    )


def entry_values(
    orders: Sequence[Order], events: Sequence[OrderEvent], *, fence: int
) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the parameters of `enter_orders`; an entry is never journalled, so this is no `Write`."""
    return (
        b"%d" % orders[0].session,
        b"%d" % fence,
        packed([_order(order) for order in orders]),
        packed([_event(event) for event in events]),
    )


def position_write(position: PositionRow) -> Write:
    """Return the write of a position; nothing is kept when it is what the database knows."""
    return Write("save_position", row_of(position))


def balance_write(balance: Balance) -> Write:
    """Return the write of a balance; nothing is kept when it is what the database knows."""
    return Write("save_balance", row_of(balance))


def loss_marks_write(marks: LossMarks) -> Write:
    """Return the write of a session's loss marks, over those before unless they are older."""
    return Write("save_loss_marks", row_of(marks))


def divergence_write(divergence: Divergence) -> Write:
    """Return the write of a divergence; told twice it is kept once."""
    return Write("save_divergence", row_of(divergence))


def divergences_closed_write(session: int, kind: str | None, subject: str | None, at: Nanos) -> Write:
    """Return the write that closes the open divergences of a session, of one kind or about one subject if given."""
    return Write("close_divergences", {"session": session, "kind": kind, "subject": subject, "at": at})


def alarm_write(session: int | None, name: str, detail: str, at: Nanos, who: ProcessName) -> Write:
    """Return the write of an alarm that `who` raised about a session, or about the host (None)."""
    return Write("save_alarm", {"session": session, "name": name, "detail": detail, "at": at, "who": str(who)})


def alarms_cleared_write(session: int | None, name: str | None, at: Nanos) -> Write:
    """Return the write that clears the standing alarms of a session or of the host, of one name if given."""
    return Write("clear_alarms", {"session": session, "name": name, "at": at})


def roll_write(roll: Roll, *, fence: int | None = None) -> Write:
    """Return the write of a roll's step; one that changes the session's contract carries the lease's `fence`."""
    return Write("save_roll", {**row_of(roll), "fence": fence})


def roll_volume_write(volume: RollVolume) -> Write:
    """Return the write of what two contracts traded on a day."""
    return Write("save_roll_volume", row_of(volume))


def latch_write(latch: Latch) -> Write:
    """Return the write of a latch that closes a scope which stands open; one that is closed stays as it is.

    Told twice it is closed once, also when a person has opened it meanwhile.
    """
    return Write("trip_latch", row_of(latch))


def packed(value: object, option: int = 0) -> bytes:
    """Return a value as JSON that PostgreSQL takes, its texts made storable where they are not.

    A number that JSON cannot hold becomes a text: the journal takes it, and the database refuses it.
    """
    try:
        plain = orjson.dumps(value, option=option)
    except TypeError:
        return orjson.dumps(_digits(storable_value(value)), option=option)
    return orjson.dumps(storable_value(value), option=option) if NUL in plain else plain


def _digits(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _digits(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_digits(each) for each in value]
    return str(value) if isinstance(value, int) and value.bit_length() > 63 else value


def _order(order: Order) -> Values:
    row, product = row_of(order), instrument_of(order.contract)
    for name, ticks in (("limit_price", order.limit), ("stop_price", order.stop)):
        row[name] = None if ticks is None else format(product.price(ticks), "f")
    return row


def _event(event: OrderEvent) -> Values:
    row = row_of(event)
    digest = hashlib.blake2b(packed(row, orjson.OPT_SORT_KEYS), digest_size=8).digest()
    return {**row, "fingerprint": int.from_bytes(digest, "big", signed=True)}

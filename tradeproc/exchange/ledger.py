"""The complete ledger: every request that arrived, every change of an order, every fill. Append-only.

Records are JSON-able dicts with `kind`, `at` (wall ns), `market_at` (market ns) and

    request   call (place, replace, cancel), account, order_ids, confirm_ids, accepted, reason, details
    order     revision, what, order {all fields of the order after the change}
    fill      revision, id, order_id, account, contract, side, quantity, price, cumulative
    clock     speed, paused
    opened    tape, accounts, continued, and the pace: speed, paused, configured_speed

Quantities are ints, prices decimal texts. A test compares the database with `fills()`, `orders()`, `requests()`.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tradeproc.domain.forms import COUNT, DECIMAL, FLAG, TEXT, WHOLE, Form, Shape, one_of, or_none
from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.domain.units import plain
from tradeproc.exchange.orders import (
    ExchangeFill,
    ExchangeOrder,
    GroupKind,
    Moment,
    OrderStatus,
    Replacement,
    TicketGroup,
    What,
)

Record = dict[str, Any]

_SIDE = one_of(Side)
_PRICE = Form(lambda price: str(plain(price)), DECIMAL.read)

ORDER = Shape(
    ExchangeOrder,
    "order of the ledger",
    {
        "id": TEXT,
        "account": TEXT,
        "contract": TEXT,
        "side": _SIDE,
        "quantity": COUNT,
        "type": one_of(OrderType),
        "limit": or_none(_PRICE),
        "stop": or_none(_PRICE),
        "time_in_force": one_of(TimeInForce),
        "confirm_id": TEXT,
        "status": one_of(OrderStatus),
        "opened_at": WHOLE,
        "released": COUNT,
        "filled": COUNT,
        "value": _PRICE,
        "triggered": FLAG,
        "group": TEXT,
        "group_kind": one_of(GroupKind),
        "parent": or_none(TEXT),
        "closed_at": or_none(WHOLE),
        "reason": TEXT,
        "is_extended": FLAG,
    },
)
FILL = Shape(
    ExchangeFill,
    "fill of the ledger",
    {
        "id": COUNT,
        "order_id": TEXT,
        "account": TEXT,
        "contract": TEXT,
        "side": _SIDE,
        "quantity": COUNT,
        "price": _PRICE,
        "cumulative": COUNT,
        "at": WHOLE,
        "market_at": WHOLE,
    },
)


class Ledger:
    """All records so far, in order; `take_new` hands out those that the journal has not seen."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._taken = 0

    def append(self, record: Record) -> None:
        """Add a record."""
        self.records.append(record)

    def load(self, records: Iterable[Record]) -> None:
        """Add records that the journal has already."""
        self.records.extend(records)
        self._taken = len(self.records)

    def take_new(self) -> list[Record]:
        """Return the records since the last call."""
        new = self.records[self._taken :]
        self._taken = len(self.records)
        return new

    def requests(self) -> list[Record]:
        """Return every request that arrived, accepted or not."""
        return self.of_kind("request")

    def fills(self) -> list[Record]:
        """Return every fill."""
        return self.of_kind("fill")

    def orders(self) -> list[Record]:
        """Return each order as it stands now, oldest first."""
        return list({record["order"]["id"]: record["order"] for record in self.of_kind("order")}.values())

    def of_kind(self, kind: str) -> list[Record]:
        """Return the records of a kind."""
        return [record for record in self.records if record["kind"] == kind]


def request_record(
    call: str,
    account: str,
    now: Moment,
    *,
    order_ids: list[str],
    confirm_ids: list[str],
    reason: str,
    details: Record,
) -> Record:
    """Return the record of a request; an empty `reason` means that it was accepted."""
    return {
        "kind": "request",
        "call": call,
        "account": account,
        "order_ids": order_ids,
        "confirm_ids": confirm_ids,
        "accepted": not reason,
        "reason": reason,
        "details": details,
        "at": now.wall,
        "market_at": now.market,
    }


def ticket_details(group: TicketGroup) -> Record:
    """Return what a placement asked for."""
    return {
        "kind": group.kind.value,
        "orders": [
            {
                "contract": ticket.contract,
                "side": ticket.side.value,
                "quantity": int(ticket.quantity),
                "type": ticket.type.value,
                "limit": _text(ticket.limit),
                "stop": _text(ticket.stop),
                "time_in_force": ticket.time_in_force.value,
                "confirm_id": ticket.confirm_id,
                "groups": [ticket_details(children) for children in ticket.groups],
            }
            for ticket in group.tickets
        ],
    }


def change_details(change: Replacement) -> Record:
    """Return what a replacement asked for."""
    quantity = None if change.quantity is None else int(change.quantity)
    return {
        "quantity": quantity,
        "limit": _text(change.limit),
        "stop": _text(change.stop),
        "to_market": change.to_market,
    }


def order_record(order: ExchangeOrder, what: What, revision: int, now: Moment) -> Record:
    """Return the record of an order's change; `average` is there for readers."""
    return {
        "kind": "order",
        "revision": revision,
        "what": what.value,
        "order": ORDER.encode(order) | {"average": _text(order.average)},
        "at": now.wall,
        "market_at": now.market,
    }


def fill_record(fill: ExchangeFill, revision: int) -> Record:
    """Return the record of a fill."""
    return {"kind": "fill", "revision": revision, **FILL.encode(fill)}


def _text(price: Decimal | None) -> str | None:
    return None if price is None else str(plain(price))

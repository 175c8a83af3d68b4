"""The complete ledger: every request that arrived, every change of an order, every fill. Append-only.

Records are JSON-able dicts with `kind`, `at` (wall ns), `market_at` (market ns) and

    request   call (place, replace, cancel), account, order_ids, confirm_ids, accepted, reason, details
    order     revision, what, order {all fields of the order after the change}
    fill      revision, id, order_id, account, contract, side, quantity, price, cumulative
    clock     speed, paused
    opened    tape, accounts, continued: the broker was started

Quantities are ints, prices decimal texts. A test compares the database with `fills()`, `orders()`, `requests()`.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.domain.units import Contracts, Nanos, Price, plain
from tradeproc.localbroker.orders import (
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
    """Return the record of an order's change."""
    return {
        "kind": "order",
        "revision": revision,
        "what": what.value,
        "order": order_to_body(order),
        "at": now.wall,
        "market_at": now.market,
    }


def fill_record(fill: ExchangeFill, revision: int) -> Record:
    """Return the record of a fill."""
    return {
        "kind": "fill",
        "revision": revision,
        "id": fill.id,
        "order_id": fill.order_id,
        "account": fill.account,
        "contract": fill.contract,
        "side": fill.side.value,
        "quantity": int(fill.quantity),
        "price": _text(fill.price),
        "cumulative": int(fill.cumulative),
        "at": fill.at,
        "market_at": fill.market_at,
    }


def fill_from_record(record: Record) -> ExchangeFill:
    """Return the fill that a record tells."""
    return ExchangeFill(
        id=record["id"],
        order_id=record["order_id"],
        account=record["account"],
        contract=record["contract"],
        side=Side(record["side"]),
        quantity=Contracts(record["quantity"]),
        price=Price(Decimal(record["price"])),
        cumulative=Contracts(record["cumulative"]),
        at=Nanos(record["at"]),
        market_at=Nanos(record["market_at"]),
    )


def order_to_body(order: ExchangeOrder) -> Record:
    """Return an order as JSON-able fields; `average` is there for readers, `order_from_body` does not need it."""
    return {
        "id": order.id,
        "account": order.account,
        "contract": order.contract,
        "side": order.side.value,
        "quantity": int(order.quantity),
        "type": order.type.value,
        "limit": _text(order.limit),
        "stop": _text(order.stop),
        "time_in_force": order.time_in_force.value,
        "confirm_id": order.confirm_id,
        "status": order.status.value,
        "opened_at": order.opened_at,
        "released": int(order.released),
        "filled": int(order.filled),
        "value": _text(order.value),
        "average": _text(order.average),
        "triggered": order.triggered,
        "group": order.group,
        "group_kind": order.group_kind.value,
        "parent": order.parent,
        "closed_at": order.closed_at,
        "reason": order.reason,
    }


def order_from_body(body: Record) -> ExchangeOrder:
    """Return the order that a body tells."""
    fields = {key: value for key, value in body.items() if key != "average"}
    fields |= {
        "side": Side(body["side"]),
        "type": OrderType(body["type"]),
        "limit": _price(body["limit"]),
        "stop": _price(body["stop"]),
        "time_in_force": TimeInForce(body["time_in_force"]),
        "status": OrderStatus(body["status"]),
        "value": Price(Decimal(body["value"])),
        "group_kind": GroupKind(body["group_kind"]),
    }
    return ExchangeOrder(**fields)


def _text(price: Decimal | None) -> str | None:
    return None if price is None else str(plain(price))


def _price(text: str | None) -> Price | None:
    return None if text is None else Price(Decimal(text))

"""The complete books: every request that arrived, every change of an order, every fill. Append-only.

Records are dicts for JSON with `kind`, `at` (wall ns), `market_at` (market ns) and

    request   call (place, replace, cancel), account, order_ids, client_ids, accepted, reason, details
    order     revision, what, order {all fields of the order after the change}
    fill      revision, id, order_id, account, contract, side, quantity, price, cumulative
    day       revision, date, starts {account: cash, unrealized} when the trading day began
    clock     speed, paused
    rewound   speed, paused: the tape began again
    opened    tape, accounts, continued, and the pace: speed, paused, configured_speed

Quantities are ints, prices decimal texts in points. A test compares the database with `fills()`, `orders()`,
`requests()`. Records of earlier versions can be read too: `modern` renames what had other names then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.domain.units import Money, Ticks, plain
from tradeproc.exchange.orders import (
    DayStart,
    DayUpdate,
    ExchangeFill,
    ExchangeOrder,
    GroupKind,
    Moment,
    OrderStatus,
    OrderUpdate,
    Replacement,
    TicketGroup,
    Update,
)
from tradeproc.localbroker.forms import COUNT, DECIMAL, FLAG, TEXT, WHOLE, Shape, one_of, or_none
from tradeproc.localbroker.grid import on_grid, to_points

Record = dict[str, Any]

_KINDS = {
    "NORMAL": GroupKind.INDEPENDENT,
    "OCO": GroupKind.ONE_CANCELS_OTHER,
    "BRK": GroupKind.ONE_REDUCES_OTHER,
}
EXTENDED = "extended"
"""The memo of an order for the extended session too; an earlier version wrote a flag instead."""

_ORDER = Shape(
    ExchangeOrder,
    "order of the books",
    {
        "id": TEXT,
        "account": TEXT,
        "contract": TEXT,
        "side": one_of(Side),
        "quantity": COUNT,
        "type": one_of(OrderType),
        "limit": or_none(WHOLE),
        "stop": or_none(WHOLE),
        "time_in_force": one_of(TimeInForce),
        "client_id": TEXT,
        "status": one_of(OrderStatus),
        "opened_at": WHOLE,
        "released": COUNT,
        "filled": COUNT,
        "value": WHOLE,
        "triggered": FLAG,
        "group": TEXT,
        "group_kind": one_of(GroupKind),
        "parent": or_none(TEXT),
        "closed_at": or_none(WHOLE),
        "reason": TEXT,
        "memo": TEXT,
    },
)
_FILL = Shape(
    ExchangeFill,
    "fill of the books",
    {
        "id": COUNT,
        "order_id": TEXT,
        "account": TEXT,
        "contract": TEXT,
        "side": one_of(Side),
        "quantity": COUNT,
        "price": WHOLE,
        "cumulative": COUNT,
        "at": WHOLE,
        "market_at": WHOLE,
    },
)
_PRICES = ("limit", "stop", "value", "price")


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """What a client asked for: the name of the call, the account and orders it concerns, and its details."""

    call: str
    account: str
    order_ids: tuple[str, ...] = ()
    client_ids: tuple[str, ...] = ()
    details: Record | None = None


class Books:
    """All records so far, in order; `take_new` returns those that are not in the journal yet."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._taken = 0

    def append(self, record: Record) -> None:
        """Add a record."""
        self.records.append(record)

    def note(self, updates: Iterable[Update], now: Moment) -> None:
        """Add the exchange's updates: changes of orders, fills, and days that began."""
        for update in updates:
            if isinstance(update, OrderUpdate):
                self.append(_order_record(update, now))
                if update.fill is not None:
                    self.append({"kind": "fill", "revision": update.revision, **fill_body(update.fill)})
            elif isinstance(update, DayUpdate):
                self.append(_day_record(update, now))

    def note_request(self, request: RecordedRequest, reason: str, now: Moment) -> None:
        """Add a request; an empty `reason` means that it was accepted."""
        self.append(
            {
                "kind": "request",
                "call": request.call,
                "account": request.account,
                "order_ids": list(request.order_ids),
                "client_ids": list(request.client_ids),
                "accepted": not reason,
                "reason": reason,
                "details": request.details or {},
                "at": now.wall,
                "market_at": now.market,
            }
        )

    def load(self, records: Sequence[Record]) -> None:
        """Add records that are in the journal already."""
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


def modern(record: Record) -> Record:
    """Return a record as this version writes it; until November 2026 some keys had one broker's names."""
    if record["kind"] == "order" and "confirm_id" in record["order"]:
        order = {key: value for key, value in record["order"].items() if key not in ("confirm_id", "is_extended")}
        order["client_id"] = record["order"]["confirm_id"]
        order["memo"] = EXTENDED if record["order"].get("is_extended") else ""
        order["group_kind"] = _KINDS[order["group_kind"]].value
        return record | {"order": order}
    if record["kind"] == "request" and "confirm_ids" in record:
        request = {key: value for key, value in record.items() if key not in ("confirm_ids", "details")}
        return request | {"client_ids": record["confirm_ids"], "details": _modern_details(record["details"])}
    return record


def _modern_details(details: Record) -> Record:
    if "orders" not in details:
        return details
    orders = []
    for order in details["orders"]:
        rest = {key: value for key, value in order.items() if key not in ("confirm_id", "groups")}
        then = [_modern_details(group) for group in order["groups"]]
        orders.append(rest | {"client_id": order["confirm_id"], "then": then})
    return {"kind": _KINDS[details["kind"]].value, "orders": orders}


def order_of(record: Record) -> ExchangeOrder:
    """Return the order of a record.

    Raises:
        Refusal, LookupError, TypeError: the record holds no order.
    """
    return _ORDER.decode(_in_ticks(record["order"]))


def fill_of(record: Record) -> ExchangeFill:
    """Return the fill of a record.

    Raises:
        Refusal, LookupError, TypeError: the record holds no fill.
    """
    return _FILL.decode(_in_ticks(record))


def day_of(record: Record) -> DayUpdate:
    """Return the day of a record.

    Raises:
        Refusal, LookupError, TypeError, ValueError: the record holds no day.
    """
    starts = {
        account: DayStart(Money(DECIMAL.read(start["cash"])), Money(DECIMAL.read(start["unrealized"])))
        for account, start in record["starts"].items()
    }
    return DayUpdate(record["revision"], date.fromisoformat(record["date"]), starts)


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
                "limit": _points(ticket.limit, ticket.contract),
                "stop": _points(ticket.stop, ticket.contract),
                "time_in_force": ticket.time_in_force.value,
                "client_id": ticket.client_id,
                "then": [ticket_details(children) for children in ticket.then],
            }
            for ticket in group.tickets
        ],
    }


def change_details(change: Replacement, contract: str) -> Record:
    """Return what a replacement asked for."""
    return {
        "quantity": None if change.quantity is None else int(change.quantity),
        "limit": _points(change.limit, contract),
        "stop": _points(change.stop, contract),
        "to_market": change.to_market,
    }


def fill_body(fill: ExchangeFill) -> Record:
    """Return a fill as the books hold it."""
    return _in_points(_FILL.encode(fill))


def _order_record(update: OrderUpdate, now: Moment) -> Record:
    order = update.order
    average = None if order.average is None else str(to_points(order.average, order.contract))
    return {
        "kind": "order",
        "revision": update.revision,
        "what": update.what.value,
        "order": _in_points(_ORDER.encode(order)) | {"average": average},
        "at": now.wall,
        "market_at": now.market,
    }


def _day_record(update: DayUpdate, now: Moment) -> Record:
    return {
        "kind": "day",
        "revision": update.revision,
        "date": update.date.isoformat(),
        "starts": {
            account: {"cash": str(plain(start.cash)), "unrealized": str(plain(start.unrealized))}
            for account, start in update.starts.items()
        },
        "at": now.wall,
        "market_at": now.market,
    }


def _in_points(body: Record) -> Record:
    prices = {key: _points(body[key], body["contract"]) for key in _PRICES if key in body}
    return body | prices


def _in_ticks(body: Record) -> Record:
    read = or_none(DECIMAL).read
    prices = {key: read(body[key]) for key in _PRICES if key in body}
    contract = TEXT.read(body["contract"])
    return body | {key: None if price is None else on_grid(price, contract) for key, price in prices.items()}


def _points(ticks: Ticks | None, contract: str) -> str | None:
    return None if ticks is None else str(to_points(ticks, contract))

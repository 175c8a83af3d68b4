"""Pure: our requests as TradeStation's order bodies, and its answers as outcomes.

A bracket goes out as one order with its legs as an OSO: the broker itself sends them when the entry fills, so a
filled entry always has its stop. Two legs are a group of type BRK (each shrinks with the other's fills); a lone
stop has no sibling and is a group of type NORMAL.

An order fails in four ways: an entry in `Errors` of a 200, an entry of `Orders` with an `Error`, a status that is
not 2xx, and a later reject. The first three are read here, the fourth comes as an order.

Source: TradeStation API v3, "Place Order", "Replace Order", "Cancel Order" (request and response schemas).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradeproc.brokers.contract import Accepted, BracketRequest, OrderRequest, Outcome, Refused, Unanswered
from tradeproc.brokers.tradestation.fields import Json, objects, said_message, text, trouble
from tradeproc.brokers.tradestation.symbols import SYMBOLS, to_wire
from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.errors import Refusal

_LONGEST_ID = 22
_TYPES = {
    OrderType.MARKET: "Market",
    OrderType.LIMIT: "Limit",
    OrderType.STOP: "StopMarket",
    OrderType.STOP_LIMIT: "StopLimit",
}
_DURATIONS = {
    TimeInForce.DAY: "DAY",
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
}
_MESSAGE = re.compile(r"\b(buy|sell)\b\D*?(\d+)\s+(\S+)\s+@\s*(.+)", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?", re.ASCII)
_LONGEST_MESSAGE = 500
_YES = re.compile(r"^\s*(sent|order (sent|placed|accepted|received))", re.IGNORECASE)
_NO = re.compile(
    r"^(?!\s*sent).*\b(fail|reject|refus|denied|invalid|error|insufficient|not( an?)? (open|allow|accept|permit))",
    re.IGNORECASE,
)


class UnwritableOrder(Refusal):
    """An order that cannot be written for TradeStation: a missing price, an id too long; never sent."""

    def __init__(self, order: str, problem: str) -> None:
        self.order, self.problem = order, problem
        super().__init__(f"order {order}: {problem}")


def sent_orders(request: OrderRequest | BracketRequest) -> tuple[OrderRequest, ...]:
    """Return the orders of a request in the order in which the broker answers: the entry, then its legs as sent."""
    if isinstance(request, OrderRequest):
        return (request,)
    legs = (request.stop_loss,) if request.profit_target is None else (request.stop_loss, request.profit_target)
    return (request.entry, *legs)


def encode_request(account: str, request: OrderRequest | BracketRequest) -> dict[str, Any]:
    """Return the body of a POST that places an order or a whole bracket.

    Raises:
        UnwritableOrder: a price is missing, or an id has not 1 to 22 characters.
        Refusal: TradeStation does not know the contract's root.
    """
    entry, *legs = (_encode_order(account, order) for order in sent_orders(request))
    if legs:
        entry["OSOs"] = [{"Type": "BRK" if len(legs) > 1 else "NORMAL", "Orders": legs}]
    return entry


def _encode_order(account: str, order: OrderRequest) -> dict[str, Any]:
    if not 1 <= len(order.id) <= _LONGEST_ID:
        raise UnwritableOrder(order.id, f"an id must have 1 to {_LONGEST_ID} characters")
    return {
        "AccountID": account,
        "Symbol": SYMBOLS.to_broker_symbol(order.contract),
        "Quantity": _quantity(order),
        "OrderType": _TYPES[order.type],
        "TradeAction": "BUY" if order.side is Side.BUY else "SELL",
        "TimeInForce": {"Duration": _DURATIONS[order.time_in_force]},
        "OrderConfirmID": order.id,
        **_prices(order),
    }


def encode_change(change: OrderRequest) -> dict[str, Any]:
    """Return the body of a PUT that replaces quantity and prices; a change to market is the only change of type.

    Raises:
        UnwritableOrder: a price is missing.
    """
    body: dict[str, Any] = {"Quantity": _quantity(change), **_prices(change)}
    if change.type is OrderType.MARKET:
        body["OrderType"] = "Market"
    return body


def _quantity(order: OrderRequest) -> str:
    if order.quantity <= 0:
        raise UnwritableOrder(order.id, f"quantity {order.quantity} is not positive")
    return str(int(order.quantity))


def _prices(order: OrderRequest) -> dict[str, str]:
    prices: dict[str, str] = {}
    if order.type.has_limit:
        if order.limit is None:
            raise UnwritableOrder(order.id, f"a {order.type.value} order needs a limit price")
        prices["LimitPrice"] = to_wire(order.limit, order.contract)
    if order.type.has_stop:
        if order.stop is None:
            raise UnwritableOrder(order.id, f"a {order.type.value} order needs a stop price")
        prices["StopPrice"] = to_wire(order.stop, order.contract)
    return prices


def parse_placement(body: Json, sent: Sequence[OrderRequest]) -> Outcome:
    """Return the outcome that a 2xx answer to a placement reports.

    A bracket of which only a part was accepted is `Unanswered`, so that the broker is asked whether its stop works.
    """
    if trouble(body) is not None or ("Orders" not in body and _is_no(body)):
        return Refused(trouble(body) or said_message(body))
    placed, failed = objects(body.get("Orders") or []), objects(body.get("Errors") or [])
    if placed is None or failed is None:
        return Unanswered("the answer to the order cannot be read")
    failures = [*failed, *(entry for entry in placed if _is_no(entry))]
    others = [entry for entry in placed if not _is_no(entry)]
    taken = [entry for entry in others if _is_yes(entry) and text(entry, "OrderID")]
    reasons = "; ".join(said_message(entry) or trouble(entry) or "no reason given" for entry in failures)
    if others and failures:
        return Unanswered(f"taken only in part: {reasons}")
    if failures:
        return Refused(reasons)
    strange = [said_message(entry) for entry in others if not _is_yes(entry)]
    if strange:
        return Unanswered(f"neither a yes nor a no: {'; '.join(strange)}")
    if not taken:
        return Unanswered("the answer names no order")
    return Accepted(match_ids(taken, sent))


def _is_no(entry: Json) -> bool:
    """Tell whether an entry says that nothing was done: by an error, or by its message alone."""
    return trouble(entry) is not None or bool(_NO.search(said_message(entry)))


def _is_yes(entry: Json) -> bool:
    """Tell whether an entry says that its order was sent; without a message, the entry itself says so."""
    message = said_message(entry)
    return not message or bool(_YES.search(message))


def parse_request_answer(body: Json, order_id: str, broker_id: str) -> Outcome:
    """Return what a 2xx answer to a replace or a cancel says: requested, not done.

    `order_id` is our id of the order, empty where only the broker's is known.
    """
    if _is_no(body):
        return Refused(trouble(body) or said_message(body))
    failed = objects(body.get("Errors") or [])
    if failed:
        return Refused("; ".join(said_message(entry) or trouble(entry) or "no reason given" for entry in failed))
    told = text(body, "OrderID")
    if not told and not text(body, "Message"):
        return Unanswered("the answer names no order")
    return Accepted({order_id: told or broker_id} if order_id else {})


def refusal_text(body: Json | None, status: int) -> str:
    """Return the reason that an answer other than 2xx gives."""
    said = trouble(body) if body is not None else None
    if said is None and body is not None:
        failed = objects(body.get("Errors") or []) or []
        said = "; ".join(trouble(entry) or said_message(entry) for entry in failed) or said_message(body)
    return f"{status} {said}" if said else str(status)


def unplaced(status: int, reason: str) -> Outcome:
    """Return what an answer other than 2xx means for an order operation.

    401 and 429 come before anything is done, so the operation was certainly not done. Another 4xx is a refusal,
    except for a duplicate: then an earlier try of ours is at the broker. A gateway's 5xx or 408 leaves it unknown.
    """
    if status in (401, 429):
        return Unanswered(reason, was_sent=False)
    if 400 <= status < 500 and status != 408 and "duplicate" not in reason.lower():
        return Refused(reason)
    return Unanswered(reason)


def match_ids(taken: Sequence[Json], sent: Sequence[OrderRequest]) -> dict[str, str]:
    """Return our ids with the broker's, as far as the answer tells them.

    The answer lists the parent, then its children as sent. The message of each entry is compared with the order at
    its place. If they contradict each other, an id is taken only where its message fits one order and no other.
    """
    told = [(text(entry, "OrderID"), _read_message(text(entry, "Message"))) for entry in taken]
    if len(told) == len(sent):
        pairs = list(zip(sent, told, strict=True))
        if all(message is None or message.fits(order) for order, (_, message) in pairs):
            return {order.id: broker_id for order, (broker_id, _) in pairs}
    matched: dict[str, str] = {}
    for order in sent:
        fitting = [broker_id for broker_id, message in told if message is not None and message.fits(order)]
        rivals = [other for other in sent if other is not order and _twins(order, other)]
        if len(fitting) == 1 and not rivals:
            matched[order.id] = fitting[0]
    return matched


def _twins(one: OrderRequest, other: OrderRequest) -> bool:
    """Tell whether two orders would be described by the same words."""
    return (one.side, one.quantity, one.contract, one.type, one.limit, one.stop) == (
        other.side,
        other.quantity,
        other.contract,
        other.type,
        other.limit,
        other.stop,
    )


@dataclass(frozen=True, slots=True)
class _Message:
    """`Sent order: Buy 1 ESH26 @ 5000.00 Limit`, taken apart."""

    side: Side
    quantity: int
    symbol: str
    kind: OrderType | None
    prices: frozenset[Decimal]

    def fits(self, order: OrderRequest) -> bool:
        wanted = {Decimal(price) for price in _prices(order).values()}
        return (
            self.side is order.side
            and self.quantity == order.quantity
            and self.symbol == SYMBOLS.to_broker_symbol(order.contract)
            and self.kind in (None, order.type)
            and (self.prices == wanted or not self.prices)
        )


def _read_message(message: str) -> _Message | None:
    found = _MESSAGE.search(message[:_LONGEST_MESSAGE])
    if found is None:
        return None
    side, quantity, symbol, tail = found.groups()
    words = tail.lower()
    has_stop, has_limit = "stop" in words, "limit" in words
    kind: OrderType | None = None
    if has_stop:
        kind = OrderType.STOP_LIMIT if has_limit else OrderType.STOP
    elif has_limit:
        kind = OrderType.LIMIT
    elif "market" in words:
        kind = OrderType.MARKET
    prices = frozenset(Decimal(number[:30].replace(",", "")) for number in _NUMBER.findall(tail))
    return _Message(Side(side.lower()), int(quantity[:9]), symbol.upper(), kind, prices)

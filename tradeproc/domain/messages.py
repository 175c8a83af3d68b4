"""Values as message bodies and back: everything that travels between our processes; pure.

`<value>_to_body` writes and `<value>_from_body` reads or raises `BadMessage`. Requests and outcomes carry their kind:

    listed    an order or position, or {unreadable: reason, broker_id, account, contract}
    request   {kind: order, …} or {kind: bracket, entry, stop_loss, profit_target}
    outcome   {outcome: accepted, broker_ids} or {outcome: refused, reason} or {outcome: unanswered, reason, was_sent}
    answer    {known: …} or {unknown: reason}
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tradeproc.domain import shapes
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.broker_orders import (
    Accepted,
    BracketRequest,
    ListedOrder,
    ListedPosition,
    OrderRequest,
    Outcome,
    Refused,
    Unanswered,
    UnreadableRecord,
)
from tradeproc.domain.candles import Candle
from tradeproc.domain.forms import BadMessage, Body, shown

__all__ = ["BadMessage", "Body"]

S = TypeVar("S")
T = TypeVar("T")

broker_order_to_body, broker_order_from_body = shapes.BROKER_ORDER.encode, shapes.BROKER_ORDER.decode
position_to_body, position_from_body = shapes.POSITION.encode, shapes.POSITION.decode
unreadable_to_body, unreadable_from_body = shapes.UNREADABLE_RECORD.encode, shapes.UNREADABLE_RECORD.decode
balance_to_body, balance_from_body = shapes.BALANCE.encode, shapes.BALANCE.decode
broker_account_to_body, broker_account_from_body = shapes.BROKER_ACCOUNT.encode, shapes.BROKER_ACCOUNT.decode
contract_details_to_body, contract_details_from_body = shapes.CONTRACT_DETAILS.encode, shapes.CONTRACT_DETAILS.decode
order_to_body, order_from_body = shapes.ORDER.encode, shapes.ORDER.decode
fill_to_body, fill_from_body = shapes.FILL.encode, shapes.FILL.decode
trade_to_body, trade_from_body = shapes.TRADE.encode, shapes.TRADE.decode
divergence_to_body, divergence_from_body = shapes.DIVERGENCE.encode, shapes.DIVERGENCE.decode


def listed_order_to_body(order: ListedOrder) -> Body:
    """Return an order of a list, or the record that stands there because it could not be read."""
    return unreadable_to_body(order) if isinstance(order, UnreadableRecord) else broker_order_to_body(order)


def listed_order_from_body(body: Mapping[str, Any]) -> ListedOrder:
    """Return the order of a body, or the record that could not be read."""
    return unreadable_from_body(body) if _is_unreadable(body) else broker_order_from_body(body)


def listed_position_to_body(position: ListedPosition) -> Body:
    """Return a position of a list, or the record that stands there because it could not be read."""
    return unreadable_to_body(position) if isinstance(position, UnreadableRecord) else position_to_body(position)


def listed_position_from_body(body: Mapping[str, Any]) -> ListedPosition:
    """Return the position of a body, or the record that could not be read."""
    return unreadable_from_body(body) if _is_unreadable(body) else position_from_body(body)


def _is_unreadable(body: object) -> bool:
    return isinstance(body, Mapping) and "unreadable" in body


def candle_to_body(candle: Candle, contract: str, minutes: int, is_history: bool = False) -> Body:
    """Return a candle and whose it is; `is_history` for those told again on connect."""
    return {"contract": contract, "minutes": minutes, "history": is_history, **shapes.CANDLE.encode(candle)}


def candle_from_body(body: Mapping[str, Any]) -> Candle:
    """Return the candle of a body; whose it is stands beside it under `contract`, `minutes` and `history`."""
    return shapes.CANDLE.decode(body)


def order_request_to_body(request: OrderRequest) -> Body:
    """Return an order request."""
    return {"kind": "order", **shapes.ORDER_REQUEST.encode(request)}


def order_request_from_body(body: Mapping[str, Any]) -> OrderRequest:
    """Return the order request of a body.

    Raises:
        BadMessage: it holds none, or one whose type lacks its price.
    """
    request = shapes.ORDER_REQUEST.decode(body)
    for price, is_needed in (("limit", request.type.has_limit), ("stop", request.type.has_stop)):
        if is_needed and getattr(request, price) is None:
            raise BadMessage("order request", f"a {request.type.value} order needs a {price} price")
    return request


def bracket_request_to_body(request: BracketRequest) -> Body:
    """Return a bracket request."""
    target = request.profit_target
    return {
        "kind": "bracket",
        "entry": order_request_to_body(request.entry),
        "stop_loss": order_request_to_body(request.stop_loss),
        "profit_target": None if target is None else order_request_to_body(target),
    }


def bracket_request_from_body(body: Mapping[str, Any]) -> BracketRequest:
    """Return the bracket request of a body; a bracket without a stop loss is refused."""
    target = _object(body, "bracket request").get("profit_target")
    return BracketRequest(
        order_request_from_body(_part(body, "entry")),
        order_request_from_body(_part(body, "stop_loss")),
        None if target is None else order_request_from_body(target),
    )


def request_to_body(request: OrderRequest | BracketRequest) -> Body:
    """Return either kind of request."""
    match request:
        case OrderRequest():
            return order_request_to_body(request)
        case BracketRequest():
            return bracket_request_to_body(request)


def request_from_body(body: Mapping[str, Any]) -> OrderRequest | BracketRequest:
    """Return either kind of request."""
    kind = _object(body, "request").get("kind")
    if kind == "order":
        return order_request_from_body(body)
    if kind == "bracket":
        return bracket_request_from_body(body)
    raise BadMessage("request", f"kind: expected order or bracket, found {shown(kind)}")


def outcome_to_body(outcome: Outcome) -> Body:
    """Return an outcome."""
    match outcome:
        case Accepted(broker_ids):
            return {"outcome": "accepted", "broker_ids": dict(broker_ids)}
        case Refused(reason):
            return {"outcome": "refused", "reason": reason}
        case Unanswered(reason, was_sent):
            return {"outcome": "unanswered", "reason": reason, "was_sent": was_sent}


def outcome_from_body(body: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a body; one that cannot be read is refused, never taken for a yes or a no."""
    kind = _object(body, "outcome").get("outcome")
    if kind == "accepted":
        ids = _object(body.get("broker_ids"), "outcome")
        if not all(isinstance(text, str) for pair in ids.items() for text in pair):
            raise BadMessage("outcome", "broker_ids: expected texts")
        return Accepted(dict(ids))
    if kind not in ("refused", "unanswered"):
        raise BadMessage("outcome", f"expected accepted, refused or unanswered, found {shown(kind)}")
    reason = body.get("reason")
    if not isinstance(reason, str):
        raise BadMessage("outcome", f"reason: expected a text, found {shown(reason)}")
    # not knowing whether it was sent means that it may have been
    return Refused(reason) if kind == "refused" else Unanswered(reason, body.get("was_sent") is not False)


def answer_to_body(answer: Answer[T], encode: Callable[[T], Any]) -> Body:
    """Return an answer whose value `encode` writes; for many values use `each`."""
    match answer:
        case Known(value):
            return {"known": encode(value)}
        case Unknown(reason):
            return {"unknown": reason}


def answer_from_body(body: Mapping[str, Any], decode: Callable[[Any], T]) -> Answer[T]:
    """Return the answer of a body whose value `decode` reads.

    Raises:
        BadMessage: it is neither known nor unknown, or both, or its value does not fit.
    """
    _object(body, "answer")
    if ("known" in body) == ("unknown" in body):
        raise BadMessage("answer", "expected either known or unknown")
    return Known(decode(body["known"])) if "known" in body else Unknown(str(body["unknown"]))


def each(function: Callable[[S], T]) -> Callable[[Sequence[S]], tuple[T, ...]]:
    """Return the encoder or decoder of a list, from that of one value."""

    def all_of(values: Sequence[S]) -> tuple[T, ...]:
        if not isinstance(values, list | tuple):
            raise BadMessage("list", f"expected a list, found {shown(values)}")
        return tuple(function(value) for value in values)

    return all_of


def _part(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    if key not in body:
        raise BadMessage("bracket request", f"{key} is missing")
    return _object(body[key], key)


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadMessage(name, f"expected an object, found {shown(value)}")
    return value

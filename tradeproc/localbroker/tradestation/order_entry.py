"""Placing, replacing and cancelling orders, their previews, and the messages that answer them.

Source: tradestation.md, "Order execution".
"""

import secrets
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import orjson

from tradeproc.domain.instruments import Contract
from tradeproc.exchange.orders import Declined, DeclineReason, Placed, Ticket
from tradeproc.localbroker.books import RecordedRequest
from tradeproc.localbroker.grid import to_points
from tradeproc.localbroker.pipeline import ApiError, Call
from tradeproc.localbroker.tradestation.error_bodies import refusal
from tradeproc.localbroker.tradestation.numbers import wire_price, written
from tradeproc.localbroker.tradestation.tickets import (
    EXTENDED,
    BadTicket,
    Json,
    OffTick,
    Placing,
    named_accounts,
    named_confirm_ids,
    read_group,
    read_order,
    read_replacement,
    sent_message,
    summary,
)

Body = Mapping[str, Any]
Reader = Callable[[Json, tuple[str, ...]], Placing]

# answered as bad requests; all other reasons are answered as failed orders: status 200 with the order in Errors
_BAD_REQUESTS = {
    DeclineReason.UNKNOWN_ACCOUNT: "Invalid Account ID.",
    DeclineReason.UNKNOWN_CONTRACT: "Failed to build order: FAILED, INVALID SYMBOL",
}
_FAILURES = {
    DeclineReason.DUPLICATE: "Duplicate OrderConfirmID.",
    DeclineReason.BAD_GROUP: "All orders of a BRK group must have the same symbol and side.",
}
_CHANGE_ERRORS = {
    DeclineReason.NOT_OPEN: "Not an open order.",
    DeclineReason.UNKNOWN_ORDER: "Invalid order ID.",
    DeclineReason.ALREADY_TRIGGERED: "Cancel/Replace not allowed after prior stop already triggered",
}


def accounts_in_body(call: Call) -> tuple[str, ...]:
    """Return the accounts that an order request names, as far as it can be read."""
    try:
        found = orjson.loads(call.raw)
    except orjson.JSONDecodeError:
        return ()
    return named_accounts(found)


def account_of_order(call: Call) -> tuple[str, ...]:
    """Return the account of the order that the path names."""
    order = call.context.market.exchange.order(call.path["order"])
    return (order.account,) if order is not None else ()


def place(call: Call) -> Body:
    """Place an order with its OSO children."""
    return _place(call, read_order)


def place_group(call: Call) -> Body:
    """Place a group of orders."""
    return _place(call, read_group)


def replace(call: Call) -> Body:
    """Change an open order; it keeps its id."""
    order = call.context.market.exchange.order(call.path["order"])
    if order is None:
        raise ApiError(400, _CHANGE_ERRORS[DeclineReason.UNKNOWN_ORDER])
    try:
        change = read_replacement(call.body(), order)
    except BadTicket as bad:
        raise ApiError(400, str(bad)) from None
    except OffTick as bad:
        request = RecordedRequest("replace", order.account, (order.id,))
        call.context.market.refuse(request, Declined(DeclineReason.OFF_TICK, str(bad)))
        raise ApiError(400, f"Failed to Cancel/Replace order: {bad}") from None
    changed = call.context.market.replace(order.id, change)
    if isinstance(changed, Declined):
        raise ApiError(400, f"Failed to Cancel/Replace order: {_CHANGE_ERRORS.get(changed.why, changed.text)}")
    return {"Message": "Cancel/Replace order sent.", "OrderID": order.id}


def cancel(call: Call) -> Body:
    """Cancel an open order."""
    order_id = call.path["order"]
    changed = call.context.market.cancel(order_id)
    if isinstance(changed, Declined):
        raise ApiError(400, _CHANGE_ERRORS.get(changed.why, changed.text))
    return {"Message": "Cancel request sent", "OrderID": order_id}


def confirm(call: Call) -> Body:
    """Say what an order would cost, and place nothing."""
    return _confirm(call, read_order)


def confirm_group(call: Call) -> Body:
    """Say what the orders of a group would cost, and place nothing."""
    return _confirm(call, read_group)


def routes(call: Call) -> Body:
    """Answer with the one route there is."""
    return {"Routes": [{"Id": "Intelligent", "AssetTypes": ["STOCK", "FUTURE"], "Name": "Intelligent"}]}


def activation_triggers(call: Call) -> Body:
    """Answer with the trigger that stops follow here: single trade tick."""
    trigger = {"Key": "STT", "Name": "Single Trade Tick", "Description": "One trade tick must print at your price."}
    return {"ActivationTriggers": [trigger]}


def _read(call: Call, read: Reader) -> Placing:
    try:
        placing = read(call.body(), call.context.contracts)
    except BadTicket as bad:
        raise ApiError(400, str(bad)) from None
    if not call.context.knows(placing.account):
        raise ApiError(400, _BAD_REQUESTS[DeclineReason.UNKNOWN_ACCOUNT])
    return placing


def _place(call: Call, read: Reader) -> Body:
    try:
        placing = _read(call, read)
    except OffTick as bad:
        placed: Placed | Declined = _refuse(call, Declined(DeclineReason.OFF_TICK, str(bad)))
    else:
        placed = call.context.market.place(placing.account, placing.group)
    if isinstance(placed, Declined):
        if placed.why in _BAD_REQUESTS:
            raise ApiError(400, _BAD_REQUESTS[placed.why])
        failed = refusal(
            "FAILED", f"Order failed. Reason: {_FAILURES.get(placed.why, placed.text)}", OrderID=placed.order_id
        )
        return {"Orders": [], "Errors": [failed]}
    return {"Orders": [{"Message": sent_message(order), "OrderID": order.id} for order in placed.orders]}


def _refuse(call: Call, problem: Declined) -> Declined:
    """Let the market record a request that cannot be given to the exchange."""
    accounts = accounts_in_body(call)
    if not accounts or not all(call.context.knows(account) for account in accounts):
        return Declined(DeclineReason.UNKNOWN_ACCOUNT, problem.text)
    request = RecordedRequest("place", accounts[0], client_ids=tuple(named_confirm_ids(call.body())))
    return call.context.market.refuse(request, problem)


def _confirm(call: Call, read: Reader) -> Body:
    try:
        placing = _read(call, read)
    except OffTick as bad:
        raise ApiError(400, str(bad)) from None
    return {"Confirmations": [_confirmation(call, placing.account, ticket) for ticket in placing.group.tickets]}


def _confirmation(call: Call, account: str, ticket: Ticket) -> Body:
    exchange = call.context.market.exchange
    last = exchange.last(ticket.contract) or 0
    price = next((price for price in (ticket.limit, ticket.stop) if price is not None), last)
    margin = exchange.rules.margins.get(Contract.parse(ticket.contract).root, Decimal(0)) * ticket.quantity
    priced = {
        key: wire_price(to_points(value, ticket.contract), ticket.contract)
        for key, value in (("LimitPrice", ticket.limit), ("StopPrice", ticket.stop))
        if value is not None
    }
    return {
        "OrderAssetCategory": "FUTURE",
        "Currency": "USD",
        "Route": "Intelligent",
        "TimeInForce": {"Duration": ticket.time_in_force.value.upper() + ("+" if ticket.memo == EXTENDED else "")},
        "AccountID": account,
        "OrderConfirmID": ticket.client_id or secrets.token_urlsafe(16)[:22],
        **priced,
        "EstimatedPrice": wire_price(to_points(price, ticket.contract), ticket.contract),
        "EstimatedCost": written(margin),
        "EstimatedCommission": written(exchange.rules.commission * ticket.quantity),
        "InitialMarginDisplay": f"{margin:,.2f} USD",
        "ProductCurrency": "USD",
        "AccountCurrency": "USD",
        "SummaryMessage": summary(ticket),
    }

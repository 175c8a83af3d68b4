"""Reading what a client asks for: order requests, groups and replacements, from JSON to tickets. Pure and lenient.

Numbers may be strings or JSON numbers, words may have any case; unknown keys are ignored. What is not supported
(trailing stops, activation rules, expiry dates) is refused rather than ignored.

Source: tradestation.md, "Order execution".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.domain.units import Contracts, OffGrid, Ticks
from tradeproc.errors import Refusal
from tradeproc.exchange.orders import ExchangeOrder, GroupKind, Replacement, Ticket, TicketGroup
from tradeproc.localbroker.grid import on_grid, to_points
from tradeproc.localbroker.tradestation.numbers import exchange_price, find_contract, padded_price, wire_symbol

Json = Mapping[str, Any]
T = TypeVar("T")

_TYPES = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stopmarket": OrderType.STOP,
    "stoplimit": OrderType.STOP_LIMIT,
}
_DURATIONS = {
    "DAY": TimeInForce.DAY,
    "DYP": TimeInForce.DAY,
    "GTC": TimeInForce.GTC,
    "GCP": TimeInForce.GTC,
    "DAY+": TimeInForce.DAY,
    "GTC+": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
}
_EXTENDED = frozenset({"DYP", "GCP", "DAY+", "GTC+"})
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_KINDS = {
    "NORMAL": GroupKind.INDEPENDENT,
    "BRK": GroupKind.ONE_REDUCES_OTHER,
    "OCO": GroupKind.ONE_CANCELS_OTHER,
}
# the memo of an order whose duration includes the extended session
EXTENDED = "extended"
_NUMBER = re.compile(r"-?\d{1,12}(\.\d{1,12})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,7}", re.ASCII)
_CONFIRM_ID = re.compile(r"\S{1,22}")
_DEEPEST = 4


class BadTicket(Refusal):
    """A request that cannot be read or is not supported; answered as BadRequest."""


class OffTick(Refusal):
    """A price between two ticks; answered as an order that failed."""


@dataclass(frozen=True, slots=True)
class Placing:
    """What a client wants placed, and in which account."""

    account: str
    group: TicketGroup


def named_accounts(found: object) -> tuple[str, ...]:
    """Return the accounts that a body names, which need not be readable: its own and those of a group's orders."""
    if not isinstance(found, Mapping):
        return ()
    listed = _folded(found).get("orders")
    orders = [found, *(each for each in listed if isinstance(each, Mapping))] if isinstance(listed, list) else [found]
    accounts = [_word(_folded(order), "accountid").upper() for order in orders]
    return tuple(dict.fromkeys(account for account in accounts if account))


def named_confirm_ids(found: object, depth: int = 0) -> Iterator[str]:
    """Yield the OrderConfirmIDs in a body, of its orders and their OSOs, as deep as these are taken."""
    if not isinstance(found, Mapping) or depth > 2 * _DEEPEST + 1:
        return
    keys = _folded(found)
    confirm_id = _word(keys, "orderconfirmid")
    if _CONFIRM_ID.fullmatch(confirm_id):
        yield confirm_id
    for inner in (keys.get("orders"), keys.get("osos")):
        for each in inner if isinstance(inner, list) else ():
            yield from named_confirm_ids(each, depth + 1)


def read_order(body: Json, traded: tuple[str, ...]) -> Placing:
    """Return what the body of `orders` asks for.

    Raises:
        BadTicket: it cannot be read, or asks for what is not done here.
        OffTick: a price lies between two ticks.
    """
    return Placing(_account(body), TicketGroup(GroupKind.INDEPENDENT, (_ticket(body, traded, 0),)))


def read_group(body: Json, traded: tuple[str, ...]) -> Placing:
    """Return what the body of `ordergroups` asks for; all its orders are of one account.

    Raises:
        BadTicket: it cannot be read, or asks for what is not done here.
        OffTick: a price lies between two ticks.
    """
    group = _group(body, traded, 0)
    accounts = {_account(order) for order in _list(body, "orders")}
    if len(accounts) != 1:
        raise BadTicket("All orders of a group must be of the same account.")
    return Placing(accounts.pop(), group)


def read_replacement(body: Json, order: ExchangeOrder) -> Replacement:
    """Return what the body of a PUT asks to change; values that stay as they are may come along.

    Raises:
        BadTicket: it cannot be read, or asks for what is not done here.
        OffTick: a price lies between two ticks.
    """
    keys = _folded(body)
    _refuse_advanced(keys)
    to_market = _word(keys, "ordertype").lower() == "market" and order.type is not OrderType.MARKET
    quantity = keys.get("quantity")
    return Replacement(
        _quantity(quantity) if quantity not in (None, "") else None,
        _price(keys, "limitprice", order.contract),
        _price(keys, "stopprice", order.contract),
        to_market,
    )


def summary(ticket: Ticket) -> str:
    """Return a ticket in words, as `Buy 1 ESH26 @ 5000.00 Limit`."""
    verb = "Buy" if ticket.side is Side.BUY else "Sell"
    limit = (
        f"{padded_price(to_points(ticket.limit, ticket.contract), ticket.contract)} Limit"
        if ticket.limit is not None
        else ""
    )
    stop = (
        f"{padded_price(to_points(ticket.stop, ticket.contract), ticket.contract)} Stop"
        if ticket.stop is not None
        else ""
    )
    price = {
        OrderType.MARKET: "Market",
        OrderType.LIMIT: limit,
        OrderType.STOP: f"{stop} Market",
        OrderType.STOP_LIMIT: f"{stop} {limit}",
    }[ticket.type]
    return f"{verb} {ticket.quantity} {wire_symbol(ticket.contract)} @ {price}"


def sent_message(order: ExchangeOrder) -> str:
    """Return the message that confirms a placed order."""
    ticket = Ticket(order.contract, order.side, order.quantity, order.type, order.limit, order.stop)
    return f"Sent order: {summary(ticket)}"


def _ticket(body: Json, traded: tuple[str, ...], depth: int) -> Ticket:
    if depth > _DEEPEST:
        raise BadTicket("OSOs are nested too deep.")
    keys = _folded(body)
    _refuse_advanced(keys)
    symbol = _required(keys, "symbol", "Symbol").upper()
    code = None if symbol.startswith("@") else find_contract(symbol, traded)
    if code is None:
        raise BadTicket("Failed to build order: FAILED, INVALID SYMBOL")
    kind = _choice(_TYPES, _required(keys, "ordertype", "OrderType").lower(), "OrderType")
    duration, is_extended = _duration(keys)
    confirm_id = _word(keys, "orderconfirmid")
    if confirm_id and not _CONFIRM_ID.fullmatch(confirm_id):
        raise BadTicket("OrderConfirmID must be 1 to 22 characters.")
    return Ticket(
        code,
        _choice(_SIDES, _required(keys, "tradeaction", "TradeAction").upper(), "TradeAction"),
        _quantity(keys.get("quantity")),
        kind,
        _price(keys, "limitprice", code) if kind.has_limit else None,
        _price(keys, "stopprice", code) if kind.has_stop else None,
        duration,
        confirm_id,
        tuple(_group(group, traded, depth + 1) for group in _list(body, "osos")),
        EXTENDED if is_extended else "",
    )


def _group(body: Json, traded: tuple[str, ...], depth: int) -> TicketGroup:
    keys = _folded(body)
    kind = _choice(_KINDS, _required(keys, "type", "Type").upper(), "Type")
    orders = _list(body, "orders")
    if not orders:
        raise BadTicket("A group needs Orders.")
    return TicketGroup(kind, tuple(_ticket(order, traded, depth) for order in orders))


def _duration(keys: Json) -> tuple[TimeInForce, bool]:
    """Return how long an order stands, and whether in the extended session too."""
    found = keys.get("timeinforce")
    duration = _word(_folded(found), "duration") if isinstance(found, Mapping) else _word(keys, "timeinforce")
    if not duration:
        raise BadTicket("TimeInForce.Duration is required.")
    word = duration.upper()
    return _choice(_DURATIONS, word, "Duration"), word in _EXTENDED


def _refuse_advanced(keys: Json) -> None:
    found = keys.get("advancedoptions")
    options = _folded(found) if isinstance(found, Mapping) else {}
    for name in ("trailingstop", "marketactivationrules", "timeactivationrules"):
        if options.get(name):
            raise BadTicket(f"AdvancedOptions: {name} is not supported here.")
    if keys.get("legs"):
        raise BadTicket("Legs are for options; only futures are traded here.")


def _quantity(value: object) -> Contracts:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _WHOLE.fullmatch(text) or int(text) == 0:
        raise BadTicket(f"Invalid Quantity: {value!r} is no whole number above 0.")
    return Contracts(int(text))


def _price(keys: Json, key: str, code: str) -> Ticks | None:
    text = _word(keys, key)
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise BadTicket(f"Invalid {key}: {text!r} is no price.")
    try:
        # zero and negative prices are valid
        return on_grid(exchange_price(Decimal(text), code), code)
    except OffGrid as error:
        raise OffTick(f"Off-tick price: {error}.") from None


def _account(body: Json) -> str:
    return _required(_folded(body), "accountid", "AccountID").upper()


def _list(body: Json, key: str) -> Sequence[Json]:
    found = _folded(body).get(key) or []
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
        raise BadTicket(f"{key} must be a list of objects.")
    return found


def _folded(body: Json) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in body.items()}


def _word(keys: Json, key: str) -> str:
    value = keys.get(key)
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _required(keys: Json, key: str, name: str) -> str:
    word = _word(keys, key)
    if not word:
        raise BadTicket(f"{name} is required.")
    return word


def _choice(table: Mapping[str, T], word: str, name: str) -> T:
    if word not in table:
        raise BadTicket(f"{name} {word!r} is invalid; use {', '.join(table)}.")
    return table[word]

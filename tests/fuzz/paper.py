"""What clients send to the local broker, and its own files: answered or refused, and never the end of it."""

import functools
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any

import orjson

from tests.fuzz import mutations
from tests.fuzz.files import folder
from tests.fuzz.harness import Target
from tradeproc.clock import wall_ns
from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.domain.units import SECOND, Contracts, Money, Nanos, Ticks
from tradeproc.errors import Refusal
from tradeproc.exchange.orders import ExchangeOrder, GroupKind, OrderStatus, Ticket, TicketGroup
from tradeproc.localbroker import control
from tradeproc.localbroker.faults import FaultTable
from tradeproc.localbroker.journal import BrokenJournal
from tradeproc.localbroker.market import Market, MarketSettings
from tradeproc.localbroker.pipeline import ApiError
from tradeproc.localbroker.tape import generated
from tradeproc.localbroker.tradestation import order_entry, sign_in_routes
from tradeproc.localbroker.tradestation.oauth import OAuthError, OAuthSettings, TradeStationSignIn
from tradeproc.localbroker.tradestation.tickets import (
    BadTicket,
    OffTick,
    read_group,
    read_order,
    read_replacement,
    summary,
)

ES, ACCOUNT = "ESH24", "SIM0000001F"
START = 1_703_545_200 * SECOND
_NOW = 1_790_000_000 * SECOND
_CASH = Money(Decimal(100_000))

_LEG = {
    "AccountID": ACCOUNT,
    "Symbol": ES,
    "Quantity": "2",
    "TradeAction": "SELL",
    "TimeInForce": {"Duration": "GTC"},
}
_ENTRY: dict[str, Any] = {
    "AccountID": ACCOUNT,
    "Symbol": ES,
    "Quantity": "2",
    "OrderType": "Limit",
    "LimitPrice": "4800.25",
    "TradeAction": "BUY",
    "TimeInForce": {"Duration": "DAY"},
    "OrderConfirmID": "a1",
    "AdvancedOptions": {"ShowOnlyQuantity": "1"},
    "OSOs": [
        {
            "Type": "BRK",
            "Orders": [
                _LEG | {"OrderType": "StopMarket", "StopPrice": "4790"},
                _LEG | {"OrderType": "Limit", "LimitPrice": "4810.25"},
            ],
        }
    ],
}
_GROUP = {"Type": "OCO", "Orders": [_ENTRY, _LEG | {"OrderType": "Market"}]}
_CHANGE = {"Quantity": "1", "LimitPrice": "4800.5", "StopPrice": "4790", "OrderType": "Market"}
_TICKETS = [orjson.dumps(_ENTRY), orjson.dumps(_GROUP), orjson.dumps(_CHANGE)]


@functools.cache
def _market() -> Market:
    return Market(generated(ES, 5, START, 60), MarketSettings({ACCOUNT: _CASH}, history_minutes=0.1))


def _draw_ticket(random: Random) -> tuple[int, Any]:
    which = random.randrange(3)
    return which, mutations.tree(random, _TICKETS[which])


@functools.cache
def _open_order() -> ExchangeOrder:
    ticket = Ticket(ES, Side.BUY, Contracts(2), OrderType.LIMIT, Ticks(16000), None, TimeInForce.GTC, "", ())
    placed: Any = _market().place(ACCOUNT, TicketGroup(GroupKind.INDEPENDENT, (ticket,)))
    found: ExchangeOrder = placed.orders[0]
    assert found.status is OrderStatus.WORKING
    return found


def _read_ticket(drawn: tuple[int, Any]) -> None:
    which, body = drawn
    if not isinstance(body, dict):
        return
    call: Any = SimpleNamespace(raw=orjson.dumps(body))
    order_entry.accounts_in_body(call)
    if which == 2:
        read_replacement(body, _open_order())
        return
    placing = (read_order, read_group)[which](body, (ES, "ESM24"))
    for ticket in placing.group.tickets:
        summary(ticket)


# --- the control API

_CONTROL = [
    orjson.dumps(
        {"name": "cut", "target": "orders_stream", "count": 1, "seconds": 2.0, "status": 503, "undone": True}
    ),
    orjson.dumps({"speed": 60.0, "order_id": "1000000001", "reason": "EC602"}),
]


def _draw_control(random: Random) -> tuple[int, Any]:
    which = random.randrange(4)
    return which, mutations.tree(random, _CONTROL[which % 2])


def _read_control(drawn: tuple[int, Any]) -> None:
    which, body = drawn
    if not isinstance(body, dict):
        return
    market = _market()
    desk: Any = SimpleNamespace(
        market=market,
        contracts=(ES,),
        requests={},
        sign_in=SimpleNamespace(issued=0),
        streams=SimpleNamespace(open={}),
        faults=FaultTable(),
        signals=SimpleNamespace(notify_all=lambda: None),
    )
    action = (control._set_fault, control._set_speed, control._clear_faults, control._set_speed)[which]
    try:
        orjson.dumps(action(desk, body), default=control._plain)
    finally:
        market.set_speed(1.0)


# --- its sign-in host

_FORMS = [
    orjson.dumps(
        {"grant_type": "refresh_token", "client_id": "local", "client_secret": "local", "refresh_token": "local"}
    ),
    orjson.dumps({"grant_type": "authorization_code", "client_id": "local", "client_secret": "local", "code": "x"}),
    orjson.dumps(
        {"response_type": "code", "client_id": "local", "redirect_uri": "http://localhost:31022/", "state": "s"}
        | {"code_challenge": "x", "code_challenge_method": "S256", "scope": "openid"}
    ),
]


@functools.cache
def _sign_in() -> TradeStationSignIn:
    return TradeStationSignIn(folder(), OAuthSettings())


@functools.cache
def _good_token() -> str:
    told = _sign_in().token(orjson.loads(_FORMS[0]), _NOW)
    return str(told["access_token"])


def _draw_form(random: Random) -> tuple[int, Any, str]:
    which = random.randrange(len(_FORMS))
    header = mutations.text(random, random.choice(("Bearer ", "Basic bG9jYWw6bG9jYWw=", "bearer x")))
    return which, mutations.tree(random, _FORMS[which]), header


def _read_form(drawn: tuple[int, Any, str]) -> None:
    which, found, header = drawn
    if not isinstance(found, dict):
        return
    form = {str(key): str(value) for key, value in found.items()}
    sign_in = _sign_in()
    sign_in.is_good(header, _NOW)
    sign_in.is_good(header + _good_token(), _NOW)
    sign_in_routes._basic(header)
    if which == 2:
        sign_in.authorize(form, _NOW)
    else:
        sign_in.token(form, _NOW)


# --- its books


@functools.cache
def _books() -> bytes:
    """Return the journal of a broker that took an order and filled another."""
    path = folder() / "books.seed"
    time = [0]
    market = Market(
        generated(ES, 5, START, 60),
        MarketSettings({ACCOUNT: _CASH}, history_minutes=0.1),
        journal=path,
        wall=lambda: Nanos(_NOW + time[0]),
        monotonic=lambda: time[0],
    )
    for limit in (Ticks(16000), None):
        kind = OrderType.LIMIT if limit is not None else OrderType.MARKET
        ticket = Ticket(ES, Side.BUY, Contracts(1), kind, limit, None, TimeInForce.GTC, "", ())
        market.place(ACCOUNT, TicketGroup(GroupKind.INDEPENDENT, (ticket,)))
    time[0] += 20 * SECOND
    market.advance()
    return path.read_bytes()


def _draw_books(random: Random) -> bytes:
    seed = _books()
    if random.random() < 0.4:
        return mutations.raw(random, seed, 2)
    found = seed.splitlines()
    at = random.randrange(len(found))
    found[at] = orjson.dumps(mutations.tree(random, found[at]), option=orjson.OPT_NON_STR_KEYS)
    return b"\n".join(found) + b"\n"


def _read_books(content: bytes) -> None:
    path = folder() / "books.journal"
    path.write_bytes(content)
    tape = _market().tape
    market = Market(tape, MarketSettings({ACCOUNT: _CASH}, history_minutes=0.1), journal=path, wall=wall_ns)
    try:
        market.advance()
    finally:
        if market._journal is not None:
            market._journal.close()


TARGETS = (
    Target("tickets", _draw_ticket, _read_ticket, (BadTicket, OffTick)),
    Target("control", _draw_control, _read_control, (Refusal,)),
    Target("sign_in", _draw_form, _read_form, (OAuthError, ApiError)),
    Target("books", _draw_books, _read_books, (BrokenJournal,)),
)

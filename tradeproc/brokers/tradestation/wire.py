"""Pure readers of TradeStation's accounts, balances, positions and orders; they survive any bytes.

Each reader takes a JSON object and returns our value, `Foreign` for what is no futures contract (not ours to see),
or `Unreadable`: an answer with an unreadable record is unknown as a whole, never shorter.

Source: TradeStation API v3, "Get Accounts", "Get Balances", "Get Positions", "Get Orders" (response schemas).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from tradeproc.brokers.contract import BrokerAccount, BrokerOrder
from tradeproc.brokers.tradestation.fields import Json, decimal, moment, objects, text, trouble, whole
from tradeproc.brokers.tradestation.statuses import is_cancelling, is_doubtful, order_state
from tradeproc.brokers.tradestation.symbols import contract_code, from_wire, looks_like_future
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Balance, Position
from tradeproc.domain.orders import OrderType, Side
from tradeproc.domain.units import Contracts, Money, Nanos, Price

T = TypeVar("T")

_ZERO = Decimal(0)
_SIDES = {
    "buy": Side.BUY,
    "sell": Side.SELL,
    "buytocover": Side.BUY,
    "sellshort": Side.SELL,
    "buytoopen": Side.BUY,
    "buytoclose": Side.BUY,
    "selltoopen": Side.SELL,
    "selltoclose": Side.SELL,
}
_TYPES = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stopmarket": OrderType.STOP,
    "stoplimit": OrderType.STOP_LIMIT,
}


@dataclass(frozen=True, slots=True)
class Foreign:
    """A record of something that is no futures contract."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that lacks what it must have."""

    reason: str


FOREIGN = Foreign()


def read_list(body: Json, key: str, read: Callable[[Json], T | Foreign | Unreadable]) -> Answer[Sequence[T]]:
    """Return the records of a list answer; unknown when it carries errors, is cut short or has a broken record.

    An empty list is confirmed empty only because `Errors` is empty too.
    """
    said = trouble(body)
    if said is not None:
        return Unknown(said)
    errors = objects(body.get("Errors") or [])
    if errors is None or errors:
        return Unknown("; ".join(trouble(error) or "unnamed error" for error in errors or ()) or "errors unreadable")
    records = objects(body.get(key))
    if records is None:
        return Unknown(f"the answer has no list {key}")
    return _gathered(read(record) for record in records)


def _gathered(found: Iterable[T | Foreign | Unreadable]) -> Answer[Sequence[T]]:
    values: list[T] = []
    for entry in found:
        if isinstance(entry, Unreadable):
            return Unknown(entry.reason)
        if not isinstance(entry, Foreign):
            values.append(entry)
    return Known(tuple(values))


def read_account(record: Json) -> BrokerAccount | Unreadable:
    """Return an account; only active futures accounts are tradable."""
    account, kind, status = text(record, "AccountID"), text(record, "AccountType"), text(record, "Status")
    if not account:
        return Unreadable("an account without AccountID")
    tradable = kind.lower() == "futures" and status.lower() == "active"
    return BrokerAccount(account, kind, text(record, "Currency") or "USD", tradable, status)


def read_balance(record: Json, at: Nanos) -> Balance | Unreadable:
    """Return an account's money; realised and unrealised come from the detail: the day's profit above it misleads."""
    account, cash, equity = text(record, "AccountID"), decimal(record, "CashBalance"), decimal(record, "Equity")
    if not account or cash is None or equity is None:
        return Unreadable("a balance without AccountID, CashBalance or Equity")
    found = record.get("BalanceDetail")
    detail: Json = found if isinstance(found, dict) else {}
    currencies = objects(record.get("CurrencyDetails")) or [{}]
    return Balance(
        account,
        text(currencies[0], "Currency") or "USD",
        Money(cash),
        Money(equity),
        Money(decimal(detail, "RealizedProfitLoss") or _ZERO),
        Money(decimal(detail, "UnrealizedProfitLoss") or _ZERO),
        at,
    )


def _is_foreign(record: Json, symbol: str) -> bool:
    asset = text(record, "AssetType").upper()
    return asset != "FUTURE" if asset else not looks_like_future(symbol)


def read_position(record: Json) -> Position | Foreign | Unreadable:
    """Return a position; the sign is `LongShort`'s, since shorts come as a negative quantity or a positive one."""
    account, symbol, quantity = text(record, "AccountID"), text(record, "Symbol"), whole(record, "Quantity")
    if not symbol:
        return Unreadable("a position without Symbol")
    if _is_foreign(record, symbol):
        return FOREIGN
    if not account or quantity is None:
        return Unreadable(f"position {symbol} without AccountID or Quantity")
    direction = text(record, "LongShort").lower()
    if direction in ("long", "short"):
        quantity = abs(quantity) if direction == "long" else -abs(quantity)
    code = contract_code(symbol)
    average = decimal(record, "AveragePrice")
    is_priced = average is not None and quantity != 0
    return Position(account, code, Contracts(quantity), from_wire(average, code) if is_priced and average else None)


def add_positions(positions: Iterable[Position]) -> tuple[Position, ...]:
    """Return one position a contract, should the broker tell one in several lots; flat lots vanish."""
    sums: dict[tuple[str, str], Position] = {}
    for lot in positions:
        held = sums.get((lot.account, lot.contract))
        sums[lot.account, lot.contract] = lot if held is None else _sum(held, lot)
    return tuple(position for position in sums.values() if position.quantity)


def _sum(one: Position, other: Position) -> Position:
    quantity = one.quantity + other.quantity
    average: Price | None = None
    if quantity and one.average is not None and other.average is not None:
        average = Price((one.average * one.quantity + other.average * other.quantity) / quantity)
    return Position(one.account, one.contract, Contracts(quantity), average)


def read_order(record: Json, *, is_final: bool = False) -> BrokerOrder | Foreign | Unreadable:
    """Return an order; `is_final` as in `order_state`. Spreads (several legs) are foreign.

    `filled` is the leg's cumulative ExecQuantity; `FilledPrice` is the average, "0" while nothing is filled.
    """
    legs = objects(record.get("Legs"))
    broker_id = text(record, "OrderID")
    if not broker_id or not legs:
        return Unreadable(f"order {broker_id or '?'} without OrderID or Legs")
    leg = legs[0]
    symbol = text(leg, "Symbol")
    if len(legs) > 1 or (symbol and _is_foreign(leg, symbol)):
        return FOREIGN
    side, quantity = _SIDES.get(text(leg, "BuyOrSell").lower()), whole(leg, "QuantityOrdered")
    account = text(record, "AccountID")
    if not symbol or side is None or quantity is None or quantity <= 0 or not account:
        return Unreadable(f"order {broker_id} without account, symbol, side or quantity")
    return _order(record, leg, (side, quantity), is_final)


def _order(record: Json, leg: Json, what: tuple[Side, int], is_final: bool) -> BrokerOrder:
    side, quantity = what
    code = contract_code(text(leg, "Symbol"))
    status, closed_at = text(record, "Status").upper(), moment(record, "ClosedDateTime")
    executed = whole(leg, "ExecQuantity")
    filled = min(max(executed if executed is not None else quantity if status == "FLL" else 0, 0), quantity)
    state = order_state(status, quantity, filled, is_closed=closed_at is not None, is_final=is_final)
    limit, stop = _price(record, "LimitPrice", code), _price(record, "StopPrice", code)
    average = _price(record, "FilledPrice", code) or _price(leg, "ExecutionPrice", code) if filled else None
    return BrokerOrder(
        broker_id=text(record, "OrderID"),
        account=text(record, "AccountID"),
        contract=code,
        side=side,
        type=_TYPES.get(text(record, "OrderType").lower()) or _guessed_type(limit, stop),
        quantity=Contracts(quantity),
        filled=Contracts(filled),
        state=state,
        raw_status=status,
        opened_at=moment(record, "OpenedDateTime") or Nanos(0),
        limit=limit,
        stop=stop,
        average=average,
        closed_at=closed_at if state.is_terminal else None,
        parent=_parent(record),
        has_cancel_pending=is_cancelling(status) and not state.is_terminal,
        reason=text(record, "RejectReason"),
    )


def must_read_again(order: BrokerOrder, record: Json, settled_before: Nanos) -> bool:
    """Tell whether a second reading has to settle the broker's word for this order, and can by now.

    A replaced order is told as closed for a moment: only an end before `settled_before` is worth believing.
    """
    closed_at = moment(record, "ClosedDateTime")
    if closed_at is None or closed_at > settled_before or order.state.is_terminal:
        return False
    return is_doubtful(order.raw_status, is_closed=True)


def _price(record: Json, key: str, code: str) -> Price | None:
    value = decimal(record, key)
    return from_wire(value, code) if value is not None and value != 0 else None


def _guessed_type(limit: Price | None, stop: Price | None) -> OrderType:
    """The type of an order whose type we do not know, by the prices it carries."""
    if stop is not None:
        return OrderType.STOP if limit is None else OrderType.STOP_LIMIT
    return OrderType.MARKET if limit is None else OrderType.LIMIT


def _parent(record: Json) -> str | None:
    for link in objects(record.get("ConditionalOrders")) or []:
        if text(link, "Relationship").upper() == "OSP":
            return text(link, "OrderID") or None
    return None

"""Pure readers of TradeStation's accounts, balances, positions and orders; no input makes them raise.

Each reader takes a JSON object and returns our value, `Foreign` for a record that is no futures contract and that we
ignore, or what it could not read. An `UnreadableRecord` takes the place of its order or position, so that a list with
a broken record is never shorter than the broker's. A field with a value that makes no sense is never read as 0 or as
absent: it makes its record unreadable, or is named in the order's `doubt`.

Source: TradeStation API v3, "Get Accounts", "Get Balances", "Get Positions", "Get Orders" (response schemas).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from tradeproc.brokers.contract import BrokerAccount, BrokerOrder, ListedOrder, ListedPosition, UnreadableRecord
from tradeproc.brokers.tradestation.fields import (
    Json,
    decimal,
    is_blank,
    moment,
    nonsense,
    objects,
    price,
    text,
    trouble,
    whole,
)
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
# these are no futures; with any other asset type, or none, the symbol decides
_SECURITIES = ("STOCK", "STOCKOPTION", "INDEX", "INDEXOPTION", "MUTUALFUND", "MONEYMARKETFUND", "BOND", "EQUITY")
_OTHER_ASSETS = frozenset({*_SECURITIES, "OPTION", "FUTUREOPTION", "FOREX", "CURRENCYOPTION", "CRYPTO"})
# statuses that report a fill; with another status, the fields of a fill may be stale or not complete yet
_FILL_WORDS = frozenset(["FLL", "FLP", "FPR"])
_TYPES = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stopmarket": OrderType.STOP,
    "stoplimit": OrderType.STOP_LIMIT,
}


@dataclass(frozen=True, slots=True)
class Foreign:
    """A record that is no futures contract."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An account, balance, bar or contract that lacks what it must have."""

    reason: str


FOREIGN = Foreign()


def records_of(body: Json, key: str) -> Answer[Sequence[Json]]:
    """Return the raw records of a list answer; unknown if it holds an error. An entry that is no object becomes {}.

    An empty list is confirmed empty only because `Errors` is empty too.
    """
    said = trouble(body)
    if said is not None:
        return Unknown(said)
    errors = objects(body.get("Errors") or [])
    if errors is None or errors:
        return Unknown("; ".join(trouble(error) or "unnamed error" for error in errors or ()) or "errors unreadable")
    found = body.get(key)
    if not isinstance(found, list):
        return Unknown(f"the answer has no list {key}")
    return Known(tuple(record if isinstance(record, dict) else {} for record in found))


def read_list(body: Json, key: str, read: Callable[[Json], T]) -> Answer[Sequence[T]]:
    """Return the records of a list answer as `read` reads them; unknown as `records_of` is."""
    return records_of(body, key).then(lambda records: Known(tuple(read(record) for record in records)))


def read_orders(records: Iterable[Json]) -> tuple[ListedOrder, ...]:
    """Return the futures orders among records, and what cannot be read."""
    return tuple(order for order in map(read_order, records) if not isinstance(order, Foreign))


def read_positions(records: Iterable[Json]) -> tuple[ListedPosition, ...]:
    """Return the futures positions among records, lot by lot, and what cannot be read."""
    return tuple(position for position in map(read_position, records) if not isinstance(position, Foreign))


def read_account(record: Json) -> BrokerAccount:
    """Return an account; only active futures accounts are tradable, and one without an id is listed as unreadable."""
    account, kind, status = text(record, "AccountID"), text(record, "AccountType"), text(record, "Status")
    if not account:
        return BrokerAccount("", kind, text(record, "Currency"), is_tradable=False, status="cannot be read")
    tradable = kind.lower() == "futures" and status.lower() == "active"
    return BrokerAccount(account, kind, text(record, "Currency") or "USD", tradable, status)


def read_balance(record: Json, at: Nanos) -> Balance | Unreadable:
    """Return an account's money; the profits are those of BalanceDetail, as TodaysProfitLoss misleads."""
    account, cash, equity = text(record, "AccountID"), decimal(record, "CashBalance"), decimal(record, "Equity")
    if not account or cash is None or equity is None:
        return Unreadable("a balance without AccountID, CashBalance or Equity")
    found = record.get("BalanceDetail")
    detail: Json = found if isinstance(found, Mapping) else {}
    bad = nonsense(detail, decimal, "RealizedProfitLoss", "UnrealizedProfitLoss")
    if bad or (found and not detail):
        return Unreadable(f"balance of {account}: {bad or 'BalanceDetail makes no sense'}")
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
    """Tell whether a record is no futures contract; with an unknown asset type the symbol decides."""
    asset = text(record, "AssetType").upper()
    if asset == "FUTURE":
        return False
    return asset in _OTHER_ASSETS or not looks_like_future(symbol)


def read_position(record: Json) -> Position | Foreign | UnreadableRecord:
    """Return a position; `LongShort` gives the sign, because the quantity of a short may be negative or positive."""
    account, symbol, quantity = text(record, "AccountID"), text(record, "Symbol"), whole(record, "Quantity")
    if not symbol:
        return UnreadableRecord("", account, "", f"a position without Symbol, id {text(record, 'PositionID') or '?'}")
    if _is_foreign(record, symbol):
        return FOREIGN
    code = contract_code(symbol)
    bad = nonsense(record, whole, "Quantity") or nonsense(record, price, "AveragePrice")
    if not account or quantity is None or bad:
        return UnreadableRecord("", account, code, f"position {symbol}: {bad or 'no AccountID or no Quantity'}")
    direction = text(record, "LongShort").lower()
    if direction not in ("long", "short", ""):
        return UnreadableRecord("", account, code, f"position {symbol}: LongShort '{direction}' makes no sense")
    if direction:
        quantity = abs(quantity) if direction == "long" else -abs(quantity)
    return Position(account, code, Contracts(quantity), _position_price(record, code) if quantity else None)


def _position_price(record: Json, code: str) -> Price | None:
    """Return the average price of what is held; 0 is a price, unless the total cost says otherwise."""
    average = price(record, "AveragePrice")
    if average is None or (average == 0 and decimal(record, "TotalCost")):
        return None
    return from_wire(average, code)


def unread_positions(positions: Iterable[object]) -> tuple[UnreadableRecord, ...]:
    """Return the records that could not be read."""
    return tuple(each for each in positions if isinstance(each, UnreadableRecord))


def add_positions(positions: Iterable[Position]) -> tuple[Position, ...]:
    """Return one position for each contract, which the broker may report in several lots; flat ones are left out."""
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


def read_order(record: Json, *, is_final: bool = False) -> BrokerOrder | Foreign | UnreadableRecord:
    """Return an order; `is_final` as in `order_state`. Spreads (several legs) are foreign.

    `filled` is the leg's cumulative ExecQuantity; `FilledPrice` is the average, "0" while nothing is filled.
    """
    legs = objects(record.get("Legs"))
    broker_id, account = text(record, "OrderID"), text(record, "AccountID")
    if not broker_id or not legs:
        return UnreadableRecord(broker_id, account, "", f"order {broker_id or '?'} without OrderID or Legs")
    leg = legs[0]
    symbol = text(leg, "Symbol")
    if len(legs) > 1 or (symbol and _is_foreign(leg, symbol)):
        return FOREIGN
    code = contract_code(symbol) if symbol else ""
    side, quantity = _SIDES.get(text(leg, "BuyOrSell").lower()), whole(leg, "QuantityOrdered")
    bad = (
        nonsense(leg, whole, "QuantityOrdered")
        or nonsense(leg, _executed, "ExecQuantity")
        or nonsense(record, price, "LimitPrice", "StopPrice")
    )
    if bad or not symbol or side is None or quantity is None or quantity <= 0 or not account:
        problem = bad or "no account, symbol, side or quantity"
        return UnreadableRecord(broker_id, account, code, f"order {broker_id}: {problem}")
    return _order(record, leg, (side, quantity), is_final)


def _order(record: Json, leg: Json, what: tuple[Side, int], is_final: bool) -> BrokerOrder:
    side, quantity = what
    code = contract_code(text(leg, "Symbol"))
    status, closed_at = text(record, "Status").upper(), moment(record, "ClosedDateTime")
    executed = _executed(leg, "ExecQuantity")
    filled = min(executed if executed is not None else quantity if status == "FLL" else 0, quantity)
    is_closed = not is_blank(record, "ClosedDateTime")
    state = order_state(status, quantity, filled, is_closed=is_closed, is_final=is_final)
    kind = _TYPES.get(text(record, "OrderType").lower())
    limit, stop = _term(record, "LimitPrice", code, kind), _term(record, "StopPrice", code, kind)
    doubts = (
        nonsense(record, moment, "OpenedDateTime", "ClosedDateTime"),
        nonsense(record, price, "FilledPrice"),
        nonsense(leg, price, "ExecutionPrice"),
        f"ExecQuantity {executed} is more than was ordered" if (executed or 0) > quantity else "",
    )
    return BrokerOrder(
        broker_id=text(record, "OrderID"),
        account=text(record, "AccountID"),
        contract=code,
        side=side,
        type=kind or _guessed_type(limit, stop),
        quantity=Contracts(quantity),
        filled=Contracts(filled),
        state=state,
        raw_status=status,
        opened_at=moment(record, "OpenedDateTime"),
        limit=limit,
        stop=stop,
        average=_average(record, leg, (side, limit, stop), code) if filled else None,
        closed_at=closed_at if state.is_terminal else None,
        parent=_parent(record),
        has_cancel_pending=is_cancelling(status) and not state.is_terminal,
        reason=text(record, "RejectReason"),
        doubt=", ".join(doubt for doubt in doubts if doubt),
    )


def _executed(leg: Json, key: str) -> int | None:
    """Return a filled quantity, None if it is negative or no whole number."""
    quantity = whole(leg, key)
    return quantity if quantity is not None and quantity >= 0 else None


def _average(record: Json, leg: Json, terms: tuple[Side, Price | None, Price | None], code: str) -> Price | None:
    """Return the average price of the filled part, None when the record does not tell it.

    The field is "0" while nothing is filled, so a price of zero needs more proof: the leg, which has a price only
    after a fill, must say zero too, and the order's limit must allow it. In addition the status must report a fill,
    or the order must itself have a limit or stop price at or below zero.
    """
    told, of_leg = price(record, "FilledPrice"), price(leg, "ExecutionPrice")
    if told or of_leg:
        return from_wire(told or of_leg or _ZERO, code)
    side, limit, stop = terms
    if of_leg is None or (limit is not None and limit * side.sign < 0):
        return None
    if text(record, "Status").upper() not in _FILL_WORDS and not any(
        term is not None and term <= 0 for term in (limit, stop)
    ):
        return None
    return Price(_ZERO)


def must_read_again(order: BrokerOrder, record: Json, settled_before: Nanos) -> bool:
    """Tell whether this order has to be read again, by its id, and can be by now.

    A replaced order is reported as closed for a moment, so a doubtful end is read again only if it was before
    `settled_before`. A fill without a price is read again at once.
    """
    if order.filled and order.average is None:
        return True
    closed_at = moment(record, "ClosedDateTime")
    if is_blank(record, "ClosedDateTime") or (closed_at or 0) > settled_before or order.state.is_terminal:
        return False
    return is_doubtful(order.raw_status, is_closed=True)


def _term(record: Json, key: str, code: str, kind: OrderType | None) -> Price | None:
    """Return a limit or stop price; 0 is a price if the order's type has such a price, and blank otherwise."""
    value = price(record, key)
    has_it = kind is not None and (kind.has_limit if key == "LimitPrice" else kind.has_stop)
    return None if value is None or (value == 0 and not has_it) else from_wire(value, code)


def _guessed_type(limit: Price | None, stop: Price | None) -> OrderType:
    """Return the type of an order of unknown type by the prices that it has."""
    if stop is not None:
        return OrderType.STOP if limit is None else OrderType.STOP_LIMIT
    return OrderType.MARKET if limit is None else OrderType.LIMIT


def _parent(record: Json) -> str | None:
    for link in objects(record.get("ConditionalOrders")) or []:
        if text(link, "Relationship").upper() == "OSP":
            return text(link, "OrderID") or None
    return None

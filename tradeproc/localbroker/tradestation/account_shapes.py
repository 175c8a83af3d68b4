"""TradeStation's JSON of orders, positions, balances and accounts. Pure.

Source: tradestation.md, "Brokerage" (real futures orders, status codes, recorded sequences).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tradeproc.domain.instruments import Contract, instrument
from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.domain.units import SECOND, iso
from tradeproc.exchange.accounts import CURRENCY
from tradeproc.exchange.orders import DayStart, ExchangeOrder, ExchangePosition, Funds, GroupKind, OrderStatus
from tradeproc.localbroker.grid import to_points
from tradeproc.localbroker.tradestation.numbers import wire_average, wire_price, wire_symbol, written
from tradeproc.localbroker.tradestation.tickets import EXTENDED

Body = dict[str, Any]

DESCRIPTIONS = {
    "DON": "Queued",
    "OSO": "OSO Order",
    "ACK": "Received",
    "STP": "Stop Hit",
    "UCN": "Cancel Sent",
    "FPR": "Partial Fill (Alive)",
    "FLL": "Filled",
    "FLP": "Partial Fill (UROut)",
    "OUT": "UROut",
    "REJ": "Rejected",
    "EXP": "Expired",
}
_CODES = {
    OrderStatus.QUEUED: "DON",
    OrderStatus.WAITING: "OSO",
    OrderStatus.WORKING: "ACK",
    OrderStatus.PARTIALLY_FILLED: "FPR",
    OrderStatus.FILLED: "FLL",
    OrderStatus.CANCELLED: "OUT",
    OrderStatus.REJECTED: "REJ",
    OrderStatus.EXPIRED: "EXP",
}
_TYPES = {
    OrderType.MARKET: "Market",
    OrderType.LIMIT: "Limit",
    OrderType.STOP: "StopMarket",
    OrderType.STOP_LIMIT: "StopLimit",
}
_KINDS = {GroupKind.ONE_CANCELS_OTHER: "OCO", GroupKind.ONE_REDUCES_OTHER: "BRK"}
_DURATIONS = {TimeInForce.DAY: "DAY", TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}
_GTC_DAYS = 90
_OPEN_EQUITY = ("AccountOpenTradeEquity", "OpenTradeEquity")
# what triggers a stop here, and by default at the broker: a single trade
_TRIGGER = "STPTRG=STT;"


@dataclass(frozen=True, slots=True)
class Relatives:
    """The orders that an order is tied to."""

    siblings: Sequence[ExchangeOrder] = ()
    children: Sequence[ExchangeOrder] = ()


def status_code(order: ExchangeOrder) -> str:
    """Return TradeStation's code of an order's state."""
    if order.status is OrderStatus.CANCELLED and order.filled:
        return "FLP"
    return _CODES[order.status]


def order_body(
    order: ExchangeOrder, relatives: Relatives, commission: Decimal, *, status: str = "", with_closing: bool = True
) -> Body:
    """Return an order; `status` overrides its code, `with_closing` False leaves the closing time out.

    `commission` is per contract and side.
    """
    code = status or status_code(order)
    limit, stop, average = (
        None if price is None else to_points(price, order.contract)
        for price in (order.limit, order.stop, order.average)
    )
    used = next((price for price in (limit, stop, average) if price is not None), None)
    has_stop = order.type.has_stop
    is_gtc = order.time_in_force is TimeInForce.GTC
    fields: dict[str, object] = {
        "AccountID": order.account,
        "AdvancedOptions": _TRIGGER if has_stop else None,
        "CommissionFee": written(commission * order.filled),
        "ClosedDateTime": iso(order.closed_at) if order.closed_at is not None and with_closing else None,
        "ConditionalOrders": _conditional(order, relatives) or None,
        "Currency": "USD",
        "Duration": _DURATIONS[order.time_in_force] + ("+" if order.memo == EXTENDED else ""),
        "FilledPrice": wire_average(average, order.contract) if average is not None else "0",
        "GoodTillDate": _good_till(order.opened_at) if is_gtc else None,
        "GroupName": f"{_KINDS[order.group_kind]} {order.group.lstrip('g')}" if order.group_kind in _KINDS else None,
        "Legs": [_leg(order)],
        "LimitPrice": wire_price(limit, order.contract) if limit is not None else None,
        "OrderID": order.id,
        "OpenedDateTime": iso(order.opened_at),
        "OrderType": _TYPES[order.type],
        "PriceUsedForBuyingPower": wire_average(used, order.contract) if used is not None else "0",
        "RejectReason": order.reason if order.status is OrderStatus.REJECTED else None,
        "Status": code,
        "StatusDescription": DESCRIPTIONS[code],
        "StopPrice": wire_price(stop, order.contract) if stop is not None else None,
        "ConversionRate": "1",
        "UnbundledRouteFee": "0",
    }
    return {key: value for key, value in fields.items() if value is not None}


def _leg(order: ExchangeOrder) -> Body:
    contract = Contract.parse(order.contract)
    symbol = wire_symbol(order.contract)
    leg: Body = {} if (ends := expiry(contract)) is None else {"ExpirationDate": ends}
    leg |= {
        "QuantityOrdered": str(order.quantity),
        "ExecQuantity": str(order.filled),
        "QuantityRemaining": str(order.remaining),
        "BuyOrSell": "Buy" if order.side is Side.BUY else "Sell",
        "Symbol": symbol,
        "Underlying": symbol[:-3],
        "AssetType": "FUTURE",
    }
    if order.average is not None:
        leg["ExecutionPrice"] = wire_average(to_points(order.average, order.contract), order.contract)
    return leg


def _conditional(order: ExchangeOrder, relatives: Relatives) -> list[Body]:
    parent = [{"Relationship": "OSP", "OrderID": order.parent}] if order.parent else []
    children = [{"Relationship": "OSO", "OrderID": child.id} for child in relatives.children]
    kind = _KINDS.get(order.group_kind)
    siblings = [{"Relationship": kind, "OrderID": other.id} for other in relatives.siblings] if kind else []
    return [*parent, *children, *siblings]


def _good_till(opened_at: int) -> str:
    day = datetime.fromtimestamp(opened_at // SECOND, UTC).date() + timedelta(days=_GTC_DAYS)
    return f"{day}T00:00:00Z"


def expiry(contract: Contract) -> str | None:
    """Return the last trading day of an equity index contract (its month's third Friday); of others None."""
    if instrument(contract.root).market_hours != "cme_equity":
        return None
    first = date(contract.year, contract.month, 1)
    third_friday = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
    return f"{third_friday}T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Valued:
    """A position with `last`, `bid` and `ask` in points, and `unrealized` and `margin` (a contract) in USD."""

    holding: ExchangePosition
    last: Decimal
    bid: Decimal
    ask: Decimal
    unrealized: Decimal
    margin: Decimal


def position_body(valued: Valued) -> Body:
    """Return a position; shorts carry a negative quantity, costs are notional."""
    holding = valued.holding
    contract = Contract.parse(holding.contract)
    value = instrument(contract.root).point_value
    cost = to_points(holding.cost, holding.contract) * value
    average = None if holding.average is None else to_points(holding.average, holding.contract)
    count = abs(holding.quantity)
    margin = valued.margin * count
    fields: dict[str, object] = {
        "AccountID": holding.account,
        "AveragePrice": wire_average(average, holding.contract) if average is not None else "0",
        "AssetType": "FUTURE",
        "Last": wire_price(valued.last, holding.contract),
        "Bid": wire_price(valued.bid, holding.contract),
        "Ask": wire_price(valued.ask, holding.contract),
        "ConversionRate": "1",
        "DayTradeRequirement": written(margin / 10),
        "ExpirationDate": expiry(contract),
        "InitialRequirement": written(margin),
        "MaintenanceMargin": written(margin),
        "PositionID": holding.id,
        "LongShort": "Long" if holding.quantity > 0 else "Short",
        "Quantity": str(holding.quantity),
        "Symbol": wire_symbol(holding.contract),
        "Timestamp": iso(holding.opened_at),
        "TodaysProfitLoss": written(valued.unrealized),
        "TotalCost": written(cost),
        "MarketValue": written(valued.last * holding.quantity * value),
        "MarkToMarketPrice": wire_average(average or Decimal(0), holding.contract),
        "UnrealizedProfitLoss": written(valued.unrealized),
        "UnrealizedProfitLossPercent": written(_percent(valued.unrealized, cost)),
        "UnrealizedProfitLossQty": written(valued.unrealized / count if count else Decimal(0)),
    }
    return {key: text for key, text in fields.items() if text is not None}


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    return (part * 100 / abs(whole)).quantize(Decimal("0.001")) if whole else Decimal(0)


def account_body(account: str) -> Body:
    """Return a futures account; such accounts carry no AccountDetail."""
    return {"AccountID": account, "AccountType": "Futures", "Currency": "USD", "Status": "Active"}


def balance_body(funds: Funds, market_value: Decimal) -> Body:
    """Return an account's money; TodaysProfitLoss is the open profit, as TradeStation means it."""
    day_margin = funds.margin / 10
    excess = written(funds.cash + funds.unrealized - day_margin)
    currency = {
        "Currency": funds.currency,
        "Commission": written(funds.commission),
        "CashBalance": written(funds.cash),
        "RealizedProfitLoss": written(funds.realized),
        "UnrealizedProfitLoss": written(funds.unrealized),
        "InitialMargin": written(funds.margin),
        "MaintenanceMargin": written(funds.margin),
        "AccountConversionRate": "1",
    }
    return {
        "AccountID": funds.account,
        "AccountType": "Futures",
        "CashBalance": written(funds.cash),
        "BuyingPower": excess,
        "Equity": written(funds.equity),
        "MarketValue": written(market_value),
        "TodaysProfitLoss": written(funds.unrealized),
        "UnclearedDeposit": "0",
        "Commission": written(funds.commission),
        "BalanceDetail": {
            "DayTradeExcess": excess,
            "RealizedProfitLoss": written(funds.realized),
            "UnrealizedProfitLoss": written(funds.unrealized),
            "DayTradeOpenOrderMargin": "0",
            "OpenOrderMargin": "0",
            "DayTradeMargin": written(day_margin),
            "InitialMargin": written(funds.margin),
            "MaintenanceMargin": written(funds.margin),
            "TradeEquity": written(funds.unrealized),
            "SecurityOnDeposit": "0",
            "TodayRealTimeTradeEquity": written(funds.unrealized),
        },
        "CurrencyDetails": [currency],
    }


def opening_balance_body(account: str, start: DayStart) -> Body:
    """Return an account's money at the beginning of the trading day."""
    cash, unrealized = written(start.cash), written(start.unrealized)
    detail = {"Equity": written(start.cash + start.unrealized), "CashAvailableToWithdraw": cash, "NetCash": cash}
    row = {"Currency": CURRENCY, "CashBalance": cash} | dict.fromkeys(_OPEN_EQUITY, unrealized)
    return {
        "AccountID": account,
        "AccountType": "Futures",
        "BalanceDetail": detail | {"OpenTradeEquity": unrealized, "SecurityOnDeposit": "0"},
        "CurrencyDetails": [row | {"AccountSecurities": "0", "Securities": "0"}],
    }

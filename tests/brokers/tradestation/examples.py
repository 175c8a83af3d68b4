"""Records as TradeStation writes them, and orders of ours; override what matters."""

from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings

from tradeproc.brokers.contract import BracketRequest, OrderRequest
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.units import Contracts, Price

ES = Contract("ES", 2026, 3)

# the machine may be slow: that is no finding
PATIENT = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def order_record(leg: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    its_leg = {
        "ExpirationDate": "2026-03-20T00:00:00Z",
        "QuantityOrdered": "2",
        "ExecQuantity": "0",
        "QuantityRemaining": "2",
        "BuyOrSell": "Buy",
        "Symbol": "ESH26",
        "Underlying": "ES",
        "AssetType": "FUTURE",
    }
    record = {
        "AccountID": "SIM0000001F",
        "CommissionFee": "1.5",
        "Currency": "USD",
        "Duration": "DAY",
        "FilledPrice": "0",
        "Legs": [its_leg | (leg or {})],
        "LimitPrice": "5312",
        "OrderID": "1000000001",
        "OpenedDateTime": "2026-02-10T15:31:08Z",
        "OrderType": "Limit",
        "Status": "ACK",
        "StatusDescription": "Received",
    }
    return record | fields


def position_record(**fields: Any) -> dict[str, Any]:
    record = {
        "AccountID": "SIM0000001F",
        "AveragePrice": "5311.75",
        "AssetType": "FUTURE",
        "LongShort": "Short",
        "PositionID": "70000001",
        "Quantity": "-1",
        "Symbol": "ESH26",
    }
    return record | fields


def bar_record(**fields: Any) -> dict[str, Any]:
    record = {
        "High": "5312.5",
        "Low": "5310",
        "Open": "5310.25",
        "Close": "5311.75",
        "TimeStamp": "2026-02-10T15:31:00Z",
        "TotalVolume": "1840",
        "TotalTicks": 835,
        "IsRealtime": False,
        "IsEndOfHistory": False,
        "BarStatus": "Closed",
    }
    return record | fields


def price(text: str) -> Price:
    return Price(Decimal(text))


def request(order_id: str = "a1", **fields: Any) -> OrderRequest:
    given: dict[str, Any] = {
        "id": order_id,
        "contract": ES,
        "side": Side.BUY,
        "quantity": Contracts(2),
        "type": OrderType.LIMIT,
        "role": OrderRole.ENTRY,
        "limit": price("5312"),
    }
    return OrderRequest(**(given | fields))


def bracket() -> BracketRequest:
    leg: dict[str, Any] = {"side": Side.SELL, "limit": None}
    return BracketRequest(
        request("e1"),
        request("s1", type=OrderType.STOP, role=OrderRole.STOP_LOSS, stop=price("5300"), **leg),
        request("p1", side=Side.SELL, role=OrderRole.PROFIT_TARGET, limit=price("5330.25")),
    )

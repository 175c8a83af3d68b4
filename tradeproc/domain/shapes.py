"""The fields of every value that travels, and the form of each; `messages.py` gives them their names."""

from tradeproc.domain.book import Balance, Divergence, DivergenceKind, Fill, FillKind, Position, Trade
from tradeproc.domain.broker_orders import BrokerAccount, BrokerOrder, ContractDetails, OrderRequest, UnreadableRecord
from tradeproc.domain.candles import Candle
from tradeproc.domain.forms import (
    CONTRACT,
    COUNT,
    DECIMAL,
    FLAG,
    NUMBER,
    QUANTITY,
    TEXT,
    WHOLE,
    Shape,
    one_of,
    or_none,
)
from tradeproc.domain.orders import Order, OrderRole, OrderState, OrderType, Side, TimeInForce

_SIDE, _TYPE, _ROLE = one_of(Side), one_of(OrderType), one_of(OrderRole)
_STATE, _FORCE = one_of(OrderState), one_of(TimeInForce)
_MAYBE_TEXT, _MAYBE_WHOLE, _MAYBE_DECIMAL = or_none(TEXT), or_none(WHOLE), or_none(DECIMAL)

CANDLE = Shape(
    Candle,
    "candle",
    {
        "opened_at": WHOLE,
        "closed_at": WHOLE,
        "open": NUMBER,
        "high": NUMBER,
        "low": NUMBER,
        "close": NUMBER,
        "volume": COUNT,
        "ticks": COUNT,
        "is_closed": FLAG,
    },
    keys={"is_closed": "closed"},
)
BROKER_ORDER = Shape(
    BrokerOrder,
    "broker order",
    {
        "broker_id": TEXT,
        "account": TEXT,
        "contract": TEXT,
        "side": _SIDE,
        "type": _TYPE,
        "quantity": COUNT,
        "filled": COUNT,
        "state": _STATE,
        "raw_status": TEXT,
        "opened_at": _MAYBE_WHOLE,
        "limit": _MAYBE_DECIMAL,
        "stop": _MAYBE_DECIMAL,
        "average": _MAYBE_DECIMAL,
        "closed_at": _MAYBE_WHOLE,
        "client_id": _MAYBE_TEXT,
        "parent": _MAYBE_TEXT,
        "has_cancel_pending": FLAG,
        "reason": TEXT,
        "doubt": TEXT,
    },
)
UNREADABLE_RECORD = Shape(
    UnreadableRecord,
    "unreadable record",
    {"broker_id": TEXT, "account": TEXT, "contract": TEXT, "reason": TEXT},
    keys={"reason": "unreadable"},
)
POSITION = Shape(
    Position, "position", {"account": TEXT, "contract": TEXT, "quantity": WHOLE, "average": _MAYBE_DECIMAL}
)
BALANCE = Shape(
    Balance,
    "balance",
    {
        "account": TEXT,
        "currency": TEXT,
        "cash": DECIMAL,
        "equity": DECIMAL,
        "realized": DECIMAL,
        "unrealized": DECIMAL,
        "at": WHOLE,
    },
)
BROKER_ACCOUNT = Shape(
    BrokerAccount,
    "broker account",
    {"id": TEXT, "kind": TEXT, "currency": TEXT, "is_tradable": FLAG, "status": TEXT},
)
CONTRACT_DETAILS = Shape(
    ContractDetails,
    "contract details",
    {
        "contract": CONTRACT,
        "broker_symbol": TEXT,
        "tick_size": DECIMAL,
        "point_value": DECIMAL,
        "currency": TEXT,
        "exchange": TEXT,
        "description": TEXT,
        "expires_on": _MAYBE_TEXT,
    },
)
ORDER_REQUEST = Shape(
    OrderRequest,
    "order request",
    {
        "id": TEXT,
        "contract": CONTRACT,
        "side": _SIDE,
        "quantity": QUANTITY,
        "type": _TYPE,
        "role": _ROLE,
        "limit": _MAYBE_DECIMAL,
        "stop": _MAYBE_DECIMAL,
        "time_in_force": _FORCE,
    },
)
ORDER = Shape(
    Order,
    "order",
    {
        "id": TEXT,
        "session": WHOLE,
        "fence": WHOLE,
        "contract": TEXT,
        "side": _SIDE,
        "quantity": QUANTITY,
        "type": _TYPE,
        "role": _ROLE,
        "created_at": WHOLE,
        "market_at": WHOLE,
        "limit": _MAYBE_WHOLE,
        "stop": _MAYBE_WHOLE,
        "time_in_force": _FORCE,
        "state": _STATE,
        "filled": COUNT,
        "average": _MAYBE_DECIMAL,
        "broker_id": _MAYBE_TEXT,
        "parent": _MAYBE_TEXT,
        "in_flight": _MAYBE_TEXT,
        "changed_at": WHOLE,
        "reason": TEXT,
        "revision": COUNT,
    },
)
FILL = Shape(
    Fill,
    "fill",
    {
        "order_id": TEXT,
        "broker_id": TEXT,
        "session": WHOLE,
        "contract": TEXT,
        "side": _SIDE,
        "quantity": QUANTITY,
        "cumulative": COUNT,
        "price": _MAYBE_DECIMAL,
        "at": WHOLE,
        "market_at": WHOLE,
        "kind": one_of(FillKind),
        "revision": COUNT,
    },
)
TRADE = Shape(
    Trade,
    "trade",
    {
        "session": WHOLE,
        "contract": TEXT,
        "side": _SIDE,
        "quantity": QUANTITY,
        "entry_price": _MAYBE_DECIMAL,
        "exit_price": _MAYBE_DECIMAL,
        "entered_at": WHOLE,
        "exited_at": WHOLE,
        "profit": _MAYBE_DECIMAL,
        "entry_order": TEXT,
        "exit_order": TEXT,
    },
)
DIVERGENCE = Shape(
    Divergence,
    "divergence",
    {
        "session": WHOLE,
        "kind": one_of(DivergenceKind),
        "subject": TEXT,
        "ours": TEXT,
        "brokers": TEXT,
        "cause": TEXT,
        "at": WHOLE,
    },
)

"""Values as the plain bodies of messages and back, all by the codecs of `protocol/`: for tests that speak plainly.

`<value>_to_body` writes, and `<value>_from_body` reads or raises `BadMessage`.
"""

from collections.abc import Mapping
from typing import Any

from tradeproc.domain.book import Balance, Divergence, Fill, Position, Trade
from tradeproc.domain.broker_orders import (
    BracketRequest,
    BrokerAccount,
    BrokerOrder,
    ContractDetails,
    ListedOrder,
    ListedPosition,
    OrderRequest,
    Outcome,
    UnreadableRecord,
)
from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import Order
from tradeproc.protocol.codec import BadMessage, Codec
from tradeproc.protocol.feed_messages import CANDLE, CandleBody

__all__ = ["BadMessage"]


def _codec(kind: Any, name: str = "") -> Codec[Any]:
    return Codec(kind, name)


_BROKER_ORDER, _POSITION, _UNREADABLE = _codec(BrokerOrder), _codec(Position), _codec(UnreadableRecord)
_BALANCE, _ACCOUNT, _DETAILS = _codec(Balance), _codec(BrokerAccount), _codec(ContractDetails)
_ORDER, _FILL, _TRADE, _DIVERGENCE = _codec(Order), _codec(Fill), _codec(Trade), _codec(Divergence)
_REQUEST, _OUTCOME = _codec(OrderRequest | BracketRequest, "request"), _codec(Outcome, "outcome")
_ORDER_REQUEST, _BRACKET = _codec(OrderRequest), _codec(BracketRequest)
_LISTED_ORDER, _LISTED_POSITION = _codec(ListedOrder, "order"), _codec(ListedPosition, "position")

broker_order_to_body, broker_order_from_body = _BROKER_ORDER.plain, _BROKER_ORDER.read
position_to_body, position_from_body = _POSITION.plain, _POSITION.read
unreadable_to_body, unreadable_from_body = _UNREADABLE.plain, _UNREADABLE.read
balance_to_body, balance_from_body = _BALANCE.plain, _BALANCE.read
broker_account_to_body, broker_account_from_body = _ACCOUNT.plain, _ACCOUNT.read
contract_details_to_body, contract_details_from_body = _DETAILS.plain, _DETAILS.read
order_to_body, order_from_body = _ORDER.plain, _ORDER.read
fill_to_body, fill_from_body = _FILL.plain, _FILL.read
trade_to_body, trade_from_body = _TRADE.plain, _TRADE.read
divergence_to_body, divergence_from_body = _DIVERGENCE.plain, _DIVERGENCE.read
request_to_body, request_from_body = _REQUEST.plain, _REQUEST.read
order_request_from_body, bracket_request_from_body = _ORDER_REQUEST.read, _BRACKET.read
outcome_to_body, outcome_from_body = _OUTCOME.plain, _OUTCOME.read
listed_order_to_body, listed_order_from_body = _LISTED_ORDER.plain, _LISTED_ORDER.read
listed_position_to_body, listed_position_from_body = _LISTED_POSITION.plain, _LISTED_POSITION.read


def candle_to_body(candle: Candle, contract: str, minutes: int, is_history: bool = False) -> dict[str, Any]:
    """Return a candle and whose it is."""
    body: dict[str, Any] = CANDLE.codec.plain(CandleBody.of(candle, contract, minutes, is_history=is_history))
    return body


def candle_from_body(body: Mapping[str, Any]) -> Candle:
    """Return the candle of a body."""
    return CANDLE.codec.read(body).candle

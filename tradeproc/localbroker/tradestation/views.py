"""The market as TradeStation shows it: orders, positions and quotes of the running server.

Source: tradestation.md, "Market data" and "Brokerage".
"""

from decimal import Decimal
from typing import Any

from tradeproc.domain.instruments import instrument_of
from tradeproc.exchange.orders import ExchangeOrder, ExchangePosition
from tradeproc.localbroker.context import ServerContext
from tradeproc.localbroker.grid import to_points
from tradeproc.localbroker.tradestation.account_shapes import Relatives, Valued, order_body, position_body
from tradeproc.localbroker.tradestation.market_shapes import Spread, quote_body, spread
from tradeproc.localbroker.tradestation.numbers import find_contract
from tradeproc.localbroker.up_down_bars import DAY_MINUTES


def find(context: ServerContext, symbol: str) -> str | None:
    """Return the traded contract that a symbol means, or None."""
    return find_contract(symbol, context.contracts)


def order_view(
    context: ServerContext, order: ExchangeOrder, *, status: str = "", with_closing: bool = True
) -> dict[str, Any]:
    """Return an order as the wire shows it."""
    exchange = context.market.exchange
    relatives = Relatives(exchange.siblings(order), exchange.children(order))
    return order_body(order, relatives, exchange.rules.commission, status=status, with_closing=with_closing)


def position_view(context: ServerContext, holding: ExchangePosition) -> dict[str, Any]:
    """Return a position as the wire shows it, valued at the last trade."""
    exchange = context.market.exchange
    product = instrument_of(holding.contract)
    tick = context.market.last(holding.contract)
    if tick is None:
        last = to_points(holding.average or 0, holding.contract)
        around = Spread(last, last)
    else:
        last, around = to_points(product.nearest(tick.price), holding.contract), spread(tick, product)
    margin = exchange.rules.margins.get(product.root, Decimal(0))
    return position_body(Valued(holding, last, around.bid, around.ask, exchange.unrealized(holding), Decimal(margin)))


def quote_view(context: ServerContext, symbol: str, code: str) -> dict[str, Any] | None:
    """Return a full quote, or None before the contract's first trade."""
    tick = context.market.last(code)
    days = [bar.candle for bar in context.market.bars(code, DAY_MINUTES, 2)]
    return quote_body(symbol, code, tick, days) if tick is not None and days else None


def market_value(context: ServerContext, account: str) -> Decimal:
    """Return the notional value of an account's positions."""
    return sum((_notional(context, holding) for holding in context.market.exchange.holdings(account)), Decimal(0))


def _notional(context: ServerContext, holding: ExchangePosition) -> Decimal:
    last = context.market.exchange.last(holding.contract)
    price = to_points(holding.average or 0 if last is None else last, holding.contract)
    return price * holding.quantity * instrument_of(holding.contract).point_value

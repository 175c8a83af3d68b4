"""Message bodies that carry more than the value, for people."""

from tradeproc.bus.codec import Body
from tradeproc.domain import messages
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import Order


def order_body(order: Order) -> Body:
    """Return an order with its prices in points beside those in ticks, for people."""
    product = instrument_of(order.contract)
    prices = {
        f"{name}_price": None if ticks is None else str(product.price(ticks))
        for name, ticks in (("limit", order.limit), ("stop", order.stop))
    }
    return {**messages.order_to_body(order), **prices}

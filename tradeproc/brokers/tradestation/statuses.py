"""TradeStation's order statuses as order states.

An order whose status does not tell its state is PENDING: it is not terminal, it does not count as a working stop, and
after some time the broker is asked about it. `FILLED` is told by the filled quantity, whatever the status is, because
fills come with status ACK before FLL comes.

Source: TradeStation API v3, "Order statuses"; recorded order streams (UCH on a replace that keeps its id, OUT twice).
"""

from tradeproc.domain.orders import OrderState

_WORKING = frozenset(["ACK", "FPR", "STP", "CND", "UCN", "ECN", "RSN", "RPD", "RJC", "LAT", "CHG", "COR", "FLL"])
_CLOSED = frozenset(["CAN", "OUT", "TSC", "SCN", "FLP"])
_REPLACED = frozenset({"UCH", "RJR"})
_DOUBTFUL = _REPLACED | {"BRO", "DOA", "BRC", "BRF"}
_CANCELLING = frozenset({"UCN", "ECN"})


def order_state(status: str, quantity: int, filled: int, *, is_closed: bool, is_final: bool = False) -> OrderState:
    """Return the state of an order.

    `is_closed` is True if the order has a closing time. `is_final` is True for a second reading, made because the
    first was doubtful: if the status still says that the order is over, this is believed.
    """
    if filled >= quantity > 0:
        return OrderState.FILLED
    if status == "REJ":
        return OrderState.REJECTED
    if status == "EXP":
        return OrderState.EXPIRED
    if status in _CLOSED or (status in _DOUBTFUL and is_closed and is_final):
        return OrderState.CANCELLED
    if filled > 0:
        return OrderState.PARTIALLY_FILLED
    # after a replace that was done or refused the order works on, unless it has a closing time
    if status in _WORKING or (status in _REPLACED and not is_closed):
        return OrderState.SUBMITTED
    return OrderState.PENDING


def is_doubtful(status: str, *, is_closed: bool) -> bool:
    """Tell whether the order must be read again by its id before its end is believed."""
    return status in _DOUBTFUL and is_closed


def is_cancelling(status: str) -> bool:
    """Tell whether a cancel is under way."""
    return status in _CANCELLING

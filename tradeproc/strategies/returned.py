"""Checks what a strategy returned: makes it a decision in plain values, or raises what is wrong with it. Pure.

Numbers of every kind become Python's own (numpy's scalars too), texts become storable ones, lists become tuples.
A value of the wrong kind (a text instead of a `Side`, no state beside the decision) is a fault of the strategy and
raises `BadReturn`. A value of the right kind that makes no sense (0 contracts, a NaN price) stays as it is, and the
engine refuses the decision.
"""

from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from tradeproc.domain.orders import OrderRole, OrderType, Side, TimeInForce
from tradeproc.domain.texts import one_line
from tradeproc.domain.units import Contracts
from tradeproc.errors import Refusal
from tradeproc.strategies.contract import (
    NOTHING,
    CancelOrders,
    ClosePosition,
    Decision,
    ModifyOrders,
    Nothing,
    OrderChange,
    SubmitBracket,
    SubmitOrder,
)

E = TypeVar("E", bound=Enum)

_SHOWN = 60
_MOST_EACH = 1000
_MOST = 1e9
_MOST_WHOLE = 10**18
_DECISIONS = (Nothing, SubmitOrder, SubmitBracket, ModifyOrders, CancelOrders, ClosePosition)


class BadReturn(Refusal):
    """A strategy returned what the contract does not know; the engine counts the bar as failed."""


def read_return(returned: object) -> tuple[Decision, Any]:
    """Return the decision and the state that `on_candle` returned, the decision in plain values.

    Raises:
        BadReturn: it is no decision with a state, or a value in it is of the wrong kind.
    """
    if isinstance(returned, _DECISIONS):
        name = type(returned).__name__
        raise BadReturn(f"on_candle returned a {name} without the state: return ({_written(name)}, state)")
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise BadReturn(f"on_candle must return (decision, state), not {_shown(returned)}")
    decision, state = returned
    return _plain(decision), state


def whole(value: object, what: str) -> int:
    """Return a number of any kind as an int; a number with a fraction is refused, not rounded.

    Raises:
        BadReturn: it is no number, or has a fraction.
    """
    number = _quantity(value, what)
    if not isinstance(number, int):
        raise BadReturn(f"{what} must be a whole number, not {_shown(value)}")
    return number


def _plain(decision: object) -> Decision:
    match decision:
        case Nothing():
            return NOTHING
        case SubmitOrder():
            return SubmitOrder(
                _one_of(Side, decision.side, "side"),
                _contracts(decision.quantity),
                **_order(decision),
                role=_one_of(OrderRole, decision.role, "role"),
            )
        case SubmitBracket():
            return SubmitBracket(
                _one_of(Side, decision.side, "side"),
                _contracts(decision.quantity),
                **_order(decision),
                stop_loss=_needed(decision.stop_loss, "stop_loss"),
                profit_target=_price(decision.profit_target, "profit_target"),
            )
        case ModifyOrders():
            changes = tuple(_change(each) for each in _each(decision.changes, "changes", OrderChange))
            return ModifyOrders(changes, _reason(decision.reason))
        case CancelOrders():
            ids = tuple(one_line(each) for each in _each(decision.order_ids, "order_ids", str))
            return CancelOrders(ids, _reason(decision.reason))
        case ClosePosition():
            return ClosePosition(_reason(decision.reason))
        case _:
            raise BadReturn(f"on_candle must return (decision, state), and {_shown(decision)} is no decision")


def _order(decision: SubmitOrder | SubmitBracket) -> dict[str, Any]:
    """Return the values that entries, exits and brackets share, except side and quantity."""
    return {
        "type": _one_of(OrderType, decision.type, "type"),
        "limit": _price(decision.limit, "limit"),
        "stop": _price(decision.stop, "stop"),
        "time_in_force": _one_of(TimeInForce, decision.time_in_force, "time_in_force"),
        "reason": _reason(decision.reason),
    }


def _change(change: OrderChange) -> OrderChange:
    return OrderChange(
        one_line(str(change.order_id)),
        quantity=None if change.quantity is None else _contracts(change.quantity),
        limit=_price(change.limit, "limit"),
        stop=_price(change.stop, "stop"),
    )


def _one_of(kind: type[E], value: object, what: str) -> E:
    if isinstance(value, kind):
        return value
    raise BadReturn(f"{what} must be {_names(kind)}, not {_shown(value)}")


def _names(kind: type[Enum]) -> str:
    return " or ".join(f"{kind.__name__}.{each.name}" for each in kind)


def _each(values: object, what: str, kind: type[Any]) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise BadReturn(f"{what} must be a tuple of {kind.__name__}, not {_shown(values)}")
    found = list(islice(values, _MOST_EACH + 1))
    if len(found) > _MOST_EACH:
        raise BadReturn(f"{what} holds more than {_MOST_EACH}")
    for each in found:
        if not isinstance(each, kind):
            raise BadReturn(f"{what} must be a tuple of {kind.__name__}, and holds {_shown(each)}")
    return found


def _reason(value: object) -> str:
    return "" if value is None else one_line(str(value))


def _contracts(value: object) -> Contracts:
    # a quantity with a fraction stays as it is, and the engine refuses it
    return Contracts(_quantity(value, "quantity"))  # type: ignore[arg-type]


def _quantity(value: object, what: str) -> int | float | Decimal:
    number = _number(value, what)
    if isinstance(number, int):
        return number
    is_whole = abs(float(number)) < _MOST and number == int(number)
    return int(number) if is_whole else number


def _needed(value: object, what: str) -> float | Decimal:
    price = _price(value, what)
    if price is None:
        raise BadReturn(f"{what} must be a price, not None")
    return price


def _price(value: object, what: str) -> float | Decimal | None:
    if value is None:
        return None
    number = _number(value, what)
    return Decimal(number) if isinstance(number, int) else number


def _number(value: Any, what: str) -> int | float | Decimal:
    """Return a number as Python's int, float or Decimal, with the digits that its own type shows."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | Decimal | np.integer | np.floating):
        raise BadReturn(f"{what} must be a number, not {_shown(value)}")
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int | np.integer):
        # Python refuses to format an int of thousands of digits; as a rounded Decimal it can be refused with a
        # message
        return int(value) if abs(int(value)) < _MOST_WHOLE else +Decimal(int(value))
    # a float32 converted to a float would get digits that its own text does not show
    return float(value) if isinstance(value, float) else _digits(value)


def _digits(value: object) -> float | Decimal:
    number = Decimal(str(value))
    return number if number.is_finite() else float(number)


def _shown(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    try:
        text = one_line(repr(value))
    except Exception:  # noqa: BLE001 - a stranger's repr
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _written(name: str) -> str:
    return "NOTHING" if name == "Nothing" else f"{name}(…)"

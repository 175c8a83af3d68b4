"""The life of an order: one table, and nothing else moves an order.

    pre_sent   written down; sent, or about to be
    pending    the broker has it and it does not work yet (queued, a bracket's waiting leg)
    submitted, partially_filled   it works at the broker
    filled, cancelled, rejected, expired   it is over; a late fill can still be booked

A picture that is merely late (working, told after filled) leads to the state we have: that is in the table. A pair
that is not in the table contradicts what we know: the order stays as it is, the contradiction becomes a row of its
history and an alarm. Fills are increases of the cumulative quantity, never counted messages, so it does not matter
how often or in which order pictures arrive; a fill that comes after a cancel, or before the accept, is booked once.
A price comes from the broker or is unknown; an order's own limit is no fill price. What the broker takes back
(`taken_back`) is reversed by a row of its own, and is the one thing that moves an ended order to another end.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum

from tradeproc.domain.book import Fill, FillKind
from tradeproc.domain.broker_orders import BrokerOrder
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import Instrument, instrument_of
from tradeproc.domain.orders import Order, OrderEvent, OrderSource, OrderState
from tradeproc.domain.units import Contracts, Nanos, Price, Ticks, nearest_ticks, plain, to_price

_PLACES = Decimal(1).scaleb(-10)
# averages are rounded to ten decimals: half a unit of the last one, doubled because two averages enter a difference
_ROUNDING = _PLACES
_ABSURD = Decimal(10) ** 12


class Move(StrEnum):
    """What can move an order: replies, a missing trace, and what the broker tells."""

    ACCEPTED = "accepted"
    """The broker's reply: taken."""
    REFUSED = "refused"
    """The broker's reply: no."""
    DROPPED = "dropped"
    """It surely never left: the database was down, it was withdrawn, the request was not sent."""
    ABSENT = "absent"
    """The broker, asked several times, does not have it."""
    TOLD_PENDING = "told_pending"
    TOLD_WORKING = "told_working"
    TOLD_PARTIAL = "told_partial"
    TOLD_FILLED = "told_filled"
    TOLD_CANCELLED = "told_cancelled"
    TOLD_REJECTED = "told_rejected"
    TOLD_EXPIRED = "told_expired"


_S, _M = OrderState, Move

_TOLD = {
    _M.TOLD_PENDING: _S.PENDING,
    _M.TOLD_WORKING: _S.SUBMITTED,
    _M.TOLD_PARTIAL: _S.PARTIALLY_FILLED,
    _M.TOLD_FILLED: _S.FILLED,
    _M.TOLD_CANCELLED: _S.CANCELLED,
    _M.TOLD_REJECTED: _S.REJECTED,
    _M.TOLD_EXPIRED: _S.EXPIRED,
}
_OLD_NEWS = (_M.ACCEPTED, _M.ABSENT, _M.TOLD_PENDING, _M.TOLD_WORKING, _M.TOLD_PARTIAL)


def _ended(state: OrderState, *harmless: Move) -> dict[Move, OrderState]:
    return dict.fromkeys((*_OLD_NEWS, *harmless), state)


_ROWS: Mapping[OrderState, Mapping[Move, OrderState]] = {
    _S.PRE_SENT: {
        _M.ACCEPTED: _S.PENDING,
        _M.REFUSED: _S.REJECTED,
        _M.DROPPED: _S.REJECTED,
        _M.ABSENT: _S.REJECTED,
        **_TOLD,
    },
    _S.PENDING: {_M.ACCEPTED: _S.PENDING, _M.ABSENT: _S.CANCELLED, **_TOLD},
    _S.SUBMITTED: {
        _M.ACCEPTED: _S.SUBMITTED,
        _M.ABSENT: _S.CANCELLED,
        **_TOLD,
        _M.TOLD_PENDING: _S.SUBMITTED,
    },
    _S.PARTIALLY_FILLED: {
        _M.ACCEPTED: _S.PARTIALLY_FILLED,
        _M.ABSENT: _S.CANCELLED,
        **_TOLD,
        _M.TOLD_PENDING: _S.PARTIALLY_FILLED,
        _M.TOLD_WORKING: _S.PARTIALLY_FILLED,
    },
    _S.FILLED: _ended(_S.FILLED, _M.TOLD_FILLED),
    _S.CANCELLED: {**_ended(_S.CANCELLED, _M.TOLD_CANCELLED), _M.TOLD_FILLED: _S.FILLED},
    _S.EXPIRED: {**_ended(_S.EXPIRED, _M.TOLD_EXPIRED), _M.TOLD_FILLED: _S.FILLED},
    # we gave the order up too early, or the broker did what it had refused: a fill is a fact in either case
    _S.REJECTED: {
        **_ended(_S.REJECTED, _M.REFUSED, _M.DROPPED, _M.TOLD_REJECTED, _M.TOLD_CANCELLED),
        _M.TOLD_FILLED: _S.FILLED,
    },
}

TRANSITIONS: Mapping[tuple[OrderState, Move], OrderState] = {
    (state, move): after for state, row in _ROWS.items() for move, after in row.items()
}
"""The whole life of an order; what is not here is illegal."""

_MOVES = {after: move for move, after in _TOLD.items()}


@dataclass(frozen=True, slots=True)
class Applied:
    """An order after one more fact: its row of history (None when it was no news), a fill, and whether it fitted."""

    order: Order
    event: OrderEvent | None = None
    fill: Fill | None = None
    is_illegal: bool = False


def moved(order: Order, move: Move, source: OrderSource, at: Nanos, reason: str = "") -> Applied:
    """Return the order after a reply or a conclusion of ours."""
    after = TRANSITIONS.get((order.state, move))
    if after is None:
        return _illegal(order, move, source, at, reason)
    if after is order.state:
        return Applied(order)
    changed = replace(order, state=after, changed_at=at, reason=reason if after.is_terminal else order.reason)
    if after.is_terminal:
        changed = replace(changed, in_flight=None)
    return Applied(changed, noted(order, changed, source, at, move.value, reason))


def told(
    order: Order, picture: BrokerOrder, instrument: Instrument, source: OrderSource, now: tuple[Nanos, Nanos]
) -> Applied:
    """Return the order after the broker told a picture of it; `now` is wall and market time.

    A picture with less filled than we know is late and changes nothing, unless it says that the order is over.
    While a change is in flight the terms (quantity, prices) stay ours until the picture shows the new ones.
    """
    at = now[0]
    move = _MOVES[picture.state]
    if picture.filled >= picture.quantity > 0:
        move = Move.TOLD_FILLED
    is_late = picture.filled < order.filled
    if is_late and not picture.state.is_terminal:
        return Applied(order)
    fill = None if picture.filled <= order.filled else _fill(order, picture, now)
    after = TRANSITIONS.get((order.state, move))
    if fill is None and after is order.state and after.is_terminal and order.broker_id:
        return Applied(order)  # the broker goes on listing what ended today, and each answer tells it again
    changed = order if order.broker_id else replace(order, broker_id=picture.broker_id)
    if fill is not None:
        changed = replace(changed, filled=picture.filled, average=average_of(picture))
    if after is None:
        return _illegal(changed, move, source, at, picture.reason, fill)
    if not after.is_terminal and order.in_flight != "modify":
        changed = with_terms(changed, picture, instrument)
    if after is not order.state:
        changed = replace(changed, state=after)
    if after.is_terminal and not order.state.is_terminal:
        changed = replace(changed, in_flight=None, reason=picture.reason or order.reason)
    if changed == order:
        return Applied(order)
    changed = replace(changed, changed_at=at)
    return Applied(changed, noted(order, changed, source, at, _what(order, changed), picture.reason), fill)


def with_terms(order: Order, picture: BrokerOrder, instrument: Instrument) -> Order:
    """Return the order with the broker's quantity and prices, where it has such prices."""

    def ticks(ours: Ticks | None, theirs: Price | None) -> Ticks | None:
        return ours if ours is None or theirs is None else nearest_ticks(theirs, instrument.tick_size)

    limit, stop = ticks(order.limit, picture.limit), ticks(order.stop, picture.stop)
    if (limit, stop, picture.quantity) == (order.limit, order.stop, order.quantity):
        return order
    return replace(order, quantity=picture.quantity, limit=limit, stop=stop)


def noted(
    before: Order | None, after: Order, source: OrderSource, at: Nanos, what: str, reason: str = ""
) -> OrderEvent:
    """Return a row of an order's history."""
    details = {"reason": reason} if reason else {}
    if before is not None:
        details |= _changes(before, after)
    state = before.state if before is not None else None
    return OrderEvent(after.id, at, source, state, after.state, what, after.filled, details)


def _changes(before: Order, after: Order) -> dict[str, str]:
    """Return which terms of an order changed and how, prices in points."""

    def points(ticks: Ticks | None) -> str:
        return "none" if ticks is None else str(instrument_of(after.contract).price(ticks))

    found = {}
    if before.quantity != after.quantity:
        found["quantity"] = f"{before.quantity} -> {after.quantity}"
    if before.limit != after.limit:
        found["limit"] = f"{points(before.limit)} -> {points(after.limit)}"
    if before.stop != after.stop:
        found["stop"] = f"{points(before.stop)} -> {points(after.stop)}"
    if before.broker_id != after.broker_id:
        found["broker_id"] = f"{before.broker_id or 'unknown'} -> {after.broker_id or 'unknown'}"
    return found


def _what(before: Order, after: Order) -> str:
    if after.filled > before.filled:
        return "fill"
    if after.state is not before.state:
        return f"told_{after.state.value}"
    return "told_terms" if before.broker_id == after.broker_id else "told_id"


def _illegal(
    order: Order, move: Move, source: OrderSource, at: Nanos, reason: str, fill: Fill | None = None
) -> Applied:
    event = noted(order, order, source, at, f"illegal_{move.value}", reason)
    return Applied(order, event, fill, is_illegal=True)


def _fill(order: Order, picture: BrokerOrder, now: tuple[Nanos, Nanos]) -> Fill:
    quantity = picture.filled - order.filled
    return Fill(
        order_id=order.id,
        broker_id=picture.broker_id,
        session=order.session,
        contract=order.contract,
        side=order.side,
        quantity=Contracts(quantity),
        cumulative=picture.filled,
        price=_difference_price(order, picture),
        at=now[0],
        market_at=now[1],
        revision=order.revision,
    )


def taken_back(order: Order, picture: BrokerOrder, source: OrderSource, now: tuple[Nanos, Nanos]) -> Applied:
    """Return the order after the broker took back fills that it had told: fewer filled, reversed by a row.

    The caller has made sure that the picture is not merely late. An ended order takes the end that is told now.
    """
    quantity = order.filled - picture.filled
    average = average_of(picture) if picture.filled else None
    state = picture.state if picture.state.is_terminal else order.state
    changed = replace(
        order,
        state=state,
        filled=picture.filled,
        average=average,
        revision=order.revision + 1,
        changed_at=now[0],
        reason=picture.reason or order.reason,
    )
    if state.is_terminal:
        changed = replace(changed, in_flight=None)
    fill = Fill(
        order_id=order.id,
        broker_id=picture.broker_id,
        session=order.session,
        contract=order.contract,
        side=order.side.opposite,
        quantity=Contracts(quantity),
        cumulative=picture.filled,
        price=_difference_price(order, picture),
        at=now[0],
        market_at=now[1],
        kind=FillKind.REVERSAL,
        revision=changed.revision,
    )
    return Applied(changed, noted(order, changed, source, now[0], "fill_taken_back", picture.reason), fill)


def average_of(picture: BrokerOrder) -> Price | None:
    """Return the average fill price that a picture tells, None when it tells none that can be; zero is a price."""
    average = picture.average
    return average if average is not None and average.is_finite() and abs(average) < _ABSURD else None


def lacks_price(order: Order, picture: BrokerOrder) -> bool:
    """Tell whether a picture shows more contracts filled than we know and no price for them."""
    return picture.filled > order.filled and average_of(picture) is None


def _difference_price(order: Order, picture: BrokerOrder) -> Price | None:
    """Return the price of the contracts by which order and picture differ, None when nobody knows it.

    It is what leads from one average to the other. Averages are rounded to ten decimals, which an increase of few
    contracts after many multiplies; contracts trade on the grid, so what lies within that rounding of it is on it.
    """
    quantity = picture.filled - order.filled
    ours, theirs = order.average if order.filled else None, average_of(picture) if picture.filled else None
    if (ours is None and order.filled) or (theirs is None and picture.filled):
        return None
    exact = (theirs or Decimal(0)) * picture.filled - (ours or Decimal(0)) * order.filled
    tick_size = instrument_of(order.contract).tick_size
    on_grid = to_price(nearest_ticks(exact, tick_size), tick_size)
    if abs(on_grid - exact) <= _ROUNDING * (picture.filled + order.filled):
        exact = on_grid
    return Price(plain((exact / quantity).quantize(_PLACES)))


def is_on_grid(fill: Fill, instrument: Instrument) -> bool:
    """Tell whether the contracts of a fill can have traded at prices of the grid; an unknown price can."""
    if fill.price is None:
        return True
    total = fill.price * fill.quantity / instrument.tick_size
    return abs(total - total.to_integral_value()) * instrument.tick_size <= _PLACES * fill.quantity

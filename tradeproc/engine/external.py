"""What changed the position by no order of ours, as rows of the books: EXTERNAL fills and reversals.

Called once it is certain that our count and the broker's position differ (`positions.py`), or that the broker took
fills back (`reconcile.py`). Afterwards our count is the broker's, and trades, profit and position follow from the
same rows. A difference is explained in this order, and the row's cause says by what:

    fills of ours that the broker's list of orders no longer shows    reversed at the price they were booked at
    filled orders of the account that are not ours                    at their own price, under the broker's order id
    the broker's average of the position, where it says it            at that
    the last price of the market                                      at that
    nothing                                                           the price is unknown
"""

from dataclasses import replace
from decimal import Decimal

from tradeproc.domain.book import Fill, FillKind, Position
from tradeproc.domain.broker_orders import BrokerOrder
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.orders import Order, OrderSource, Side
from tradeproc.domain.units import SECOND, Contracts, Price, plain
from tradeproc.engine.orders import average_of, taken_back
from tradeproc.engine.sending import client_id
from tradeproc.engine.turn import Turn

# the broker's clock may be off, and may have whole seconds only
_CLOCKS = 15 * SECOND
_PLACES = Decimal(1).scaleb(-10)
KEPT_EXTERNALS = 200


@dataclass(frozen=True, slots=True)
class Explained:
    """A part of a difference: signed contracts, their price, the broker's order id if known, and in words by what."""

    quantity: int
    price: Price | None
    broker_id: str
    cause: str


def book(turn: Turn, position: Position) -> tuple[list[str], int]:
    """Book the whole difference to the broker's position.

    Return the causes in words, and how many contracts were changed by no order of ours.
    """
    causes = [_reverse(turn, order, picture) for order, picture in _explaining_reversals(turn, position)]
    parts = _explain(turn, position)
    causes += [_add(turn, part) for part in parts]
    return causes, sum(abs(part.quantity) for part in parts)


def _explaining_reversals(turn: Turn, position: Position) -> list[tuple[Order, BrokerOrder]]:
    """Return our orders of which the newest list shows fewer filled, as far as they explain the difference."""
    found = []
    missing = position.quantity - turn.state.engine.holding.quantity
    for order_id, shrunk in turn.state.broker.shrunk.items():
        order = turn.state.engine.orders.get(order_id)
        if order is None:
            continue
        change = -(order.filled - shrunk.picture.filled) * order.side.sign
        if change * missing > 0 and abs(change) <= abs(missing):
            found.append((order, shrunk.picture))
            missing -= change
    return found


def _reverse(turn: Turn, order: Order, picture: BrokerOrder) -> str:
    turn.apply(taken_back(order, picture, OrderSource.RECONCILIATION, turn.times))
    turn.state.broker.shrunk.pop(order.id, None)
    return f"the broker took back {order.filled - picture.filled} of order {order.id}"


def take_back(turn: Turn, order: Order, picture: BrokerOrder) -> str | None:
    """Reverse a fill that the broker took back after its contracts were booked out as EXTERNAL: both never were.

    Return the cause in words, None when no such row explains why the position agrees.
    """
    quantity = order.filled - picture.filled
    externals = turn.state.broker.externals
    for row in reversed(externals):
        if row.side is order.side.opposite and row.quantity >= quantity:
            cause = _reverse(turn, order, picture)
            _undo(turn, row, quantity)
            return cause
    return None


def arrived_late(turn: Turn, before: Order, picture: BrokerOrder) -> None:
    """Undo an EXTERNAL row that a fill of ours explains, which the broker listed only after the position had it."""
    filled = picture.filled - before.filled
    if filled <= 0 or picture.closed_at is None:
        return
    for row in reversed(turn.state.broker.externals):
        is_of_fill = row.side is before.side and row.quantity >= filled and before.created_at < row.at
        # what was cancelled because of the row ended after it, and had filled before
        is_ended_by_us = before.in_flight == "cancel" and before.changed_at >= row.at
        is_in_time = picture.closed_at <= row.at or is_ended_by_us
        if is_of_fill and is_in_time and row.broker_id in ("", picture.broker_id):
            _undo(turn, row, filled)
            turn.log("warning", "external_explained", order=before.id, quantity=filled)
            return


def price(turn: Turn, position: Position) -> None:
    """Fill in the price of contracts that were booked without one, once the broker tells an average for them."""
    engine = turn.state.engine
    if not engine.holding.quantity or engine.holding.average is not None or position.average is None:
        return
    for row in reversed(turn.state.broker.externals):
        if row.price is None and row.quantity * row.side.sign == engine.holding.quantity:
            quantity, average = engine.holding.quantity, Price(plain(position.average))
            _undo(turn, row, row.quantity)
            _add(turn, Explained(quantity, average, row.broker_id, "the broker's average"))
            return


def _undo(turn: Turn, row: Fill, quantity: int) -> None:
    """Reverse an EXTERNAL row, or a part of it."""
    left = Contracts(row.quantity - quantity)
    turn.book(
        replace(
            row,
            side=row.side.opposite,
            quantity=Contracts(quantity),
            cumulative=left,
            at=turn.now,
            market_at=turn.times[1],
            kind=FillKind.REVERSAL,
            revision=1,
        )
    )
    externals = turn.state.broker.externals
    externals[externals.index(row)] = replace(row, quantity=left)


def _add(turn: Turn, part: Explained) -> str:
    state = turn.state
    state.engine.counter += 1
    fill = Fill(
        order_id=client_id(state.setup, state.engine.counter),
        broker_id=part.broker_id,
        session=state.setup.session,
        contract=state.setup.spec.contract,
        side=Side.BUY if part.quantity > 0 else Side.SELL,
        quantity=Contracts(abs(part.quantity)),
        cumulative=Contracts(abs(part.quantity)),
        price=part.price,
        at=turn.now,
        market_at=turn.times[1],
        kind=FillKind.EXTERNAL,
    )
    turn.book(fill)
    remember(turn, fill)
    price = "an unknown price" if part.price is None else f"{part.price:f}"
    turn.log("warning", "external_booked", quantity=f"{part.quantity:+d}", price=price, cause=part.cause)
    return f"{part.quantity:+d} by no order of ours, booked at {price} ({part.cause})"


def remember(turn: Turn, fill: Fill) -> None:
    """Remember an EXTERNAL fill, so that its order is not booked a second time and the fill can be reversed."""
    broker = turn.state.broker
    broker.externals.append(fill)
    del broker.externals[:-KEPT_EXTERNALS]


def _explain(turn: Turn, position: Position) -> list[Explained]:
    holding = turn.state.engine.holding
    held, told = holding.quantity, position.quantity
    missing = told - held
    if missing == 0:
        return []
    if held == 0 and position.average is not None:
        return [Explained(missing, Price(plain(position.average)), "", "the broker's average")]
    orders = _by_foreign_orders(turn, missing)
    if orders:
        return orders
    if held * told > 0 and abs(told) > abs(held) and None not in (holding.average, position.average):
        grown = (position.average or Decimal(0)) * told - (holding.average or Decimal(0)) * held
        price = Price(plain((grown / missing).quantize(_PLACES)))
        return [Explained(missing, price, "", "from the broker's average")]
    if held * told < 0 and position.average is not None:
        opened = Explained(told, Price(plain(position.average)), "", "the broker's average")
        return [_at_last(turn, -held), opened]
    return [_at_last(turn, missing)]


def _at_last(turn: Turn, quantity: int) -> Explained:
    candles, instrument = turn.state.strategy.candles, turn.state.setup.instrument
    candle = candles.partial or candles.newest
    if candle is None:
        return Explained(quantity, None, "", "no price is known")
    return Explained(quantity, instrument.price(instrument.nearest(candle.close)), "", "the last price")


def _by_foreign_orders(turn: Turn, missing: int) -> list[Explained]:
    """Return the newest fills of foreign orders that together are exactly the difference, or nothing."""
    broker = turn.state.broker
    found: list[Explained] = []
    newest = sorted(broker.foreign_filled.values(), key=lambda each: each.closed_at or turn.now, reverse=True)
    for picture in newest:
        if (picture.closed_at or turn.now) < broker.agreed_at - _CLOCKS:
            break
        if picture.broker_id in broker.ids:
            continue  # a reply has told since that this order is ours
        fresh = picture.filled - sum(row.quantity for row in broker.externals if row.broker_id == picture.broker_id)
        price = average_of(picture)
        if fresh <= 0 or price is None:
            continue
        found.append(
            Explained(fresh * picture.side.sign, Price(plain(price)), picture.broker_id, f"order {picture.broker_id}")
        )
        missing -= found[-1].quantity
        if missing == 0:
            return found
    return []

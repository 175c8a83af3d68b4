"""Heat: the money that is lost if every working stop is hit at its price plus some ticks of slippage.

    open contracts     from the newest price to the stops that cover them, nearest stop first
    an open entry      from its limit or stop (at the market: the newest price) to the stop of its bracket
    an opening leg     a leg on the position's own side, whose entry only made the position smaller: without a stop
    without a stop     the worst case of the portfolio, a contract

A stop-limit order covers nothing, because a price that jumps over its limit leaves it behind. A bracket's stop counts
from the fill on, before the broker tells that it works; once the alarm for uncovered contracts stands, only what
works counts. While a change is on its way, the worse of both terms counts. Where nothing is certain it is unknown.
"""

from collections.abc import Collection, Sequence
from decimal import Decimal

from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.orders import Order, OrderRole, OrderType
from tradeproc.domain.portfolio import HeatTerms
from tradeproc.domain.units import Money, Ticks, plain
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.limits import is_dormant
from tradeproc.engine.state import State, Waiting

_OUTSIDE = HeatTerms("", 0, "", 1, Money(Decimal(0)))


@dataclass(frozen=True, slots=True)
class Risk:
    """So many ticks times contracts to the stops, and so many contracts without one."""

    ticks: int = 0
    bare: int = 0

    def __add__(self, other: "Risk") -> "Risk":
        return Risk(self.ticks + other.ticks, self.bare + other.bare)


def of_session(state: State, without: Collection[str] = ()) -> Answer[Money]:
    """Return the heat of position and open entries, but for the entries of these ids."""
    if not state.broker.is_reconciled:
        return Unknown("orders and position are not confirmed")
    for order in state.engine.open_orders:
        pending = state.engine.pending.get(order.id)
        is_known = pending is None or pending.waiting is not Waiting.MODIFY or pending.wanted is not None
        if not is_known or (order.in_flight == "modify" and pending is None):
            return Unknown(f"order {order.id} is being changed, and nobody knows to what")
    found = _of_position(state) + Risk(bare=_opened_by_legs(state))
    for order in state.engine.open_orders:
        if order.role is OrderRole.ENTRY and order.id not in without:
            found += _of_entry(state, order, _legs(state, order))
    return _money(state, found)


def of_entry(state: State, orders: Sequence[Order]) -> Answer[Money]:
    """Return the heat of an entry (first of `orders`, its legs after it) that is to be made."""
    return _money(state, _of_entry(state, orders[0], orders[1:]))


def added(state: State, order: Order, wanted: Order) -> Answer[Money]:
    """Return how much heat a change adds; nothing when it takes some away, or moves an order that has none."""
    if order.role is OrderRole.ENTRY:
        legs = _legs(state, order)
        before, after = (_money(state, _distance(state, each, legs)) for each in (order, wanted))
    elif _is_stop(order):
        before, after = (
            _money(state, _of_position(state, each) + _of_entry_with(state, order, each)) for each in (order, wanted)
        )
    else:
        return Known(Money(Decimal(0)))
    if isinstance(before, Unknown):
        return before
    if isinstance(after, Unknown):
        return after
    return Known(Money(max(after.value - before.value, Decimal(0))))


def _money(state: State, risk: Risk) -> Answer[Money]:
    terms = state.engine.heat.terms
    if risk.bare and terms is None:
        return Unknown(f"{risk.bare} contracts have no stop, and only a portfolio says what that counts as")
    worst = (terms or _OUTSIDE).worst_case
    return Known(Money(plain(state.setup.instrument.tick_value * risk.ticks + worst * risk.bare)))


def _slippage(state: State) -> int:
    return (state.engine.heat.terms or _OUTSIDE).slippage


def mark(state: State) -> Ticks | None:
    """Return the newest price in ticks; before the first candle the position's own, None where nobody knows one."""
    candles = state.strategy.candles
    newest = candles.partial or candles.newest
    if newest is not None:
        return state.setup.instrument.nearest(newest.close)
    average = state.engine.holding.average
    return None if average is None else state.setup.instrument.nearest(float(average))


def _of_position(state: State, instead: Order | None = None) -> Risk:
    """Return the risk of the open contracts; `instead` takes the place of the stop that has its id."""
    held = state.engine.holding.quantity
    left, price, sign = abs(held), mark(state), 1 if held > 0 else -1
    if price is None:
        return Risk(bare=left)
    only_working = AlarmName.POSITION_UNCOVERED.value in state.engine.alarms
    stops = []
    for order in state.engine.open_orders:
        if not _is_stop(order) or order.side.sign * held >= 0:
            continue
        is_dependable = order.state.is_working or (order.parent is not None and not only_working)
        if not is_dependable:
            continue
        terms = [instead if instead is not None and instead.id == order.id else order]
        pending = state.engine.pending.get(order.id)
        if pending is not None and pending.wanted is not None:
            terms.append(pending.wanted)
        quantity = min(each.remaining for each in terms)
        if is_dormant(state, order):
            quantity = min(quantity, state.engine.orders[order.parent or ""].filled)
        stops.append((max((price - (each.stop or 0)) * sign for each in terms), quantity))
    ticks = 0
    for distance, quantity in sorted(stops):
        count = min(left, max(quantity, 0))
        ticks += count * (max(distance, 0) + _slippage(state))
        left -= count
    return Risk(ticks, left)


def _opened_by_legs(state: State) -> int:
    """Return how many contracts the legs of filled entries would open: of each bracket, what it has yet to close."""
    held, found = state.engine.holding.quantity, dict[str, int]()
    for order in state.engine.open_orders:
        if order.parent is None or order.side.sign * held < 0:
            continue
        entry = state.engine.orders.get(order.parent)
        if entry is None or not entry.filled:
            continue
        legs = [each for each in state.engine.orders.values() if each.parent == order.parent]
        left = min(order.remaining, entry.filled - sum(each.filled for each in legs))
        found[order.parent] = max(found.get(order.parent, 0), left)
    return sum(found.values())


def _of_entry(state: State, order: Order, legs: Sequence[Order]) -> Risk:
    found = _distance(state, order, legs)
    pending = state.engine.pending.get(order.id)
    if pending is None or pending.wanted is None:
        return found
    other = _distance(state, pending.wanted, legs)
    return Risk(max(found.ticks, other.ticks), max(found.bare, other.bare))


def _of_entry_with(state: State, leg: Order, instead: Order) -> Risk:
    """Return the risk of the entry that still works and whose leg is `leg`, with `instead` in its place."""
    entry = state.engine.orders.get(leg.parent or "")
    if entry is None or entry.state.is_terminal:
        return Risk()
    return _distance(state, entry, [instead if each.id == leg.id else each for each in _legs(state, entry)])


def _distance(state: State, order: Order, legs: Sequence[Order]) -> Risk:
    """Return the risk of what is left of an entry: from where it would fill to the farthest stop of its bracket."""
    left = int(order.remaining)
    price = order.limit if order.limit is not None else order.stop
    if price is None:
        price = mark(state)
    stops = [leg.stop for leg in legs if _is_stop(leg) and leg.stop is not None]
    for leg in legs:
        pending = state.engine.pending.get(leg.id)
        if pending is not None and pending.wanted is not None and pending.wanted.stop is not None:
            stops.append(pending.wanted.stop)
    if price is None or not stops:
        return Risk(bare=left)
    distance = max((price - stop) * order.side.sign for stop in stops)
    return Risk(left * (max(distance, 0) + _slippage(state)))


def _is_stop(order: Order) -> bool:
    return order.type is OrderType.STOP and order.role is not OrderRole.ENTRY


def _legs(state: State, entry: Order) -> list[Order]:
    return [order for order in state.engine.open_orders if order.parent == entry.id]

"""What a trade or a bar does to the orders in the market, and what follows from an execution.

A fill changes its order, the position and the money, then the siblings, then releases the legs that waited for it;
each change is one update with the next revision.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from tradeproc.domain.orders import OrderType, TimeInForce
from tradeproc.domain.units import Contracts, Money, Ticks
from tradeproc.exchange import order_groups
from tradeproc.exchange.accounts import Accounts
from tradeproc.exchange.matching import Rules, execution, fillable, is_hit, priority, wrong_side
from tradeproc.exchange.order_index import OrderIndex
from tradeproc.exchange.orders import (
    BalanceUpdate,
    Bar,
    ChangeKind,
    ExchangeFill,
    ExchangeOrder,
    Moment,
    OrderStatus,
    OrderUpdate,
    PositionUpdate,
    Update,
)

KEPT_UPDATES = 20_000


def no_order(_: ExchangeOrder) -> bool:
    """Return False: every order executes."""
    return False


class Executions:
    """Orders, money, last prices and updates; only `Exchange` uses it, after it has checked what came in."""

    def __init__(self, accounts: Mapping[str, Money], rules: Rules) -> None:
        self.rules = rules
        self.accounts = Accounts(dict(accounts), rules.commission, rules.margins)
        self.orders = OrderIndex()
        self.updates: deque[Update] = deque(maxlen=KEPT_UPDATES)
        self.last: dict[str, Ticks] = {}
        self.revision = 0
        self.fills = 0
        self.is_inert: Callable[[ExchangeOrder], bool] = no_order
        self._new: list[Update] = []

    def take_new(self) -> tuple[Update, ...]:
        """Return the updates since the last call."""
        if not self._new:
            return ()
        new, self._new = tuple(self._new), []
        return new

    def trade(self, contract: str, price: Ticks, size: int, now: Moment) -> int:
        """Execute orders on one trade; return how much of its size resting limits took."""
        self.last[contract] = price
        below, above = self.orders.reach(contract)
        if below < price < above:
            return 0
        taken = 0
        for order_id in [o.id for o in sorted(self.orders.live(contract), key=lambda each: priority(each, price))]:
            order = self.orders[order_id]
            is_new = order.status is OrderStatus.QUEUED
            if is_new:
                self.put(replace(order, status=OrderStatus.WORKING), ChangeKind.ACTIVATED)
            taken += self._attempt(order_id, size - taken, now, arriving=is_new)
        return taken

    def bar(self, bar: Bar, now: Moment) -> None:
        """Execute orders on a bar as a path of trades: open, low, high, close; a falling bar has the high first.

        The path has a trade at every price at which an order waits, so that a stop fills at its own price and not at
        the bar's extreme. The price jumps only from the close of one bar to the open of the next.
        """
        below, above = self.orders.reach(bar.contract)
        if below < bar.low and bar.high < above:
            self.last[bar.contract] = bar.close
            return
        left = bar.volume - self.trade(bar.contract, bar.open, bar.volume, now)
        extremes = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
        price = bar.open
        for end in (*extremes, bar.close):
            while price != end:
                price = self._next_price(bar.contract, price, end)
                left -= self.trade(bar.contract, price, left, now)

    def _next_price(self, contract: str, price: Ticks, end: Ticks) -> Ticks:
        """Return the first price after `price` on the way to `end` at which an order waits, or `end`."""
        levels = [level for order in self.orders.live(contract) for level in (order.limit, order.stop)]
        if end > price:
            return min([level for level in levels if level is not None and price < level < end], default=end)
        return max([level for level in levels if level is not None and end < level < price], default=end)

    def arrive(self, order_id: str, now: Moment) -> None:
        """Execute an order that is new, changed or released on the last price, as far as it can.

        A stop that the last price has reached or passed is rejected, although it was accepted before.
        """
        order = self.orders[order_id]
        if not order.status.is_working:
            return
        if is_hit(order, self.last[order.contract]):
            self.end(order, OrderStatus.REJECTED, wrong_side(order), now)
        else:
            self._attempt(order_id, 0, now, arriving=True)

    def _attempt(self, order_id: str, size_left: int, now: Moment, *, arriving: bool) -> int:
        """Execute what can be executed at the last price; return how much of the trade's size that took."""
        order = self.orders[order_id]
        if not order.status.is_working:
            return 0
        price = self.last[order.contract]
        if not arriving and self._stays_inert(order, price):
            return 0
        if is_hit(order, price):
            order, arriving = replace(order, triggered=True), True
            self.put(order, ChangeKind.TRIGGERED)
        how = execution(order, price, self.rules, arriving=arriving)
        quantity = 0 if how is None else fillable(order, how, size_left, self.rules)
        if order.time_in_force is TimeInForce.FOK and quantity < order.remaining:
            quantity = 0
        if how is not None and quantity:
            self._fill(order, Contracts(quantity), how.price, now)
        self._drop_impatient(order_id, now)
        return quantity if how is not None and how.is_resting else 0

    def _stays_inert(self, order: ExchangeOrder, price: Ticks) -> bool:
        """Tell whether an order that rests, and that this price would execute, does nothing all the same."""
        if order.triggered or order.type is OrderType.MARKET:
            return False
        is_reached = is_hit(order, price) or execution(order, price, self.rules, arriving=False) is not None
        return is_reached and self.is_inert(order)

    def _drop_impatient(self, order_id: str, now: Moment) -> None:
        """Cancel what an IOC or FOK order did not get at once; a stop order may wait until it is hit."""
        order = self.orders[order_id]
        is_due = order.stop is None or order.triggered
        if order.status.is_open and is_due and order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            self.end(order, OrderStatus.CANCELLED, "not filled at once", now)

    def _fill(self, order: ExchangeOrder, quantity: Contracts, price: Ticks, now: Moment) -> None:
        filled = Contracts(order.filled + quantity)
        is_whole = filled == order.quantity
        after = replace(
            order,
            filled=filled,
            value=Ticks(order.value + price * quantity),
            status=OrderStatus.FILLED if is_whole else OrderStatus.PARTIALLY_FILLED,
            closed_at=now.wall if is_whole else None,
        )
        self.fills += 1
        fill = ExchangeFill(
            self.fills,
            order.id,
            order.account,
            order.contract,
            order.side,
            quantity,
            price,
            filled,
            now.wall,
            now.market,
        )
        self.put(after, ChangeKind.FILLED, fill)
        self._book_fill(fill)
        for sibling in self.orders.siblings(after):
            if sibling.status.is_open:
                self._follow(order_groups.after_sibling_fill(sibling, after, quantity, now.wall), now)
        legs = [leg for leg in self.orders.legs(order.id) if leg.status.is_open]
        released = [self._follow(order_groups.after_entry_fill(leg, after, quantity), now) for leg in legs]
        for leg, is_released in zip(legs, released, strict=True):
            if is_released:
                self.arrive(leg.id, now)

    def _book_fill(self, fill: ExchangeFill) -> None:
        before = self.accounts.holding(fill.account, fill.contract)
        holding = self.accounts.book(fill)
        if before is not None and before.quantity and before.id != holding.id:
            self.tell(PositionUpdate(self.revision + 1, replace(before, quantity=Contracts(0))))
        self.tell(PositionUpdate(self.revision + 1, holding))
        self.tell(BalanceUpdate(self.revision + 1, fill.account))

    def end(self, order: ExchangeOrder, status: OrderStatus, reason: str, now: Moment) -> ExchangeOrder:
        """Close an order that is not filled, cut or cancel the legs that wait for it, and return it."""
        ended = order_groups.closed(order, status, now.wall, reason)
        self.put(ended, ChangeKind(status.value))
        self._end_legs(ended, now)
        return ended

    def _end_legs(self, entry: ExchangeOrder, now: Moment) -> None:
        for leg in self.orders.legs(entry.id):
            if leg.status.is_open:
                self._follow(order_groups.after_entry_end(leg, entry, now.wall), now)

    def _follow(self, result: order_groups.Result, now: Moment) -> bool:
        """Store what the rules of the group decided; an order that ended by it ends its own legs as well."""
        if result is None:
            return False
        order, what = result
        self.put(order, what)
        if not order.status.is_open:
            self._end_legs(order, now)
        return True

    def put(self, order: ExchangeOrder, what: ChangeKind, fill: ExchangeFill | None = None) -> None:
        """Store an order and add the update; every change of an order goes through here."""
        self.orders.put(order)
        self.tell(OrderUpdate(self.revision + 1, what, order, fill))

    def tell(self, update: Update) -> None:
        """Add an update; it has the next revision."""
        self.revision = update.revision
        self.updates.append(update)
        self._new.append(update)

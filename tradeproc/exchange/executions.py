"""The state of orders and money in the exchange, and what one execution changes in it.

A fill changes its order, the position and the money, then the siblings, then releases the legs that waited for it;
each change is one update with the next revision and, for orders and fills, one record of the ledger.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from tradeproc.domain.candles import Tick
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import TimeInForce
from tradeproc.domain.units import Contracts, Money, Price
from tradeproc.exchange import order_groups
from tradeproc.exchange.accounts import Book
from tradeproc.exchange.ledger import Ledger, fill_record, order_record
from tradeproc.exchange.matching import Rules, execution, fillable, is_hit, priority, wrong_side
from tradeproc.exchange.order_index import OrderIndex
from tradeproc.exchange.orders import (
    BalanceUpdate,
    Changed,
    ExchangeFill,
    ExchangeOrder,
    Moment,
    OrderStatus,
    OrderUpdate,
    PositionUpdate,
    Update,
    What,
)

KEPT_UPDATES = 20_000


class Executions:
    """Orders, money, last prices and updates; only `Exchange` uses it, after it has checked what came in."""

    def __init__(self, accounts: Mapping[str, Money], rules: Rules, ledger: Ledger) -> None:
        self.rules, self.ledger = rules, ledger
        self.book = Book(dict(accounts), rules.commission, rules.margins)
        self.orders = OrderIndex()
        self.updates: deque[Update] = deque(maxlen=KEPT_UPDATES)
        self.last: dict[str, Tick] = {}
        self.last_price: dict[str, Price] = {}
        self.revision = 0
        self.fills = 0

    def set_last(self, contract: str, tick: Tick) -> None:
        """Set the newest tick of a contract."""
        terms = instrument_of(contract)
        self.last[contract] = tick
        self.last_price[contract] = terms.price(terms.nearest(tick.price))

    def tick(self, contract: str, tick: Tick, now: Moment) -> None:
        """Let one trade of the tape meet the book."""
        self.set_last(contract, tick)
        live = self.orders.live(contract)
        if not live:
            return
        price, size_left = self.last_price[contract], int(tick.size)
        for order_id in [order.id for order in sorted(live, key=lambda order: priority(order, price))]:
            order = self.orders[order_id]
            is_new = order.status is OrderStatus.QUEUED
            if is_new:
                self.set(replace(order, status=OrderStatus.WORKING), What.ACTIVATED, now)
            size_left -= self._attempt(order_id, size_left, now, arriving=is_new)

    def arrive(self, order_id: str, now: Moment) -> None:
        """Let an order that is new, changed or released meet the last price.

        A stop that the market has passed already is rejected, after it was accepted.
        """
        order = self.orders[order_id]
        if not order.status.is_working:
            return
        if is_hit(order, self.last_price[order.contract]):
            self.end(order, OrderStatus.REJECTED, wrong_side(order), now)
        else:
            self._attempt(order_id, 0, now, arriving=True)

    def _attempt(self, order_id: str, size_left: int, now: Moment, *, arriving: bool) -> int:
        """Execute what can be executed at the last price; return how much of the tick's size that took."""
        order = self.orders[order_id]
        if not order.status.is_working:
            return 0
        price = self.last_price[order.contract]
        if is_hit(order, price):
            order, arriving = replace(order, triggered=True), True
            self.set(order, What.TRIGGERED, now)
        how = execution(order, price, self.rules, arriving=arriving)
        quantity = 0 if how is None else fillable(order, how, size_left, self.rules)
        if order.time_in_force is TimeInForce.FOK and quantity < order.remaining:
            quantity = 0
        if how is not None and quantity:
            self._fill(order, Contracts(quantity), how.price, now)
        self._drop_impatient(order_id, now)
        return quantity if how is not None and how.is_resting else 0

    def _drop_impatient(self, order_id: str, now: Moment) -> None:
        """Cancel what an immediate order did not get at once (a stop waits until it is hit)."""
        order = self.orders[order_id]
        is_due = order.stop is None or order.triggered
        if order.status.is_open and is_due and order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            self.end(order, OrderStatus.CANCELLED, "not filled at once", now)

    def _fill(self, order: ExchangeOrder, quantity: Contracts, price: Price, now: Moment) -> None:
        filled = Contracts(order.filled + quantity)
        is_whole = filled == order.quantity
        after = replace(
            order,
            filled=filled,
            value=Price(order.value + price * quantity),
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
        self.set(after, What.FILLED, now, fill)
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
        before = self.book.holding(fill.account, fill.contract)
        holding = self.book.book(fill)
        if before is not None and before.quantity and before.id != holding.id:
            flat = replace(before, quantity=Contracts(0), average=None)
            self._tell(PositionUpdate(self.revision + 1, flat))
        self._tell(PositionUpdate(self.revision + 1, holding))
        self._tell(BalanceUpdate(self.revision + 1, fill.account))

    def end(self, order: ExchangeOrder, status: OrderStatus, reason: str, now: Moment) -> Changed:
        """Close an order that is not filled, and cut or cancel the legs that wait for it."""
        ended = order_groups.closed(order, status, now.wall, reason)
        self.set(ended, What(status.value), now)
        self._end_legs(ended, now)
        return Changed(ended)

    def _end_legs(self, entry: ExchangeOrder, now: Moment) -> None:
        for leg in self.orders.legs(entry.id):
            if leg.status.is_open:
                self._follow(order_groups.after_entry_end(leg, entry, now.wall), now)

    def _follow(self, result: order_groups.Result, now: Moment) -> bool:
        """Put what groups decided; an order that ended takes its own legs along."""
        if result is None:
            return False
        order, what = result
        self.set(order, what, now)
        if not order.status.is_open:
            self._end_legs(order, now)
        return True

    def set(self, order: ExchangeOrder, what: What, now: Moment, fill: ExchangeFill | None = None) -> None:
        """Put an order, tell it and write it down; the one way in which an order changes."""
        self.orders.put(order)
        self._tell(OrderUpdate(self.revision + 1, what, order, fill))
        self.ledger.append(order_record(order, what, self.revision, now))
        if fill is not None:
            self.ledger.append(fill_record(fill, self.revision))

    def _tell(self, update: Update) -> None:
        self.revision = update.revision
        self.updates.append(update)

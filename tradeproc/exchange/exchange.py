"""The matching engine: it takes market events and clients' requests, each with its moment, and returns updates.

How orders execute (`Rules` holds what can be chosen): market orders and hit stops take the trade's (or last) price
plus slippage; a limit that rests fills at its own price when a trade touches or passes it, at most the trade's size;
a limit that is marketable when it arrives fills at the last price. A stop is hit by the first trade at or through it
and fills at that trade's price; one that the last price has passed when it arrives is accepted and then rejected. The
best price goes first, then the oldest order. Deterministic: equal calls at equal moments give equal orders, fills and
revisions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import OrderType, TimeInForce
from tradeproc.domain.units import Contracts, Money, Ticks
from tradeproc.exchange import checks, order_groups
from tradeproc.exchange.accounts import money
from tradeproc.exchange.days import TradingDays
from tradeproc.exchange.executions import Executions
from tradeproc.exchange.matching import Rules
from tradeproc.exchange.orders import (
    Bar,
    Changed,
    ChangeKind,
    DayStart,
    DayUpdate,
    Declined,
    DeclineReason,
    ExchangeFill,
    ExchangeOrder,
    ExchangePosition,
    Funds,
    GroupKind,
    Happening,
    MarketTrade,
    Moment,
    OrderStatus,
    Placed,
    Replacement,
    TicketGroup,
    Update,
)

__all__ = ["Exchange", "Rules"]

Known = ExchangeOrder | ExchangeFill | DayUpdate


class Exchange:
    """Accounts and orders of a few contracts. Not thread-safe. A call awaits nothing and does no I/O.

    A declined call may have changed something, because it ends a trading day that is over. These updates are
    returned by the next call.
    """

    def __init__(self, contracts: Iterable[str], accounts: Mapping[str, Money], rules: Rules) -> None:
        """Open a market in `contracts` with `accounts` (id to starting cash, USD)."""
        self.contracts = tuple(contracts)
        self._executions = Executions(accounts, rules)
        self._orders, self._accounts = self._executions.orders, self._executions.accounts
        self._days = TradingDays(self.contracts)

    @property
    def rules(self) -> Rules:
        """Return how orders execute; rules that are set hold from the next call on."""
        return self._executions.rules

    @rules.setter
    def rules(self, rules: Rules) -> None:
        self._executions.rules = rules
        self._accounts.commission, self._accounts.margins = rules.commission, rules.margins

    @property
    def is_inert(self) -> Callable[[ExchangeOrder], bool]:
        """Return which resting orders do nothing when the market reaches them, a fault; asked each time."""
        return self._executions.is_inert

    @is_inert.setter
    def is_inert(self, is_inert: Callable[[ExchangeOrder], bool]) -> None:
        self._executions.is_inert = is_inert

    @property
    def revision(self) -> int:
        """Return the number of the newest update."""
        return self._executions.revision

    # --- the market

    def step(self, happening: Happening, now: Moment) -> Sequence[Update]:
        """Execute orders on a trade, a bar or the passing of time, and return what changed, oldest first.

        A trading day that is over by now is ended first, and the DAY orders of its contracts expire. Market time must
        not go back, except after `forget_market`.
        """
        self._end_days_until(now)
        if type(happening) is Bar:
            self._executions.bar(happening, now)
        elif type(happening) is MarketTrade:
            self._executions.trade(happening.contract, happening.price, happening.size, now)
        return self._executions.take_new()

    def end_day(self, now: Moment) -> Sequence[Update]:
        """Expire all open DAY orders now, whatever the market hours say."""
        self._expire(self.contracts, now)
        return self._executions.take_new()

    def heed_market_hours(self, now: Moment) -> None:
        """Compute again when the trading days end, because a person may have changed the market hours."""
        self._days.heed_changes(now.market)

    # --- calls of clients

    def place(self, account: str, group: TicketGroup, now: Moment) -> Placed | Declined:
        """Place the orders of a group (a single order is a group of one) with the groups that they send.

        All are placed or none: one bad order declines the request.
        """
        self._end_days_until(now)
        problem = self._check_placement(account, group)
        if problem is not None:
            return replace(problem, order_id=self._orders.new_id())
        orders = self._write_orders(account, group, None, now)
        for order in orders:
            self._executions.put(order, ChangeKind.PLACED)
        for order in orders:
            self._executions.arrive(order.id, now)
        return Placed(tuple(orders), self._executions.take_new())

    def declined_id(self) -> str:
        """Return an id for an order that the caller refused by itself; no order will ever have that id."""
        return self._orders.new_id()

    def replace(self, order_id: str, change: Replacement, now: Moment) -> Changed | Declined:
        """Change quantity (the new total, filled part included) and prices; the id stays.

        A leg that its siblings' fills made smaller does not grow by it: see `order_groups.changed`.
        """
        self._end_days_until(now)
        order = self._orders.get(order_id)
        problem = checks.check_change(order, change)
        if problem is not None or order is None:
            return problem or checks.UNKNOWN_ORDER
        self._executions.put(self._changed(order, change), ChangeKind.REPLACED)
        self._executions.arrive(order_id, now)
        return Changed(self._orders[order_id], self._executions.take_new())

    def cancel(self, order_id: str, now: Moment, reason: str = "cancelled by the client") -> Changed | Declined:
        """Cancel what is not filled. The waiting legs of a cancelled entry are cancelled too; siblings stay."""
        return self._end(order_id, OrderStatus.CANCELLED, reason, now)

    def reject(self, order_id: str, reason: str, now: Moment) -> Changed | Declined:
        """Reject an order that was accepted before (a fault for tests)."""
        return self._end(order_id, OrderStatus.REJECTED, reason, now)

    def expire(self, order_id: str, reason: str, now: Moment) -> Changed | Declined:
        """Expire an order whose own time is over, as one that is good till a date."""
        return self._end(order_id, OrderStatus.EXPIRED, reason, now)

    # --- questions

    def accounts(self) -> list[str]:
        """Return the account ids in the order in which they were given."""
        return list(self._accounts.starts)

    def order(self, order_id: str) -> ExchangeOrder | None:
        """Return an order, or None."""
        return self._orders.get(order_id)

    def orders(self, account: str) -> list[ExchangeOrder]:
        """Return all orders of an account, oldest first."""
        return self._orders.of_account(account)

    def siblings(self, order: ExchangeOrder) -> list[ExchangeOrder]:
        """Return the other orders of its group."""
        return self._orders.siblings(order)

    def children(self, order: ExchangeOrder) -> list[ExchangeOrder]:
        """Return its legs: the orders that its fills release."""
        return self._orders.legs(order.id)

    def holdings(self, account: str) -> list[ExchangePosition]:
        """Return the positions that are not flat."""
        return self._accounts.holdings(account)

    def funds(self, account: str) -> Funds:
        """Return the account's money with positions valued at the last trades."""
        return self._accounts.funds(account, self._executions.last.get)

    def day_start(self, account: str) -> DayStart:
        """Return the account's money when the trading day began; in its first day, what it was opened with."""
        return self._accounts.day_start(account)

    def last(self, contract: str) -> Ticks | None:
        """Return the newest price of a contract."""
        return self._executions.last.get(contract)

    def unrealized(self, holding: ExchangePosition) -> Money:
        """Return the open profit of a position at the last trade."""
        mark = self._executions.last.get(holding.contract)
        open_ticks = 0 if mark is None else mark * holding.quantity - holding.cost
        return money(open_ticks, instrument_of(holding.contract).tick_value)

    def updates_since(self, revision: int) -> Sequence[Update] | None:
        """Return the updates after `revision`, oldest first; None when they are no longer kept: take a snapshot."""
        behind = self.revision - revision
        if not 0 <= behind <= len(self._executions.updates):
            return None
        # counted from the newest: thousands are kept, and a stream usually wants only the last few
        return list(islice(reversed(self._executions.updates), behind))[::-1]

    # --- coming back

    def restore(self, known: Iterable[Known], revision: int, told_ids: Iterable[str] = ()) -> None:
        """Rebuild orders, positions and money from the orders, fills and days of earlier updates, in their order.

        `revision` is that of the newest update. Clients know the `told_ids` already, so no new order gets one of
        them.
        """
        for each in known:
            if isinstance(each, ExchangeOrder):
                self._orders.put(each)
            elif isinstance(each, DayUpdate):
                self._accounts.day_starts = each.starts
            else:
                self._accounts.book(each)
                self._executions.fills = each.id
        self._orders.skip(told_ids)
        self._executions.revision = max(self.revision, revision)

    def forget_market(self) -> None:
        """Forget the newest prices and the market time, so that the market can begin again at any moment."""
        self._executions.last.clear()
        self._days.forget()

    def set_last(self, contract: str, price: Ticks) -> None:
        """Set the newest price without executing orders on it: at the start, the price with which history ends."""
        self._executions.last[contract] = price

    # --- inside

    def _end_days_until(self, now: Moment) -> None:
        """End the days that are over by the market hours, and note the accounts' money when a new date began.

        Every call does so first, or an order placed after the close would end with the day before it.
        """
        if now.market < self._days.ends_at:
            return
        ended, is_new_date = self._days.pass_to(now.market)
        self._expire(ended, now)
        day = self._days.date
        if is_new_date and day is not None:
            funds = [self.funds(account) for account in self.accounts()]
            starts = {each.account: DayStart(each.cash, each.unrealized) for each in funds}
            self._accounts.day_starts = starts
            self._executions.tell(DayUpdate(self.revision + 1, day, starts))

    def _expire(self, contracts: Iterable[str], now: Moment) -> None:
        for order in [order for contract in contracts for order in self._orders.open_orders(contract)]:
            # it may have been ended meanwhile, as the leg of an entry that stood earlier in this list
            current = self._orders[order.id]
            if current.status.is_open and current.time_in_force is TimeInForce.DAY:
                self._executions.end(current, OrderStatus.EXPIRED, "the trading day ended", now)

    def _end(self, order_id: str, status: OrderStatus, reason: str, now: Moment) -> Changed | Declined:
        self._end_days_until(now)
        order = self._orders.get(order_id)
        problem = checks.check_open(order)
        if problem is not None or order is None:
            return problem or checks.UNKNOWN_ORDER
        return Changed(self._executions.end(order, status, reason, now), self._executions.take_new())

    def _check_placement(self, account: str, group: TicketGroup) -> Declined | None:
        if account not in self._accounts.starts:
            return Declined(DeclineReason.UNKNOWN_ACCOUNT, f"There is no account {account}.")
        problem = checks.check_group(group, self.contracts, self._orders.client_ids(account))
        if problem is not None or not self.rules.margins:
            return problem
        return checks.check_margin(
            group, self._orders.of_account(account), self.holdings(account), self.funds(account), self.rules.margins
        )

    def _write_orders(self, account: str, group: TicketGroup, parent: str | None, now: Moment) -> list[ExchangeOrder]:
        """Return the orders of a group and of what hangs under them, with new ids, not yet in the book."""
        written: list[ExchangeOrder] = []
        is_tied = len(group.tickets) > 1 or group.kind is not GroupKind.INDEPENDENT
        name = ""
        for ticket in group.tickets:
            order_id = self._orders.new_id()
            name = name or (f"g{order_id}" if is_tied else "")
            status = OrderStatus.WORKING if ticket.contract in self._executions.last else OrderStatus.QUEUED
            order = ExchangeOrder(
                id=order_id,
                account=account,
                contract=ticket.contract,
                side=ticket.side,
                quantity=ticket.quantity,
                type=ticket.type,
                limit=ticket.limit,
                stop=ticket.stop,
                time_in_force=ticket.time_in_force,
                client_id=ticket.client_id,
                status=status if parent is None else OrderStatus.WAITING,
                opened_at=now.wall,
                released=ticket.quantity if parent is None else Contracts(0),
                group=name,
                group_kind=group.kind,
                parent=parent,
                memo=ticket.memo,
            )
            written.append(order)
            for children in ticket.then:
                written += self._write_orders(account, children, order_id, now)
        return written

    def _changed(self, order: ExchangeOrder, change: Replacement) -> ExchangeOrder:
        if change.quantity is not None:
            is_reduced = order.group_kind is GroupKind.ONE_REDUCES_OTHER
            taken = sum(sibling.filled for sibling in self._orders.siblings(order)) if is_reduced else 0
            order = order_groups.changed(order, change.quantity, self._orders.get(order.parent or ""), taken)
        limit = order.limit if change.limit is None else change.limit
        stop = order.stop if change.stop is None else change.stop
        if change.to_market:
            return replace(order, type=OrderType.MARKET, limit=None, stop=None)
        return replace(order, limit=limit, stop=stop)

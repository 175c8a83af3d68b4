"""The matching engine: a call and a moment in; an answer, updates and ledger records out.

How it executes (all of it in `Rules`): market orders and hit stops take the tick's (or last) price plus slippage; a
limit that rests fills at its own price when a tick touches or passes it, at most the tick's size; a limit that is
marketable when it arrives fills at the last price. A stop is hit by the first tick at or through it and fills at that
tick's price; one that the last price has passed when it arrives is accepted and then rejected. The best price goes
first, then the oldest order. Deterministic: equal calls at equal moments give equal orders, fills and revisions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from tradeproc.domain.candles import Tick
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import OrderType, TimeInForce
from tradeproc.domain.units import Contracts, Money
from tradeproc.exchange import checks
from tradeproc.exchange.accounts import open_points
from tradeproc.exchange.executions import Executions
from tradeproc.exchange.ledger import (
    FILL,
    ORDER,
    Ledger,
    Record,
    change_details,
    request_record,
    ticket_details,
)
from tradeproc.exchange.matching import Rules
from tradeproc.exchange.orders import (
    Changed,
    Declined,
    ExchangeOrder,
    ExchangePosition,
    Funds,
    GroupKind,
    Moment,
    OrderStatus,
    Placed,
    Replacement,
    TicketGroup,
    Update,
    What,
    Why,
)

__all__ = ["Exchange", "Rules"]


class Exchange:
    """Accounts and orders of a few contracts. Not thread-safe; every call is whole: no await, no I/O inside."""

    def __init__(self, contracts: Iterable[str], accounts: Mapping[str, Money], rules: Rules, ledger: Ledger) -> None:
        """Open a market in `contracts` with `accounts` (id to starting cash, USD)."""
        self.contracts = tuple(contracts)
        self.rules, self.ledger = rules, ledger
        self._executions = Executions(accounts, rules, ledger)
        self._orders, self._book = self._executions.orders, self._executions.book

    @property
    def revision(self) -> int:
        """Return the number of the newest update."""
        return self._executions.revision

    # --- calls of clients

    def place(self, account: str, group: TicketGroup, now: Moment) -> Placed | Declined:
        """Place the orders of a group (a single order is a NORMAL group of one) with their OSO children.

        All or nothing: one bad order declines the request.
        """
        problem = self._check_placement(account, group)
        orders = [] if problem is not None else self._write_orders(account, group, None, now)
        confirm_ids = [ticket.confirm_id for ticket in checks.flattened(group) if ticket.confirm_id]
        if problem is not None:
            failed = self._orders.new_id()
            self._note_request("place", account, [failed], confirm_ids, problem, ticket_details(group), now)
            return replace(problem, order_id=failed)
        self._note_request("place", account, orders, confirm_ids, problem, ticket_details(group), now)
        for order in orders:
            self._executions.set(order, What.PLACED, now)
        for order in orders:
            self._executions.arrive(order.id, now)
        return Placed(tuple(orders))

    def replace(self, order_id: str, change: Replacement, now: Moment) -> Changed | Declined:
        """Change quantity (the new total, filled part included) and prices; the id stays."""
        order = self._orders.get(order_id)
        problem = checks.check_change(order, change)
        self._note_request("replace", _account(order), [order_id], [], problem, change_details(change), now)
        if problem is not None or order is None:
            return problem or checks.UNKNOWN_ORDER
        self._executions.set(self._changed(order, change), What.REPLACED, now)
        self._executions.arrive(order_id, now)
        return Changed(self._orders[order_id])

    def cancel(self, order_id: str, now: Moment) -> Changed | Declined:
        """Cancel what is not filled. Waiting legs of a cancelled entry go with it; siblings stay."""
        order = self._orders.get(order_id)
        problem = checks.check_open(order)
        self._note_request("cancel", _account(order), [order_id], [], problem, {}, now)
        if problem is not None or order is None:
            return problem or checks.UNKNOWN_ORDER
        return self._executions.end(order, OrderStatus.CANCELLED, "cancelled by the client", now)

    # --- the market

    def tick(self, contract: str, tick: Tick, now: Moment) -> None:
        """Let one trade of the tape meet the book."""
        self._executions.tick(contract, tick, now)

    def end_day(self, now: Moment) -> None:
        """Expire all open DAY orders."""
        for order in self._orders:
            current = self._orders[order.id]
            if current.status.is_open and current.time_in_force is TimeInForce.DAY:
                self._executions.end(current, OrderStatus.EXPIRED, "the trading day ended", now)

    def reject(self, order_id: str, reason: str, now: Moment) -> Changed | Declined:
        """Reject an order that was accepted before (a fault for tests)."""
        order = self._orders.get(order_id)
        problem = checks.check_open(order)
        if problem is not None or order is None:
            return problem or checks.UNKNOWN_ORDER
        return self._executions.end(order, OrderStatus.REJECTED, reason, now)

    # --- questions

    def accounts(self) -> list[str]:
        """Return the account ids in the order in which they were given."""
        return list(self._book.starts)

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
        """Return the legs that wait or waited for it."""
        return self._orders.legs(order.id)

    def holdings(self, account: str) -> list[ExchangePosition]:
        """Return the positions that are not flat."""
        return self._book.holdings(account)

    def funds(self, account: str) -> Funds:
        """Return the account's money with positions valued at the last ticks."""
        return self._book.funds(account, self._executions.last_price.get)

    def last(self, contract: str) -> Tick | None:
        """Return the newest tick of a contract."""
        return self._executions.last.get(contract)

    def unrealized(self, holding: ExchangePosition) -> Money:
        """Return the open profit of a position at the last tick."""
        worth = instrument_of(holding.contract).point_value
        return Money(
            open_points(holding.quantity, holding.cost, self._executions.last_price.get(holding.contract)) * worth
        )

    def updates_since(self, revision: int) -> Sequence[Update] | None:
        """Return the updates after `revision`, oldest first; None when they are no longer kept: take a snapshot."""
        behind = self.revision - revision
        if not 0 <= behind <= len(self._executions.updates):
            return None
        # from the young end: thousands are kept, and a stream wants the last few
        return list(islice(reversed(self._executions.updates), behind))[::-1]

    # --- coming back

    def restore(self, records: Iterable[Record]) -> None:
        """Rebuild orders, positions, money, ids and revision from a ledger's records."""
        known = list(records)
        for record in known:
            self._executions.revision = max(self.revision, record.get("revision", 0))
            if record["kind"] == "order":
                # an older journal does not tell the session of an order
                self._orders.put(ORDER.decode({"is_extended": False, **record["order"]}))
            elif record["kind"] == "fill":
                self._book.book(FILL.decode(record))
                self._executions.fills = record["id"]
            elif record["kind"] == "request" and record["call"] == "place":
                self._orders.skip(record["order_ids"])
        self.ledger.load(known)

    def forget_market(self) -> None:
        """Forget the newest ticks, as before the first one: the tape begins again."""
        self._executions.last.clear()
        self._executions.last_price.clear()

    def set_last(self, contract: str, tick: Tick) -> None:
        """Set the newest tick without letting it meet the book (at start: the tape's past)."""
        self._executions.set_last(contract, tick)

    # --- inside

    def _check_placement(self, account: str, group: TicketGroup) -> Declined | None:
        if account not in self._book.starts:
            return Declined(Why.UNKNOWN_ACCOUNT, f"Invalid Account ID {account}.")
        problem = checks.check_group(group, self.contracts, self._orders.confirm_ids(account))
        if problem is not None or not self.rules.margins:
            return problem
        return checks.check_margin(
            group, self._orders.of_account(account), self.holdings(account), self.funds(account), self.rules.margins
        )

    def _write_orders(self, account: str, group: TicketGroup, parent: str | None, now: Moment) -> list[ExchangeOrder]:
        """Return the orders of a group and of what hangs under them, with new ids, not yet in the book."""
        written: list[ExchangeOrder] = []
        name = ""
        for ticket in group.tickets:
            order_id = self._orders.new_id()
            name = name or (f"g{order_id}" if len(group.tickets) > 1 or group.kind is not GroupKind.NORMAL else "")
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
                confirm_id=ticket.confirm_id,
                status=status if parent is None else OrderStatus.WAITING,
                opened_at=now.wall,
                released=ticket.quantity if parent is None else Contracts(0),
                group=name,
                group_kind=group.kind,
                parent=parent,
                is_extended=ticket.is_extended,
            )
            written.append(order)
            for children in ticket.groups:
                written += self._write_orders(account, children, order_id, now)
        return written

    def _changed(self, order: ExchangeOrder, change: Replacement) -> ExchangeOrder:
        entry = self._orders.get(order.parent or "")
        quantity = order.quantity if change.quantity is None else change.quantity
        is_free = entry is None or not entry.status.is_open
        changed = replace(
            order,
            quantity=quantity,
            released=quantity if is_free else Contracts(min(quantity, order.released)),
            limit=order.limit if change.limit is None else change.limit,
            stop=order.stop if change.stop is None else change.stop,
        )
        return replace(changed, type=OrderType.MARKET, limit=None, stop=None) if change.to_market else changed

    def _note_request(
        self,
        call: str,
        account: str,
        orders: Sequence[ExchangeOrder] | Sequence[str],
        confirm_ids: Sequence[str],
        problem: Declined | None,
        details: Record,
        now: Moment,
    ) -> None:
        ids = [order if isinstance(order, str) else order.id for order in orders]
        reason = "" if problem is None else problem.text
        self.ledger.append(
            request_record(
                call, account, now, order_ids=ids, confirm_ids=list(confirm_ids), reason=reason, details=details
            )
        )


def _account(order: ExchangeOrder | None) -> str:
    return "" if order is None else order.account

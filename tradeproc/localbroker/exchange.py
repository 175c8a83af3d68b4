"""The matching engine: a call and a moment in; an answer, updates and ledger records out.

How it executes (all of it in `Rules`): market orders and hit stops take the tick's (or last) price plus slippage; a
limit that rests fills at its own price when a tick touches or passes it, at most the tick's size; a limit that is
marketable when it arrives fills at the last price. A stop is hit by the first tick at or through it and fills at that
tick's price. Deterministic: equal calls at equal moments give equal orders, fills and revisions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from tradeproc.domain.candles import Tick
from tradeproc.domain.units import Money
from tradeproc.localbroker.ledger import Ledger, Record
from tradeproc.localbroker.orders import (
    Changed,
    Declined,
    ExchangeOrder,
    Funds,
    Holding,
    Moment,
    Placed,
    Replacement,
    TicketGroup,
    Update,
)


@dataclass(frozen=True, slots=True)
class Rules:
    """How the exchange executes.

    `partial_fills`: a resting limit gets at most the size of the tick, and a tick's size is given away once.
    `largest_fill`: no execution is larger, the rest follows with the next ticks (0: no such bound).
    `needs_through`: a resting limit fills only when the tick is beyond its price, not when it touches.
    `slippage_ticks`: how much worse market orders and stops execute. `commission`: per contract and side.
    `margins`: initial margin per root; an entry that needs more than the equity is declined (empty: no check).
    """

    partial_fills: bool = True
    largest_fill: int = 0
    needs_through: bool = False
    slippage_ticks: int = 0
    commission: Money = Money(Decimal(0))
    margins: Mapping[str, Money] = field(default_factory=dict)


class Exchange:
    """Accounts and orders of a few contracts. Not thread-safe; every call is whole: no await, no I/O inside."""

    def __init__(
        self,
        contracts: Iterable[str],
        accounts: Mapping[str, Money],
        rules: Rules | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Open a market in `contracts` with `accounts` (id to starting cash, USD)."""
        self.rules = rules or Rules()
        self.ledger = ledger or Ledger()
        self.revision = 0

    # --- calls of clients

    def place(self, account: str, group: TicketGroup, now: Moment) -> Placed | Declined:
        """Place the orders of a group (a single order is a NORMAL group of one) with their OSO children.

        All or nothing: one bad order declines the request.
        """
        raise NotImplementedError

    def replace(self, order_id: str, change: Replacement, now: Moment) -> Changed | Declined:
        """Change quantity (the new total, filled part included) and prices; the id stays."""
        raise NotImplementedError

    def cancel(self, order_id: str, now: Moment) -> Changed | Declined:
        """Cancel what is not filled. Waiting legs of a cancelled entry go with it; siblings stay."""
        raise NotImplementedError

    # --- the market

    def tick(self, contract: str, tick: Tick, now: Moment) -> None:
        """Let one trade of the tape meet the book."""
        raise NotImplementedError

    def end_day(self, now: Moment) -> None:
        """Expire all open DAY orders."""
        raise NotImplementedError

    def reject(self, order_id: str, reason: str, now: Moment) -> Changed | Declined:
        """Reject an order that was accepted before (a fault for tests)."""
        raise NotImplementedError

    # --- questions

    def accounts(self) -> list[str]:
        """Return the account ids in the order in which they were given."""
        raise NotImplementedError

    def order(self, order_id: str) -> ExchangeOrder | None:
        """Return an order, or None."""
        raise NotImplementedError

    def orders(self, account: str) -> list[ExchangeOrder]:
        """Return all orders of an account, oldest first."""
        raise NotImplementedError

    def siblings(self, order: ExchangeOrder) -> list[ExchangeOrder]:
        """Return the other orders of its group."""
        raise NotImplementedError

    def children(self, order: ExchangeOrder) -> list[ExchangeOrder]:
        """Return the legs that wait or waited for it."""
        raise NotImplementedError

    def holdings(self, account: str) -> list[Holding]:
        """Return the positions that are not flat."""
        raise NotImplementedError

    def funds(self, account: str) -> Funds:
        """Return the account's money with positions valued at the last ticks."""
        raise NotImplementedError

    def last(self, contract: str) -> Tick | None:
        """Return the newest tick of a contract."""
        raise NotImplementedError

    def unrealized(self, holding: Holding) -> Money:
        """Return the open profit of a position at the last tick."""
        raise NotImplementedError

    def updates_since(self, revision: int) -> Sequence[Update] | None:
        """Return the updates after `revision`, oldest first; None when they are no longer kept: take a snapshot."""
        raise NotImplementedError

    # --- coming back

    def restore(self, records: Iterable[Record]) -> None:
        """Rebuild orders, positions, money, ids and revision from a ledger's records."""
        raise NotImplementedError

    def set_last(self, contract: str, tick: Tick) -> None:
        """Set the newest tick without letting it meet the book (at start: the tape's past)."""
        raise NotImplementedError

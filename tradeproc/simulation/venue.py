"""The simulated broker: accounts at the exchange, told in the values of the broker contract.

What executes, and what that does to legs, siblings and positions, is the exchange's affair. Everything that was told
is kept with its moment, so that an answer can be as old as a trouble wants it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import Accepted, BracketRequest, BrokerOrder, OrderRequest, Outcome, Refused
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import OrderType, Side
from tradeproc.domain.units import Contracts, Money, Price, Ticks, plain
from tradeproc.exchange.exchange import Exchange
from tradeproc.exchange.matching import Rules
from tradeproc.exchange.orders import (
    Changed,
    Declined,
    ExchangeOrder,
    GroupKind,
    Happening,
    MarketTrade,
    Moment,
    OrderUpdate,
    PositionUpdate,
    Replacement,
    Ticket,
    TicketGroup,
    Update,
)
from tradeproc.simulation.agenda import Agenda
from tradeproc.simulation.contract_values import picture_of, replacement_of, ticket_of

FOREIGN = "foreign"
"""The memo of an order that nobody of ours has placed."""

Told = BrokerOrder | Position

SPREAD = 46
"""By how many ticks each contract trades above the one before it."""


@dataclass(slots=True)
class AccountBook:
    """One account in one contract: all pictures of its orders and readings of its position, with their times.

    `open` are the exchange's own values of what can still fill. `foreign` is how many contracts others have traded,
    `foreign_net` the signed sum of them; `has_foreign` while contracts of theirs may be part of what is open.
    """

    pictures: dict[str, list[tuple[int, BrokerOrder]]] = field(default_factory=dict)
    readings: list[tuple[int, Position]] = field(default_factory=list)
    open: dict[str, ExchangeOrder] = field(default_factory=dict)
    quantity: int = 0
    foreign: int = 0
    foreign_net: int = 0
    has_foreign: bool = False


class SimulatedVenue:
    """The broker of all simulated sessions; `hear` gets each picture as a perfect stream would tell it."""

    def __init__(
        self,
        agenda: Agenda,
        contracts: Sequence[str],
        accounts: Sequence[str],
        start: Ticks,
        hear: Callable[[str, Told], None],
        *,
        echoes: bool,
        largest_fill: int,
    ) -> None:
        self._agenda, self.contracts, self._hear, self._echoes = agenda, tuple(contracts), hear, echoes
        self._offsets = {contract: number * SPREAD for number, contract in enumerate(contracts)}
        self._usual = Rules(largest_fill=largest_fill)
        self.exchange = Exchange(contracts, {account: Money(Decimal(0)) for account in accounts}, self._usual)
        for contract, offset in self._offsets.items():
            self.exchange.set_last(contract, Ticks(start + offset))
        self.instrument = instrument_of(contracts[0])
        self._points: dict[Fraction | int, Price] = {}
        self.books = {(account, contract): AccountBook() for account in accounts for contract in contracts}
        for (account, contract), book in self.books.items():
            book.readings.append((0, Position(account, contract, Contracts(0), None)))
        self.is_unpriced = False

    # --- the market

    @property
    def last(self) -> Ticks:
        """Return the newest price of the first contract."""
        return self.last_of(self.contracts[0])

    def last_of(self, contract: str) -> Ticks:
        """Return the newest price of a contract."""
        return self.exchange.last(contract) or Ticks(0)

    def offset(self, contract: str) -> int:
        """Return by how many ticks a contract trades above the first one."""
        return self._offsets[contract]

    def trade(self, price: int, size: int) -> None:
        """Let the market trade, at a price of the first contract."""
        is_waited_for = any(book.open for book in self.books.values())
        for contract, offset in self._offsets.items():
            if is_waited_for:
                self._step(MarketTrade(contract, Ticks(price + offset), Contracts(size)))
            else:
                self.exchange.set_last(contract, Ticks(price + offset))

    def fill_at_most(self, contracts: int | None) -> None:
        """Execute so many contracts at once; None as usual."""
        self.exchange.rules = self._usual if contracts is None else Rules(largest_fill=contracts)

    # --- what a trader asks for

    def place(self, account: str, request: OrderRequest | BracketRequest) -> Outcome:
        """Take an order or a bracket."""
        group = TicketGroup(GroupKind.INDEPENDENT, (ticket_of(request, self.instrument),))
        answer = self.exchange.place(account, group, self._moment())
        if isinstance(answer, Declined):
            return Refused(answer.text)
        self._follow(answer.updates)
        return Accepted({order.client_id: order.id for order in answer.orders})

    def cancel(self, broker_id: str) -> Outcome:
        """Cancel an order."""
        return self._changed(self.exchange.cancel(broker_id, self._moment()))

    def modify(self, broker_id: str, change: OrderRequest) -> Outcome:
        """Change an order."""
        wanted = replacement_of(change, self.instrument)
        return self._changed(self.exchange.replace(broker_id, wanted, self._moment()))

    # --- what the broker and others do by themselves

    def reject(self, broker_id: str) -> None:
        """Reject an order that was accepted."""
        self._changed(self.exchange.reject(broker_id, "rejected late", self._moment()))

    def expire(self, broker_id: str) -> None:
        """Let an order expire."""
        self._changed(self.exchange.expire(broker_id, "expired", self._moment()))

    def move(self, broker_id: str, change: Replacement) -> None:
        """Let somebody else change an order."""
        self._changed(self.exchange.replace(broker_id, change, self._moment()))

    def by_hand(self, account: str, contract: str, change: int, limit: Ticks | None = None) -> None:
        """Let somebody else trade a signed number of contracts, or rest an order for them."""
        side = Side.BUY if change > 0 else Side.SELL
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        ticket = Ticket(contract, side, Contracts(abs(change)), kind, limit, memo=FOREIGN)
        answer = self.exchange.place(account, TicketGroup(GroupKind.INDEPENDENT, (ticket,)), self._moment())
        if not isinstance(answer, Declined):
            self._follow(answer.updates)

    # --- what it answers

    def orders(self, account: str, age: int = 0) -> tuple[BrokerOrder, ...]:
        """Return all orders of an account as they were `age` nanoseconds ago."""
        at = self._agenda.now - age
        found = []
        for contract in self.contracts:
            for told in self.books[account, contract].pictures.values():
                known = [picture for moment, picture in told if moment <= at] if age else [told[-1][1]]
                found += known[-1:]
        return tuple(self._shown(picture) for picture in found)

    def position(self, account: str, contract: str, age: int = 0) -> Position:
        """Return the position of an account in a contract as it was `age` nanoseconds ago."""
        at = self._agenda.now - age
        readings = self.books[account, contract].readings
        return next((position for moment, position in reversed(readings) if moment <= at), readings[0][1])

    # --- inside

    def _step(self, happening: Happening) -> None:
        self._follow(self.exchange.step(happening, self._moment()))

    def _moment(self) -> Moment:
        return Moment(self._agenda.truth, self._agenda.truth)

    def _price(self, ticks: Fraction | int | None) -> Price | None:
        if ticks is None:
            return None
        found = self._points.get(ticks)
        if found is None:
            exact = self.instrument.tick_size * ticks.numerator / ticks.denominator
            found = self._points[ticks] = Price(plain(exact))
        return found

    def _changed(self, answer: Changed | Declined) -> Outcome:
        if isinstance(answer, Declined):
            return Refused(answer.text)
        self._follow(answer.updates)
        return Accepted()

    def _follow(self, updates: Sequence[Update]) -> None:
        turned_by_others = [
            self.books[each.order.account, each.order.contract]
            for each in updates
            if isinstance(each, OrderUpdate) and each.fill is not None and each.order.memo == FOREIGN
        ]
        for update in updates:
            if isinstance(update, OrderUpdate):
                self._note_order(update)
            elif isinstance(update, PositionUpdate):
                holding = update.holding
                book = self.books[holding.account, holding.contract]
                book.quantity = holding.quantity
                is_theirs = book.has_foreign or any(book is each for each in turned_by_others)
                book.has_foreign = is_theirs and holding.quantity != 0
                average = self._price(holding.average)
                position = Position(holding.account, holding.contract, holding.quantity, average)
                book.readings.append((self._agenda.now, position))
                self._hear(holding.account, position)

    def _note_order(self, update: OrderUpdate) -> None:
        order = update.order
        book = self.books[order.account, order.contract]
        if order.status.is_open:
            book.open[order.id] = order
        else:
            book.open.pop(order.id, None)
        if update.fill is not None and order.memo == FOREIGN:
            book.foreign += update.fill.quantity
            book.foreign_net += update.fill.quantity * order.side.sign
            book.has_foreign = True
        picture = picture_of(order, self._price, echoes=self._echoes)
        book.pictures.setdefault(order.id, []).append((self._agenda.now, picture))
        self._hear(order.account, self._shown(picture))

    def _shown(self, picture: BrokerOrder) -> BrokerOrder:
        if self.is_unpriced and picture.filled:
            return replace(picture, average=None)
        return picture

"""A broker for the engine's tests: an account at the exchange, told in the values of the broker contract.

What executes, at which price, and what that does to legs, siblings and positions, is the exchange's affair and not
repeated here. The pictures in `orders` are what the broker tells: tests spoil them, to play a broker that lies.
"""

from dataclasses import InitVar, dataclass, field, replace
from decimal import Decimal

from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import Accepted, BracketRequest, BrokerOrder, OrderRequest, Outcome, Refused
from tradeproc.domain.instruments import Instrument, instrument_of
from tradeproc.domain.orders import OrderState, OrderType, Side
from tradeproc.domain.units import Contracts, Money, Nanos, Price
from tradeproc.exchange.exchange import Exchange
from tradeproc.exchange.matching import Rules
from tradeproc.exchange.orders import (
    Changed,
    Declined,
    ExchangeOrder,
    GroupKind,
    MarketTrade,
    Moment,
    OrderUpdate,
    PositionUpdate,
    Replacement,
    Ticket,
    TicketGroup,
    Update,
)
from tradeproc.localbroker.grid import to_points
from tradeproc.simulation.contract_values import picture_of, replacement_of, ticket_of

ACCOUNT, CONTRACT = "SIM1", "ESH24"
WORDS = {
    OrderState.SUBMITTED: "ACK",
    OrderState.PENDING: "OSO",
    OrderState.FILLED: "FLL",
    OrderState.CANCELLED: "OUT",
    OrderState.REJECTED: "REJ",
    OrderState.PARTIALLY_FILLED: "FPR",
    OrderState.EXPIRED: "EXP",
}
ENOUGH = Contracts(1_000_000)


@dataclass
class ExchangeBroker:
    """One account, one contract. `told` collects every picture that a perfect stream would have told.

    `start` is the last price before the first order, in points; `fills_by` the most contracts of one execution.
    """

    start: Decimal = Decimal("4800.00")
    contract: str = CONTRACT
    echoes: bool = False
    rejects: bool = False
    loses_legs: bool = False
    fills_by: InitVar[int] = 1000
    orders: dict[str, BrokerOrder] = field(default_factory=dict)
    client_ids: dict[str, str] = field(default_factory=dict)
    told: list[BrokerOrder | Position] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    largest: int = 0
    now: Nanos = Nanos(0)

    def __post_init__(self, fills_by: int) -> None:
        self.exchange = Exchange([self.contract], {ACCOUNT: Money(Decimal(0))}, Rules(largest_fill=fills_by))
        self._exchange_ids: dict[str, str] = {}
        self._our_ids: dict[str, str] = {}
        self.price = self.start

    # --- the market

    @property
    def terms(self) -> Instrument:
        return instrument_of(self.contract)

    @property
    def price(self) -> Decimal:
        """The last price; setting it lets the market jump there without a trade."""
        return self.terms.price(self.exchange.last(self.contract) or 0)

    @price.setter
    def price(self, price: Decimal) -> None:
        self.exchange.set_last(self.contract, self.terms.ticks(price))

    def fill_by(self, quantity: int) -> None:
        """Execute no more than so many contracts at once from now on."""
        self.exchange.rules = Rules(largest_fill=quantity)

    def trade(self, price: Decimal) -> None:
        """The market trades at a price, more than anybody wants, and every order meets it."""
        self._follow(self.exchange.step(MarketTrade(self.contract, self.terms.ticks(price), ENOUGH), self._moment()))

    # --- what the trader's side asks

    def place(self, request: OrderRequest | BracketRequest) -> Outcome:
        requests = [request] if isinstance(request, OrderRequest) else [request.entry, request.stop_loss]
        if isinstance(request, BracketRequest) and request.profit_target is not None:
            requests.append(request.profit_target)
        self.received += [single.id for single in requests]
        if self.rejects:
            return Refused("no")
        entry = ticket_of(request, self.terms, has_legs=not self.loses_legs)
        answer = self.exchange.place(ACCOUNT, TicketGroup(GroupKind.INDEPENDENT, (entry,)), self._moment())
        if isinstance(answer, Declined):
            return Refused(answer.text)
        for order in answer.orders:
            self._name(order)
        self._follow(answer.updates)
        return Accepted({order.client_id: self._our_ids[order.id] for order in answer.orders})

    def cancel(self, broker_id: str) -> Outcome:
        return self._changed(self.exchange.cancel(self._exchange_ids.get(broker_id, ""), self._moment()))

    def modify(self, broker_id: str, change: OrderRequest) -> Outcome:
        wanted = replacement_of(change, self.terms)
        return self._changed(self.exchange.replace(self._exchange_ids.get(broker_id, ""), wanted, self._moment()))

    # --- what the broker does by itself, and what others do

    def expire(self, broker_id: str) -> None:
        self._changed(self.exchange.expire(self._exchange_ids[broker_id], "expired", self._moment()))

    def reject(self, broker_id: str) -> None:
        self._changed(self.exchange.reject(self._exchange_ids[broker_id], "rejected", self._moment()))

    def cut(self, broker_id: str, quantity: int) -> None:
        self._changed(
            self.exchange.replace(self._exchange_ids[broker_id], Replacement(Contracts(quantity)), self._moment())
        )

    def by_hand(self, change: int, *, is_listed: bool = True) -> None:
        """Somebody else trades a signed number of contracts, by an order that the list shows or does not."""
        self.move(change)
        if is_listed:
            self.tell(
                BrokerOrder(
                    broker_id=f"hand-{len(self.orders)}",
                    account=ACCOUNT,
                    contract=self.contract,
                    side=Side.BUY if change > 0 else Side.SELL,
                    type=OrderType.MARKET,
                    quantity=Contracts(abs(change)),
                    filled=Contracts(abs(change)),
                    state=OrderState.FILLED,
                    raw_status="FLL",
                    opened_at=self.now,
                    closed_at=self.now,
                    average=Price(self.price),
                )
            )
        self.told.append(self.current_position())

    def move(self, change: int) -> None:
        """Move the position by a signed number of contracts at the last price, and tell nothing."""
        side = Side.BUY if change > 0 else Side.SELL
        for _ in range(abs(change)):
            ticket = Ticket(self.contract, side, Contracts(1), OrderType.MARKET)
            self.exchange.place(ACCOUNT, TicketGroup(GroupKind.INDEPENDENT, (ticket,)), self._moment())

    def take_back(self, broker_id: str, *, moves: bool = True) -> None:
        """Tell an order as ended without the fill that was told before; the position follows unless it did before."""
        order = self.orders[broker_id]
        if moves:
            self.move(-order.filled * order.side.sign)
        self.tell(replace(order, filled=Contracts(0), average=None, state=OrderState.EXPIRED))
        self.told.append(self.current_position())

    def fill_again(self, broker_id: str, quantity: int) -> None:
        """Fill an order that was taken back, at the last price: the exchange did that once already."""
        order = self.orders[broker_id]
        self.move(quantity * order.side.sign)
        filled = Contracts(order.filled + quantity)
        state = OrderState.FILLED if filled == order.quantity else OrderState.PARTIALLY_FILLED
        self.tell(replace(order, filled=filled, average=Price(self.price), state=state, closed_at=None))
        self.told.append(self.current_position())

    # --- what it tells

    @property
    def position(self) -> int:
        return sum(holding.quantity for holding in self.exchange.holdings(ACCOUNT))

    @position.setter
    def position(self, quantity: int) -> None:
        self.move(quantity - self.position)

    @property
    def average(self) -> Price | None:
        return next((self._points(holding.average) for holding in self.exchange.holdings(ACCOUNT)), None)

    @property
    def realized(self) -> Decimal:
        """What was made by closing, in points times contracts."""
        return self.exchange.funds(ACCOUNT).realized / self.terms.point_value

    def current_position(self) -> Position:
        return Position(ACCOUNT, self.contract, Contracts(self.position), self.average)

    def open(self) -> list[BrokerOrder]:
        return [order for order in self.orders.values() if not order.state.is_terminal]

    def tell(self, picture: BrokerOrder) -> None:
        """Tell a picture of an order, whatever the exchange has."""
        ended_at = picture.closed_at or self.now if picture.state.is_terminal else None
        picture = replace(picture, raw_status=WORDS[picture.state], closed_at=ended_at)
        self.orders[picture.broker_id] = picture
        self.told.append(picture)

    # --- between the two

    def _moment(self) -> Moment:
        return Moment(self.now, self.now)

    def _points(self, ticks: Decimal | int | None) -> Price | None:
        return None if ticks is None else to_points(ticks, self.contract)

    def _name(self, order: ExchangeOrder) -> None:
        broker_id = str(900 + len(self._our_ids))
        self._our_ids[order.id], self._exchange_ids[broker_id] = broker_id, order.id
        self.client_ids[broker_id] = order.client_id

    def _changed(self, answer: Changed | Declined) -> Outcome:
        if isinstance(answer, Declined):
            return Refused(answer.text)
        self._follow(answer.updates)
        return Accepted()

    def _follow(self, updates: tuple[Update, ...] | list[Update]) -> None:
        """Tell what the exchange told, but what nobody here has placed."""
        for update in updates:
            if isinstance(update, PositionUpdate):
                self.largest = max(self.largest, abs(update.holding.quantity))
                average = self._points(update.holding.average)
                self.told.append(Position(ACCOUNT, self.contract, update.holding.quantity, average))
            elif isinstance(update, OrderUpdate) and update.order.id in self._our_ids:
                self.tell(self._picture(update.order))

    def _picture(self, order: ExchangeOrder) -> BrokerOrder:
        picture = picture_of(order, self._points, echoes=self.echoes)
        return replace(picture, broker_id=self._our_ids[order.id], parent=self._our_ids.get(order.parent or ""))

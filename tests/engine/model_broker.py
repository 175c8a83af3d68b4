"""A small broker as a model: exact about orders, brackets and fills, and silent about nothing; pure."""

from dataclasses import dataclass, field, replace
from decimal import Decimal

from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import Accepted, BracketRequest, BrokerOrder, OrderRequest, Outcome, Refused
from tradeproc.domain.orders import OrderState, OrderType, Side
from tradeproc.domain.units import Contracts, Nanos, Price

ACCOUNT = "SIM1"
PATTERN = {
    OrderState.SUBMITTED: "ACK",
    OrderState.PENDING: "OSO",
    OrderState.FILLED: "FLL",
    OrderState.CANCELLED: "OUT",
    OrderState.REJECTED: "REJ",
    OrderState.PARTIALLY_FILLED: "FPR",
    OrderState.EXPIRED: "EXP",
}


@dataclass
class ModelBroker:
    """One account, one contract. `told` collects every picture that a perfect stream would have told."""

    price: Decimal = Decimal("4800.00")
    echoes: bool = False
    rejects: bool = False
    fills_by: int = 1000
    orders: dict[str, BrokerOrder] = field(default_factory=dict)
    client_ids: dict[str, str] = field(default_factory=dict)
    position: int = 0
    average: Price | None = None
    realized: Decimal = Decimal(0)
    told: list[BrokerOrder | Position] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    largest: int = 0
    now: Nanos = Nanos(0)

    def place(self, request: OrderRequest | BracketRequest) -> Outcome:
        requests = [request] if isinstance(request, OrderRequest) else [request.entry, request.stop_loss]
        if isinstance(request, BracketRequest) and request.profit_target is not None:
            requests.append(request.profit_target)
        self.received += [single.id for single in requests]
        if self.rejects:
            return Refused("no")
        entry = self._add(requests[0], None)
        legs = [self._add(leg, entry) for leg in requests[1:]]
        self._work(entry)
        return Accepted({single.id: broker_id for single, broker_id in zip(requests, [entry, *legs], strict=True)})

    def _add(self, request: OrderRequest, parent: str | None) -> str:
        broker_id = str(900 + len(self.orders))
        self.client_ids[broker_id] = request.id
        picture = BrokerOrder(
            broker_id=broker_id,
            account=ACCOUNT,
            contract=request.contract.code,
            side=request.side,
            type=request.type,
            quantity=request.quantity,
            filled=Contracts(0),
            state=OrderState.SUBMITTED if parent is None else OrderState.PENDING,
            raw_status="ACK" if parent is None else "OSO",
            opened_at=Nanos(self.now // 10**9 * 10**9),
            limit=request.limit,
            stop=request.stop,
            client_id=request.id if self.echoes else None,
            parent=parent,
        )
        self._tell(picture)
        return broker_id

    def _tell(self, picture: BrokerOrder) -> None:
        ended_at = picture.closed_at or self.now if picture.state.is_terminal else None
        picture = replace(picture, raw_status=PATTERN[picture.state], closed_at=ended_at)
        self.orders[picture.broker_id] = picture
        self.told.append(picture)

    def trade(self, price: Decimal) -> None:
        """The market trades at a price: everything that it triggers fills, `fills_by` contracts at a time."""
        self.price = price
        for broker_id in list(self.orders):
            self._work(broker_id)

    def _work(self, broker_id: str) -> None:
        order = self.orders[broker_id]
        if not order.state.is_working or not self._is_marketable(order):
            return
        quantity = min(self.fills_by, order.quantity - order.filled)
        self.fill(broker_id, quantity)

    def _is_marketable(self, order: BrokerOrder) -> bool:
        sign = order.side.sign
        if order.type is OrderType.STOP:
            return order.stop is not None and (self.price - order.stop) * sign >= 0
        if order.type is OrderType.LIMIT:
            return order.limit is not None and (order.limit - self.price) * sign >= 0
        return True

    def fill(self, broker_id: str, quantity: int) -> None:
        order = self.orders[broker_id]
        filled = order.filled + quantity
        average = ((order.average or Decimal(0)) * order.filled + self.price * quantity) / filled
        state = OrderState.FILLED if filled == order.quantity else OrderState.PARTIALLY_FILLED
        self._move(quantity * order.side.sign)
        self.largest = max(self.largest, abs(self.position))
        self._tell(replace(order, filled=Contracts(filled), average=Price(average), state=state))
        self.told.append(self.current_position())
        self._follow(self.orders[broker_id], quantity)

    def _move(self, change: int) -> None:
        """Keep the books as a broker does: an average cost, and what closing realizes, in points."""
        before, after = self.position, self.position + change
        closed = min(abs(before), abs(change)) if before * change < 0 else 0
        if closed and self.average is not None:
            self.realized += (self.price - self.average) * closed * (1 if before > 0 else -1)
        if before * change >= 0:
            total = (self.average if self.average is not None else Decimal(0)) * abs(before) + self.price * abs(
                change
            )
            self.average = Price(total / abs(after))
        elif before * after < 0:
            self.average = Price(self.price)
        elif after == 0:
            self.average = None
        self.position = after

    def by_hand(self, change: int, *, is_listed: bool = True) -> None:
        """Somebody else trades a signed number of contracts, by an order that the list shows or does not."""
        self._move(change)
        if is_listed:
            self._tell(
                BrokerOrder(
                    broker_id=f"hand-{len(self.orders)}",
                    account=ACCOUNT,
                    contract="ESH24",
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

    def take_back(self, broker_id: str, *, moves: bool = True) -> None:
        """Tell an order as ended without the fill that was told before; the position follows unless it did before."""
        order = self.orders[broker_id]
        if moves:
            self._move(-order.filled * order.side.sign)
            self.realized = Decimal(0)
        self._tell(replace(order, filled=Contracts(0), average=None, state=OrderState.EXPIRED))
        self.told.append(self.current_position())

    def _follow(self, order: BrokerOrder, quantity: int) -> None:
        """Wake the legs of an entry; shrink or end the sibling of a leg."""
        if order.parent is None:
            for leg in self._legs(order.broker_id):
                if leg.state is OrderState.PENDING and order.state is OrderState.FILLED:
                    self._tell(replace(leg, state=OrderState.SUBMITTED))
            return
        for leg in self._legs(order.parent):
            if leg.broker_id != order.broker_id and not leg.state.is_terminal:
                left = Contracts(leg.quantity - quantity)
                ended = left <= leg.filled
                self._tell(replace(leg, state=OrderState.CANCELLED) if ended else replace(leg, quantity=left))

    def _legs(self, parent: str) -> list[BrokerOrder]:
        return [order for order in list(self.orders.values()) if order.parent == parent]

    def cancel(self, broker_id: str) -> Outcome:
        order = self.orders.get(broker_id)
        if order is None or order.state.is_terminal:
            return Refused("too late to cancel")
        self._end(order, OrderState.CANCELLED)
        return Accepted()

    def expire(self, broker_id: str) -> None:
        self._end(self.orders[broker_id], OrderState.EXPIRED)

    def reject(self, broker_id: str) -> None:
        self._end(self.orders[broker_id], OrderState.REJECTED)

    def _end(self, order: BrokerOrder, state: OrderState) -> None:
        self._tell(replace(order, state=state, reason="" if state is OrderState.CANCELLED else state.value))
        if order.parent is None and order.filled == 0:
            for leg in self._legs(order.broker_id):
                if not leg.state.is_terminal:
                    self._tell(replace(leg, state=OrderState.CANCELLED))

    def modify(self, broker_id: str, change: OrderRequest) -> Outcome:
        order = self.orders.get(broker_id)
        if order is None or order.state.is_terminal:
            return Refused("no longer open")
        # a leg that its sibling's fills have shrunk does not grow again by a change that crossed them
        quantity = change.quantity if order.parent is None else min(change.quantity, order.quantity)
        self._tell(replace(order, quantity=Contracts(quantity), limit=change.limit, stop=change.stop))
        self._work(broker_id)
        return Accepted()

    def current_position(self) -> Position:
        average = Price(self.price) if self.average is None else self.average
        return Position(ACCOUNT, "ESH24", Contracts(self.position), average if self.position else None)

    def open(self) -> list[BrokerOrder]:
        return [order for order in self.orders.values() if not order.state.is_terminal]

"""Short words for the tests of the exchange: tickets, trades, moments and an exchange of one contract.

Tests write prices as texts in points; the exchange has them in ticks.
"""

from decimal import Decimal
from fractions import Fraction

from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.domain.units import Contracts, Money, Nanos, Ticks, plain
from tradeproc.exchange.exchange import Exchange
from tradeproc.exchange.matching import Rules
from tradeproc.exchange.orders import (
    Bar,
    ChangeKind,
    ExchangeFill,
    ExchangeOrder,
    GroupKind,
    MarketTrade,
    Moment,
    OrderUpdate,
    Placed,
    Ticket,
    TicketGroup,
)

ES = "ESH24"
ACCOUNT = "SIM0000001F"
CASH = Money(Decimal(100_000))
WALL = 1_700_000_000_000_000_000


def at(second: int) -> Moment:
    """Return a moment; market time is another one than wall time."""
    return Moment(Nanos(WALL + second), Nanos(second))


def ticks(points: str | Decimal) -> Ticks:
    """Return a price in ticks of the one contract."""
    return instrument_of(ES).ticks(Decimal(points))


def points(ticks: Fraction | int | None) -> Decimal | None:
    """Return a price, or a sum of prices, in points."""
    return None if ticks is None else Decimal(ticks.numerator) / 4 / ticks.denominator


def ticket(
    side: Side,
    quantity: int,
    *,
    limit: str | None = None,
    stop: str | None = None,
    tif: TimeInForce = TimeInForce.DAY,
    client_id: str = "",
    then: tuple[TicketGroup, ...] = (),
) -> Ticket:
    """Return a ticket whose type follows from its prices."""
    types = {
        (False, False): OrderType.MARKET,
        (True, False): OrderType.LIMIT,
        (False, True): OrderType.STOP,
        (True, True): OrderType.STOP_LIMIT,
    }
    return Ticket(
        ES,
        side,
        Contracts(quantity),
        types[limit is not None, stop is not None],
        None if limit is None else ticks(limit),
        None if stop is None else ticks(stop),
        tif,
        client_id,
        then,
    )


def one(order: Ticket) -> TicketGroup:
    """Return a single order as the group that `place` wants."""
    return TicketGroup(GroupKind.INDEPENDENT, (order,))


def bracket(
    quantity: int, limit: str | None, stop_loss: str, target: str, kind: GroupKind = GroupKind.ONE_REDUCES_OTHER
) -> TicketGroup:
    """Return a long entry with its stop and target."""
    legs = (ticket(Side.SELL, quantity, stop=stop_loss), ticket(Side.SELL, quantity, limit=target))
    return one(ticket(Side.BUY, quantity, limit=limit, then=(TicketGroup(kind, legs),)))


class Pit:
    """An exchange of one contract in which time passes by one with every call."""

    def __init__(
        self, last: str | None = "4800", rules: Rules | None = None, accounts: dict[str, Money] | None = None
    ) -> None:
        self.exchange = Exchange([ES], accounts or {ACCOUNT: CASH}, rules or Rules())
        self.second = 0
        if last is not None:
            self.exchange.set_last(ES, ticks(last))

    def now(self) -> Moment:
        self.second += 1
        return at(self.second)

    def place(self, group: TicketGroup | Ticket, account: str = ACCOUNT) -> list[ExchangeOrder]:
        """Place what must be accepted, and return the orders as they stand after it."""
        answer = self.exchange.place(account, group if isinstance(group, TicketGroup) else one(group), self.now())
        assert isinstance(answer, Placed), answer
        return [self.order(order.id) for order in answer.orders]

    def ticks(self, *prices: str, size: int = 100) -> None:
        for price in prices:
            self.exchange.step(MarketTrade(ES, ticks(price), Contracts(size)), self.now())

    def bar(self, opened: int, high: int, low: int, close: int, volume: int = 100) -> None:
        """Let a bar pass; its prices are in ticks."""
        prices = (Ticks(price) for price in (opened, high, low, close))
        self.exchange.step(Bar(ES, *prices, Contracts(volume)), self.now())

    def order(self, order: str | ExchangeOrder) -> ExchangeOrder:
        found = self.exchange.order(order if isinstance(order, str) else order.id)
        assert found is not None
        return found

    @property
    def position(self) -> int:
        return sum(holding.quantity for holding in self.exchange.holdings(ACCOUNT))

    def fills(self) -> list[tuple[str, int, str]]:
        """Return side, quantity and price of every fill."""
        return [(fill.side.value, fill.quantity, str(plain(Decimal(fill.price) / 4))) for fill in self.booked()]

    def booked(self) -> list[ExchangeFill]:
        """Return every fill, as it was told."""
        updates = self.exchange.updates_since(0) or []
        return [update.fill for update in updates if isinstance(update, OrderUpdate) and update.fill is not None]

    def story(self, order: ExchangeOrder) -> list[ChangeKind]:
        """Return what happened to an order, as it was told."""
        updates = self.exchange.updates_since(0) or []
        return [update.what for update in updates if isinstance(update, OrderUpdate) and update.order.id == order.id]

"""The faults that hit orders in the market: a stop that does nothing, one that ends by itself, legs that never were.

What a client is told of such an order is what the books say: an inert stop works, a cancelled one is cancelled.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.domain.orders import OrderType
from tradeproc.domain.units import Contracts
from tradeproc.exchange.exchange import Exchange
from tradeproc.exchange.orders import Changed, Declined, ExchangeOrder, Moment, Replacement, TicketGroup
from tradeproc.localbroker.faults import FaultName, FaultTable, InjectedFault
from tradeproc.localbroker.market import Market

_BY_ITSELF = "ended by the broker"


def _cancel(exchange: Exchange, order: ExchangeOrder, now: Moment) -> Changed | Declined:
    return exchange.cancel(order.id, now, _BY_ITSELF)


def _reject(exchange: Exchange, order: ExchangeOrder, now: Moment) -> Changed | Declined:
    return exchange.reject(order.id, _BY_ITSELF, now)


def _cut(exchange: Exchange, order: ExchangeOrder, now: Moment) -> Changed | Declined:
    return exchange.replace(order.id, Replacement(Contracts(order.quantity - 1)), now)


_STRIKES: Mapping[FaultName, Callable[[Exchange, ExchangeOrder, Moment], Changed | Declined]] = {
    FaultName.CANCEL_STOP: _cancel,
    FaultName.REJECT_STOP: _reject,
    FaultName.CUT_STOP: _cut,
}


class OrderFaults:
    """Lets the faults of a table act on the orders of a market; made once for both."""

    def __init__(self, faults: FaultTable, market: Market, monotonic: Callable[[], int] = monotonic_ns) -> None:
        self._faults, self._market, self._monotonic = faults, market, monotonic
        # inert orders, with the fault that hit each and until when it lasts
        self._inert: dict[str, tuple[InjectedFault, int | None]] = {}
        market.exchange.is_inert = self._is_inert
        market.lessen = self._without_legs

    def strike(self) -> None:
        """Let the faults that end or change a working order do so; call it often."""
        for name in dict.fromkeys(fault.name for fault in self._faults.active if fault.name in _STRIKES):
            for account in self._market.exchange.accounts():
                for order in self._market.exchange.orders(account):
                    self._strike(name, order)

    def _strike(self, name: FaultName, order: ExchangeOrder) -> None:
        is_possible = order.status.is_working and (name is not FaultName.CUT_STOP or order.remaining > 1)
        if is_possible and self._take(name, order) is not None:
            self._market.change(lambda exchange, now: _STRIKES[name](exchange, order, now))

    def _take(self, name: FaultName, order: ExchangeOrder) -> InjectedFault | None:
        if order.type is OrderType.MARKET:
            return None
        endpoint = "stops" if order.type.has_stop else "limits"
        return self._faults.take({name}, endpoint, [order.account], subject=f"order {order.id} {order.account}")

    def _is_inert(self, order: ExchangeOrder) -> bool:
        if order.id not in self._inert:
            fault = self._take(FaultName.INERT_STOP, order)
            if fault is None:
                return False
            lasts = None if fault.seconds is None else self._monotonic() + int(fault.seconds * SECOND)
            self._inert[order.id] = fault, lasts
        fault, until = self._inert[order.id]
        return not fault.is_cleared and (until is None or self._monotonic() < until)

    def _without_legs(self, account: str, group: TicketGroup) -> TicketGroup:
        """Return a group as it is taken: without the legs of its orders if a fault loses them."""
        if not any(ticket.then for ticket in group.tickets):
            return group
        if self._faults.take({FaultName.LOSE_LEGS}, "place", [account]) is None:
            return group
        return replace(group, tickets=tuple(replace(ticket, then=()) for ticket in group.tickets))

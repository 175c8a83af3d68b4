"""All orders of the exchange, with the indexes that matching and groups need. No rules of execution here."""

from collections.abc import Iterable

from tradeproc.exchange.matching import NOTHING, Reach, reach
from tradeproc.exchange.orders import ExchangeOrder, OrderStatus

FIRST_ORDER_ID = 1_000_000_001


class OrderIndex:
    """Orders by id, account, group and entry; ids are ascending numbers as text."""

    def __init__(self) -> None:
        self._orders: dict[str, ExchangeOrder] = {}
        self._accounts: dict[str, list[str]] = {}
        self._groups: dict[str, list[str]] = {}
        self._legs: dict[str, list[str]] = {}
        self._open: dict[str, dict[str, None]] = {}
        self._reach: dict[str, Reach] = {}
        self._client_ids: dict[str, set[str]] = {}
        self._next_id = FIRST_ORDER_ID

    def new_id(self) -> str:
        """Return the next order id."""
        self._next_id += 1
        return str(self._next_id - 1)

    def skip(self, order_ids: Iterable[str]) -> None:
        """Give these ids to no new order, because clients know them already."""
        for order_id in order_ids:
            self._next_id = max(self._next_id, int(order_id) + 1)

    def put(self, order: ExchangeOrder) -> None:
        """Add an order, or replace it by its newer value."""
        if order.id not in self._orders:
            self._next_id = max(self._next_id, int(order.id) + 1)
            self._accounts.setdefault(order.account, []).append(order.id)
            if order.group:
                self._groups.setdefault(order.group, []).append(order.id)
            if order.parent is not None:
                self._legs.setdefault(order.parent, []).append(order.id)
            if order.client_id:
                self._client_ids.setdefault(order.account, set()).add(order.client_id)
        self._orders[order.id] = order
        still_open = self._open.setdefault(order.contract, {})
        if order.status.is_open:
            still_open[order.id] = None
        else:
            still_open.pop(order.id, None)
        self._reach.pop(order.contract, None)

    def get(self, order_id: str) -> ExchangeOrder | None:
        """Return an order, or None."""
        return self._orders.get(order_id)

    def __getitem__(self, order_id: str) -> ExchangeOrder:
        return self._orders[order_id]

    def of_account(self, account: str) -> list[ExchangeOrder]:
        """Return the orders of an account, oldest first."""
        return [self._orders[order_id] for order_id in self._accounts.get(account, ())]

    def siblings(self, order: ExchangeOrder) -> list[ExchangeOrder]:
        """Return the other orders of its group."""
        return [self._orders[other] for other in self._groups.get(order.group, ()) if other != order.id]

    def legs(self, order_id: str) -> list[ExchangeOrder]:
        """Return the orders that have it as their entry."""
        return [self._orders[leg] for leg in self._legs.get(order_id, ())]

    def open_orders(self, contract: str) -> list[ExchangeOrder]:
        """Return the open orders of a contract, legs that wait included, oldest first."""
        return [self._orders[order_id] for order_id in self._open.get(contract, ())]

    def live(self, contract: str) -> list[ExchangeOrder]:
        """Return the open orders of a contract that a trade may concern, oldest first."""
        return [order for order in self.open_orders(contract) if order.status is not OrderStatus.WAITING]

    def reach(self, contract: str) -> Reach:
        """Return between which prices a trade changes nothing; computed again only after an order has changed."""
        found = self._reach.get(contract)
        if found is None:
            found = NOTHING
            for order in self.live(contract):
                found = found.narrowed(reach(order))
            self._reach[contract] = found
        return found

    def client_ids(self, account: str) -> set[str]:
        """Return the ids that clients of the account have given to orders."""
        return self._client_ids.get(account, set())

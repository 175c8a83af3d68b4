"""Accounts and orders of one login by TradeStation's REST API; satisfies `contract.AccountManager`.

Source: TradeStation API v3, "Brokerage" and "Order Execution" (paths, partial success, order groups).
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tradeproc.brokers.contract import (
    BracketRequest,
    BrokerAccount,
    BrokerOrder,
    OrderRequest,
    Outcome,
    Refused,
    Unanswered,
)
from tradeproc.brokers.tradestation.budget import Resource
from tradeproc.brokers.tradestation.fields import Json, objects, text
from tradeproc.brokers.tradestation.orders import (
    encode_change,
    encode_request,
    parse_placement,
    parse_request_answer,
    sent_orders,
    unplaced,
)
from tradeproc.brokers.tradestation.rest import NoReply, Reply, RestClient
from tradeproc.brokers.tradestation.wire import (
    add_positions,
    must_read_again,
    read_account,
    read_balance,
    read_list,
    read_order,
    read_position,
)
from tradeproc.clock import SECOND, wall_ns
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Balance, Position
from tradeproc.domain.instruments import Contract
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.errors import Refusal

_MOST_PAGES = 20
_MOST_IDS = 50
# a replaced order is told as closed for a moment: only an end that is some seconds old is worth a second reading
_SETTLED = 5 * SECOND


class TradeStationAccounts:
    """Thread-safe; keeps no state but its connections."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest

    def accounts(self) -> Answer[Sequence[BrokerAccount]]:
        """Return the accounts of the login in its environment."""
        told = self._rest.ask(Resource.ACCOUNTS, "/brokerage/accounts")
        return told.then(lambda body: read_list(body, "Accounts", read_account))

    def balances(self, account: str) -> Answer[Balance]:
        """Return the account's money."""

        def of_account(balances: Sequence[Balance]) -> Answer[Balance]:
            ours = [balance for balance in balances if balance.account == account]
            return Known(ours[0]) if ours else Unknown(f"the answer has no balance of {account}")

        told = self._ask(Resource.BALANCES, account, "balances")
        at = wall_ns()
        return told.then(lambda body: read_list(body, "Balances", lambda record: read_balance(record, at))).then(
            of_account
        )

    def submit(self, account: str, request: OrderRequest | BracketRequest, timeout: float) -> Outcome:
        """Send an order, or an entry with its legs as one order with an OSO group, once."""
        try:
            body = encode_request(account, request)
        except Refusal as refusal:
            return Refused(str(refusal))
        reply = self._rest.send_order("POST", "/orderexecution/orders", body, timeout)
        if isinstance(reply, Reply) and _is_done(reply) and reply.body is not None:
            return parse_placement(reply.body, sent_orders(request))
        return _outcome(reply)

    def modify(self, account: str, broker_id: str, change: OrderRequest, timeout: float) -> Outcome:
        """Replace quantity and prices of a working order; its id stays."""
        try:
            body = encode_change(change)
        except Refusal as refusal:
            return Refused(str(refusal))
        return self._request("PUT", account, broker_id, change.id, (body, timeout))

    def cancel(self, account: str, broker_id: str, timeout: float) -> Outcome:
        """Request a cancel; the broker's later word says what became of it."""
        return self._request("DELETE", account, broker_id, "", (None, timeout))

    def orders(self, account: str) -> Answer[Sequence[BrokerOrder]]:
        """Return today's orders and all that are still open, terminal ones included."""

        def settled(records: list[Json]) -> Answer[Sequence[BrokerOrder]]:
            orders = read_list({"Orders": records}, "Orders", read_order)
            return orders.then(lambda orders: self._settled(account, orders, records))

        return self._all_orders(account).then(settled)

    def open_orders(self, account: str) -> Answer[Sequence[BrokerOrder]]:
        """Return the orders that can still fill."""
        return self.orders(account).then(
            lambda orders: Known(tuple(order for order in orders if not order.state.is_terminal))
        )

    def current_position(self, account: str, contract: Contract) -> Answer[Position]:
        """Return the position; flat only if the whole list was told and does not have it."""

        def in_contract(positions: Sequence[Position]) -> Answer[Position]:
            held = [position for position in positions if position.contract == contract.code]
            return Known(held[0] if held else Position(account, contract.code, Contracts(0), None))

        return self.positions(account).then(in_contract)

    def positions(self, account: str) -> Answer[Sequence[Position]]:
        """Return all open futures positions of the account."""
        told = self._ask(Resource.POSITIONS, account, "positions")
        return told.then(lambda body: read_list(body, "Positions", read_position)).then(
            lambda lots: Known(add_positions(lots))
        )

    def clock_skew(self) -> float | None:
        """Return the broker's clock minus ours in seconds, by the newest Date header."""
        return self._rest.clock_skew()

    def shutdown(self) -> None:
        """Close connections; idempotent."""
        self._rest.close()

    def _ask(self, resource: Resource, account: str, rest: str, params: dict[str, str] | None = None) -> Answer[Json]:
        return self._rest.ask(resource, f"/brokerage/accounts/{quote(account, safe='')}/{rest}", params)

    def _request(
        self, method: str, account: str, broker_id: str, order_id: str, what: tuple[dict[str, Any] | None, float]
    ) -> Outcome:
        """Send a replace or a cancel; TradeStation knows the account by the order."""
        body, timeout = what
        if not account or not broker_id:
            return Refused("an account and the broker's order id are needed")
        reply = self._rest.send_order(method, f"/orderexecution/orders/{quote(broker_id, safe='')}", body, timeout)
        if isinstance(reply, Reply) and _is_done(reply) and reply.body is not None:
            return parse_request_answer(reply.body, order_id, broker_id)
        return _outcome(reply)

    def _all_orders(self, account: str) -> Answer[list[Json]]:
        """Return the raw orders of all pages; unknown when one page is."""
        records: list[Json] = []
        params: dict[str, str] | None = None
        for _ in range(_MOST_PAGES):
            match self._ask(Resource.ORDERS, account, "orders", params):
                case Known(body):
                    checked = read_list(body, "Orders", lambda record: record)
                case Unknown() as unknown:
                    return unknown
            match checked:
                case Known(page):
                    records.extend(page)
                case Unknown() as unknown:
                    return unknown
            following = text(body, "NextToken")
            if not following:
                return Known(records)
            params = {"nextToken": following}
        return Unknown(f"more than {_MOST_PAGES} pages of orders")

    def _settled(
        self, account: str, orders: Sequence[BrokerOrder], records: Sequence[Json]
    ) -> Answer[Sequence[BrokerOrder]]:
        """Read once more, by their ids, the orders whose end is doubtful; what stays doubtful stays open."""
        by_id = {text(record, "OrderID"): record for record in records}
        settled_before = Nanos(wall_ns() - _SETTLED)
        doubtful = [
            order.broker_id for order in orders if must_read_again(order, by_id[order.broker_id], settled_before)
        ][:_MOST_IDS]
        if not doubtful:
            return Known(orders)
        match self._ask(Resource.ORDERS, account, f"orders/{','.join(doubtful)}"):
            case Known(body):
                again = objects(body.get("Orders")) or []
            case Unknown():
                return Known(orders)
        final = {
            order.broker_id: order
            for order in (read_order(record, is_final=True) for record in again)
            if isinstance(order, BrokerOrder)
        }
        return Known(tuple(final.get(order.broker_id, order) for order in orders))


def _is_done(reply: Reply) -> bool:
    return 200 <= reply.status < 300


def _outcome(reply: Reply | NoReply) -> Outcome:
    """Return what an order operation came to when it has no readable answer of success."""
    match reply:
        case NoReply(reason, was_sent):
            return Unanswered(reason, was_sent)
        case Reply() if _is_done(reply):
            return Unanswered("the answer is no JSON object")
        case Reply():
            return unplaced(reply.status, reply.text)

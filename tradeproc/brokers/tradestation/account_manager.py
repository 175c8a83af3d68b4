"""Accounts and orders of one login by TradeStation's REST API; satisfies `contract.AccountManager`.

Source: TradeStation API v3, "Brokerage" and "Order Execution" (paths, partial success, order groups).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tradeproc.brokers.contract import (
    BracketRequest,
    BrokerAccount,
    BrokerOrder,
    ListedOrder,
    ListedPosition,
    OrderRequest,
    Outcome,
    QuestionKind,
    Quota,
    Refused,
    Unanswered,
    UnreadableRecord,
)
from tradeproc.brokers.tradestation.budget import Resource
from tradeproc.brokers.tradestation.fields import Json, text
from tradeproc.brokers.tradestation.lists import MOST_ACCOUNTS, MOST_IDS, AccountLists
from tradeproc.brokers.tradestation.orders import (
    encode_change,
    encode_request,
    parse_placement,
    parse_request_answer,
    sent_orders,
    unplaced,
)
from tradeproc.brokers.tradestation.rest import HttpFailure, Reply, RestClient
from tradeproc.brokers.tradestation.wire import (
    Unreadable,
    add_positions,
    must_read_again,
    read_account,
    read_balance,
    read_list,
    read_order,
    read_orders,
    read_positions,
    unread_positions,
)
from tradeproc.clock import SECOND, wall_ns
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Balance, Position
from tradeproc.domain.broker_orders import position_among
from tradeproc.domain.instruments import Contract
from tradeproc.domain.units import Nanos
from tradeproc.errors import Refusal

# a replaced order is reported as closed for a moment, so an end is only read again when it is some seconds old
_SETTLED = 5 * SECOND
_PLACE = "/orderexecution/orders"
_RESOURCES = {
    QuestionKind.ORDERS: Resource.ORDERS,
    QuestionKind.POSITIONS: Resource.POSITIONS,
    QuestionKind.BALANCES: Resource.BALANCES,
}


class TradeStationAccounts:
    """Thread-safe; keeps no state but its connections."""

    most_accounts = MOST_ACCOUNTS

    def __init__(self, rest: RestClient) -> None:
        self._rest, self._lists = rest, AccountLists(rest)

    def accounts(self) -> Answer[Sequence[BrokerAccount]]:
        """Return the accounts of the login in its environment; one that cannot be read is listed as not tradable."""
        told = self._rest.ask(Resource.ACCOUNTS, "/brokerage/accounts")
        return told.then(lambda body: read_list(body, "Accounts", read_account))

    def balances(self, account: str) -> Answer[Balance]:
        """Return the account's money."""

        def of_account(balances: Sequence[Balance | Unreadable]) -> Answer[Balance]:
            for balance in balances:
                if isinstance(balance, Balance) and balance.account == account:
                    return Known(balance)
            reasons = [balance.reason for balance in balances if isinstance(balance, Unreadable)]
            return Unknown("; ".join(reasons) or f"the answer has no balance of {account}")

        told = self._lists.ask(Resource.BALANCES, account, "balances")
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
        return _placed(request, self._rest.send_order("POST", _PLACE, body, timeout))

    def begin_submit(
        self, account: str, request: OrderRequest | BracketRequest, timeout: float
    ) -> Callable[[], Outcome] | None:
        """Write an order on an open connection without waiting; see `contract.BeginsSubmit`."""
        try:
            body = encode_request(account, request)
        except Refusal:
            return None  # `submit` tells why
        finish = self._rest.begin_order("POST", _PLACE, body, timeout)
        return None if finish is None else lambda: _placed(request, finish())

    def modify(self, account: str, broker_id: str, change: OrderRequest, timeout: float) -> Outcome:
        """Replace quantity and prices of a working order; its id stays."""
        try:
            body = encode_change(change)
        except Refusal as refusal:
            return Refused(str(refusal))
        return self._request("PUT", account, broker_id, change.id, (body, timeout))

    def cancel(self, account: str, broker_id: str, timeout: float) -> Outcome:
        """Request a cancel; a later report of the broker tells the result."""
        return self._request("DELETE", account, broker_id, "", (None, timeout))

    def orders(self, account: str, ids: Sequence[str] = ()) -> Answer[Sequence[ListedOrder]]:
        """Return today's orders and all that are still open; those of `ids` that the list lacks are asked for."""
        return self._lists.orders(account).then(lambda records: Known(self._whole(account, ids, records)))

    def orders_together(self, ids: Mapping[str, Sequence[str]]) -> Answer[Mapping[str, Sequence[ListedOrder]]]:
        """Return the orders of several accounts, whose list costs one request for all of them."""

        def by_account(records: Sequence[Json]) -> Answer[Mapping[str, Sequence[ListedOrder]]]:
            found: dict[str, list[Json]] = {account: [] for account in ids}
            for record in records:
                if (account := text(record, "AccountID")) not in found:
                    return Unknown(f"a list of {len(ids)} accounts has an order of '{ascii(account)[1:41]}'")
                found[account].append(record)
            return Known(
                {account: self._whole(account, ids[account], told) for account, told in found.items() if told}
            )

        return self._lists.orders(*ids).then(by_account)

    def open_orders(self, account: str) -> Answer[Sequence[ListedOrder]]:
        """Return the orders that can still fill, and what cannot be read."""
        return self.orders(account).then(
            lambda orders: Known(
                tuple(order for order in orders if isinstance(order, UnreadableRecord) or not order.state.is_terminal)
            )
        )

    def current_position(self, account: str, contract: Contract) -> Answer[Position]:
        """Return the position; flat only if the list is complete, can be read and does not hold the contract."""
        return self.positions(account).then(lambda listed: position_among(listed, account, contract))

    def positions(self, account: str) -> Answer[Sequence[ListedPosition]]:
        """Return all open futures positions of the account."""

        def summed(records: Sequence[Json]) -> Answer[Sequence[ListedPosition]]:
            lots = read_positions(records)
            unread = unread_positions(lots)
            # if one lot of a contract cannot be read, its other lots do not tell the position
            hidden = {each.contract for each in unread}
            whole = add_positions(lot for lot in lots if isinstance(lot, Position) and lot.contract not in hidden)
            return Known((*whole, *unread))

        return self._lists.positions(account).then(summed)

    def quota(self, kind: QuestionKind) -> Quota:
        """Return the quota of a kind of question."""
        _, questions, seconds = _RESOURCES[kind].value
        return Quota(questions, seconds)

    def requests_made(self, kind: QuestionKind) -> int:
        """Return how many requests of a kind were made; orders asked for by id are among those for orders."""
        return self._rest.requests_made(_RESOURCES[kind])

    def clock_skew(self) -> float | None:
        """Return the broker's clock minus ours in seconds, by the newest Date header."""
        return self._rest.clock_skew()

    def shutdown(self) -> None:
        """Close connections; idempotent."""
        self._rest.close()

    def _request(
        self, method: str, account: str, broker_id: str, order_id: str, what: tuple[dict[str, Any] | None, float]
    ) -> Outcome:
        """Send a replace or a cancel; TradeStation finds the account by the order."""
        body, timeout = what
        if not account or not broker_id:
            return Refused("an account and the broker's order id are needed")
        reply = self._rest.send_order(method, f"/orderexecution/orders/{quote(broker_id, safe='')}", body, timeout)
        if isinstance(reply, Reply) and _is_done(reply) and reply.body is not None:
            return parse_request_answer(reply.body, order_id, broker_id)
        return _outcome(reply)

    def _whole(self, account: str, ids: Sequence[str], records: Sequence[Json]) -> tuple[ListedOrder, ...]:
        """Return an account's listed orders and those of `ids` that the list lacks."""
        listed = self._settled(account, read_orders(records), records)
        told = {text(record, "OrderID") for record in records}
        return (*listed, *self._unlisted(account, [each for each in ids if each not in told]))

    def _settled(
        self, account: str, orders: Sequence[ListedOrder], records: Sequence[Json]
    ) -> tuple[ListedOrder, ...]:
        """Read the orders whose end is doubtful again, by id; an order that cannot be read again stays as it was."""
        by_id: Mapping[str, Json] = {text(record, "OrderID"): record for record in records}
        settled_before = Nanos(wall_ns() - _SETTLED)
        doubtful = [
            order.broker_id
            for order in orders
            if isinstance(order, UnreadableRecord) or must_read_again(order, by_id[order.broker_id], settled_before)
        ]
        asked = [broker_id for broker_id in doubtful if broker_id][:MOST_IDS]
        if not asked:
            return tuple(orders)
        again = self._lists.orders_by_id(account, asked).found
        final = {broker_id: read_order(record, is_final=True) for broker_id, record in again.items()}
        read = {broker_id: order for broker_id, order in final.items() if isinstance(order, BrokerOrder)}
        return tuple(read.get(order.broker_id, order) for order in orders)

    def _unlisted(self, account: str, ids: Sequence[str]) -> list[ListedOrder]:
        """Return the orders of `ids` that the broker's list lacks: those it knows, and those that stay unknown."""
        if not ids:
            return []
        told = self._lists.orders_by_id(account, ids)
        found = read_orders(told.found.values())
        unknown = [
            UnreadableRecord(
                broker_id,
                account,
                "",
                f"order {broker_id} is not listed, and asked for by id: {reason}",
                is_unlisted=True,
            )
            for broker_id, reason in told.unknown.items()
        ]
        return [*found, *unknown]


def _placed(request: OrderRequest | BracketRequest, reply: Reply | HttpFailure) -> Outcome:
    """Return the outcome of a new order."""
    if isinstance(reply, Reply) and _is_done(reply) and reply.body is not None:
        return parse_placement(reply.body, sent_orders(request))
    return _outcome(reply)


def _is_done(reply: Reply) -> bool:
    return 200 <= reply.status < 300


def _outcome(reply: Reply | HttpFailure) -> Outcome:
    """Return the outcome of an order operation whose answer is no readable success."""
    match reply:
        case HttpFailure(reason, was_sent):
            return Unanswered(reason, was_sent)
        case Reply() if _is_done(reply):
            return Unanswered("the answer is no JSON object")
        case Reply():
            return unplaced(reply.status, reply.text)

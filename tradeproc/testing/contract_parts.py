"""What the contract suite asks and sends: requests of all kinds, and answers that must be known or accepted.

Pure, except for `pytest.skip`, which skips the tests of data or accounts for a broker that declares not to have
these.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import pytest

from tradeproc.brokers.contract import (
    Accepted,
    AccountManager,
    BracketRequest,
    BrokerOrder,
    ListedOrder,
    Login,
    OrderRequest,
    Outcome,
    Stream,
)
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.instruments import instrument
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.units import Contracts, Price
from tradeproc.testing.under_test import BrokerUnderTest

T = TypeVar("T")
SECONDS = 10.0
SHORT = 1.0


def known(answer: Answer[T]) -> T:
    """Return the value of an answer, which must be known."""
    match answer:
        case Known(value):
            return value
        case Unknown(reason):
            raise AssertionError(f"unknown: {reason}")


def accepted(outcome: Outcome) -> Accepted:
    """Return what an order operation yielded, which must have been accepted."""
    assert isinstance(outcome, Accepted), outcome
    return outcome


def orders_of(accounts: AccountManager, desk: BrokerUnderTest) -> list[BrokerOrder]:
    """Return the orders of the account, all of which can be read."""
    return _readable(known(accounts.orders(desk.account)))


def open_orders_of(accounts: AccountManager, desk: BrokerUnderTest) -> list[BrokerOrder]:
    """Return the orders of the account that can still fill, all of which can be read."""
    return _readable(known(accounts.open_orders(desk.account)))


def _readable(listed: Sequence[ListedOrder]) -> list[BrokerOrder]:
    found = [order for order in listed if isinstance(order, BrokerOrder)]
    assert len(found) == len(listed), listed
    return found


def away(desk: BrokerUnderTest, ticks: int) -> Price:
    """Return a price on the grid, `ticks` ticks above the last one, below it when negative."""
    return Price(desk.last_price() + ticks * instrument(desk.contract.root).tick_size)


def order(desk: BrokerUnderTest, order_id: str, **fields: Any) -> OrderRequest:
    """Return a buy of one contract that rests far below the market; `fields` override what matters."""
    given_: dict[str, Any] = {
        "id": order_id,
        "contract": desk.contract,
        "side": Side.BUY,
        "quantity": Contracts(1),
        "type": OrderType.LIMIT,
        "role": OrderRole.ENTRY,
        "limit": away(desk, -80),
    }
    return OrderRequest(**(given_ | fields))


def market(desk: BrokerUnderTest, order_id: str, side: Side = Side.BUY) -> OrderRequest:
    """Return an order for one contract at the market."""
    return order(desk, order_id, side=side, type=OrderType.MARKET, limit=None)


def bracket(desk: BrokerUnderTest, entry: OrderRequest) -> BracketRequest:
    """Return a bracket around an entry that buys, with its legs 100 ticks below and above the last price."""
    stop: dict[str, Any] = {"type": OrderType.STOP, "limit": None, "stop": away(desk, -100)}
    return BracketRequest(
        entry,
        order(desk, f"{entry.id}s", side=Side.SELL, role=OrderRole.STOP_LOSS, **stop),
        order(desk, f"{entry.id}p", side=Side.SELL, role=OrderRole.PROFIT_TARGET, limit=away(desk, 100)),
    )


def needs_accounts(desk: BrokerUnderTest) -> None:
    """Skip the test when the broker declares that it manages no accounts."""
    if not desk.broker.has_account_management:
        pytest.skip("it declares that it manages no accounts")


def needs_data(desk: BrokerUnderTest) -> None:
    """Skip the test when the broker declares that it serves no data."""
    if not desk.broker.is_data_source:
        pytest.skip("it declares that it serves no data")


def any_stream(desk: BrokerUnderTest, login: Login) -> Stream:
    """Return a stream that the broker declares to have."""
    if desk.broker.has_account_management:
        return desk.broker.order_stream(login, desk.tokens, desk.account)
    return desk.broker.bar_stream(login, desk.tokens, desk.contract, 1, 5)

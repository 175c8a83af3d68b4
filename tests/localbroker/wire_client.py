"""A plain HTTP client for the tests: authorised, and able to read a stream line by line."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from tradeproc.testing.brokers import RunningBroker

ORDERS = "/v3/orderexecution/orders"
Json = dict[str, Any]


def order(account: str, **changes: object) -> Json:
    """A market order for one contract, with the changes; None takes a key away."""
    body: Json = {
        "AccountID": account,
        "Symbol": "ESH24",
        "Quantity": "1",
        "OrderType": "Market",
        "TradeAction": "BUY",
        "TimeInForce": {"Duration": "DAY"},
    }
    return {key: value for key, value in (body | changes).items() if value is not None}


def limit(account: str, price: str, **changes: object) -> Json:
    """A buy limit order."""
    return order(account, OrderType="Limit", LimitPrice=price, **changes)


@dataclass
class Lines:
    """The objects of a stream, as they come."""

    answer: httpx.Response
    _objects: Iterator[Json] = field(init=False)

    def __post_init__(self) -> None:
        self._objects = (orjson.loads(line) for line in self.answer.iter_lines() if line.strip())

    def next(self) -> Json:
        return next(self._objects)

    def take(self, count: int) -> list[Json]:
        return list(itertools.islice(self._objects, count))

    def until(self, is_last: Callable[[Json], bool]) -> list[Json]:
        """Everything up to and with the first object that fits."""
        found = []
        for one in self._objects:
            found.append(one)
            if is_last(one):
                return found
        raise AssertionError(f"the stream ended after {found}")

    def snapshot(self) -> list[Json]:
        """The objects before EndSnapshot."""
        return self.until(lambda one: one.get("StreamStatus") == "EndSnapshot")[:-1]


class Wire:
    """An authorised client of a running local broker. Accounts are handed out so that tests do not meet."""

    def __init__(self, broker: RunningBroker, accounts: list[str]) -> None:
        self.broker, self.control = broker, broker.control
        self._accounts = iter(accounts)
        timeout = httpx.Timeout(20.0)
        self.http = httpx.Client(base_url=broker.url, headers=broker.headers(), timeout=timeout, trust_env=False)

    def account(self) -> str:
        return next(self._accounts)

    def get(self, path: str, **query: str) -> Json:
        found: Json = self.http.get(path, params=query or None).raise_for_status().json()
        return found

    def place(self, body: Json) -> str:
        """Place an order and return its id."""
        answer = self.http.post(ORDERS, json=body).raise_for_status().json()
        assert not answer.get("Errors"), answer
        placed: str = answer["Orders"][0]["OrderID"]
        return placed

    def order(self, account: str, order_id: str) -> Json:
        found: Json = self.get(f"/v3/brokerage/accounts/{account}/orders/{order_id}")["Orders"][0]
        return found

    @contextmanager
    def stream(self, path: str, *, seconds: float = 20.0, **query: str) -> Iterator[Lines]:
        with self.http.stream("GET", path, params=query or None, timeout=seconds) as answer:
            answer.raise_for_status()
            yield Lines(answer)

    def close(self) -> None:
        self.http.close()

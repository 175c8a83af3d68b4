"""Orders whose time passes before there is a connection."""

import threading

import pytest

from tests.brokers.tradestation.examples import request
from tests.brokers.tradestation.wire_server import Tokens, WireServer, answer
from tradeproc.brokers.contract import Unanswered
from tradeproc.brokers.http_connection import HttpConnection
from tradeproc.brokers.http_pool import HttpPool
from tradeproc.brokers.tradestation.account_manager import TradeStationAccounts
from tradeproc.brokers.tradestation.rest import RestClient


def test_an_order_whose_time_passed_while_it_was_connected_was_surely_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take = HttpPool.take

    def slow(pool: HttpPool, seconds: float) -> HttpConnection:
        connection = take(pool, 20.0)
        threading.Event().wait(seconds + 0.05)
        return connection

    monkeypatch.setattr(HttpPool, "take", slow)
    with WireServer(answer(200, {})) as server:
        manager = TradeStationAccounts(RestClient(server.url, Tokens()))
        found = manager.submit("SIM0000001F", request(), 0.3)
        manager.shutdown()

        assert isinstance(found, Unanswered)
        assert not found.was_sent
        assert server.requests == []

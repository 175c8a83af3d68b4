"""A public client that knows nothing of us (tradestation-api-python) trades a whole round at the local broker."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tradestation import TradeStationClient
from tradestation.ts_types import order_execution as wanted
from tradestation.utils.exceptions import (
    TradeStationAuthError,
    TradeStationRateLimitError,
    TradeStationValidationError,
)
from tradestation.utils.token_manager import TokenManager

from tradeproc.testing.brokers import RunningBroker, running_local_broker

ACCOUNT = "SIM0000001F"


@pytest.fixture(scope="module")
def broker() -> Iterator[RunningBroker]:
    with running_local_broker(accounts=[ACCOUNT, "SIM0000002F"], paused=True) as running:
        yield running


def drive(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch, play: Callable[[Any], Awaitable[None]], **changes: str
) -> None:
    """Let `play` use a fresh client of the broker."""
    monkeypatch.setattr(TokenManager, "_TOKEN_URL", f"{broker.url}/oauth/token")

    async def run() -> None:
        names = dict.fromkeys(("client_id", "client_secret", "refresh_token"), "local")
        client = TradeStationClient(names | changes | {"environment": "Simulation"})
        client.http_client.base_url = broker.url
        try:
            await asyncio.wait_for(play(client), 60)
        finally:
            await client.close()

    asyncio.run(run())


def request(**changes: object) -> wanted.OrderRequest:
    body = {
        "AccountID": ACCOUNT,
        "Symbol": "ESH24",
        "Quantity": "1",
        "OrderType": "Market",
        "TradeAction": "BUY",
        "TimeInForce": {"Duration": "DAY"},
        "Route": "Intelligent",
    }
    return wanted.OrderRequest(**(body | changes))


def test_it_reads_markets_and_accounts_into_its_own_models(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(client: Any) -> None:
        accounts = await client.brokerage.get_accounts()
        details = await client.market_data.get_symbol_details(["@ES", "ESH24"])
        quotes = await client.market_data.get_quote_snapshots(["ESH24"])
        bars = await client.market_data.get_bar_history(
            "@ES", {"unit": "Minute", "interval": "1", "barsback": 5, "sessiontemplate": "Default"}
        )
        balances = await client.brokerage.get_balances(f"{ACCOUNT},NOBODY")
        opening = await client.brokerage.get_balances_bod(ACCOUNT)
        routes = await client.order_execution.get_routes()
        triggers = await client.order_execution.get_activation_triggers()
        pairs = await client.market_data.get_crypto_symbol_names()

        assert [account.AccountID for account in accounts] == [ACCOUNT, "SIM0000002F"]
        assert [detail.Underlying for detail in details.Symbols] == ["ESH24", None]
        assert quotes.Quotes[0].Last == "4808"
        assert [bar.IsEndOfHistory for bar in bars.Bars] == [False] * 4 + [True]
        assert balances.Balances[0].CurrencyDetails[0].Currency == "USD"
        assert balances.Errors[0].AccountID == "NOBODY"
        assert opening.BODBalances[0].BalanceDetail.NetCash == "100000"
        assert (routes.Routes[0].Id, triggers.ActivationTriggers[0].Key) == ("Intelligent", "STT")
        assert pairs.SymbolNames == []

    drive(broker, monkeypatch, play)


def test_it_places_replaces_cancels_and_sees_fills_and_positions(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(client: Any) -> None:
        entry, brokerage = client.order_execution, client.brokerage
        confirmed = await entry.confirm_order(request())
        filled = (await entry.place_order(request(Quantity="2"))).Orders[0].OrderID
        working = (await entry.place_order(request(OrderType="Limit", LimitPrice="4000"))).Orders[0].OrderID
        await entry.replace_order(working, wanted.OrderReplaceRequest(LimitPrice="4001", Quantity="3"))
        replaced = (await brokerage.get_orders_by_order_id(ACCOUNT, working)).Orders[0]
        cancelled = await entry.cancel_order(working)
        everything = (await brokerage.get_orders(ACCOUNT)).Orders
        (position,) = (await brokerage.get_positions(ACCOUNT, "ES*")).Positions
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        closed = (await brokerage.get_historical_orders(ACCOUNT, today)).Orders

        assert confirmed.Confirmations
        assert (replaced.LimitPrice, replaced.Legs[0].QuantityOrdered) == ("4001", "3")
        assert cancelled.OrderID == working
        assert {row.OrderID: row.Status for row in everything} == {filled: "FLL", working: "OUT"}
        assert (position.Quantity, position.LongShort) == ("2", "Long")
        assert {row.OrderID for row in closed} == {filled, working}

    drive(broker, monkeypatch, play)


def test_it_places_a_group_and_reads_refusals(broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(client: Any) -> None:
        legs = [request(OrderType="Limit", LimitPrice=price, AccountID="SIM0000002F") for price in ("4000", "4001")]
        group = await client.order_execution.place_group_order(wanted.GroupOrderRequest(Type="OCO", Orders=legs))
        off_tick = await client.order_execution.place_order(request(OrderType="Limit", LimitPrice="4000.1"))

        assert len(group.Orders) == 2
        assert (off_tick.Orders, off_tick.Errors[0].Error) == ([], "FAILED")
        with pytest.raises(TradeStationValidationError):
            await client.order_execution.place_order(request(Symbol="NOPE"))
        broker.control.fault("429", target="accounts")
        with pytest.raises(TradeStationRateLimitError):
            await client.brokerage.get_accounts()

    drive(broker, monkeypatch, play)


def test_it_follows_the_order_stream(broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(client: Any) -> None:
        content = await client.brokerage.stream_orders("SIM0000002F")
        while json.loads(await content.readline()).get("StreamStatus") != "EndSnapshot":
            pass
        placed = (await client.order_execution.place_order(request(AccountID="SIM0000002F"))).Orders[0].OrderID
        words = []
        while not words or words[-1] != "FLL":
            frame = json.loads(await content.readline())
            assert frame["OrderID"] == placed
            words.append(frame["Status"])

        # it cannot close its stream itself
        broker.control.fault("farewell", target="orders_stream")
        rest = await content.read()

        assert words == ["ACK", "ACK", "FLL"]
        assert json.loads(rest.splitlines()[-1]) == {"StreamStatus": "GoAway"}

    drive(broker, monkeypatch, play)


def test_a_dead_refresh_token_lets_it_know(broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(client: Any) -> None:
        with pytest.raises(TradeStationAuthError, match="invalid refresh token"):
            await client.brokerage.get_accounts()

    drive(broker, monkeypatch, play, refresh_token="dead")

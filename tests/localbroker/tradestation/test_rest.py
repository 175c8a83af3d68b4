"""What REST answers: shapes, strings for numbers, partial errors, refusals; a real server on a paused tape."""

import subprocess
import sys
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import pytest

from tests.localbroker.wire_client import ORDERS, Wire, limit, order
from tradeproc.clock import SECOND, wall_ns
from tradeproc.testing.brokers import running_local_broker

ACCOUNTS = [f"SIM{number}F" for number in range(1, 40)]


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with running_local_broker(accounts=ACCOUNTS, paused=True, rules={"commission": "1.5"}) as broker:
        client = Wire(broker, list(ACCOUNTS))
        yield client
        client.close()


def test_accounts_are_active_futures_accounts(wire: Wire) -> None:
    first = wire.get("/v3/brokerage/accounts")["Accounts"][0]

    assert first == {"AccountID": "SIM1F", "AccountType": "Futures", "Currency": "USD", "Status": "Active"}


def test_an_unknown_account_is_an_error_beside_the_known_ones(wire: Wire) -> None:
    for name, key in (("balances", "Balances"), ("positions", "Positions"), ("orders", "Orders")):
        answer = wire.get(f"/v3/brokerage/accounts/SIM1F,NOBODY/{name}")

        assert [row["AccountID"] for row in answer["Errors"]] == ["NOBODY"], name
        assert all(row["AccountID"] == "SIM1F" for row in answer[key])


def test_a_filled_market_order_reads_like_the_recorded_futures_order(wire: Wire) -> None:
    account = wire.account()

    placed = wire.order(account, wire.place(order(account, Quantity="2")))

    assert placed["OrderID"].isdigit()
    fixed = {
        key: value for key, value in placed.items() if key not in ("OrderID", "OpenedDateTime", "ClosedDateTime")
    }
    assert fixed == {
        "AccountID": account,
        "CommissionFee": "3",
        "Currency": "USD",
        "Duration": "DAY",
        "FilledPrice": "4808",
        "Legs": [
            {
                "ExpirationDate": "2024-03-15T00:00:00Z",
                "QuantityOrdered": "2",
                "ExecQuantity": "2",
                "QuantityRemaining": "0",
                "BuyOrSell": "Buy",
                "Symbol": "ESH24",
                "Underlying": "ES",
                "AssetType": "FUTURE",
                "ExecutionPrice": "4808",
            }
        ],
        "OrderType": "Market",
        "PriceUsedForBuyingPower": "4808",
        "Status": "FLL",
        "StatusDescription": "Filled",
        "ConversionRate": "1",
        "UnbundledRouteFee": "0",
    }


def test_a_short_position_carries_a_negative_quantity_and_the_word_short(wire: Wire) -> None:
    account = wire.account()
    wire.place(order(account, TradeAction="sell", Quantity=3))

    (position,) = wire.get(f"/v3/brokerage/accounts/{account}/positions")["Positions"]

    assert (position["Quantity"], position["LongShort"], position["AveragePrice"]) == ("-3", "Short", "4808")
    assert position["TotalCost"] == "-721200"
    assert wire.get(f"/v3/brokerage/accounts/{account}/positions", symbol="NQ*")["Positions"] == []
    assert wire.get(f"/v3/brokerage/accounts/{account}/positions", symbol="es*,NQH24")["Positions"] == [position]


def test_money_is_strings_and_commission_is_taken(wire: Wire) -> None:
    account = wire.account()
    wire.place(order(account, Quantity="2"))

    (balance,) = wire.get(f"/v3/brokerage/accounts/{account}/balances")["Balances"]

    assert (balance["CashBalance"], balance["Commission"], balance["Equity"]) == ("99997", "3", "99997")
    assert balance["BalanceDetail"]["UnrealizedProfitLoss"] == "0"
    assert balance["CurrencyDetails"][0]["Currency"] == "USD"
    (start,) = wire.get(f"/v3/brokerage/accounts/{account}/bodbalances")["BODBalances"]
    assert start["BalanceDetail"]["NetCash"] == "100000"


def test_a_limit_order_is_replaced_and_cancelled_under_the_same_id(wire: Wire) -> None:
    account = wire.account()
    order_id = wire.place(limit(account, "4000", TimeInForce={"Duration": "GTC"}))

    # a production client repeats account, id and type in the body
    body = {"AccountID": account, "OrderID": order_id, "OrderType": "Limit", "LimitPrice": "4001.25", "Quantity": "2"}
    replaced = wire.http.put(f"{ORDERS}/{order_id}", json=body)

    assert replaced.json() == {"Message": "Cancel/Replace order sent.", "OrderID": order_id}
    shown = wire.order(account, order_id)
    assert (shown["LimitPrice"], shown["Legs"][0]["QuantityOrdered"], shown["Status"]) == ("4001.25", "2", "ACK")
    assert shown["Duration"] == "GTC" and shown["GoodTillDate"].endswith("T00:00:00Z")
    cancelled = wire.http.delete(f"{ORDERS}/{order_id}")
    assert cancelled.json() == {"Message": "Cancel request sent", "OrderID": order_id}
    assert wire.order(account, order_id)["Status"] == "OUT"
    again = wire.http.delete(f"{ORDERS}/{order_id}")
    assert (again.status_code, again.json()) == (400, {"Error": "BadRequest", "Message": "Not an open order."})


def test_a_bracket_is_three_orders_that_know_each_other(wire: Wire) -> None:
    account = wire.account()
    legs = [
        order(account, OrderType="StopMarket", StopPrice="3990", TradeAction="SELL"),
        limit(account, "5000", TradeAction="SELL"),
    ]

    answer = wire.http.post(ORDERS, json=limit(account, "4000", OSOs=[{"Type": "BRK", "Orders": legs}])).json()

    entry, stop, target = [row["OrderID"] for row in answer["Orders"]]
    assert [row["Message"] for row in answer["Orders"]] == [
        "Sent order: Buy 1 ESH24 @ 4000.00 Limit",
        "Sent order: Sell 1 ESH24 @ 3990.00 Stop Market",
        "Sent order: Sell 1 ESH24 @ 5000.00 Limit",
    ]
    shown = wire.order(account, stop)
    assert shown["Status"] == "OSO"
    assert shown["ConditionalOrders"] == [
        {"Relationship": "OSP", "OrderID": entry},
        {"Relationship": "BRK", "OrderID": target},
    ]
    assert {"Relationship": "OSO", "OrderID": stop} in wire.order(account, entry)["ConditionalOrders"]


def test_a_group_is_placed_whole_or_not_at_all(wire: Wire) -> None:
    account = wire.account()
    good, bad = limit(account, "4000"), limit(account, "4000.1")

    answer = wire.http.post("/v3/orderexecution/ordergroups", json={"Type": "OCO", "Orders": [good, bad]}).json()

    assert answer["Orders"] == []
    assert (answer["Errors"][0]["Error"], "tick" in answer["Errors"][0]["Message"]) == ("FAILED", True)
    assert wire.get(f"/v3/brokerage/accounts/{account}/orders")["Orders"] == []
    both = wire.http.post("/v3/orderexecution/ordergroups", json={"Type": "oco", "Orders": [good, good]}).json()
    assert len(both["Orders"]) == 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"Symbol": "NOPE"}, "FAILED, INVALID SYMBOL"),
        ({"Symbol": "@ES"}, "FAILED, INVALID SYMBOL"),
        ({"Quantity": "1.0"}, "Quantity"),
        ({"Quantity": None}, "Quantity"),
        ({"TradeAction": "SELLSHORT"}, "TradeAction"),
        ({"OrderType": "Trailing"}, "OrderType"),
        ({"TimeInForce": {"Duration": "GTD"}}, "Duration"),
        ({"AdvancedOptions": {"TrailingStop": {"Amount": "2"}}}, "trailingstop"),
        ({"OrderConfirmID": "x" * 23}, "OrderConfirmID"),
        ({"AccountID": "NOBODY"}, "Invalid Account ID."),
    ],
)
def test_what_cannot_be_done_is_refused_and_places_nothing(wire: Wire, changes: dict[str, object], says: str) -> None:
    account = wire.account()

    answer = wire.http.post(ORDERS, json=order(account, **changes))

    assert answer.status_code == 400
    assert answer.json()["Error"] == "BadRequest"
    assert says in answer.json()["Message"]
    assert wire.get(f"/v3/brokerage/accounts/{account}/orders")["Orders"] == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe", b'"text"', b"null"])
def test_garbage_bodies_are_bad_requests(wire: Wire, raw: bytes) -> None:
    answer = wire.http.post(ORDERS, content=raw)

    assert (answer.status_code, answer.json()["Error"]) == (400, "BadRequest")


def test_an_order_confirm_id_works_once(wire: Wire) -> None:
    account = wire.account()
    wire.place(limit(account, "4000", OrderConfirmID="desk-1"))

    answer = wire.http.post(ORDERS, json=limit(account, "4000", OrderConfirmID="desk-1")).json()

    assert answer["Orders"] == []
    assert answer["Errors"][0]["Error"] == "FAILED"
    assert len(wire.get(f"/v3/brokerage/accounts/{account}/orders")["Orders"]) == 1


def test_orders_come_newest_first_in_pages(wire: Wire) -> None:
    account = wire.account()
    ids = [wire.place(limit(account, "4000")) for _ in range(3)]
    path = f"/v3/brokerage/accounts/{account}/orders"

    first = wire.get(path, pageSize="2")
    rest = wire.get(path, pageSize="2", nextToken=first["NextToken"])

    assert [row["OrderID"] for row in first["Orders"] + rest["Orders"]] == ids[::-1]
    assert "NextToken" not in rest


def test_without_pages_a_list_of_orders_is_cut_at_600_and_nothing_says_so(wire: Wire) -> None:
    account = wire.account()
    ids = [wire.place(limit(account, "4000")) for _ in range(603)]
    path = f"/v3/brokerage/accounts/{account}/orders"

    cut, first = wire.get(path), wire.get(path, pageSize="600")
    wire.place(limit(account, "4000"))
    rest = wire.get(path, pageSize="600", nextToken=first["NextToken"])

    assert [row["OrderID"] for row in cut["Orders"]] == ids[:2:-1]
    assert "NextToken" not in cut
    # what came meanwhile moves nothing into or out of the next page
    assert [row["OrderID"] for row in first["Orders"] + rest["Orders"]] == ids[::-1]
    assert wire.http.get(path, params={"pageSize": "601"}).status_code == 400
    assert wire.http.get(path, params={"pageSize": "2", "nextToken": "bm9uZQ=="}).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"OrderType": "Limit", "LimitPrice": "4800.1"},
        {"OrderType": "StopMarket", "StopPrice": "-4800.1"},
        {
            "OSOs": [
                {
                    "Type": "BRK",
                    "Orders": [{"OrderType": "StopMarket", "StopPrice": "4795.1", "TradeAction": "SELL"}],
                }
            ]
        },
    ],
)
def test_a_price_between_two_ticks_fails_the_whole_order_and_is_written_down(
    wire: Wire, changes: dict[str, Any]
) -> None:
    account = wire.account()
    for group in changes.get("OSOs", ()):
        group["Orders"] = [order(account, **leg) for leg in group["Orders"]]

    answer = wire.http.post(ORDERS, json=order(account, OrderConfirmID=f"off-{account}", **changes)).json()

    (failed,) = answer["Errors"]
    assert (answer["Orders"], failed["Error"]) == ([], "FAILED")
    assert failed["Message"].startswith("Order failed. Reason: Off-tick price: ")
    assert wire.get(f"/v3/brokerage/accounts/{account}/orders")["Orders"] == []
    (request,) = [each for each in wire.control.ledger()["requests"] if each["account"] == account]
    assert (request["accepted"], request["client_ids"]) == (False, [f"off-{account}"])


def test_an_order_between_two_ticks_is_read_whatever_the_case_of_its_keys(wire: Wire) -> None:
    account = wire.account()
    body = {key.lower(): value for key, value in limit(account, "4000.1", OrderConfirmID=f"low-{account}").items()}

    answer = wire.http.post(ORDERS, json=body)

    assert (answer.status_code, answer.json()["Errors"][0]["Error"]) == (200, "FAILED")
    (request,) = [each for each in wire.control.ledger()["requests"] if each["account"] == account]
    assert request["client_ids"] == [f"low-{account}"]


def test_a_client_id_deep_in_what_belongs_to_no_order_is_none(wire: Wire) -> None:
    account = wire.account()
    body = orjson.dumps(limit(account, "4000.1"))
    deep = b"[" * 1000 + b'{"OrderConfirmID": "deep"}' + b"]" * 1000

    answer = wire.http.post(ORDERS, content=body[:-1] + b', "More": ' + deep + b"}")

    assert (answer.status_code, answer.json()["Errors"][0]["Error"]) == (200, "FAILED")
    (request,) = [each for each in wire.control.ledger()["requests"] if each["account"] == account]
    assert request["client_ids"] == []


def test_a_change_to_a_price_between_two_ticks_is_refused_and_changes_nothing(wire: Wire) -> None:
    account = wire.account()
    placed = wire.place(limit(account, "4000"))

    answer = wire.http.put(f"{ORDERS}/{placed}", json={"LimitPrice": "4799.1"})

    assert answer.status_code == 400
    assert answer.json()["Message"].startswith("Failed to Cancel/Replace order: Off-tick price: ")
    assert wire.order(account, placed)["LimitPrice"] == "4000"
    *_, request = [each for each in wire.control.ledger()["requests"] if each["account"] == account]
    assert (request["call"], request["order_ids"], request["accepted"]) == ("replace", [placed], False)


def test_a_stop_on_the_wrong_side_is_accepted_and_told_as_rejected_with_its_reason(wire: Wire) -> None:
    account = wire.account()

    placed = wire.place(order(account, OrderType="StopMarket", StopPrice="9000", TradeAction="SELL"))

    told = wire.order(account, placed)
    assert (told["Status"], told["StatusDescription"], told["FilledPrice"]) == ("REJ", "Rejected", "0")
    assert told["RejectReason"] == "Stop Price must be below current market"


def test_a_failed_placement_carries_the_id_of_an_order_that_never_was(wire: Wire) -> None:
    account = wire.account()

    failed = wire.http.post(ORDERS, json=limit(account, "4000.1")).json()["Errors"][0]
    placed = wire.place(limit(account, "4000"))

    assert failed["OrderID"].isdigit()
    assert failed["OrderID"] != placed
    path = f"/v3/brokerage/accounts/{account}/orders"
    assert wire.get(f"{path}/{failed['OrderID']}")["Errors"][0]["Error"] == "NotFound"


@pytest.mark.parametrize(("asked", "told"), [("DAY", "DAY"), ("DYP", "DAY+"), ("GCP", "GTC+"), ("GTC+", "GTC+")])
def test_a_duration_with_the_extended_session_is_told_with_a_plus(wire: Wire, asked: str, told: str) -> None:
    account = wire.account()

    placed = wire.place(limit(account, "4000", TimeInForce={"Duration": asked}))

    assert wire.order(account, placed)["Duration"] == told


def test_a_stop_tells_what_sets_it_off(wire: Wire) -> None:
    account = wire.account()

    stop = wire.place(order(account, OrderType="StopMarket", StopPrice="4000", TradeAction="SELL"))

    assert wire.order(account, stop)["AdvancedOptions"] == "STPTRG=STT;"
    assert "AdvancedOptions" not in wire.order(account, wire.place(limit(account, "4000")))


def test_a_price_at_or_below_zero_is_taken(wire: Wire) -> None:
    account = wire.account()

    placed = [wire.place(limit(account, price)) for price in ("0", "-37.75")]

    assert [wire.order(account, each)["LimitPrice"] for each in placed] == ["0", "-37.75"]


def test_history_has_closed_orders_and_needs_a_date(wire: Wire) -> None:
    account = wire.account()
    filled, _open = wire.place(order(account)), wire.place(limit(account, "4000"))
    path = f"/v3/brokerage/accounts/{account}/historicalorders"

    assert [row["OrderID"] for row in wire.get(path, since="2024-01-01")["Orders"]] == [filled]
    assert [row["OrderID"] for row in wire.get(path, since="01/13/2024")["Orders"]] == [filled]
    assert wire.http.get(path).status_code == 400
    assert wire.get(f"{path}/{filled},77", since="2024-01-01")["Errors"][0]["OrderID"] == "77"


def test_bars_end_at_their_stamp_and_the_last_one_ends_history(wire: Wire) -> None:
    answer = wire.get("/v3/marketdata/barcharts/ESH24", unit="Minute", interval="5", barsBack="3", ignored="x")

    bars = answer["Bars"]
    assert [bar["IsEndOfHistory"] for bar in bars] == [False, False, True]
    assert [bar["TimeStamp"] for bar in bars] == [f"2023-12-25T23:{minute}:00Z" for minute in (10, 15, 20)]
    last = bars[-1]
    assert last["Epoch"] == 1703546400000
    assert last["TotalTicks"] == last["UpTicks"] + last["DownTicks"]
    assert int(last["TotalVolume"]) == last["UpVolume"] + last["DownVolume"]
    assert isinstance(last["Open"], str) and last["IsRealtime"] is False and last["BarStatus"] == "Closed"


def test_bars_of_a_span_of_dates(wire: Wire) -> None:
    path = "/v3/marketdata/barcharts/%40ES"
    span = {"firstdate": "2023-12-25T23:05:00Z", "lastdate": "2023-12-25T23:07:00Z"}

    bars = wire.get(path, unit="minute", interval="1", **span)["Bars"]

    assert [bar["TimeStamp"][11:16] for bar in bars] == ["23:05", "23:06", "23:07"]
    both = wire.http.get(path, params={"unit": "Minute", "barsback": "2", "firstdate": "2023-12-25"})
    assert both.status_code == 400
    assert wire.http.get(path, params={"unit": "Daily", "interval": "5"}).status_code == 400
    (day,) = wire.get(path)["Bars"]
    assert day["BarStatus"] == "Open"


def test_bars_back_from_a_last_date_are_the_newest_up_to_it(wire: Wire) -> None:
    path = "/v3/marketdata/barcharts/%40ES"
    last = {"unit": "Minute", "interval": "1", "lastdate": "2023-12-25T23:07:30Z"}

    def ends(**query: str) -> list[str]:
        return [bar["TimeStamp"][11:16] for bar in wire.get(path, **last, **query)["Bars"]]

    assert ends(barsback="3") == ["23:05", "23:06", "23:07"]
    assert ends() == ["23:07"]


def test_symbols_come_sorted_with_increments_and_a_continuous_one_names_its_front_month(wire: Wire) -> None:
    answer = wire.get("/v3/marketdata/symbols/esh24,@ES,NOPE")

    continuous, contract = answer["Symbols"]
    assert (continuous["Symbol"], continuous["Underlying"], contract["Symbol"]) == ("@ES", "ESH24", "ESH24")
    assert "ExpirationDate" not in continuous and contract["ExpirationDate"] == "2024-03-15T00:00:00Z"
    assert contract["PriceFormat"] == {
        "Format": "Decimal",
        "Decimals": "2",
        "IncrementStyle": "Simple",
        "Increment": "0.25",
        "PointValue": "50",
    }
    assert answer["Errors"][0]["Symbol"] == "NOPE"


def test_quotes_are_strings_with_flags_as_booleans(wire: Wire) -> None:
    answer = wire.get("/v3/marketdata/quotes/ESH24,NOPE")

    quote = answer["Quotes"][0]
    assert (quote["Last"], quote["Bid"], quote["Ask"]) == ("4808", "4808", "4808.25")
    assert quote["MarketFlags"]["IsDelayed"] is False
    assert answer["Errors"] == [{"Symbol": "NOPE", "Error": "FAILED, INVALID SYMBOL"}]


def test_a_confirmation_places_nothing(wire: Wire) -> None:
    account = wire.account()

    answer = wire.http.post("/v3/orderexecution/orderconfirm", json=order(account, Quantity="5")).json()

    (confirmation,) = answer["Confirmations"]
    assert confirmation["SummaryMessage"] == "Buy 5 ESH24 @ Market"
    assert confirmation["OrderAssetCategory"] == "FUTURE"
    assert len(confirmation["OrderConfirmID"]) == 22
    assert wire.get(f"/v3/brokerage/accounts/{account}/orders")["Orders"] == []


def test_paths_match_in_any_case_and_unknown_ones_are_not_found(wire: Wire) -> None:
    assert wire.http.get("/v3/Brokerage/Accounts/").status_code == 200
    missing = wire.http.get("/v3/brokerage/nothing")
    assert (missing.status_code, missing.json()["Error"]) == (404, "NotFound")
    assert wire.http.delete("/v3/brokerage/accounts").status_code == 405
    depth = wire.http.get("/v3/marketdata/stream/marketdepth/quotes/ESH24")
    assert (depth.status_code, depth.json()["Error"]) == (501, "NotImplemented")


def test_every_answer_carries_the_wall_clock_in_its_date_header(wire: Wire) -> None:
    for path in ("/v3/brokerage/accounts", "/nothing"):
        at = parsedate_to_datetime(wire.http.get(path).headers["date"]).timestamp()

        assert abs(at - wall_ns() / SECOND) < 10


def test_a_taken_port_is_one_line_and_exit_code_78(wire: Wire) -> None:
    other = wire.broker.folder / "other"
    other.mkdir()
    (other / "settings.json").write_bytes(orjson.dumps({"port": wire.broker.port}))

    ended = subprocess.run(
        [sys.executable, "-m", "tradeproc.localbroker", str(other)], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 78
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"localbroker: port {wire.broker.port} on 127.0.0.1 is taken; end the other program")


def test_killed_and_started_again_it_knows_every_order_and_every_token() -> None:
    with running_local_broker(accounts=["SIM1F"], paused=True) as broker:
        wire = Wire(broker, ["SIM1F"])
        filled, working = wire.place(order("SIM1F")), wire.place(limit("SIM1F", "4000"))
        before = wire.get("/v3/brokerage/accounts/SIM1F/orders")

        broker.kill()
        broker.restart()

        assert wire.get("/v3/brokerage/accounts/SIM1F/orders") == before
        assert [row["OrderID"] for row in before["Orders"]] == [working, filled]
        assert [row["id"] for row in broker.control.ledger()["fills"]] == [1]
        wire.close()

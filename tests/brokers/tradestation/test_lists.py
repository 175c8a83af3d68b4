"""Lists that may be cut: pages to the last one, and nothing is absent that was not asked for by its id."""

import itertools
import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.brokers.tradestation.examples import ES, bar_record, order_record, position_record
from tests.brokers.tradestation.test_rest import ACCOUNT, accounts_at
from tests.brokers.tradestation.wire_server import Request, Script, Tokens, WireServer, answer
from tradeproc.brokers.contract import BrokerOrder, ListedOrder, UnreadableRecord
from tradeproc.brokers.tradestation.data_source import TradeStationData
from tradeproc.brokers.tradestation.rest import RestClient
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.units import MINUTE, Contracts, from_iso, iso

GONE = {"AccountID": ACCOUNT, "OrderID": "9", "Error": "NotFound", "Message": "Order not found."}
BUSY = {"AccountID": ACCOUNT, "OrderID": "9", "Error": "GatewayTimeout", "Message": "Try again."}


def ids(answer: Answer[Any]) -> list[str]:
    assert isinstance(answer, Known), answer
    return [order.broker_id for order in answer.value]


def by_path(respond: Callable[[str, dict[str, str]], dict[str, Any]]) -> Script:
    """Answer each request by its path and query."""

    def script(connection: socket.socket, request: Request) -> bool:
        parts = urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        return answer(200, respond(parts.path.partition(ACCOUNT)[2], query))(connection, request)

    return script


def many(count: int, *, honours_pages: bool = True) -> Script:
    """A broker with so many orders of today; one that does not honour pages cuts at 600 and says nothing."""
    records = [order_record(OrderID=str(number)) for number in range(1, count + 1)]

    def respond(path: str, query: dict[str, str]) -> dict[str, Any]:
        if path.startswith(("/orders/", "/historicalorders/")):
            asked = path.rpartition("/")[2].split(",")
            found = [record for record in records if record["OrderID"] in asked]
            return {"Orders": found, "Errors": [] if found else [GONE | {"OrderID": ",".join(asked)}]}
        if not honours_pages or "pageSize" not in query:
            return {"Orders": records[:600]}
        start, size = int(query.get("nextToken", 0)), int(query["pageSize"])
        rest = {"NextToken": str(start + size)} if start + size < count else {}
        return {"Orders": records[start : start + size], "Errors": [], **rest}

    return by_path(respond)


@pytest.mark.parametrize("count", [0, 1, 599, 600, 601, 1199, 1200, 1873])
def test_a_day_of_any_length_is_told_whole(count: int) -> None:
    with WireServer(many(count)) as server, accounts_at(server.url) as manager:
        assert len(ids(manager.orders(ACCOUNT))) == count


@pytest.mark.parametrize(("count", "is_known"), [(598, True), (600, False), (900, False)])
def test_a_list_that_may_have_been_cut_is_unknown(count: int, is_known: bool) -> None:
    with WireServer(many(count, honours_pages=False)) as server, accounts_at(server.url) as manager:
        assert isinstance(manager.orders(ACCOUNT), Known) is is_known
        assert isinstance(manager.open_orders(ACCOUNT), Known) is is_known


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([["1"], ["2"]], id="the same token again"),
        pytest.param([["1"], ["1"], ["1"]], id="the same orders under ever new tokens"),
        pytest.param([["1"], []], id="an empty page that goes on"),
    ],
)
def test_pages_that_go_round_in_circles_are_unknown(pages: list[list[str]]) -> None:
    tokens = itertools.repeat("n") if len(pages[-1]) and pages[-1] != pages[0] else map(str, itertools.count())
    scripts = [
        answer(200, {"Orders": [order_record(OrderID=each) for each in page], "NextToken": next(iter(tokens))})
        for page in pages
    ]
    with WireServer(*scripts) as server, accounts_at(server.url) as manager:
        assert isinstance(manager.orders(ACCOUNT), Unknown)


@pytest.mark.parametrize("pages", [[[], []], [["1"], []], [[], ["1"]]])
def test_a_broker_whose_list_goes_on_once_with_nothing_is_read_to_its_end(pages: list[list[str]]) -> None:
    first, last = [{"Orders": [order_record(OrderID=each) for each in page]} for page in pages]
    scripts = answer(200, first | {"NextToken": "n"}), answer(200, last)
    with WireServer(*scripts) as server, accounts_at(server.url) as manager:
        assert ids(manager.orders(ACCOUNT)) == [*pages[0], *pages[1]]


def test_a_token_that_is_no_text_is_no_end_of_the_list() -> None:
    page = answer(200, {"Orders": [order_record()], "NextToken": {"at": 2}})
    with WireServer(page) as server, accounts_at(server.url) as manager:
        assert isinstance(manager.orders(ACCOUNT), Unknown)


def test_an_order_that_moved_to_the_next_page_is_told_once_by_its_newer_picture() -> None:
    first = answer(200, {"Orders": [order_record(OrderID="1"), order_record(OrderID="2")], "NextToken": "n"})
    last = answer(200, {"Orders": [order_record(OrderID="2", Status="OUT"), order_record(OrderID="3")]})
    with WireServer(first, last) as server, accounts_at(server.url) as manager:
        found = manager.orders(ACCOUNT)

    assert ids(found) == ["1", "2", "3"]
    assert isinstance(found, Known)
    assert isinstance(found.value[1], BrokerOrder)
    assert found.value[1].raw_status == "OUT"


def listed(*answers: dict[str, Any], asked: str = "9") -> tuple[tuple[ListedOrder, ...], list[str]]:
    """What an account manager tells that is asked for one order by its id, and the paths it asked for."""
    scripts = [answer(200, body) for body in answers]
    with WireServer(*scripts) as server, accounts_at(server.url) as manager:
        found = manager.orders(ACCOUNT, [asked])
        assert isinstance(found, Known), found
        return tuple(found.value), [urlsplit(request.path).path for request in server.requests]


def test_an_order_that_is_not_listed_is_asked_for_by_its_id() -> None:
    found, paths = listed({"Orders": []}, {"Orders": [order_record(OrderID="9")]})

    assert [order.broker_id for order in found] == ["9"]
    assert paths[1].endswith("/orders/9")


def test_an_order_that_ended_days_ago_is_found_among_the_closed_ones() -> None:
    ended = order_record(
        {"ExecQuantity": "2", "ExecutionPrice": "5300"}, OrderID="9", Status="FLL", FilledPrice="5300"
    )
    (found,), paths = listed({"Orders": []}, {"Orders": [], "Errors": [GONE]}, {"Orders": [ended]})

    assert isinstance(found, BrokerOrder)
    assert (found.broker_id, found.filled) == ("9", 2)
    assert paths[2].endswith("/historicalorders/9")


@pytest.mark.parametrize("no", [{"Orders": [], "Errors": [GONE]}, {"Orders": []}])
def test_only_an_order_that_is_not_found_by_its_id_is_not_there(no: dict[str, Any]) -> None:
    assert listed({"Orders": []}, no)[0] == ()


@pytest.mark.parametrize("trouble", [{"Orders": [], "Errors": [BUSY]}, {"Error": "Failed", "Message": "x"}, {}])
def test_an_order_that_could_not_be_asked_for_is_not_absent(trouble: dict[str, Any]) -> None:
    if not trouble:
        assert listed({"Orders": []}, {"Orders": "none"})[0][0].broker_id == "9"
        return
    (found,), _ = listed({"Orders": []}, trouble)

    assert isinstance(found, UnreadableRecord)
    assert (found.broker_id, found.account) == ("9", ACCOUNT)


@pytest.mark.parametrize(
    ("status", "body", "is_there"),
    [
        (404, {"Error": "NotFound", "Message": "x"}, False),
        (404, {}, False),
        (400, {"Error": "BadRequest", "Message": "Invalid order ID."}, False),
        (200, {"Error": "NotFound", "Message": "Order not found."}, False),
        (200, {"Error": "Failed", "Message": "Try again"}, True),
        (400, {"Error": "BadRequest", "Message": "Bad account"}, True),
        (503, {"Error": "ServiceUnavailable"}, True),
    ],
)
def test_only_a_clear_no_to_an_id_is_a_no(status: int, body: dict[str, Any], is_there: bool) -> None:
    scripts = [answer(200, {"Orders": []}), answer(status, body)]
    with WireServer(*scripts) as server, accounts_at(server.url) as manager:
        assert ids(manager.orders(ACCOUNT, ["9", "8"])) == (["9", "8"] if is_there else [])


def test_a_record_that_cannot_be_read_stands_in_its_list_and_the_others_are_told() -> None:
    broken = order_record({"ExecQuantity": "lots"}, OrderID="2")
    script = answer(200, {"Orders": [order_record(OrderID="1"), broken, "junk", order_record(OrderID="3")]})
    with WireServer(script) as server, accounts_at(server.url) as manager:
        found = manager.orders(ACCOUNT)

    assert isinstance(found, Known)
    assert [(type(order), order.broker_id) for order in found.value] == [
        (BrokerOrder, "1"),
        (UnreadableRecord, "2"),
        (UnreadableRecord, ""),
        (BrokerOrder, "3"),
    ]


def test_a_position_that_cannot_be_read_leaves_only_its_contract_unknown() -> None:
    broken = position_record(Quantity="many", PositionID="7")
    other = position_record(Symbol="NQH26", Quantity="2", LongShort="Long", AveragePrice="18000")
    nameless = {"AccountID": ACCOUNT, "PositionID": "8", "Quantity": "1"}
    nq = ES.parse("NQH26")
    with WireServer(answer(200, {"Positions": [broken, other]})) as server, accounts_at(server.url) as manager:
        assert isinstance(manager.current_position(ACCOUNT, ES), Unknown)
        held = manager.current_position(ACCOUNT, nq)
        assert isinstance(held, Known)
        assert held.value.quantity == 2
        told = manager.positions(ACCOUNT)
        assert isinstance(told, Known)
        assert [type(each) for each in told.value] == [Position, UnreadableRecord]
    with WireServer(answer(200, {"Positions": [other, nameless]})) as server, accounts_at(server.url) as manager:
        assert isinstance(manager.current_position(ACCOUNT, ES), Unknown)


def test_positions_are_read_on_where_the_answer_goes_on() -> None:
    first = answer(200, {"Positions": [position_record(Symbol="NQH26", PositionID="1")], "NextToken": "n"})
    last = answer(200, {"Positions": [position_record(PositionID="2")]})
    with WireServer(first, last) as server, accounts_at(server.url) as manager:
        held = manager.current_position(ACCOUNT, ES)

    assert isinstance(held, Known)
    assert held.value.quantity == Contracts(-1)


def test_a_list_of_positions_as_long_as_the_longest_page_may_be_cut() -> None:
    records = [position_record(PositionID=str(number)) for number in range(600)]
    with WireServer(answer(200, {"Positions": records})) as server, accounts_at(server.url) as manager:
        assert isinstance(manager.current_position(ACCOUNT, ES), Unknown)


def test_more_bars_than_one_question_gives_are_asked_for_in_several() -> None:
    newest = from_iso("2026-02-10T15:31:00Z")

    def respond(_path: str, query: dict[str, str]) -> dict[str, Any]:
        last = min(newest, from_iso(query.get("lastdate", iso(newest))))
        first = newest - (newest - last + MINUTE - 1) // MINUTE * MINUTE
        count = min(int(query["barsback"]), 57_600, (first - newest) // MINUTE + 60_000)
        ends = [first - number * MINUTE for number in reversed(range(count))]
        return {"Bars": [bar_record(TimeStamp=iso(end)) for end in ends]}

    with WireServer(by_path(respond)) as server:
        data = TradeStationData(RestClient(server.url, Tokens()))
        found = data.history(ES, 1, 58_000)
        asked = len(server.requests)
        everything = data.history(ES, 1, 90_000)
        data.shutdown()

    assert isinstance(found, Known)
    assert asked == 2
    assert [bar.closed_at for bar in found.value] == [newest - number * MINUTE for number in reversed(range(58_000))]
    assert isinstance(everything, Known)
    assert len(everything.value) == 60_000


def test_a_bar_that_cannot_be_read_is_left_out_of_history_and_said(caplog: pytest.LogCaptureFixture) -> None:
    bars = [bar_record(TimeStamp="9999-12-31T23:59:59Z"), bar_record(), bar_record(Close="NaN")]
    with WireServer(answer(200, json.dumps({"Bars": bars}).encode())) as server:
        data = TradeStationData(RestClient(server.url, Tokens()))
        found = data.history(ES, 1, 10)
        data.shutdown()

    assert isinstance(found, Known)
    assert len(found.value) == 1
    assert "bars_unreadable count=2" in caplog.text


def test_a_history_of_which_no_bar_can_be_read_is_unknown_and_not_empty() -> None:
    bars = [bar_record(Close="NaN"), bar_record(TimeStamp="2026-02-10 15:31")]
    with WireServer(answer(200, json.dumps({"Bars": bars}).encode())) as server:
        data = TradeStationData(RestClient(server.url, Tokens()))
        found = data.history(ES, 1, 10)
        data.shutdown()

    assert found == Unknown("none of 2 bars can be read")


def of_accounts(records: list[dict[str, Any]], **more: Any) -> Script:
    """Answer each request for orders with these records, whatever accounts it names."""

    def script(connection: socket.socket, request: Request) -> bool:
        return answer(200, {"Orders": records, "Errors": [], **more})(connection, request)

    return script


def test_orders_of_several_accounts_cost_one_request_and_each_account_gets_its_own() -> None:
    records = [order_record(OrderID="1"), order_record(OrderID="2", AccountID="SIM2"), order_record(OrderID="3")]
    with WireServer(of_accounts(records)) as server, accounts_at(server.url) as manager:
        told = manager.orders_together({ACCOUNT: ["1"], "SIM2": ["2"], "SIM3": []})

        assert [urlsplit(request.path).path for request in server.requests] == [
            f"/brokerage/accounts/{ACCOUNT},SIM2,SIM3/orders"
        ]
    assert isinstance(told, Known)
    assert {account: [order.broker_id for order in found] for account, found in told.value.items()} == {
        ACCOUNT: ["1", "3"],
        "SIM2": ["2"],
    }


def test_an_account_that_a_list_of_several_leaves_out_is_not_told_as_empty_and_costs_no_question() -> None:
    with WireServer(of_accounts([order_record(OrderID="1")])) as server, accounts_at(server.url) as manager:
        told = manager.orders_together({ACCOUNT: [], "SIM2": ["7"]})

        assert len(server.requests) == 1
    assert isinstance(told, Known)
    assert list(told.value) == [ACCOUNT]


def test_an_order_that_a_list_of_several_accounts_lacks_is_asked_for_in_its_account() -> None:
    def script(connection: socket.socket, request: Request) -> bool:
        path = urlsplit(request.path).path
        if path.endswith("/orders"):
            body = {"Orders": [order_record(OrderID="1"), order_record(OrderID="2", AccountID="SIM2")], "Errors": []}
        else:
            assert path == "/brokerage/accounts/SIM2/orders/7"
            body = {"Orders": [order_record(OrderID="7", AccountID="SIM2")], "Errors": []}
        return answer(200, body)(connection, request)

    with WireServer(script) as server, accounts_at(server.url) as manager:
        told = manager.orders_together({ACCOUNT: ["1"], "SIM2": ["2", "7"]})

    assert isinstance(told, Known)
    assert [order.broker_id for order in told.value["SIM2"]] == ["2", "7"]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            of_accounts([order_record(AccountID="SIM9")]), id="an order of an account that was not asked for"
        ),
        pytest.param(of_accounts([order_record(AccountID="")]), id="an order of no account"),
        pytest.param(of_accounts([order_record()], Errors=[GONE]), id="an error beside orders"),
        pytest.param(answer(403, {"Error": "Forbidden", "Message": "x"}), id="refused"),
        pytest.param(answer(200, b'{"Orders": [{'), id="torn"),
    ],
)
def test_a_list_of_several_accounts_with_anything_odd_in_it_is_unknown_of_all(script: Script) -> None:
    with WireServer(script) as server, accounts_at(server.url) as manager:
        assert isinstance(manager.orders_together({ACCOUNT: [], "SIM2": []}), Unknown)

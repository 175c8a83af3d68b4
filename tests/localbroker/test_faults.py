"""Every fault of the switchboard, seen from a client: where it hits, how often, and that it passes."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from tests.localbroker.wire_client import ORDERS, Lines, Wire, limit, order
from tradeproc.localbroker.client import LocalBroker, LocalBrokerDown, LocalBrokerRefused
from tradeproc.localbroker.faults import BadFault, FaultName, FaultTable
from tradeproc.testing.brokers import running_local_broker

ACCOUNTS = [f"SIM{number}F" for number in range(1, 40)]
BARS = "/v3/marketdata/stream/barcharts/ESH24"


@pytest.fixture(scope="module")
def shared() -> Iterator[Wire]:
    with running_local_broker(accounts=ACCOUNTS, paused=True, heartbeat=0.5) as broker:
        client = Wire(broker, list(ACCOUNTS))
        yield client
        client.close()
        # what we make on purpose is no error of ours
        assert "ERROR" not in broker.log()


@pytest.fixture
def wire(shared: Wire) -> Iterator[Wire]:
    yield shared
    shared.control.clear_faults()


def orders_of(account: str) -> str:
    return f"/v3/brokerage/stream/accounts/{account}/orders"


def next_order(lines: Lines) -> dict[str, Any]:
    """The next object that is no heartbeat."""
    return lines.until(lambda line: "Heartbeat" not in line)[-1]


def how_many_orders(wire: Wire, account: str) -> int:
    return len(wire.get(f"/v3/brokerage/accounts/{account}/orders")["Orders"])


def test_a_farewell_is_said_in_each_streams_own_form_and_ends_it(wire: Wire) -> None:
    account = wire.account()
    with wire.stream(orders_of(account)) as orders, wire.stream(BARS) as bars:
        orders.snapshot()
        bars.next()

        wire.control.fault("farewell", count=2)

        assert next_order(orders) == {"StreamStatus": "GoAway"}
        assert next_order(bars) == {"Error": "GoAway", "Message": "The server is about to shut down."}
        assert list(orders.take(1)) == list(bars.take(1)) == []


def test_a_second_logon_can_boot_a_stream(wire: Wire) -> None:
    account = wire.account()
    with wire.stream(orders_of(account)) as lines:
        lines.snapshot()

        wire.control.fault("taken_over", account=account, target="orders_stream")

        assert next_order(lines)["Error"] == "DualLogon"
        assert lines.take(1) == []


def test_an_accepted_order_can_be_rejected_later(wire: Wire) -> None:
    account = wire.account()
    with wire.stream(orders_of(account)) as lines:
        lines.snapshot()
        placed = wire.place(limit(account, "4000"))
        accepted = next_order(lines)

        wire.control.reject(placed, "EC602: you are long 0")

        rejected = next_order(lines)
    assert (accepted["Status"], rejected["Status"], rejected["RejectReason"]) == (
        "ACK",
        "REJ",
        "EC602: you are long 0",
    )
    with pytest.raises(LocalBrokerRefused):
        wire.control.reject(placed)


def test_the_day_can_be_ended_at_once(wire: Wire) -> None:
    account = wire.account()
    placed = wire.place(limit(account, "4000"))

    wire.control.end_day()

    assert wire.order(account, placed)["Status"] == "EXP"


def test_a_fault_hits_only_the_account_it_names(wire: Wire) -> None:
    one, other = wire.account(), wire.account()
    with wire.stream(orders_of(one)) as hit, wire.stream(orders_of(other)) as spared:
        hit.snapshot()
        spared.snapshot()

        wire.control.fault("farewell", account=one, count=None)

        assert next_order(hit) == {"StreamStatus": "GoAway"}
        placed = wire.place(order(other))
        assert next_order(spared)["OrderID"] == placed


def test_a_cut_stream_is_a_tcp_reset(wire: Wire) -> None:
    account = wire.account()
    with wire.stream(orders_of(account)) as lines:
        lines.snapshot()

        wire.control.fault("cut", target="orders_stream", account=account)

        with pytest.raises(httpx.ReadError) as caught:
            next_order(lines)
    reset: BaseException | None = caught.value
    while reset is not None and not isinstance(reset, ConnectionResetError):
        reset = reset.__cause__ or reset.__context__
    assert isinstance(reset, ConnectionResetError)


def test_a_cut_request_was_done_unless_it_is_told_not_to(wire: Wire) -> None:
    account = wire.account()

    wire.control.fault("cut", target="place", account=account)
    with pytest.raises(httpx.TransportError):
        wire.http.post(ORDERS, json=limit(account, "4000"))
    assert how_many_orders(wire, account) == 1

    wire.control.fault("cut", target="place", account=account, undone=True)
    with pytest.raises(httpx.TransportError):
        wire.http.post(ORDERS, json=limit(account, "4000"))
    assert how_many_orders(wire, account) == 1


def test_a_stalled_stream_is_silent_but_open_and_recovers_with_what_it_missed(wire: Wire) -> None:
    account = wire.account()
    with wire.stream(orders_of(account)) as lines:
        lines.snapshot()
        wire.control.fault("stall", target="orders_stream", account=account)
        placed = wire.place(limit(account, "4000"))

        (stream,) = [row for row in wire.control.status()["streams"] if row["subject"] == account]
        assert stream["faults"] == ["stall"]
        wire.control.clear_faults("stall")

        assert next_order(lines)["OrderID"] == placed


def test_a_stalled_stream_does_not_even_send_heartbeats(wire: Wire) -> None:
    account = wire.account()
    with wire.stream(orders_of(account), seconds=2) as lines:
        lines.snapshot()

        wire.control.fault("stall", account=account, target="orders_stream")

        with pytest.raises(httpx.ReadTimeout):
            lines.take(3)


def test_a_stall_of_some_seconds_passes_by_itself(wire: Wire) -> None:
    account = wire.account()
    with wire.stream(orders_of(account)) as lines:
        lines.snapshot()
        wire.control.fault("stall", target="orders_stream", account=account, seconds=0.5)
        began = time.monotonic()
        placed = wire.place(limit(account, "4000"))

        told = next_order(lines)

    assert (told["OrderID"], time.monotonic() - began > 0.4) == (placed, True)


def test_split_objects_come_in_several_chunks_and_are_whole_together(wire: Wire) -> None:
    account = wire.account()
    placed = wire.place(limit(account, "4000"))
    wire.control.fault("split", target="orders_stream", account=account)

    pieces = []
    with wire.http.stream("GET", orders_of(account)) as answer:
        for chunk in answer.iter_raw():
            pieces.append(chunk)
            if chunk.endswith(b"\n"):
                break

    assert len(pieces) > 1
    assert orjson.loads(b"".join(pieces))["OrderID"] == placed


@pytest.mark.parametrize("target", ["accounts", "orders_stream", "place"])
def test_401_comes_once_and_nothing_was_done(wire: Wire, target: str) -> None:
    account = wire.account()
    wire.control.fault("401", target=target)

    def ask() -> int:
        if target == "place":
            return wire.http.post(ORDERS, json=limit(account, "4000")).status_code
        path = orders_of(account) if target == "orders_stream" else "/v3/brokerage/accounts"
        with wire.http.stream("GET", path) as answer:
            return answer.status_code

    assert [ask(), ask()] == [401, 200]
    assert how_many_orders(wire, account) == (1 if target == "place" else 0)


def test_429_says_when_to_come_again(wire: Wire) -> None:
    wire.control.fault("429", target="accounts", seconds=7)

    answer = wire.http.get("/v3/brokerage/accounts")

    assert answer.json() == {"Error": "TooManyRequests", "Message": "Rate quota exceeded"}
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["x-ratelimit-reset"]) == (429, "7", "7")
    assert wire.http.get("/v3/brokerage/accounts").status_code == 200


@pytest.mark.parametrize(("status", "title"), [(500, "InternalServerError"), (503, "ServiceUnavailable")])
def test_5xx_comes_as_often_as_asked_for(wire: Wire, status: int, title: str) -> None:
    wire.control.fault("5xx", target="requests", status=status, count=2)

    answers = [wire.http.get("/v3/brokerage/accounts") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert answers[0].json()["Error"] == title


def test_an_order_can_be_accepted_and_never_answered(wire: Wire) -> None:
    account = wire.account()
    wire.control.fault("accept_then_time_out", account=account)

    with pytest.raises(httpx.ReadTimeout):
        wire.http.post(ORDERS, json=limit(account, "4000"), timeout=0.3)

    assert how_many_orders(wire, account) == 1


def test_an_answer_can_come_late(wire: Wire) -> None:
    account = wire.account()
    wire.control.fault("accept_then_time_out", account=account, seconds=0.3)
    wire.control.fault("slow", target="accounts", seconds=0.3)

    began = time.monotonic()
    wire.place(limit(account, "4000"))
    between = time.monotonic()
    wire.get("/v3/brokerage/accounts")

    assert between - began > 0.25
    assert time.monotonic() - between > 0.25


def test_order_frames_get_lost_while_heartbeats_go_on(wire: Wire) -> None:
    account = wire.account()
    with wire.stream(orders_of(account)) as lines:
        lines.snapshot()
        wire.control.fault("drop_order_frames", account=account)
        lost = wire.place(order(account))

        assert "Heartbeat" in lines.next()
        assert wire.order(account, lost)["Status"] == "FLL"
        (stream,) = [row for row in wire.control.status()["streams"] if row["subject"] == account]
        assert stream["lost"] == 4
        wire.control.clear_faults()
        told = wire.place(limit(account, "4000"))
        assert next_order(lines)["OrderID"] == told


def test_frames_can_come_twice(wire: Wire) -> None:
    account = wire.account()
    with wire.stream(orders_of(account)) as lines:
        lines.snapshot()
        wire.control.fault("repeat_frames", account=account)
        placed = wire.place(limit(account, "4000"))

        first, second = next_order(lines), next_order(lines)

    assert first == second and first["OrderID"] == placed


@pytest.mark.parametrize(
    ("fault", "key", "told"), [("absurd_times", "OpenedDateTime", "9999"), ("bad_records", "ExecQuantity", "several")]
)
def test_values_can_be_told_that_cannot_be(wire: Wire, fault: str, key: str, told: str) -> None:
    account = wire.account()
    with wire.stream(orders_of(account)) as lines:
        lines.snapshot()
        wire.control.fault(fault, target="orders_stream", account=account)
        placed = wire.place(limit(account, "4000"))
        frame = next_order(lines)
    wire.control.fault(fault, target="orders", account=account)
    (listed,) = wire.get(f"/v3/brokerage/accounts/{account}/orders")["Orders"]
    (again,) = wire.get(f"/v3/brokerage/accounts/{account}/orders")["Orders"]

    for record in (frame, listed):
        assert record["OrderID"] == placed
        assert (record | record["Legs"][0])[key].startswith(told)
    assert not (again | again["Legs"][0])[key].startswith(told)


def test_a_list_can_be_cut_without_a_sign_and_a_page_of_it_can_be_lost(wire: Wire) -> None:
    account = wire.account()
    first, second = [wire.place(limit(account, "4000")) for _ in range(2)]
    path = f"/v3/brokerage/accounts/{account}/orders?pageSize=600"
    wire.control.fault("cut_list", account=account)
    cut = wire.get(path)
    wire.control.fault("lose_page", account=account)
    page = wire.get(path)

    lost = wire.http.get(f"{path}&nextToken={page['NextToken']}")

    assert [order["OrderID"] for order in cut["Orders"]] == [second]
    assert "NextToken" not in cut
    assert [order["OrderID"] for order in page["Orders"]] == [second]
    assert lost.status_code == 503
    assert [order["OrderID"] for order in wire.get(path)["Orders"]] == [second, first]


def test_a_list_of_positions_can_be_cut_too(wire: Wire) -> None:
    account = wire.account()
    wire.place(order(account))
    wire.control.fault("cut_list", target="positions", account=account)

    told = [wire.get(f"/v3/brokerage/accounts/{account}/positions")["Positions"] for _ in range(2)]

    assert [len(each) for each in told] == [0, 1]


def test_a_proxy_can_spoil_an_answer_that_was_good(wire: Wire) -> None:
    account = wire.account()
    for name in ("html", "empty", "truncated"):
        wire.control.fault(name, target="place", account=account)

    html, empty, truncated = [wire.http.post(ORDERS, json=limit(account, "4000")) for _ in range(3)]

    assert (html.status_code, html.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert (empty.status_code, empty.content) == (200, b"")
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(truncated.content)
    assert how_many_orders(wire, account) == 3


def test_the_token_endpoint_has_its_own_troubles(wire: Wire) -> None:
    form = {"grant_type": "refresh_token"} | dict.fromkeys(("client_id", "client_secret", "refresh_token"), "local")

    def ask() -> int:
        return httpx.post(f"{wire.broker.url}/oauth/token", data=form, trust_env=False).status_code

    wire.control.fault("401", target="token")
    wire.control.fault("5xx", target="token", status=504)

    assert [ask(), ask(), ask()] == [403, 504, 200]


def test_every_fault_is_seen_in_the_status_before_and_after_it_hit(wire: Wire) -> None:
    wire.control.fault("429", target="balances", account="SIM1F", count=2, seconds=1)
    seen = [row for row in wire.control.status()["faults"] if row["active"]]
    wire.http.get("/v3/brokerage/accounts/SIM1F/balances")
    wire.http.get("/v3/brokerage/accounts/SIM2F/balances")
    wire.http.get("/v3/brokerage/accounts/SIM1F/balances")
    spent = next(row for row in wire.control.status()["faults"] if row["id"] == seen[0]["id"])

    (before,) = seen
    assert (before["name"], before["target"], before["account"], before["left"]) == ("429", "balances", "SIM1F", 2)
    assert (spent["hits"], spent["left"], spent["active"]) == (2, 0, False)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "farewel"}, "did you mean 'farewell'?"),
        ({"name": "go_away"}, "the fault 'go_away' is called farewell now"),
        ({"name": "dual_logon"}, "the fault 'dual_logon' is called taken_over now"),
        ({"name": ["go_away"]}, "unknown fault"),
        ({"name": "cut", "target": "balance"}, "cut hits stream, requests, order_entry, accounts, balances, "),
        ({"name": "stall", "target": "bogus"}, "stall hits stream, bars_stream, orders_stream, "),
        ({"name": "stall", "target": "place"}, "cannot hit place"),
        ({"name": "stall", "target": "stream.orders"}, "the target 'stream.orders' is called orders_stream now"),
        ({"name": "cut", "target": "accounts,barcharts"}, "the target 'barcharts' is called bars now"),
        ({"name": "401", "target": "rest"}, "the target 'rest' is called requests now"),
        ({"name": "401", "count": 0}, "count must be a whole number from 1, not 0"),
        ({"name": "stall", "seconds": -1}, "seconds must be"),
        ({"name": "5xx", "status": 418}, "status must be"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_a_hint(options: dict[str, object], says: str) -> None:
    with pytest.raises(BadFault, match=says.replace("?", r"\?")):
        FaultTable().set(options, 0)


@pytest.mark.parametrize("name", FaultName)
def test_each_fault_is_spent_after_its_count_and_can_be_cleared(name: FaultName) -> None:
    board = FaultTable()
    (endpoint, *_), _ = sorted(board.set({"name": name}, 0).endpoints), board.clear()
    fault = board.set({"name": name, "count": 2}, 0)

    taken = [board.take({name}, endpoint, ()) for _ in range(3)]

    assert taken == [fault, fault, None]
    assert (board.active, board.clear(name), fault.is_cleared) == ([], 0, True)


def test_each_fault_says_what_it_hit_and_when_it_was_used_up(wire: Wire) -> None:
    account = wire.account()
    with wire.stream(orders_of(account)) as orders, wire.stream(BARS) as bars:
        orders.snapshot()
        bars.next()
        armed = wire.control.fault("cut", target="orders_stream,balances", count=2)
        with pytest.raises(httpx.HTTPError):
            orders.until(lambda _: False)
    with pytest.raises(httpx.HTTPError):
        wire.get(f"/v3/brokerage/accounts/{account}/balances")

    [told] = [each for each in wire.control.faults()["faults"] if each["id"] == armed["id"]]

    assert (armed["state"], told["state"], told["left"]) == ("armed", "used up", 0)
    assert [hit["where"] for hit in told["hit"]] == [f"orders_stream {account}", f"balances {account}"]
    assert all(hit["at"] >= armed["set_at"] for hit in told["hit"])


def test_a_control_that_reaches_nobody_says_so(wire: Wire) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with LocalBroker(f"http://127.0.0.1:{unused.getsockname()[1]}") as nobody, pytest.raises(LocalBrokerDown):
            nobody.status()
    with pytest.raises(LocalBrokerRefused, match="speed"):
        wire.control.speed(0)
    with pytest.raises(LocalBrokerRefused, match="unknown fault"):
        wire.control.fault("nonsense")


def test_the_control_drives_pace_and_ends_the_broker() -> None:
    with running_local_broker(accounts=["SIM1F"], speed=1) as broker:
        wire = Wire(broker, ["SIM1F"])
        with wire.stream(orders_of("SIM1F")) as lines:
            lines.snapshot()
            paused = broker.control.pause()
            still = broker.control.status()
            resumed = broker.control.resume()
            fast = broker.control.speed(30)
            wire.place(order("SIM1F"))
            books = broker.control.ledger()

            broker.control.shutdown()

            assert lines.until(lambda line: line == {"StreamStatus": "GoAway"})
        assert (paused["paused"], resumed["paused"], fast["speed"]) == (True, False, 30)
        assert still["market_at"] == paused["market_at"]
        assert [row["quantity"] for row in books["fills"]] == [1]
        assert [row["accepted"] for row in books["requests"]] == [True]
        assert broker.stop() == 0
        wire.close()


def test_a_stream_that_nobody_reads_any_more_is_forgotten(wire: Wire) -> None:
    account = wire.account()

    with wire.stream(orders_of(account)) as lines:
        assert isinstance(lines, Lines)
        lines.snapshot()
    deadline = time.monotonic() + 10

    while any(row["subject"] == account for row in wire.control.status()["streams"]):
        assert time.monotonic() < deadline

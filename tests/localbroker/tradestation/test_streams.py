"""What streams tell: snapshots, the recorded sequences of orders, bars that grow, heartbeats, the server's end."""

import time
from collections.abc import Iterator

import pytest

from tests.localbroker.wire_client import ORDERS, Wire, limit, order
from tradeproc.testing.brokers import running_local_broker

ACCOUNTS = [f"SIM{number}F" for number in range(1, 20)]
BARS = "/v3/marketdata/stream/barcharts/ESH24"
# generous: an end that waits for a stalled stream does not come at all
AT_ONCE = 10.0


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with running_local_broker(accounts=ACCOUNTS, paused=True) as broker:
        client = Wire(broker, list(ACCOUNTS))
        yield client
        client.close()


@pytest.fixture(scope="module")
def moving() -> Iterator[Wire]:
    with running_local_broker(accounts=["SIM1F"], speed=120, history_minutes=5) as broker:
        client = Wire(broker, ["SIM1F"])
        yield client
        client.close()


def orders_of(account: str) -> str:
    return f"/v3/brokerage/stream/accounts/{account}/orders"


def test_an_order_stream_tells_what_was_there_and_then_each_change(wire: Wire) -> None:
    account = wire.account()
    before = wire.place(limit(account, "4000"))

    with wire.stream(orders_of(account)) as lines:
        snapshot = lines.snapshot()
        placed = wire.place(order(account, Quantity="2"))
        frames = lines.take(4)

    assert [(row["OrderID"], row["Status"]) for row in snapshot] == [(before, "ACK")]
    assert {frame["OrderID"] for frame in frames} == {placed}
    told = [(frame["Status"], frame["Legs"][0]["ExecQuantity"], "ClosedDateTime" in frame) for frame in frames]
    assert told == [("ACK", "0", False), ("ACK", "2", False), ("FLL", "2", False), ("FLL", "2", True)]
    assert list(frames[-1]) == sorted(frames[-1])


def test_a_cancel_is_told_as_sent_and_then_out_twice(wire: Wire) -> None:
    account = wire.account()
    order_id = wire.place(limit(account, "4000"))

    with wire.stream(orders_of(account)) as lines:
        lines.snapshot()
        wire.http.put(f"{ORDERS}/{order_id}", json={"LimitPrice": "4001"})
        replaced = lines.next()
        wire.http.delete(f"{ORDERS}/{order_id}")
        frames = lines.take(3)

    assert (replaced["Status"], replaced["LimitPrice"]) == ("ACK", "4001")
    told = [(frame["Status"], "ClosedDateTime" in frame) for frame in frames]
    assert told == [("UCN", False), ("OUT", False), ("OUT", True)]


def test_the_stream_of_one_order_is_silent_about_others(wire: Wire) -> None:
    account = wire.account()
    first, second = wire.place(limit(account, "4000")), wire.place(limit(account, "4001"))

    with wire.stream(f"{orders_of(account)}/{second}") as lines:
        snapshot = lines.snapshot()
        wire.http.delete(f"{ORDERS}/{first}")
        wire.http.delete(f"{ORDERS}/{second}")
        frame = lines.next()

    assert [row["OrderID"] for row in snapshot] == [second]
    assert frame["OrderID"] == second


def test_a_bracket_on_the_stream_lets_its_legs_work_and_cancels_the_other(wire: Wire) -> None:
    account = wire.account()
    legs = [
        order(account, OrderType="StopMarket", StopPrice="4000", TradeAction="SELL"),
        limit(account, "4800", TradeAction="SELL"),
    ]

    with wire.stream(orders_of(account)) as lines:
        lines.snapshot()
        wire.http.post(ORDERS, json=order(account, OSOs=[{"Type": "BRK", "Orders": legs}])).raise_for_status()
        frames = lines.until(lambda frame: frame["Status"] == "OUT" and "ClosedDateTime" in frame)

    by_type = {
        kind: [f["Status"] for f in frames if f["OrderType"] == kind] for kind in ("Market", "StopMarket", "Limit")
    }
    assert by_type["Market"][-1] == "FLL"
    assert by_type["StopMarket"][0] == "OSO" and by_type["StopMarket"][-1] == "OUT"
    assert "ACK" in by_type["StopMarket"]
    # the target is marketable when it begins to work
    assert by_type["Limit"][0] == "OSO" and by_type["Limit"][-1] == "FLL"
    assert wire.get(f"/v3/brokerage/accounts/{account}/positions")["Positions"] == []


def test_a_position_stream_tells_openings_and_closings(wire: Wire) -> None:
    account = wire.account()

    with wire.stream(f"/v3/brokerage/stream/accounts/{account}/positions", changes="false") as lines:
        assert lines.snapshot() == []
        wire.place(order(account, Quantity="2"))
        opened = lines.next()
        wire.place(order(account, Quantity="2", TradeAction="SELL"))
        closed = lines.next()

    assert (opened["Quantity"], opened["LongShort"], opened["Symbol"]) == ("2", "Long", "ESH24")
    assert closed == {"PositionID": opened["PositionID"], "Deleted": True}


def test_a_position_stream_of_changes_tells_only_what_changed(wire: Wire) -> None:
    account = wire.account()
    wire.place(order(account))

    with wire.stream(f"/v3/brokerage/stream/accounts/{account}/positions", changes="true") as lines:
        (whole,) = lines.snapshot()
        wire.place(order(account))
        change = lines.next()

    assert whole["Quantity"] == "1"
    assert (change["PositionID"], change["Quantity"], "Symbol" in change) == (whole["PositionID"], "2", False)


def test_silence_is_filled_with_heartbeats_every_five_seconds(wire: Wire) -> None:
    account = wire.account()

    with wire.stream(orders_of(account)) as lines:
        lines.snapshot()
        kind = lines.answer.headers["content-type"]
        beat = lines.next()

    assert (beat["Heartbeat"], beat["Timestamp"][-1]) == (1, "Z")
    assert kind == "application/vnd.tradestation.streams.v3+json"


def test_a_stream_of_an_unknown_account_or_symbol_is_refused_inside_it(wire: Wire) -> None:
    with wire.stream(orders_of("NOBODY")) as lines:
        assert lines.next()["Message"] == "Invalid Account ID."
    with wire.stream("/v3/marketdata/stream/barcharts/NOPE") as lines:
        assert lines.next() == {"Error": "InvalidSymbol", "Message": "FAILED, INVALID SYMBOL"}
        assert lines.answer.headers["content-type"] == "application/vnd.tradestation.streams.v2+json"
    with wire.stream("/v3/marketdata/stream/quotes/ESH24,NOPE") as lines:
        assert lines.next() == {"Symbol": "NOPE", "Error": "FAILED, INVALID SYMBOL"}
        assert lines.next()["Symbol"] == "ESH24"


def test_bars_grow_close_once_and_equal_what_rest_tells_later(moving: Wire) -> None:
    with moving.stream(BARS, unit="Minute", interval="1", barsback="3") as lines:
        history = lines.until(lambda bar: bar["IsEndOfHistory"])
        live = lines.until(lambda bar: bar["BarStatus"] == "Closed" and bar["Epoch"] > history[-1]["Epoch"] + 120_000)

    assert [bar["IsRealtime"] for bar in history] == [False] * 3
    assert all(bar["IsRealtime"] for bar in live)
    assert [bar["Epoch"] for bar in live] == sorted(bar["Epoch"] for bar in live)
    closed = [bar for bar in live if bar["BarStatus"] == "Closed"]
    assert len({bar["Epoch"] for bar in closed}) == len(closed)
    volumes = [int(bar["TotalVolume"]) for bar in live if bar["Epoch"] == closed[-1]["Epoch"]]
    assert volumes == sorted(volumes)
    span = {"firstdate": closed[-1]["TimeStamp"], "lastdate": closed[-1]["TimeStamp"]}
    (later,) = moving.get("/v3/marketdata/barcharts/ESH24", unit="Minute", interval="1", **span)["Bars"]
    marks = {"IsRealtime": False, "IsEndOfHistory": True}
    assert later == closed[-1] | marks


def test_no_bar_is_lost_between_two_looks_at_a_fast_market() -> None:
    with running_local_broker(paused=True, history_minutes=5) as broker:
        wire = Wire(broker, [])
        with wire.stream(BARS, unit="Minute", interval="1", barsback="1") as lines:
            (first,) = lines.until(lambda bar: bar["IsEndOfHistory"])
            broker.control.speed(100_000)
            broker.control.resume()
            last_of_tape = 1703548800000
            live = lines.until(lambda bar: bar["BarStatus"] == "Closed" and bar["Epoch"] == last_of_tape)
        closed = [bar["Epoch"] for bar in live if bar["BarStatus"] == "Closed"]
        rest = wire.get("/v3/marketdata/barcharts/ESH24", unit="Minute", interval="1", barsback="100")["Bars"]

        expected = [bar["Epoch"] for bar in rest if bar["Epoch"] > first["Epoch"]]
        assert [epoch for epoch in closed if epoch > first["Epoch"]] == expected
        assert broker.control.status()["over"] is True
        wire.close()


def test_a_quote_stream_sends_one_whole_quote_and_then_changes(moving: Wire) -> None:
    with moving.stream("/v3/marketdata/stream/quotes/esh24") as lines:
        whole, change = lines.take(2)

    assert {"Open", "High", "MarketFlags", "Last"} <= set(whole)
    assert set(change) < set(whole) and {"Symbol", "TradeTime"} <= set(change)


def test_orders_of_a_moving_market_carry_wall_time_and_bars_market_time(moving: Wire) -> None:
    placed = moving.order("SIM1F", moving.place(order("SIM1F")))
    bar = moving.get("/v3/marketdata/barcharts/ESH24", unit="Minute", interval="1")["Bars"][-1]

    assert bar["TimeStamp"].startswith("2023-12-25T23:") or bar["TimeStamp"].startswith("2023-12-26T00:")
    assert placed["OpenedDateTime"][:4] not in ("2023", "2024")


def test_a_stop_order_is_told_as_hit_before_it_is_filled() -> None:
    with running_local_broker(accounts=["SIM1F"], paused=True) as broker:
        wire = Wire(broker, ["SIM1F"])
        last = float(wire.get("/v3/marketdata/quotes/ESH24")["Quotes"][0]["Last"])
        stop = order("SIM1F", OrderType="StopMarket", StopPrice=str(last + 0.25))
        with wire.stream(orders_of("SIM1F")) as lines:
            lines.snapshot()
            wire.place(stop)
            broker.control.speed(600)
            broker.control.resume()
            frames = lines.until(lambda frame: frame.get("Status") == "FLL" and "ClosedDateTime" in frame)
        wire.close()

    words = [frame["Status"] for frame in frames if "Status" in frame]
    assert words == ["ACK", "STP", "ACK", "FLL", "FLL"]


def test_day_orders_expire_when_the_trading_day_ends() -> None:
    with running_local_broker(accounts=["SIM1F"], speed=100_000) as broker:
        wire = Wire(broker, ["SIM1F"])
        with wire.stream(orders_of("SIM1F")) as lines:
            lines.snapshot()
            day = wire.place(limit("SIM1F", "4000"))
            kept = wire.place(limit("SIM1F", "4000", TimeInForce={"Duration": "GTC"}))
            frames = lines.until(lambda frame: frame.get("Status") == "EXP")

        assert frames[-1]["OrderID"] == day
        assert frames[-1]["Legs"][0]["QuantityRemaining"] == "0"
        assert wire.order("SIM1F", kept)["Status"] == "ACK"
        wire.close()


def test_sigterm_says_goodbye_on_open_streams_and_ends_without_waiting_for_them() -> None:
    with running_local_broker(accounts=["SIM1F"], paused=True) as broker:
        wire = Wire(broker, ["SIM1F"])
        with wire.stream(orders_of("SIM1F")) as orders, wire.stream(BARS) as bars:
            orders.snapshot()
            bars.next()
            broker.control.fault("stall", target="bars_stream")

            began = time.monotonic()
            code = broker.stop()

            assert orders.next() == {"StreamStatus": "GoAway"}
            assert bars.next() == {"Error": "GoAway", "Message": "The server is about to shut down."}
        assert (code, time.monotonic() - began < AT_ONCE) == (0, True)
        assert "ERROR" not in broker.log()
        wire.close()

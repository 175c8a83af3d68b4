import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.brokers.tradestation.examples import ES, bar_record, order_record, position_record
from tests.brokers.tradestation.wire_server import Script, Streamed, Tokens, WireServer, answer, cut, silence
from tradeproc.brokers.contract import (
    Beat,
    SnapshotEnded,
    Stream,
    StreamedBar,
    StreamedOrder,
    StreamedPosition,
    StreamedUnreadable,
    StreamEnded,
    StreamEvent,
)
from tradeproc.brokers.http_answer import HttpAnswer
from tradeproc.brokers.http_connection import NothingCame
from tradeproc.brokers.tradestation.streams import TradeStationStream, bar_stream, order_stream, position_stream
from tradeproc.domain.instruments import Contract

ACCOUNT = "SIM0000001F"
BEAT = {"Heartbeat": 1, "Timestamp": "2026-02-10T15:31:05Z"}
END = {"StreamStatus": "EndSnapshot"}


def lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def read(script: Script, make: Callable[[str], Stream], silence_seconds: float = 15.0) -> list[StreamEvent]:
    with WireServer(script) as server:
        stream = make(server.url)
        if isinstance(stream, TradeStationStream):
            stream.silence_seconds = silence_seconds
        return list(stream)


def orders(url: str) -> Stream:
    return order_stream(url, Tokens(), ACCOUNT)


def positions(url: str) -> Stream:
    return position_stream(url, Tokens(), ACCOUNT)


def bars(url: str) -> Stream:
    return bar_stream(url, Tokens(), ES, 1, 10)


def kinds(events: list[StreamEvent]) -> list[type]:
    return [type(event) for event in events]


def ended(events: list[StreamEvent]) -> StreamEnded:
    (last,) = [event for event in events if isinstance(event, StreamEnded)]
    assert events[-1] is last
    return last


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_orders_come_whole_however_the_bytes_are_cut(size: int) -> None:
    raw = lines(order_record(OrderID="1"), END, BEAT, order_record(OrderID="2", RejectReason="né"))
    events = read(Streamed([raw[at : at + size] for at in range(0, len(raw), size)]), orders)

    assert kinds(events) == [StreamedOrder, SnapshotEnded, Beat, StreamedOrder, StreamEnded]
    assert [event.order.broker_id for event in events if isinstance(event, StreamedOrder)] == ["1", "2"]


def test_a_closed_position_is_told_as_flat_though_only_its_id_came() -> None:
    gone = {"PositionID": "70000001", "Deleted": True}
    events = read(
        Streamed([lines(position_record(), END, gone, {"PositionID": "other", "Deleted": True})]), positions
    )

    told = [event.position for event in events if isinstance(event, StreamedPosition)]
    assert [(position.contract, position.quantity) for position in told] == [("ESH26", -1), ("ESH26", 0)]


def test_bars_are_history_until_the_marked_one_and_then_news() -> None:
    forming = bar_record(TimeStamp="2026-02-10T15:32:00Z", IsRealtime=True, BarStatus="Open")
    raw = lines(bar_record(), bar_record(IsEndOfHistory=True), forming, forming | {"BarStatus": "Closed"})
    events = read(Streamed([raw]), bars)

    assert kinds(events) == [StreamedBar, StreamedBar, SnapshotEnded, StreamedBar, StreamedBar, StreamEnded]
    told = [(event.is_history, event.candle.is_closed) for event in events if isinstance(event, StreamedBar)]
    assert told == [(True, True), (True, True), (False, False), (False, True)]


@pytest.mark.parametrize(
    ("record", "is_polite", "is_fatal"),
    [
        ({"StreamStatus": "GoAway"}, True, False),
        ({"Error": "GoAway", "Message": "The server is about to shut down."}, True, False),
        ({"Error": "DualLogon", "Message": "x"}, False, True),
        ({"Error": "FAILED", "Message": "FAILED, INVALID SYMBOL"}, False, True),
        ({"Error": "Failed", "Message": "Not entitled to data for this symbol"}, False, True),
        ({"Error": "Forbidden", "Message": "x", "AccountID": ACCOUNT}, False, True),
        ({"Error": "InternalServerError", "Message": "x"}, False, False),
        ({"Error": "GatewayTimeout", "Message": "x"}, False, False),
    ],
)
def test_what_the_server_says_of_the_end_decides_how_to_come_back(
    record: dict[str, Any], is_polite: bool, is_fatal: bool
) -> None:
    end = ended(read(Streamed([lines(record, BEAT)], then="hang"), orders))

    assert (end.is_polite, end.is_fatal) == (is_polite, is_fatal)


@pytest.mark.parametrize(
    ("script", "is_fatal"),
    [
        (answer(404, {"Error": "NotFound", "Message": "x"}), True),
        (answer(400, {"Error": "BadRequest", "Message": "INVALID SYMBOL"}), True),
        (answer(404, b"<html>"), False),
        (answer(429, {"Error": "TooManyRequests", "Message": "Stream quota exceeded"}), False),
        (answer(503, {"Error": "ServiceUnavailable", "Message": "x"}), False),
        (Streamed([b"EX_INVALID_SYMBOL"]), True),
        (Streamed([b"\x00\xff garbage"]), False),
        (Streamed([lines(BEAT) + b'{"OrderID": "1'], then="end"), False),
        (Streamed([lines(BEAT)], then="reset"), False),
        (Streamed([lines({"OrderID": "1"})], then="hang"), False),
        (cut, False),
    ],
)
def test_every_trouble_ends_the_stream_with_a_reason_and_never_raises(script: Script, is_fatal: bool) -> None:
    # one of these says nothing more and leaves it to us to end
    is_silent = isinstance(script, Streamed) and script.then == "hang"

    end = ended(read(script, orders, silence_seconds=1.0 if is_silent else 15.0))

    assert end.reason
    assert (end.is_polite, end.is_fatal) == (False, is_fatal)


@pytest.mark.parametrize("script", [Streamed([lines(BEAT)], then="hang"), Streamed([b'{"a":'], then="hang"), silence])
def test_silence_beyond_the_deadline_ends_the_stream(script: Script) -> None:
    assert "silent" in ended(read(script, orders, silence_seconds=0.3)).reason


def test_bytes_that_complete_no_object_do_not_put_off_the_end_of_a_silent_stream() -> None:
    """Such bytes, just before the silence was over, doubled it: a mute stream was found after 26 s, not 13."""
    pieces = [b'{"a":', b"1", b"2", b'3}\n{"b":', b"4"]
    deadlines: list[int] = []

    class Slow:
        def receive_more(self, answer: HttpAnswer, until: int) -> None:
            deadlines.append(until)
            if not pieces:
                raise NothingCame("no answer in time")
            answer.feed(pieces.pop(0))

    head = HttpAnswer()
    head.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    reading = order_stream("http://127.0.0.1:1", Tokens(), ACCOUNT)._read(Slow(), head)  # type: ignore[arg-type]
    with pytest.raises(StopIteration) as end:
        while True:
            next(reading)

    assert "no object" in end.value.value.reason
    assert len(deadlines) == 6
    assert len(set(deadlines[:4])) == len(set(deadlines[4:])) == 1
    assert deadlines[4] > deadlines[3], "a whole object begins a new silence"


def test_bytes_that_never_make_an_object_are_silence() -> None:
    class Trickle(Streamed):
        def __call__(self, connection: Any, request: Any) -> bool:
            connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"a":"')
            pause = threading.Event()
            while not pause.wait(0.02):
                connection.sendall(b"x")
            return False

    assert "no object" in ended(read(Trickle([]), orders, silence_seconds=0.3)).reason


def test_unknown_objects_and_broken_bars_are_counted_and_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    raw = lines({"Something": "new"}, bar_record(Close="?"), bar_record())
    with WireServer(Streamed([raw])) as server:
        stream = bar_stream(server.url, Tokens(), ES, 1, 10)
        assert kinds(list(stream)) == [StreamedBar, StreamEnded]

    assert isinstance(stream, TradeStationStream)
    assert stream.skipped == 2
    assert caplog.text.count("stream_skipped") == 2


def test_a_refused_token_is_told_and_the_stream_opened_with_another() -> None:
    tokens = Tokens()
    refusal = answer(401, {"Error": "Unauthorized", "Message": "x"})
    with WireServer(refusal, Streamed([lines(END)])) as server:
        events = list(order_stream(server.url, tokens, ACCOUNT))

    assert kinds(events) == [SnapshotEnded, StreamEnded]
    assert [one.token for one in server.requests] == ["t1", "t2"]
    assert not ended(list(events)).is_fatal


def test_a_server_that_is_not_there_ends_the_stream() -> None:
    with WireServer(cut) as server:
        url = server.url

    assert ended(list(orders(url))).reason.startswith("cut")


@pytest.mark.parametrize("script", [Streamed([lines(BEAT)], then="hang"), silence])
def test_close_from_another_thread_ends_the_iteration_at_once(script: Script) -> None:
    events: list[StreamEvent] = []
    with WireServer(script) as server:
        stream = orders(server.url)
        reader = threading.Thread(target=lambda: events.extend(stream))
        reader.start()
        arrived = threading.Event()
        while not server.requests and not arrived.wait(0.01):
            pass
        if isinstance(script, Streamed):
            assert script.sent.wait(10)

        stream.close()
        stream.close()
        reader.join(5)

        assert not reader.is_alive()
    assert ended(events).reason == "closed by us"


def test_a_stream_closed_before_it_began_connects_to_nothing_lasting() -> None:
    with WireServer(Streamed([lines(BEAT)], then="hang")) as server:
        stream = orders(server.url)
        stream.close()

        assert ended(list(stream)).reason == "closed by us"


def test_a_contract_that_the_broker_cannot_name_has_a_stream_that_is_over() -> None:
    assert ended(list(bar_stream("http://127.0.0.1:1", Tokens(), Contract("QQQQ", 2026, 3), 1, 1))).is_fatal


def test_an_order_that_cannot_be_read_spoils_itself_and_not_the_stream() -> None:
    broken = order_record({"ExecQuantity": "lots"}, OrderID="2")
    told = read(Streamed([lines(order_record(OrderID="1"), broken, order_record(OrderID="3"), END)]), orders)

    assert kinds(told) == [StreamedOrder, StreamedUnreadable, StreamedOrder, SnapshotEnded, StreamEnded]
    assert isinstance(told[1], StreamedUnreadable)
    assert (told[1].record.broker_id, told[1].record.contract) == ("2", "ESH26")


def test_a_contract_of_which_one_lot_cannot_be_read_is_unknown_until_that_lot_is_told_well_or_closed() -> None:
    one, two = position_record(PositionID="1"), position_record(PositionID="2")
    told = read(
        Streamed([lines(one, two | {"Quantity": "?"}, one, {"PositionID": "2", "Deleted": True}, two, END)]),
        positions,
    )

    position, unreadable = StreamedPosition, StreamedUnreadable
    assert kinds(told)[:5] == [position, unreadable, unreadable, position, position]
    assert [event.position.quantity for event in told if isinstance(event, StreamedPosition)] == [-1, -1, -2]


def test_an_order_without_its_id_and_a_lot_without_its_are_asked_for_and_not_passed_over() -> None:
    nameless = {key: value for key, value in order_record().items() if key != "OrderID"}
    told = read(Streamed([lines(nameless, END)]), orders)
    assert kinds(told)[0] is StreamedUnreadable

    nameless = {key: value for key, value in position_record().items() if key != "PositionID"}
    told = read(Streamed([lines(nameless, position_record(), END)]), positions)
    assert kinds(told)[:2] == [StreamedUnreadable, StreamedPosition]

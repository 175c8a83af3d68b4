"""Whatever stands in a field of the wire: it reaches the trader as a value that fits, or as what could not be read.

The way of every record: bytes → reader → message → bytes → message → value → the engine → a row of the database.
"""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import bodies
from tests.brokers.tradestation.examples import bar_record, order_record, position_record
from tests.engine.desk import Desk, Scripted
from tradeproc.brokers.contract import (
    StreamedBar,
    StreamedOrder,
    StreamedPosition,
    StreamedUnreadable,
    StreamEnded,
    StreamEvent,
    UnreadableRecord,
)
from tradeproc.brokers.tradestation.fields import parse_object
from tradeproc.brokers.tradestation.orders import parse_placement, parse_request_answer, refusal_text
from tradeproc.brokers.tradestation.stream_events import BarReader, OrderReader, PositionReader
from tradeproc.brokers.tradestation.wire import read_balance, read_orders, read_positions
from tradeproc.bus.codec import decode_body, encode_body
from tradeproc.domain.answers import Known
from tradeproc.domain.book import Balance
from tradeproc.domain.orders import OrderType, Side
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import StreamKind
from tradeproc.protocol.link_messages import ORDERS as ASK_ORDERS
from tradeproc.strategies.contract import SubmitOrder

NOW = Nanos(1_790_000_000_000_000_000)
RESTING = SubmitOrder(Side.BUY, Contracts(1), type=OrderType.LIMIT, limit=4700.0)
ABSURD: list[Any] = [
    *(
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.9999999Z",
        "2262-04-11T23:47:16.854775807Z",
        "1677-09-21T00:12:43Z",
    ),
    *(
        "1969-12-31T23:59:59Z",
        "2026-02-10T15:31:08",
        "2026-02-30T00:00:00Z",
        "/Date(1770737468000)/",
        "-1",
        "0",
        "-0",
    ),
    *("1e400", "-1e400", "1e18", "1e-18", "1e-400", "Infinity", "-inf", "NaN", "sNaN", "9" * 60, "0." + "3" * 60),
    *("5,300.25", "5.300,25", "1_000", "\u0663", "\x00", "a\x1b[31m\n", "x" * 9_000, "", " ", "null", "true", "[]"),
    *(
        None,
        True,
        False,
        0,
        -1,
        2**31,
        2**63,
        2**64,
        10**30,
        -(2**70),
        1e300,
        -0.0,
        0.1,
        [],
        {},
        [[]],
        {"a": {"b": []}},
    ),
    [{"Symbol": 7}, None],
]
junk = (
    st.sampled_from(ABSURD) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
PATIENT = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def spoilt(record: dict[str, Any], *more: str) -> st.SearchStrategy[dict[str, Any]]:
    """A record with one to three fields, or fields of its leg, replaced by junk, or left out."""
    changes = st.dictionaries(st.sampled_from([*record, *more]), junk, min_size=0, max_size=3)
    leg_changes = st.dictionaries(st.sampled_from([*order_record()["Legs"][0], "ExecutionPrice"]), junk, max_size=2)

    def build(changed: dict[str, Any], leg: dict[str, Any]) -> dict[str, Any]:
        legs = {"Legs": [record["Legs"][0] | leg]} if "Legs" in record else {}
        return record | legs | changed

    return st.builds(build, changes, leg_changes)


def over_the_wire(record: dict[str, Any]) -> dict[str, Any]:
    found = parse_object(json.dumps(record).encode())
    return {} if found is None else dict(found)


def over_the_bus(body: dict[str, Any]) -> dict[str, Any]:
    return decode_body(encode_body(body))


def numbers(value: object) -> Iterator[int | Decimal | str]:
    """Every number and text inside a value."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from numbers(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from numbers(each)
    elif isinstance(value, int | Decimal | str) and not isinstance(value, bool | Enum):
        yield value


def assert_storable(effects: tuple[do.Effect, ...]) -> None:
    """What a row holds fits into its column."""
    for effect in effects:
        if isinstance(effect, do.Persist | do.SaveDivergence | do.SaveBalance | do.RaiseAlarm):
            for number in numbers(effect):
                if isinstance(number, str):
                    assert "\0" not in number
                    number.encode()
                elif isinstance(number, Decimal):
                    assert number.is_finite()
                else:
                    assert -(2**63) <= number < 2**63


def tell(desk: Desk, event: StreamEvent) -> None:
    """What an account manager and a trader make of an event of a stream."""
    match event:
        case StreamedOrder(order):
            body = over_the_bus(bodies.broker_order_to_body(order))
            again = bodies.listed_order_from_body(body)
            assert again == order
            assert_storable(desk.tell(events.OrderUpdated(order)))
        case StreamedPosition(position):
            assert bodies.position_from_body(over_the_bus(bodies.position_to_body(position))) == position
            assert_storable(desk.tell(events.PositionUpdated(position)))
        case StreamedUnreadable(record):
            assert bodies.unreadable_from_body(over_the_bus(bodies.unreadable_to_body(record))) == record
            for kind in (StreamKind.ORDERS, StreamKind.POSITIONS):
                assert_storable(desk.tell(events.RecordUnreadable(kind, record)))
        case StreamedBar(candle):
            body = over_the_bus(bodies.candle_to_body(candle, "ESH24", 1))
            assert bodies.candle_from_body(body) == candle
            desk.tell(events.CandleReceived(candle))
        case StreamEnded(reason):
            assert reason


def working() -> Desk:
    desk = Desk(Scripted(RESTING)).start()
    desk.bar()
    return desk


ORDER = order_record({"Symbol": "ESH24", "QuantityOrdered": "1"}, OrderID="900", AccountID="SIM1", LimitPrice="4700")
MORE = ("ClosedDateTime", "StopPrice", "RejectReason", "ConditionalOrders", "Error", "Message", "StatusCode")


@PATIENT
@given(st.lists(spoilt(ORDER, *MORE), max_size=3))
def test_no_order_of_the_stream_harms_anybody(records: list[dict[str, Any]]) -> None:
    desk, reader = working(), OrderReader()

    for record in records:
        for event in reader.read(over_the_wire(record), NOW):
            tell(desk, event)
    desk.run(12)


@PATIENT
@given(st.lists(spoilt(ORDER, *MORE), max_size=3))
def test_no_list_of_orders_harms_anybody_and_none_is_shorter_than_the_brokers(records: list[dict[str, Any]]) -> None:
    desk = working()

    listed = read_orders(over_the_wire(record) for record in records)
    body = over_the_bus(ASK_ORDERS.answer_codec.plain(Known(listed)))
    answer = ASK_ORDERS.answer_codec.read(body)

    assert answer == Known(listed)
    desk.tell(events.ReconcileCommanded("me"))
    number = desk.state.broker.orders.number
    assert_storable(desk.tell(events.OrdersAnswered(number, answer)))
    if any(isinstance(each, UnreadableRecord) and each.broker_id in ("", "900") for each in listed):
        desk.queue.clear()
        assert not desk.orders[0].state.is_terminal or any(
            not isinstance(each, UnreadableRecord) and each.broker_id == "900" for each in listed
        )


POSITION = position_record(Symbol="ESH24", AccountID="SIM1")


@PATIENT
@given(st.lists(spoilt(POSITION, "TotalCost", "Deleted", "Error"), max_size=3))
def test_no_position_harms_anybody(records: list[dict[str, Any]]) -> None:
    desk, reader = working(), PositionReader()

    for record in records:
        for event in reader.read(over_the_wire(record), NOW):
            tell(desk, event)
    for position in read_positions(over_the_wire(record) for record in records):
        over_the_bus(bodies.listed_position_to_body(position))


@PATIENT
@given(st.lists(spoilt(bar_record(), "Epoch", "Error"), max_size=4))
def test_no_bar_harms_anybody(records: list[dict[str, Any]]) -> None:
    desk, reader = working(), BarReader("ESH24", 1)

    for record in records:
        for event in reader.read(over_the_wire(record), NOW):
            tell(desk, event)


@PATIENT
@given(
    spoilt(
        {"AccountID": "SIM1", "CashBalance": "1", "Equity": "1", "BalanceDetail": {}, "CurrencyDetails": [{}]},
        "RealizedProfitLoss",
    ),
    st.dictionaries(st.sampled_from(["RealizedProfitLoss", "UnrealizedProfitLoss"]), junk),
)
def test_no_balance_harms_anybody(record: dict[str, Any], detail: dict[str, Any]) -> None:
    found = read_balance(over_the_wire({**record, "BalanceDetail": record.get("BalanceDetail") or detail}), Nanos(1))

    if isinstance(found, Balance):
        assert bodies.balance_from_body(over_the_bus(bodies.balance_to_body(found))) == found
        assert_storable(working().tell(events.BalanceUpdated(found)))


@PATIENT
@given(st.dictionaries(st.sampled_from(["Orders", "Errors", "Error", "Message", "OrderID", "StatusCode"]), junk))
def test_no_answer_to_an_order_harms_anybody(record: dict[str, Any]) -> None:
    body = over_the_wire(record)

    for outcome in (parse_placement(body, ()), parse_request_answer(body, "a", "1")):
        assert bodies.outcome_from_body(over_the_bus(bodies.outcome_to_body(outcome))) == outcome
    assert refusal_text(body, 400).startswith("400")

from typing import Any

import pytest

from tests.brokers.tradestation.examples import bracket, price, request
from tradeproc.brokers.contract import Accepted, Outcome, Refused, Unanswered
from tradeproc.brokers.tradestation.orders import (
    UnwritableOrder,
    encode_change,
    encode_request,
    parse_placement,
    parse_request_answer,
    refusal_text,
    sent_orders,
    unplaced,
)
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderType, Side, TimeInForce


def test_an_order_is_written_in_strings_with_our_id_as_the_duplicate_guard() -> None:
    assert encode_request("SIM1F", request("abcd-1-1-0001")) == {
        "AccountID": "SIM1F",
        "Symbol": "ESH26",
        "Quantity": "2",
        "OrderType": "Limit",
        "TradeAction": "BUY",
        "TimeInForce": {"Duration": "DAY"},
        "OrderConfirmID": "abcd-1-1-0001",
        "LimitPrice": "5312",
    }


@pytest.mark.parametrize(
    ("fields", "wire"),
    [
        ({"type": OrderType.MARKET, "limit": None}, {"OrderType": "Market"}),
        ({"type": OrderType.STOP, "limit": None, "stop": price("5300.25")}, {"StopPrice": "5300.25"}),
        ({"type": OrderType.STOP_LIMIT, "stop": price("5320")}, {"StopPrice": "5320", "LimitPrice": "5312"}),
        ({"side": Side.SELL}, {"TradeAction": "SELL"}),
        ({"time_in_force": TimeInForce.GTC}, {"TimeInForce": {"Duration": "GTC"}}),
        ({"contract": Contract("6J", 2026, 3), "limit": price("0.0063")}, {"Symbol": "JYH26", "LimitPrice": "0.63"}),
    ],
)
def test_each_kind_of_order_carries_what_it_needs(fields: dict[str, Any], wire: dict[str, Any]) -> None:
    body = encode_request("SIM1F", request(**fields))

    assert {key: body[key] for key in wire} == wire
    assert ("LimitPrice" in body, "StopPrice" in body) == (
        "Limit" in body["OrderType"],
        "Stop" in body["OrderType"],
    )


def test_a_bracket_is_one_order_whose_legs_the_broker_releases_as_a_bracket_group() -> None:
    body = encode_request("SIM1F", bracket())

    (group,) = body["OSOs"]
    assert group["Type"] == "BRK"
    assert [leg["OrderConfirmID"] for leg in group["Orders"]] == ["s1", "p1"]
    assert [leg["OrderType"] for leg in group["Orders"]] == ["StopMarket", "Limit"]
    assert {leg["TradeAction"] for leg in group["Orders"]} == {"SELL"}


@pytest.mark.parametrize(
    "fields",
    [{"limit": None}, {"type": OrderType.STOP}, {"quantity": 0}, {"order_id": "x" * 23}, {"order_id": ""}],
)
def test_what_cannot_be_written_is_refused_before_it_is_sent(fields: dict[str, Any]) -> None:
    with pytest.raises(UnwritableOrder):
        encode_request("SIM1F", request(**fields))


def test_a_change_carries_quantity_and_prices_and_a_type_only_towards_market() -> None:
    assert encode_change(request()) == {"Quantity": "2", "LimitPrice": "5312"}
    assert encode_change(request(type=OrderType.MARKET)) == {"Quantity": "2", "OrderType": "Market"}


TAKEN = {"Message": "Sent order: Buy 2 ESH26 @ 5312.00 Limit", "OrderID": "77"}
FAILED = {"OrderID": "78", "Error": "FAILED", "Message": "Order failed. Reason: off-tick price"}


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"Orders": [TAKEN]}, Accepted({"a1": "77"})),
        ({"Orders": [{"OrderID": "77"}]}, Accepted({"a1": "77"})),
        ({"Orders": [], "Errors": [FAILED]}, Refused("Order failed. Reason: off-tick price")),
        ({"Orders": [FAILED]}, Refused("Order failed. Reason: off-tick price")),
        ({"Error": "BadRequest", "Message": "no"}, Refused("BadRequest: no")),
        (
            {"Orders": [TAKEN], "Errors": [FAILED]},
            Unanswered("taken only in part: Order failed. Reason: off-tick price"),
        ),
        ({}, Unanswered("the answer names no order")),
        ({"Orders": [{"OrderID": "78", "Message": "Order failed. Reason: x"}]}, Refused("Order failed. Reason: x")),
        ({"Orders": [{"OrderID": "", "Message": "Rejected by risk"}]}, Refused("Rejected by risk")),
        ({"Message": "Failed to build order"}, Refused("Failed to build order")),
        (
            {"Orders": [{"OrderID": "77", "Message": "Being looked at"}]},
            Unanswered("neither a yes nor a no: Being looked at"),
        ),
        (
            {"Orders": [TAKEN, {"OrderID": "78", "Message": "Order failed."}]},
            Unanswered("taken only in part: Order failed."),
        ),
        ({"StatusCode": "BadRequest", "TraceId": "t", "Message": "no"}, Refused("BadRequest: no")),
        ({"Orders": "x"}, Unanswered("the answer to the order cannot be read")),
    ],
)
def test_a_placement_is_taken_refused_or_unknown(body: dict[str, Any], outcome: Outcome) -> None:
    assert parse_placement(body, sent_orders(request())) == outcome


def test_the_orders_of_a_bracket_are_told_apart_even_when_the_answer_mixes_them() -> None:
    told = [
        {"Message": "Sent order: Sell 2 ESH26 @ 5330.25 Limit", "OrderID": "3"},
        {"Message": "Sent order: Buy 2 ESH26 @ 5312.00 Limit", "OrderID": "1"},
        {"Message": "Sent order: Sell 2 ESH26 @ 5300.00 Stop Market", "OrderID": "2"},
    ]

    assert parse_placement({"Orders": told}, sent_orders(bracket())) == Accepted({"e1": "1", "s1": "2", "p1": "3"})


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Refused("r")),
        (403, Refused("r")),
        (404, Refused("r")),
        (401, Unanswered("r", was_sent=False)),
        (429, Unanswered("r", was_sent=False)),
        (408, Unanswered("r")),
        (302, Unanswered("r")),
        (500, Unanswered("r")),
        (503, Unanswered("r")),
        (504, Unanswered("r")),
    ],
)
def test_a_status_other_than_success_is_a_no_only_where_it_surely_is(status: int, outcome: Outcome) -> None:
    assert unplaced(status, "r") == outcome


def test_a_duplicate_means_that_the_broker_has_it_already() -> None:
    assert unplaced(400, "BadRequest: Duplicate OrderConfirmID") == Unanswered("BadRequest: Duplicate OrderConfirmID")


def test_a_cancel_is_answered_by_the_order_it_names() -> None:
    said = {"Message": "Cancel request sent", "OrderID": "77"}

    assert parse_request_answer(said, "a1", "77") == Accepted({"a1": "77"})
    assert parse_request_answer({"Error": "BadRequest", "Message": "Not an open order."}, "a1", "77") == Refused(
        "BadRequest: Not an open order."
    )
    assert parse_request_answer({}, "a1", "77") == Unanswered("the answer names no order")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"Error": "BadRequest", "Message": "no"}, "400 BadRequest: no"),
        (
            {"TraceId": "t", "StatusCode": "400", "Message": "Limit price is missing"},
            "400 400: Limit price is missing",
        ),
        ({"TraceId": "t", "StatusCode": 400, "Message": "no"}, "400 400: no"),
        ({"error": "invalid_request", "error_description": "no"}, "400 invalid_request: no"),
        ({"message": "no"}, "400 no"),
        ({"Errors": [{"Message": "no"}]}, "400 no"),
        ({"Error": {"Code": 7}}, "400 {'Code': 7}"),
        (None, "400"),
    ],
)
def test_an_error_body_of_any_shape_keeps_its_reason(body: dict[str, Any] | None, reason: str) -> None:
    assert refusal_text(body, 400) == reason


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"Message": "Cancel request sent", "OrderID": "77"}, Accepted({"a1": "77"})),
        ({"Message": "Cancel/Replace order sent.", "OrderID": "77"}, Accepted({"a1": "77"})),
        (
            {"Message": "Failed to Cancel/Replace order: Not an open order.", "OrderID": "77"},
            Refused("Failed to Cancel/Replace order: Not an open order."),
        ),
        ({"Message": "Not an open order."}, Refused("Not an open order.")),
    ],
)
def test_a_change_that_failed_in_words_alone_was_not_accepted(body: dict[str, Any], outcome: Outcome) -> None:
    assert parse_request_answer(body, "a1", "77") == outcome


def test_an_order_at_or_below_zero_is_written_as_such() -> None:
    assert encode_request("SIM1F", request(limit=price("-37.63")))["LimitPrice"] == "-37.63"
    assert encode_request("SIM1F", request(limit=price("0.00")))["LimitPrice"] == "0"

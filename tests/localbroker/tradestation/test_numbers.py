"""Numbers on the wire: averages have at most ten decimals, messages pad their prices, zero has no sign."""

from decimal import Decimal

import pytest

from tradeproc.localbroker.books import order_of
from tradeproc.localbroker.tradestation.account_shapes import Relatives, order_body
from tradeproc.localbroker.tradestation.numbers import padded_price, wire_average, written


@pytest.mark.parametrize(
    ("average", "code", "told"),
    [
        (Decimal(14401) / 3, "ESH24", "4800.3333333333"),
        (Decimal(14402) / 3, "ESH24", "4800.6666666667"),
        (Decimal("-37.63"), "CLK20", "-37.63"),
        (Decimal(0), "CLK20", "0"),
        (Decimal("0.0000005"), "6JH24", "0.00005"),
        (Decimal("0.019") / 3, "6JH24", "0.6333333333"),
    ],
)
def test_an_average_has_at_most_ten_decimals(average: Decimal, code: str, told: str) -> None:
    assert wire_average(average, code) == told


def test_the_average_of_an_order_is_told_rounded_in_both_of_its_places() -> None:
    body = {
        **{"id": "1", "account": "A", "contract": "ESH24", "side": "buy", "quantity": 3, "type": "market"},
        **{"limit": None, "stop": None, "time_in_force": "day", "client_id": "", "status": "filled"},
        **{"opened_at": 1, "released": 3, "filled": 3, "value": "14401", "triggered": False, "group": ""},
        **{"group_kind": "independent", "parent": None, "closed_at": 2, "reason": "", "memo": ""},
    }
    order = order_of({"order": body})

    body = order_body(order, Relatives(), Decimal("1.5"))

    assert body["FilledPrice"] == body["Legs"][0]["ExecutionPrice"] == "4800.3333333333"


@pytest.mark.parametrize(
    ("price", "code", "told"),
    [
        ("4800", "ESH24", "4800.00"),
        ("4800.25", "ESH24", "4800.25"),
        ("108.5", "ZNH24", "108.500000"),
        ("38500", "YMH24", "38500.00"),
        ("-37.6", "CLK20", "-37.60"),
        ("0.0063", "6JH24", "0.63000"),
    ],
)
def test_a_message_pads_its_prices(price: str, code: str, told: str) -> None:
    assert padded_price(Decimal(price), code) == told


def test_zero_has_no_sign() -> None:
    assert written(Decimal("-0.00")) == "0"

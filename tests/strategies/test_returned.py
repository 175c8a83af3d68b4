"""What a strategy returns is read at the door: every kind of number, storable texts, one line for what is none."""

import itertools
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.instruments import instrument
from tradeproc.domain.orders import OrderRole, Side
from tradeproc.domain.texts import one_line
from tradeproc.strategies.contract import (
    NOTHING,
    CancelOrders,
    ClosePosition,
    ModifyOrders,
    Nothing,
    OrderChange,
    SubmitBracket,
    SubmitOrder,
)
from tradeproc.strategies.returned import BadReturn, read_return, whole


def read(decision: Any) -> Any:
    return read_return((decision, None))[0]


@pytest.mark.parametrize(
    "number", [np.int64(2), np.int32(2), np.uint8(2), np.float64(2), np.array(2), 2.0, Decimal(2)]
)
def test_a_whole_number_of_any_kind_is_a_quantity(number: Any) -> None:
    quantity = read(SubmitOrder(Side.BUY, number)).quantity

    assert (quantity, type(quantity)) == (2, int)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, float, Decimal, int, np.int64])
def test_a_price_of_any_kind_of_number_is_that_price(kind: Any) -> None:
    price = read(SubmitBracket(Side.BUY, 1, stop_loss=kind(72))).stop_loss  # type: ignore[arg-type]

    assert Decimal(str(price)) == 72
    assert type(price) in (float, Decimal)


def test_a_short_float_gets_no_digits_that_nobody_wrote() -> None:
    price = read(SubmitBracket(Side.BUY, 1, stop_loss=np.float32(71.23))).stop_loss  # type: ignore[arg-type]

    assert Decimal(str(price)) == Decimal("71.23")


@pytest.mark.parametrize(
    "value", [np.float64(4800.3), np.float32(4800.25), np.int64(4800), 4800.3, 4800, Decimal("4800.3")]
)
def test_an_instrument_takes_an_indicator_value_of_any_kind(value: Any) -> None:
    assert instrument("ES").nearest(value) in (19200, 19201)


NO_DECISIONS: list[tuple[Any, str]] = [
    (None, "on_candle must return (decision, state), not None"),
    (NOTHING, "on_candle returned a Nothing without the state: return (NOTHING, state)"),
    (ClosePosition(), "on_candle returned a ClosePosition without the state: return (ClosePosition(…), state)"),
    ((NOTHING, 1, 2), "on_candle must return (decision, state), not (Nothing(), 1, 2)"),
    ((None, 1), "on_candle must return (decision, state), and None is no decision"),
    ((Nothing, 1), "on_candle must return (decision, state), and the class Nothing itself is no decision"),
    (("buy", 1), "on_candle must return (decision, state), and 'buy' is no decision"),
]


@pytest.mark.parametrize(("returned", "told"), NO_DECISIONS)
def test_what_is_no_decision_with_a_state_is_told_in_one_line(returned: Any, told: str) -> None:
    with pytest.raises(BadReturn) as raised:
        read_return(returned)

    assert str(raised.value) == told


WRONG_KINDS: list[tuple[Any, str]] = [
    (SubmitOrder("buy", 1), "side must be Side.BUY or Side.SELL, not 'buy'"),  # type: ignore[arg-type]
    (SubmitOrder(Side.BUY, "1"), "quantity must be a number, not '1'"),  # type: ignore[arg-type]
    (SubmitOrder(Side.BUY, True), "quantity must be a number, not True"),  # type: ignore[arg-type]
    (SubmitOrder(Side.BUY, 1, limit="4800"), "limit must be a number, not '4800'"),  # type: ignore[arg-type]
    (SubmitOrder(Side.BUY, 1, role="exit"), "role must be OrderRole.ENTRY or"),  # type: ignore[arg-type]
    (SubmitBracket(Side.BUY, 1, stop_loss=None), "stop_loss must be a price, not None"),  # type: ignore[arg-type]
    (SubmitBracket(Side.BUY, 1, stop_loss=np.array([1.0, 2.0])), "stop_loss must be a number"),  # type: ignore[arg-type]
    (CancelOrders("abcd1-1-1"), "order_ids must be a tuple of str, not 'abcd1-1-1'"),  # type: ignore[arg-type]
    (CancelOrders(itertools.repeat("x")), "order_ids holds more than 1000"),  # type: ignore[arg-type]
    (CancelOrders((7,)), "order_ids must be a tuple of str, and holds 7"),  # type: ignore[arg-type]
    (ModifyOrders(OrderChange("x")), "changes must be a tuple of OrderChange"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("decision", "told"), WRONG_KINDS)
def test_a_value_of_the_wrong_kind_is_named(decision: Any, told: str) -> None:
    with pytest.raises(BadReturn) as raised:
        read(decision)

    assert str(raised.value).startswith(told)


def test_a_value_that_makes_no_sense_is_left_to_the_engine_to_refuse() -> None:
    decision = read(SubmitOrder(Side.BUY, 1.5, limit=float("nan")))  # type: ignore[arg-type]

    assert decision.quantity == 1.5
    assert decision.limit != decision.limit


def test_lists_are_tuples_and_a_reason_may_be_anything() -> None:
    assert read(CancelOrders(["a"], reason=None)) == CancelOrders(("a",), "")  # type: ignore[arg-type]
    assert read(ClosePosition(reason=7)) == ClosePosition("7")  # type: ignore[arg-type]
    assert read(SubmitOrder(Side.SELL, 1, role=OrderRole.EXIT, reason=np.str_("x"))).reason == "x"


@given(st.text(st.characters(exclude_categories=())))
def test_every_text_becomes_one_that_utf8_and_the_database_can_hold(text: str) -> None:
    told = one_line(f"a{text}\0\ud800")

    assert told.encode()
    assert not set(told) & set("\0\n\r")
    assert len(told) <= 500
    assert "\N{REPLACEMENT CHARACTER}" in told or len(text) > 400


@given(st.from_type(type).flatmap(st.from_type) | st.none() | st.text() | st.lists(st.integers()))
def test_whatever_is_returned_is_a_decision_or_a_bad_return(value: Any) -> None:
    for returned in (value, (value, None), (SubmitOrder(value, value, limit=value, stop=value, reason=value), None)):
        try:
            decision, _ = read_return(returned)
        except BadReturn:
            continue
        assert decision is not None


def test_a_repr_that_raises_spoils_nothing() -> None:
    class Evil(SimpleNamespace):
        def __repr__(self) -> str:
            raise ValueError("no")

    with pytest.raises(BadReturn, match="not a Evil"):
        read_return(Evil())


def test_a_warmup_of_any_whole_number_is_one() -> None:
    assert whole(np.int64(21), "warmup") == 21
    with pytest.raises(BadReturn, match=r"warmup must be a whole number, not 21\.5"):
        whole(21.5, "warmup")

"""Every value survives the way through JSON, and what is no such value is refused in one line."""

from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import bodies as m
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Balance, Divergence, DivergenceKind, Fill, FillKind, Position, Trade
from tradeproc.domain.broker_orders import (
    Accepted,
    BracketRequest,
    BrokerAccount,
    BrokerOrder,
    ContractDetails,
    OrderRequest,
    Outcome,
    Refused,
    Unanswered,
)
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import Order, OrderRole, OrderState, OrderType, Side, TimeInForce
from tradeproc.protocol.codec import BadMessage, Codec

TEXTS = st.text(max_size=12)
MOMENTS = st.integers(-(2**63), 2**63 - 1)
COUNTS = st.integers(0, 10**9)
QUANTITIES = st.integers(1, 10**9)
DECIMALS = st.decimals(-(10**9), 10**9, places=8) | st.sampled_from(
    [Decimal("1E+3"), Decimal("-0.00"), Decimal("1E-9")]
)
PRICES = st.floats(allow_nan=False, allow_infinity=False)
CONTRACTS = st.builds(
    Contract, st.sampled_from(["ES", "6E", "MNQ", "ZN"]), st.integers(1970, 2069), st.integers(1, 12)
)

BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    "Nanos": MOMENTS,
    "Contracts": COUNTS,
    "Ticks": MOMENTS,
    "Price": DECIMALS,
    "Money": DECIMALS,
    "str": TEXTS,
    "int": COUNTS,
    "bool": st.booleans(),
    "float": PRICES,
    "Contract": CONTRACTS,
    **{kind.__name__: st.sampled_from(kind) for kind in (Side, OrderType, OrderRole, OrderState, TimeInForce)},
    "DivergenceKind": st.sampled_from(DivergenceKind),
    "FillKind": st.sampled_from(FillKind),
}
POSITIVE = {OrderRequest: ["quantity"], Order: ["quantity"], Fill: ["quantity"], Trade: ["quantity"]}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy of any value of a dataclass, by the types of its fields."""
    parts = {}
    for field in fields(kind):
        options = [getattr(option, "__name__", "") for option in get_args(field.type) or (field.type,)]
        strategy = BY_TYPE[options[0]]
        parts[field.name] = strategy | st.none() if "NoneType" in options else strategy
    parts |= {name: QUANTITIES for name in POSITIVE.get(kind, [])}
    return st.builds(kind, **parts)


_Positions = Answer[tuple[Position, ...]]
POSITIONS: Codec[_Positions] = Codec(_Positions, "answer")


def through_json(body: Any) -> Any:
    return orjson.loads(orjson.dumps(body))


PLAIN: list[tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]] = [
    (BrokerOrder, m.broker_order_to_body, m.broker_order_from_body),
    (Position, m.position_to_body, m.position_from_body),
    (Balance, m.balance_to_body, m.balance_from_body),
    (BrokerAccount, m.broker_account_to_body, m.broker_account_from_body),
    (ContractDetails, m.contract_details_to_body, m.contract_details_from_body),
    (Order, m.order_to_body, m.order_from_body),
    (Fill, m.fill_to_body, m.fill_from_body),
    (Trade, m.trade_to_body, m.trade_from_body),
    (Divergence, m.divergence_to_body, m.divergence_from_body),
    (Candle, lambda candle: m.candle_to_body(candle, "ESH24", 5), m.candle_from_body),
]


@pytest.mark.parametrize(("kind", "encode", "decode"), PLAIN, ids=[kind.__name__ for kind, _, _ in PLAIN])
def test_a_value_survives_the_way(kind: Any, encode: Callable[[Any], Any], decode: Callable[[Any], Any]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(value=values_of(kind))
    def survives(value: Any) -> None:
        assert decode(through_json(encode(value))) == value

    survives()


def priced(request: OrderRequest) -> bool:
    needs_limit = request.type in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    needs_stop = request.type in (OrderType.STOP, OrderType.STOP_LIMIT)
    return (request.limit is not None or not needs_limit) and (request.stop is not None or not needs_stop)


REQUESTS = values_of(OrderRequest).filter(priced)


@settings(max_examples=40, deadline=None)
@given(request=REQUESTS | st.builds(BracketRequest, REQUESTS, REQUESTS, REQUESTS | st.none()))
def test_a_request_survives_the_way(request: OrderRequest | BracketRequest) -> None:
    assert m.request_from_body(through_json(m.request_to_body(request))) == request


@settings(max_examples=40, deadline=None)
@given(
    outcome=st.builds(Accepted, st.dictionaries(TEXTS, TEXTS, max_size=3))
    | st.builds(Refused, TEXTS)
    | st.builds(Unanswered, TEXTS, st.booleans())
)
def test_an_outcome_survives_the_way(outcome: Outcome) -> None:
    assert m.outcome_from_body(through_json(m.outcome_to_body(outcome))) == outcome


@settings(max_examples=40, deadline=None)
@given(answer=st.builds(Known, st.lists(values_of(Position), max_size=3).map(tuple)) | st.builds(Unknown, TEXTS))
def test_an_answer_survives_the_way_and_confirmed_empty_stays_known(answer: Answer[tuple[Position, ...]]) -> None:
    body = through_json(POSITIONS.plain(answer))

    assert POSITIONS.read(body) == answer


GOOD_ORDER = {
    "kind": "order",
    "id": "k2f4-1-1-1",
    "contract": "ESH24",
    "side": "buy",
    "quantity": 1,
    "type": "limit",
    "role": "entry",
    "limit": "4500.25",
    "stop": None,
    "time_in_force": "day",
}


def test_the_form_on_the_wire_is_what_other_versions_rely_on() -> None:
    request = OrderRequest(
        "k2f4-1-1-1",
        Contract("ES", 2024, 3),
        Side.BUY,
        m.request_from_body(GOOD_ORDER).quantity,  # type: ignore[union-attr]
        OrderType.LIMIT,
        OrderRole.ENTRY,
        limit=m.request_from_body(GOOD_ORDER).limit,  # type: ignore[union-attr]
    )

    assert m.request_to_body(request) == GOOD_ORDER
    assert request.limit == Decimal("4500.25")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"side": "hold"}, "order request: side: expected one of buy, sell, found 'hold'"),
        ({"side": ["buy"]}, "order request: side: expected one of buy, sell, found ['buy']"),
        ({"quantity": 0}, "order request: quantity: expected a whole number, 1 or more, found 0"),
        ({"quantity": True}, "order request: quantity: expected a whole number, 1 or more, found True"),
        ({"quantity": 1.0}, "order request: quantity: expected a whole number, 1 or more, found 1.0"),
        ({"limit": 4500.25}, "order request: limit: expected a decimal number as text, found 4500.25"),
        ({"limit": "NaN"}, "order request: limit: expected a decimal number as text, found 'NaN'"),
        ({"limit": "1e3"}, "order request: limit: expected a decimal number as text, found '1e3'"),
        ({"limit": "1_0"}, "order request: limit: expected a decimal number as text, found '1_0'"),
        ({"limit": "4500\n"}, "order request: limit: expected a decimal number as text, found '4500\\n'"),
        ({"limit": None}, "order request: a limit order needs a limit price"),
        ({"type": "stop"}, "order request: a stop order needs a stop price"),
        ({"type": "stop_limit"}, "order request: a stop_limit order needs a stop price"),
        ({"contract": "ES"}, "order request: contract: expected a contract code, as ESH24, found 'ES'"),
        ({"id": None}, "order request: id: expected a text, found None"),
        ({"kind": "wish"}, "request: kind: expected order or bracket, found 'wish'"),
        ({"kind": "bracket"}, "bracket request: entry is missing"),
    ],
)
def test_a_malformed_request_is_refused_in_one_clear_line(change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadMessage) as refused:
        m.request_from_body(GOOD_ORDER | change)

    assert str(refused.value) == told


@pytest.mark.parametrize("key", sorted(set(GOOD_ORDER) - {"kind"}))
def test_no_key_of_a_request_may_be_missing(key: str) -> None:
    body = {name: value for name, value in GOOD_ORDER.items() if name != key}

    with pytest.raises(BadMessage, match=f"order request: {key} is missing"):
        m.request_from_body(body)


def test_a_bracket_without_a_stop_loss_is_refused() -> None:
    with pytest.raises(BadMessage, match="stop_loss is missing"):
        m.request_from_body({"kind": "bracket", "entry": GOOD_ORDER})
    with pytest.raises(BadMessage, match="stop_loss: expected an object"):
        m.request_from_body({"kind": "bracket", "entry": GOOD_ORDER, "stop_loss": None})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"outcome": "perhaps"},
        {"outcome": "accepted"},
        {"outcome": "refused"},
        {"outcome": "accepted", "broker_ids": {"a": 1}},
    ],
)
def test_an_outcome_that_cannot_be_read_is_neither_yes_nor_no(body: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        m.outcome_from_body(body)


def test_an_unanswered_outcome_was_sent_unless_it_says_not() -> None:
    assert m.outcome_from_body({"outcome": "unanswered", "reason": "cut"}) == Unanswered("cut", was_sent=True)


@pytest.mark.parametrize("body", [{}, {"known": [], "unknown": "x"}, {"known": {}}, {"known": None}, {"known": [1]}])
def test_an_answer_that_cannot_be_read_is_never_empty(body: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        POSITIONS.read(body)


@settings(max_examples=150, deadline=None)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                TEXTS | st.sampled_from([*GOOD_ORDER, "entry", "stop_loss", "known", "outcome"]), inner, max_size=5
            )
        ),
        max_leaves=8,
    )
)
def test_garbage_is_refused_and_never_raises_anything_else(body: Any) -> None:
    decoders = [decode for _, _, decode in PLAIN] + [
        m.request_from_body,
        m.outcome_from_body,
        m.bracket_request_from_body,
    ]
    for decode in decoders:
        with pytest.raises(BadMessage):
            decode(body)


def test_a_candle_tells_whose_it_is_and_more_keys_do_no_harm() -> None:
    candle = Candle(*(m.candle_from_body(FORMING).__getattribute__(field.name) for field in fields(Candle)))

    assert m.candle_to_body(candle, "ESH24", 5, is_history=True) == FORMING
    assert m.candle_from_body(FORMING | {"news": 1}) == candle


FORMING = {
    "contract": "ESH24",
    "minutes": 5,
    "opened_at": 1_700_000_000_000_000_000,
    "closed_at": 1_700_000_300_000_000_000,
    "open": 4500.0,
    "high": 4501.25,
    "low": 4499.5,
    "close": 4500.75,
    "volume": 1200,
    "ticks": 311,
    "closed": False,
    "history": True,
}


@pytest.mark.parametrize(("key", "value"), [("close", None), ("close", "4500"), ("volume", -1), ("closed", 0)])
def test_a_malformed_candle_is_refused(key: str, value: Any) -> None:
    with pytest.raises(BadMessage, match=f"candle: {key}: expected"):
        m.candle_from_body(FORMING | {key: value})

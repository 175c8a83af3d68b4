"""A type is the form of a message: what is written is read as the same value, and what does not fit is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from tradeproc.bus.codec import Unencodable, decode_body, encode_body
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import Accepted, ListedPosition, UnreadableRecord
from tradeproc.domain.instruments import Contract
from tradeproc.domain.units import Contracts, Nanos, Price
from tradeproc.protocol.codec import BadMessage, Codec
from tradeproc.protocol.derived import is_direct
from tradeproc.protocol.names import ProcessName
from tradeproc.protocol.scopes import HOST, Scope


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    price: Price
    more: tuple[Price, ...] = ()
    named: Mapping[str, Price] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Everything:
    """One of each kind of field that the quick reader knows."""

    text: str
    at: Nanos
    colour: Colour
    word: Literal["up", "down"]
    process: ProcessName
    scope: Scope
    count: Annotated[Contracts, Meta(ge=1)]
    inner: Inner
    price: Price | None = None
    mixed: str | int | None = None
    flag: bool = False
    number: float = 0.0


@dataclass(frozen=True, slots=True)
class WithContract:
    """One that only the exact reader knows."""

    contract: Contract
    listed: tuple[ListedPosition, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """One that is read quickly but for one field."""

    contract: Contract
    price: Price
    names: tuple[str, ...] = ("a",)


QUICK = Codec(Everything)
PARTS = Codec(Parts)
EXACT = Codec(WithContract)
VALUE = Everything(
    "ü",
    Nanos(7),
    Colour.BLUE,
    "up",
    ProcessName("core.keeper"),
    HOST,
    Contracts(2),
    Inner(Price(Decimal("1E+3")), (Price(Decimal("0.5")),), {"a": Price(Decimal(1))}),
)
PLAIN: dict[str, Any] = {
    "text": "ü",
    "at": 7,
    "colour": "blue",
    "word": "up",
    "process": "core.keeper",
    "scope": "host",
    "count": 2,
    "inner": {"price": "1000", "more": ["0.5"], "named": {"a": "1"}},
    "price": None,
    "mixed": None,
    "flag": False,
    "number": 0.0,
}


def sent(codec: Codec[Any], value: Any) -> Any:
    return decode_body(encode_body(codec.write(value)))


def test_the_quick_and_the_exact_way_are_both_tried_here() -> None:
    assert is_direct(Everything)
    assert not is_direct(WithContract)


def test_a_value_is_written_in_its_plain_form_and_read_as_the_same() -> None:
    assert sent(QUICK, VALUE) == PLAIN == QUICK.plain(VALUE)
    assert QUICK.read(PLAIN) == VALUE
    assert type(QUICK.read(PLAIN).process) is ProcessName


def test_a_value_of_others_parts_is_written_in_its_plain_form_and_read_as_the_same() -> None:
    position = Position("A", "ESH24", Contracts(-1), Price(Decimal("4750.25")))
    value = WithContract(Contract("ES", 2024, 3), (position, UnreadableRecord("", "A", "ESH24", "torn")))

    assert sent(EXACT, value) == {
        "contract": "ESH24",
        "listed": [
            {"account": "A", "contract": "ESH24", "quantity": -1, "average": "4750.25"},
            {"broker_id": "", "account": "A", "contract": "ESH24", "unreadable": "torn", "is_unlisted": False},
        ],
    }
    assert EXACT.read(sent(EXACT, value)) == value


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"text": None}, "text: expected a text, found None"),
        ({"at": 1.0}, "at: expected a whole number, found 1.0"),
        ({"at": True}, "at: expected a whole number, found True"),
        ({"colour": "green"}, "colour: expected one of red, blue, found 'green'"),
        ({"colour": "\ud800"}, "colour: expected one of red, blue, found '\\ud800'"),
        ({"at": "\ud800"}, "at: expected a whole number, found '\\ud800'"),
        ({"word": "left"}, "word: expected one of up, down, found 'left'"),
        (
            {"scope": "galaxy"},
            "scope: expected host, login:<name>, portfolio:<name> or session:<number>, found 'galaxy'",
        ),
        ({"count": 0}, "count: expected a whole number, 1 or more, found 0"),
        ({"inner": []}, "inner: expected an object, found []"),
        ({"inner": {}}, "inner.price is missing"),
        ({"inner": {"price": "NaN"}}, "inner.price: expected a decimal number as text, found 'NaN'"),
        ({"inner": {"price": 1}}, "inner.price: expected a decimal number as text, found 1"),
        ({"inner": {"price": "1", "more": ["inf"]}}, "inner.more[0]: expected a decimal number as text, found 'inf'"),
        (
            {"inner": {"price": "1", "named": {"a": "1e3"}}},
            "inner.named.'a': expected a decimal number as text, found '1e3'",
        ),
        ({"price": "Infinity"}, "price: expected a decimal number as text, found 'Infinity'"),
        ({"price": 1.5}, "price: expected a decimal number as text, found 1.5"),
        ({"mixed": []}, "mixed: expected a text or a whole number, found []"),
        ({"flag": 1}, "flag: expected true or false, found 1"),
        ({"number": "1"}, "number: expected a number, found '1'"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadMessage) as refused:
        QUICK.read(PLAIN | change)

    assert str(refused.value) == f"everything: {told}"


def test_a_place_within_a_list_is_told() -> None:
    with pytest.raises(BadMessage) as refused:
        EXACT.read(
            {"contract": "ESH24", "listed": [{"account": "A", "contract": "E", "quantity": "1", "average": None}]}
        )

    assert str(refused.value) == "with contract: listed[0].quantity: expected a whole number, found '1'"


def test_what_has_a_default_may_be_missing_and_what_nobody_knows_is_ignored() -> None:
    short = {key: value for key, value in PLAIN.items() if key not in ("price", "mixed", "flag", "number")}

    assert QUICK.read(short | {"news": [1]}) == VALUE


def test_the_fields_of_a_record_that_is_read_in_parts_may_be_missing_too_and_are_named_when_they_do_not_fit() -> None:
    plain = {"contract": "ESH24", "price": "0.5", "news": 1}

    assert PARTS.read(plain) == Parts(Contract("ES", 2024, 3), Price(Decimal("0.5")))
    for change, told in (
        ({"contract": "E"}, "contract: expected a contract code, as ESH24, found 'E'"),
        ({"price": "NaN"}, "price: expected a decimal number as text, found 'NaN'"),
        ({"names": [1]}, "names[0]: expected a text, found 1"),
    ):
        with pytest.raises(BadMessage) as refused:
            PARTS.read(plain | change)
        assert str(refused.value) == f"parts: {told}"


def test_what_must_be_complete_is_not_completed_from_defaults() -> None:
    with pytest.raises(BadMessage, match="accepted: broker_ids is missing"):
        Codec(Accepted).read({"outcome": "accepted"})


def test_a_number_beyond_64_bits_is_not_written() -> None:
    with pytest.raises(Unencodable):
        encode_body(QUICK.write(Everything("", Nanos(2**70), *[getattr(VALUE, name) for name in list(PLAIN)[2:]])))


def test_half_a_character_is_replaced() -> None:
    value = Everything("\ud800", *[getattr(VALUE, name) for name in list(PLAIN)[1:]])

    assert sent(QUICK, value) == PLAIN | {"text": "\ufffd"}


PLACES: Codec[Answer[tuple[Position, ...]]] = Codec(Answer[tuple[Position, ...]], "answer")


def test_an_answer_is_known_or_unknown_and_confirmed_empty_stays_known() -> None:
    assert sent(PLACES, Known(())) == {"known": []}
    assert PLACES.read({"known": []}) == Known(())
    assert PLACES.read({"unknown": "why"}) == Unknown("why")


@pytest.mark.parametrize("body", [{}, {"known": [], "unknown": "x"}, {"known": {}}, {"known": [1]}, [], None])
def test_an_answer_that_cannot_be_read_is_never_empty(body: Any) -> None:
    with pytest.raises(BadMessage):
        PLACES.read(body)


@settings(max_examples=200, deadline=None)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(PLAIN)), inner, max_size=9),
        max_leaves=9,
    )
)
def test_garbage_is_refused_and_never_raises_anything_else(body: Any) -> None:
    for codec in (QUICK, EXACT, PLACES):
        with pytest.raises(BadMessage):
            codec.read(body)


def test_a_type_of_which_nobody_said_how_it_travels_is_noticed_on_import() -> None:
    @dataclass(frozen=True)
    class Strange:
        thing: complex

    with pytest.raises(TypeError, match="complex"):
        Codec(Strange)


def test_what_is_sent_is_json() -> None:
    assert orjson.loads(encode_body(QUICK.write(VALUE))) == PLAIN

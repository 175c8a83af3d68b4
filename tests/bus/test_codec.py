"""What travels comes out as it went in; anything else is refused and nothing else happens."""

import contextlib
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.bus.codec import (
    BadFrames,
    Envelope,
    ReplyStatus,
    Request,
    WireReply,
    decode_body,
    decode_published,
    decode_reply,
    decode_request,
    encode_body,
    encode_published,
    encode_reply,
    encode_request,
)
from tradeproc.protocol.names import KEEPER
from tradeproc.protocol.scopes import of_session

WORDS = st.text(max_size=20)
NUMBERS = st.integers(0, 2**64 - 1)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(WORDS, VALUES, max_size=4)


@settings(max_examples=60)
@given(topic=WORDS, epoch=NUMBERS, sequence=NUMBERS, sent_at=NUMBERS, body=BODIES)
def test_a_published_message_comes_out_as_it_went_in(
    topic: str, epoch: int, sequence: int, sent_at: int, body: dict[str, Any]
) -> None:
    frames = encode_published(topic.encode(), epoch, sequence, sent_at, body)

    assert decode_published("core.a", frames) == Envelope("core.a", topic, epoch, sequence, sent_at, body)


@settings(max_examples=60)
@given(number=NUMBERS, budget=NUMBERS, sent_at=NUMBERS, machine=NUMBERS, method=WORDS, body=BODIES)
def test_a_request_comes_out_as_it_went_in(
    number: int, budget: int, sent_at: int, machine: int, method: str, body: dict[str, Any]
) -> None:
    request = Request(number, budget, sent_at, machine, method, body)

    assert decode_request(encode_request(request)) == request


@settings(max_examples=60)
@given(status=st.sampled_from(ReplyStatus), number=NUMBERS, body=BODIES)
def test_a_reply_comes_out_as_it_went_in(status: ReplyStatus, number: int, body: dict[str, Any]) -> None:
    assert decode_reply(encode_reply(status, number, body)) == WireReply(status, number, body)


ODD = st.text(st.characters(codec=None), max_size=20)


@settings(max_examples=60)
@given(body=st.dictionaries(ODD, ODD | NUMBERS | st.lists(ODD), max_size=4))
def test_a_message_with_what_json_cannot_hold_goes_out_all_the_same(body: dict[str, Any]) -> None:
    """A halt whose reason has half a surrogate pair in it is a halt."""
    request = Request(1, 2, 3, 4, "halt", {"scope": "host", **body})

    told = decode_request(encode_request(request)).body

    assert told.keys() >= {key for key in request.body if key.isascii() and "\0" not in key}
    assert decode_reply(encode_reply(ReplyStatus.ANSWERED, 1, body)).status is ReplyStatus.ANSWERED
    assert decode_published("p", encode_published(b"t", 1, 2, 3, body)).topic == "t"


GOOD = st.sampled_from(
    [
        *encode_published(b"t", 1, 1, 1, {}),
        *encode_request(Request(1, 1, 1, 1, "m", {})),
        *encode_reply(ReplyStatus.ANSWERED, 1, {}),
    ]
)


@settings(max_examples=200)
@given(frames=st.lists(st.binary(max_size=40) | GOOD, max_size=5))
def test_garbage_is_refused_and_never_raises_anything_else(frames: list[bytes]) -> None:
    for decode in (lambda f: decode_published("p", f), decode_request, decode_reply):
        with contextlib.suppress(BadFrames):
            decode(frames)


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b"{", b"\xff"])
def test_a_body_must_be_an_object(body: bytes) -> None:
    topic, told = encode_published(b"t", 1, 1, 1, {})

    with pytest.raises(BadFrames):
        decode_published("p", [topic, told.removesuffix(b"{}") + body])


def test_another_version_is_refused() -> None:
    topic, told = encode_published(b"t", 1, 1, 1, {})

    with pytest.raises(BadFrames, match="version 2"):
        decode_published("p", [topic, b"\x02" + told[1:]])


def test_names_of_processes_travel_as_texts_also_as_keys() -> None:
    told = {KEEPER: {"beside": [KEEPER, of_session(7)]}}

    assert decode_body(encode_body(told)) == {"core.keeper": {"beside": ["core.keeper", "session:7"]}}


def test_numbers_of_numpy_are_written_as_numbers_wherever_they_stand() -> None:
    body = {"price": np.float64(1.5), "size": np.int64(3), "is_up": np.bool_(True), "many": [np.float32(0.5)]}

    assert encode_body(body) == b'{"price":1.5,"size":3,"is_up":true,"many":[0.5]}'
    assert encode_body({**body, "odd": "\ud800"}).startswith(b'{"price":1.5,"size":3,')


def test_writing_messages_loads_no_numpy() -> None:
    """It is 10 MB in each process, and most have no numbers of it."""
    text = (
        "import sys\nfrom decimal import Decimal\nfrom tradeproc.bus.codec import encode_body\n"
        "print(encode_body({'price': Decimal('1.50'), 'more': (1, 2)}), 'numpy' in sys.modules)"
    )

    told = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=120)

    assert told.stdout.strip() == f"{encode_body({'price': Decimal('1.50'), 'more': (1, 2)})!r} False"

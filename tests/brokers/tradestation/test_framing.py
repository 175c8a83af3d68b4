import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.brokers.tradestation.examples import PATIENT
from tradeproc.brokers.tradestation.framing import Framer

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
objects = st.lists(st.dictionaries(st.text('ab"\\{}é', max_size=4), values, max_size=4), max_size=5)


@PATIENT
@given(
    objects,
    st.sampled_from(["", "\n", "\r\n", "\n\n \n"]),
    st.booleans(),
    st.none() | st.just(1),
    st.lists(st.integers(1, 9), min_size=1, max_size=8),
)
def test_objects_come_out_whole_wherever_the_bytes_were_cut(
    told: list[dict[str, Any]], separator: str, is_ascii: bool, indent: int | None, sizes: list[int]
) -> None:
    texts = [json.dumps(one, ensure_ascii=is_ascii, indent=indent) + separator for one in told]
    raw, framer, found = "".join(texts).encode(), Framer(), []

    position, turn = 0, 0
    while position < len(raw):
        size = sizes[turn % len(sizes)]
        found += framer.feed(raw[position : position + size])
        position, turn = position + size, turn + 1

    assert found == told
    assert not framer.has_rest
    assert not framer.trouble


@PATIENT
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_bytes_at_all_make_it_raise(chunks: list[bytes]) -> None:
    framer = Framer()

    for chunk in chunks:
        assert all(isinstance(one, dict) for one in framer.feed(chunk))


@pytest.mark.parametrize(
    "garbage", [b"EX_INVALID_SYMBOL\n", b'{"a":,}\n', b"<html>", b"[1]", b"\xff\xfe", b'{"a":\xff}']
)
def test_garbage_ends_it_behind_the_last_good_object(garbage: bytes) -> None:
    framer = Framer()

    assert framer.feed(b'{"a":1}\n' + garbage + b'{"b":2}\n') == [{"a": 1}]
    assert "no JSON" in framer.trouble
    assert framer.feed(b'{"c":3}\n') == []


def test_an_object_that_never_ends_is_given_up() -> None:
    framer = Framer()

    for _ in range(20):
        framer.feed(b'{"a":"' + b"x" * 100_000)

    assert framer.trouble


def test_a_cut_in_the_middle_shows() -> None:
    framer = Framer()

    framer.feed(b'{"a":1}\n{"b"')

    assert framer.has_rest

"""Whatever a text or a value is, it can be encoded and stored afterwards, and nothing else about it changes."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.texts import is_storable, storable, storable_value

TEXTS = st.text(st.characters(codec=None))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(TEXTS)
def test_a_text_can_be_stored_afterwards_and_keeps_all_other_characters(text: str) -> None:
    kept = storable(text)

    assert is_storable(kept)
    assert kept.encode().decode() == kept
    assert len(kept) == len(text)
    changed = [old for old, new in zip(text, kept, strict=True) if old != new]
    assert all(old == "\x00" or "\ud800" <= old <= "\udfff" for old in changed)


def test_only_what_nobody_can_hold_is_replaced() -> None:
    assert storable("Grüße \U0001f600 \t\n \x1b") == "Grüße \U0001f600 \t\n \x1b"
    assert storable("a\x00b\ud800c") == "a�b�c"


@given(VALUES)
def test_every_value_can_be_encoded_afterwards(value: Any) -> None:
    assert b"\\u0000" not in orjson.dumps(storable_value(value)).replace(b"\\\\", b"")

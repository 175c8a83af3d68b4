"""Which values share a place in a message, and how the reader tells them apart; pure.

A tag is a key of its own, as `{"kind": "bracket", …}`. A mark is a key that stands for one of the value's fields, as
`{"unknown": reason}`: an answer is known or unknown by the key that is there.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.broker_orders import (
    Accepted,
    BracketRequest,
    OrderRequest,
    Refused,
    Unanswered,
    UnreadableRecord,
)
from tradeproc.domain.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Tag:
    """A key that is written beside the fields, with the word for this kind of value."""

    key: str
    word: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The key under which one field is written; only this kind of value has that key."""

    field: str
    key: str


TAGS: Final[Mapping[type[Any], Tag]] = {
    OrderRequest: Tag("kind", "order"),
    BracketRequest: Tag("kind", "bracket"),
    Accepted: Tag("outcome", "accepted"),
    Refused: Tag("outcome", "refused"),
    Unanswered: Tag("outcome", "unanswered"),
}

MARKS: Final[dict[type[Any], Mark]] = {
    Known: Mark("value", "known"),
    Unknown: Mark("reason", "unknown"),
    UnreadableRecord: Mark("reason", "unreadable"),
}


def marked(kind: type[Any], field: str, key: str) -> None:
    """Let `key` stand for a `field` of a kind of value in messages; call it before the kind is first used in one."""
    MARKS[kind] = Mark(field, key)


COMPLETE: Final[frozenset[type[Any]]] = frozenset({OrderRequest, Accepted})
"""Values of which no key may be left out: an order is never completed from defaults that its sender did not mean."""


def _priced(request: OrderRequest) -> str:
    kind = request.type
    if request.limit is None and kind.has_limit:
        return f"a {kind.value} order needs a limit price"
    if request.stop is None and kind.has_stop:
        return f"a {kind.value} order needs a stop price"
    return ""


CHECKS: Final[Mapping[type[Any], Callable[[Any], str]]] = {OrderRequest: _priced}
"""Checks beyond the types of fields: each returns what is wrong with a value, or an empty text."""

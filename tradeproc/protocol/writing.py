"""How typed values become plain ones that JSON can hold, derived from the types; pure.

Decimals are written as plain decimal texts, contracts as their codes, enums as their values. Most records need no
writer: `is_direct` tells those that the encoder of JSON writes as they are.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from tradeproc.domain.instruments import Contract
from tradeproc.protocol.derived import is_direct
from tradeproc.protocol.variants import MARKS, TAGS

_AS_THEY_ARE: Final = frozenset({str, int, float, bool, type(None)})


def plain_default(value: Any) -> Any:
    """Return what the encoder of JSON writes for a value that it does not know.

    Raises:
        TypeError: it is no value of ours.
    """
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__}: nobody has said how such values travel")


def write(value: Any) -> Any:
    """Return what the encoder of JSON gets: records that it writes as they are stay what they are."""
    kind: Any = type(value)
    if hasattr(kind, "__dataclass_fields__") and is_direct(kind):
        return value
    return _form(value, write)


def plain(value: Any) -> Any:
    """Return the plain form of a value: objects, lists, texts and numbers only."""
    return _form(value, plain)


def _form(value: Any, inner: Callable[[Any], Any]) -> Any:
    kind = type(value)
    # the usual ones first: whether something is a mapping is a slow question
    if kind in _AS_THEY_ARE:
        return value
    if kind is Decimal:
        return format(value, "f")
    if kind is Contract:
        return value.code
    if hasattr(kind, "__dataclass_fields__"):
        return _record(value, inner)
    match value:
        case StrEnum():
            return value.value
        case str():
            return str(value)
        case list() | tuple():
            return [inner(each) for each in value]
        case Mapping():
            return {str(key) if isinstance(key, str) else key: inner(each) for key, each in value.items()}
        case _:
            return value


def _record(value: Any, inner: Callable[[Any], Any]) -> dict[str, Any]:
    kind: Any = type(value)
    tag, mark = TAGS.get(kind), MARKS.get(kind)
    body = {} if tag is None else {tag.key: tag.word}
    for name in _names(kind):
        key = mark.key if mark is not None and mark.field == name else name
        body[key] = inner(getattr(value, name))
    return body


@functools.cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))

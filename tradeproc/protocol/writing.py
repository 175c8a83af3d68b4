"""How typed values become plain ones that JSON can hold, derived from the types; pure.

Decimals are written as plain decimal texts, contracts as their codes, enums as their values. `write` leaves what the
encoder of JSON knows how to write, and what `plain_default` tells it; `plain` leaves nothing.
"""

import functools
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from tradeproc.domain.instruments import Contract
from tradeproc.protocol.derived import hints
from tradeproc.protocol.variants import MARKS, TAGS

Write = Callable[[Any], Any]

_AS_THEY_ARE: Final = frozenset({str, int, float, bool, type(None)})


def plain_default(value: Any) -> Any:
    """Return what the encoder of JSON writes for a value that it does not know: a Decimal, or a number of numpy.

    orjson would write numpy's numbers by itself, but loads numpy for it, also where none ever comes: 10 MB a process.

    Raises:
        TypeError: it is no value of ours.
    """
    if type(value) is Decimal:
        return format(value, "f")
    if type(value).__module__ == "numpy":
        return value.tolist()
    raise TypeError(f"{type(value).__name__}: nobody has said how such values travel")


# --- for the encoder of JSON: records become objects, their scalars stay


def write(value: Any) -> Any:
    """Return what the encoder of JSON gets: each record as an object whose texts, numbers and enums stay as they are.

    The encoder could write a dataclass too, but needs three times as long for it as for an object.
    """
    kind: Any = type(value)
    return _writer(kind)(value)


@functools.cache
def _writer(kind: Any) -> Write:
    if kind is Contract:
        return attrgetter("code")
    if is_dataclass(kind):
        return _record_writer(kind)
    if issubclass(kind, list | tuple):
        return lambda values: [write(each) for each in values]
    if issubclass(kind, Mapping):
        return lambda values: {_key(key): write(each) for key, each in values.items()}
    return lambda value: value


def _record_writer(kind: Any) -> Write:
    """Return a function with the fields of a record written out: a loop over them takes four times as long."""
    tag, types_of = TAGS.get(kind), hints(kind)
    parts = [] if tag is None else [f"{tag.key!r}: {tag.word!r}"]
    for name in _names(kind):
        found = f"value.{name}"
        parts.append(f"{_key_of(kind, name)!r}: {f'write({found})' if _holds_records(types_of[name]) else found}")
    # all of the text are names of fields of our own classes, and keys of our own tables
    made: Write = eval(f"lambda value: {{{', '.join(parts)}}}", {"write": write})  # noqa: S307
    return made


def _holds_records(hint: Any) -> bool:
    """Tell whether values of a type may have records or contracts within, which the encoder is not to see."""
    if hasattr(hint, "__supertype__"):
        return _holds_records(hint.__supertype__)
    origin = get_origin(hint)
    if origin is Annotated:
        return _holds_records(hint.__origin__)
    if origin in (Union, types.UnionType, Mapping, dict, tuple, list, Sequence):
        return any(map(_holds_records, get_args(hint)))
    return isinstance(hint, TypeVar) or is_dataclass(origin or hint)


# --- plain altogether


def plain(value: Any) -> Any:
    """Return the plain form of a value: objects, lists, texts and numbers only."""
    kind = type(value)
    # the usual ones first: whether something is a mapping is a slow question
    if kind in _AS_THEY_ARE:
        return value
    if kind is Decimal:
        return format(value, "f")
    if is_dataclass(kind):
        return plain(write(value))
    match value:
        case StrEnum():
            return value.value
        case str():
            return str(value)
        case list() | tuple():
            return [plain(each) for each in value]
        case Mapping():
            return {_key(key): plain(each) for key, each in value.items()}
        case _:
            return value


def _key(key: Any) -> Any:
    return str(key) if isinstance(key, str) else key


def _key_of(kind: type[Any], name: str) -> str:
    mark = MARKS.get(kind)
    return mark.key if mark is not None and mark.field == name else name


@functools.cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))

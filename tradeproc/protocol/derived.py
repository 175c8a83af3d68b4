"""What the derived readers and writers ask of a type; pure."""

import functools
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, is_dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from tradeproc.domain.instruments import Contract
from tradeproc.protocol.variants import CHECKS, COMPLETE, MARKS, TAGS


def hints(kind: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields; those of a generic one with its arguments filled in."""
    origin = get_origin(kind) or kind
    found = get_type_hints(origin, include_extras=True)
    given: dict[Any, Any] = dict(zip(getattr(origin, "__parameters__", ()), get_args(kind), strict=False))
    return {name: given.get(hint, hint) if isinstance(hint, TypeVar) else hint for name, hint in found.items()}


def is_optional(field: "Field[Any]", kind: Any) -> bool:
    """Tell whether a field may be left out: it has a default, and its record is not one that must be complete."""
    has_default = field.default is not MISSING or field.default_factory is not MISSING
    return has_default and (get_origin(kind) or kind) not in COMPLETE


def in_words(kind: Any) -> str:
    """Return the name of a type as people read it: `broker order` for `BrokerOrder`."""
    name: str = getattr(get_origin(kind) or kind, "__name__", str(kind))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower().removesuffix(" body")


@functools.cache
def is_direct(kind: Any) -> bool:
    """Tell whether every value of a type is read field by field, with no tag, mark or code instead of a field."""
    origin = get_origin(kind)
    if hasattr(kind, "__supertype__"):
        return is_direct(kind.__supertype__)
    if origin is Annotated:
        return is_direct(kind.__origin__)
    if origin in (Union, types.UnionType, Mapping, dict, tuple, list, Sequence):
        arguments = [each for each in get_args(kind) if each not in (types.NoneType, ...)]
        records = [each for each in arguments if is_dataclass(get_origin(each) or each)]
        return len(records) < 2 and all(map(is_direct, arguments))
    record = origin or kind
    if not is_dataclass(record):
        # what stands for a type that is told later may be anything
        return not isinstance(kind, TypeVar)
    if record is Contract or any(record in table for table in (TAGS, MARKS, CHECKS, COMPLETE)):
        return False
    return all(map(is_direct, hints(kind).values()))

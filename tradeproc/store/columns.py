"""Which column holds which field: how values become rows and rows become values, read off their dataclasses.

A field lies in the column of its own name, except those of `COLUMN_NAMES`. A value within a value has its columns in
the same row; an optional one is None when all of its columns are null. So a new field needs its column in a migration
and in the statements of `queries/*.sql`, and nothing else: `tests/store/test_columns.py` finds what is missing.
"""

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.orders import Order
from tradeproc.domain.portfolio import PortfolioSpec
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import plain
from tradeproc.store.rows import Acknowledgement

T = TypeVar("T")
Row = Mapping[str, Any]
Values = dict[str, Any]
Convert = Callable[[Any], Any]

COLUMN_NAMES: Mapping[type, Mapping[str, str]] = {
    Order: {"limit": "limit_ticks", "stop": "stop_ticks"},
    Acknowledgement: {"at": "acknowledged_at", "by": "acknowledged_by", "reason": "acknowledged_reason"},
}
"""The columns that are not called like their field."""

_DIGITS = "{:f}".format
_CONVERSIONS: Mapping[type, tuple[Convert, Convert] | None] = {
    int: None,
    str: None,
    bool: None,
    dict: None,
    Decimal: (plain, _DIGITS),
    PortfolioSpec: (PortfolioSpec.from_dict, PortfolioSpec.to_dict),
    SessionSpec: (SessionSpec.from_dict, SessionSpec.to_dict),
}
"""How a field of a type comes out of its column and goes into it; None: as it is."""


def value_of(kind: type[T], row: Row) -> T:
    """Return the value that a row holds; columns that no field of `kind` has are left out.

    Raises:
        TypeError: a field is of a type that no column holds.
    """
    any_kind: type = kind
    return typing.cast(T, _reader(any_kind)(row))


def row_of(value: object) -> Values:
    """Return the columns of a value as JSON can hold them; an amount is a text of its digits.

    Raises:
        TypeError: a field is of a type that no column holds.
    """
    kind: type = type(value)
    return _writer(kind)(value)


def columns_of(kind: type) -> tuple[str, ...]:
    """Return the columns that hold the fields of a value, in the order of the fields."""
    return tuple(leaf.column for _, leaf in _paths(kind, ""))


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A field: its column, its type without `None` and without the name of its unit, and if it is a value itself."""

    field: str
    column: str
    kind: type
    is_optional: bool
    is_within: bool


@cache
def _leaves(kind: type) -> tuple[_Leaf, ...]:
    hints, names, found = typing.get_type_hints(kind), COLUMN_NAMES.get(kind, {}), []
    for field in fields(kind):
        bare, is_optional = _bare(hints[field.name])
        is_within = is_dataclass(bare) and bare not in _CONVERSIONS
        found.append(_Leaf(field.name, names.get(field.name, field.name), bare, is_optional, is_within))
    return tuple(found)


def _bare(hint: Any) -> tuple[type, bool]:
    """Return the type of a field without `None`, units and type arguments, and whether it may be None."""
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    options = [option for option in typing.get_args(hint) if option is not type(None)] if is_union else [hint]
    found = options[0]
    while isinstance(found, typing.NewType):
        found = found.__supertype__
    return typing.get_origin(found) or found, is_union


@cache
def _reader(kind: type) -> Callable[[Row], Any]:
    parts = [_part(leaf) for leaf in _leaves(kind)]

    def read(row: Row) -> Any:
        return kind(*[part(row) for part in parts])

    return read


def _part(leaf: _Leaf) -> Callable[[Row], Any]:
    """Return what reads one field out of a row."""
    if leaf.is_within:
        read, columns = _reader(leaf.kind), columns_of(leaf.kind)
        if not leaf.is_optional:
            return read
        return lambda row: None if all(row[column] is None for column in columns) else read(row)
    column, conversion = leaf.column, _conversion(leaf.kind)
    if conversion is None:
        return lambda row: row[column]
    convert, _ = conversion
    return lambda row: None if row[column] is None else convert(row[column])


def _conversion(kind: type) -> tuple[Convert, Convert] | None:
    if kind in _CONVERSIONS:
        return _CONVERSIONS[kind]
    if issubclass(kind, Enum):
        return kind, attrgetter("value")
    raise TypeError(f"no column holds a {kind.__name__}")


@cache
def _writer(kind: type) -> Callable[[Any], Values]:
    """Return a function with the columns of a value written out: a loop over them takes four times as long."""
    parts, known = [], {}
    for number, (path, leaf) in enumerate(_paths(kind, "")):
        conversion, written = _conversion(leaf.kind), f"value.{path}"
        if conversion is not None:
            known[f"convert_{number}"] = conversion[1]
            written = f"None if (found := {written}) is None else convert_{number}(found)"
        parts.append(f"{leaf.column!r}: {written}")
    # all of the text are names of fields of our own classes, and columns of our own tables
    made: Callable[[Any], Values] = eval(f"lambda value: {{{', '.join(parts)}}}", known)  # noqa: S307
    return made


def _paths(kind: type, before: str) -> list[tuple[str, _Leaf]]:
    """Return the fields of a value and of the values within it, each with the path to it."""
    found = []
    for leaf in _leaves(kind):
        path = before + leaf.field
        found += _paths(leaf.kind, path + ".") if leaf.is_within else [(path, leaf)]
    return found

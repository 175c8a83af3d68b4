"""How values become records and back by a table of fields, for the books that the broker keeps on disk.

It stands apart from `protocol/codec.py`, which derives the form of a message from a type, because what lies on disk
outlives versions: a field that is added or renamed is noticed here, when the module of the table is imported.

Decimals are plain decimal texts, enums their values, moments and counts whole numbers. Reading refuses what does not
fit with one line; keys it does not know are ignored.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar

from tradeproc.errors import Refusal
from tradeproc.protocol.codec import BadMessage
from tradeproc.protocol.reading import shown

T = TypeVar("T")
Body = dict[str, Any]

# as long as any number that a broker's adapter reads; what the sender takes, the receiver must not refuse
_DECIMAL = re.compile(r"-?\d{1,40}(\.\d{1,100})?", re.ASCII)


class UnfitField(Refusal):
    """What was expected instead; never leaves this module's callers, which add where it stood."""


@dataclass(frozen=True, slots=True)
class Form:
    """How one kind of field is written and read; `read` raises `UnfitField`."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _read_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise UnfitField("a text")


def _read_whole(value: Any) -> int:
    if type(value) is int:
        return value
    raise UnfitField("a whole number")


def _read_count(value: Any) -> int:
    if type(value) is int and value >= 0:
        return value
    raise UnfitField("a whole number, 0 or more")


def _read_flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise UnfitField("true or false")


def _write_decimal(value: Decimal) -> str:
    return format(value, "f")


def _read_decimal(value: Any) -> Decimal:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    raise UnfitField("a decimal number as text")


TEXT = Form(_same, _read_text)
WHOLE = Form(_same, _read_whole)
COUNT = Form(_same, _read_count)
FLAG = Form(_same, _read_flag)
DECIMAL = Form(_write_decimal, _read_decimal)


def one_of(kind: type[StrEnum]) -> Form:
    """Return the form of an enum."""
    members = {member.value: member for member in kind}

    def read(value: Any) -> StrEnum:
        if isinstance(value, str) and value in members:
            return members[value]
        raise UnfitField(f"one of {', '.join(members)}")

    return Form(lambda member: member.value, read)


def or_none(form: Form) -> Form:
    """Return the form of a field that may be None."""

    def read(value: Any) -> Any:
        return None if value is None else form.read(value)

    return Form(lambda value: None if value is None else form.write(value), read)


class Shape(Generic[T]):
    """How one dataclass is written and read; every field must have a form."""

    def __init__(self, kind: type[T], name: str, forms: Mapping[str, Form]):
        """Check the table against the dataclass.

        Args:
            kind: the dataclass.
            name: its name in refusals.
            forms: field name to form.
        """
        declared = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        if declared != set(forms):
            raise TypeError(f"{kind.__name__}: forms and fields differ: {sorted(declared ^ set(forms))}")
        self._kind, self._name = kind, name
        self._forms = dict(forms)

    def encode(self, value: T) -> Body:
        """Return the value as a body."""
        return {field: form.write(getattr(value, field)) for field, form in self._forms.items()}

    def decode(self, body: Mapping[str, Any]) -> T:
        """Return the value that a body holds.

        Raises:
            BadMessage: it holds none; the first key that does not fit.
        """
        if not isinstance(body, Mapping):
            raise BadMessage(self._name, f"expected an object, found {shown(body)}")
        values: dict[str, Any] = {}
        for field, form in self._forms.items():
            try:
                values[field] = form.read(body[field])
            except KeyError:
                raise BadMessage(self._name, f"{field} is missing") from None
            except UnfitField as unfit:
                raise BadMessage(self._name, f"{field}: expected {unfit}, found {shown(body[field])}") from None
        return self._kind(**values)

"""How values become message bodies and back: a table of fields for each kind of value.

Decimals travel as plain decimal texts, enums as their values, contracts as their codes, moments and counts as
whole numbers. Reading refuses what does not fit with one line; keys it does not know are somebody else's and ignored.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar

from tradeproc.domain.instruments import BadContract, Contract
from tradeproc.errors import Refusal

T = TypeVar("T")
Body = dict[str, Any]

# as long as any number that a broker's adapter reads; what the sender takes, the receiver must not refuse
_DECIMAL = re.compile(r"-?\d{1,40}(\.\d{1,100})?", re.ASCII)


class BadMessage(Refusal):
    """A body that holds no such value; caught where the message came in."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")


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


def _read_quantity(value: Any) -> int:
    if type(value) is int and value > 0:
        return value
    raise UnfitField("a whole number, 1 or more")


def _read_flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise UnfitField("true or false")


def _read_number(value: Any) -> float:
    if type(value) in (float, int) and math.isfinite(value):
        return float(value)
    raise UnfitField("a number")


def _write_decimal(value: Decimal) -> str:
    return format(value, "f")


def _read_decimal(value: Any) -> Decimal:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    raise UnfitField("a decimal number as text")


def _read_contract(value: Any) -> Contract:
    try:
        return Contract.parse(_read_text(value))
    except BadContract as bad:
        raise UnfitField("a contract code, as ESH24") from bad


TEXT = Form(_same, _read_text)
WHOLE = Form(_same, _read_whole)
COUNT = Form(_same, _read_count)
QUANTITY = Form(_same, _read_quantity)
FLAG = Form(_same, _read_flag)
NUMBER = Form(_same, _read_number)
DECIMAL = Form(_write_decimal, _read_decimal)
CONTRACT = Form(lambda contract: contract.code, _read_contract)


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

    def __init__(self, kind: type[T], name: str, forms: Mapping[str, Form], keys: Mapping[str, str] | None = None):
        """Check the table against the dataclass.

        Args:
            kind: the dataclass.
            name: its name in refusals.
            forms: field name to form.
            keys: where a field's key in the body is not its name.
        """
        declared = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        if declared != set(forms):
            raise TypeError(f"{kind.__name__}: forms and fields differ: {sorted(declared ^ set(forms))}")
        self._kind, self._name = kind, name
        self._rows = [(field, (keys or {}).get(field, field), form) for field, form in forms.items()]

    def encode(self, value: T) -> Body:
        """Return the value as a body."""
        return {key: form.write(getattr(value, field)) for field, key, form in self._rows}

    def decode(self, body: Mapping[str, Any]) -> T:
        """Return the value that a body holds.

        Raises:
            BadMessage: it holds none; the first key that does not fit.
        """
        if not isinstance(body, Mapping):
            raise BadMessage(self._name, f"expected an object, found {shown(body)}")
        values: dict[str, Any] = {}
        for field, key, form in self._rows:
            try:
                values[field] = form.read(body[key])
            except KeyError:
                raise BadMessage(self._name, f"{key} is missing") from None
            except UnfitField as unfit:
                raise BadMessage(self._name, f"{key}: expected {unfit}, found {shown(body[key])}") from None
        return self._kind(**values)


def shown(value: object) -> str:
    """Return a short one-line picture of anything, for refusals."""
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"

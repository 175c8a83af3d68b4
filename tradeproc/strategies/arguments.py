"""Arguments of a strategy: check how they are declared, and make them from configured values.

Types are int, float, bool, str and Decimal. A float may be given as a whole number, a Decimal as any number or a
text. Nothing else is converted, because a quoted number or a fraction for an int is more likely a mistake.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any, get_type_hints

import numpy as np

from tradeproc.errors import Refusal

_TYPES: tuple[type[Any], ...] = (int, float, bool, str, Decimal)


class BadArgument(Refusal):
    """A configured value that does not fit; the loader, which knows the strategy, turns it into `BadStrategy`."""


def declaration_fault(declared: object) -> str | None:
    """Say what is wrong with an `Arguments` class, None when all is well."""
    if not isinstance(declared, type) or not is_dataclass(declared):
        return "must be a frozen dataclass (it may be empty)"
    if not declared.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # typeshed leaves it out
        return "must be frozen: @dataclass(frozen=True)"
    try:
        hints = get_type_hints(declared)
    except (NameError, TypeError) as error:
        return f"has a type that cannot be read: {error}"
    for field in fields(declared):
        if hints[field.name] not in _TYPES:
            return f"field {field.name} must be int, float, bool, str or Decimal"
        if field.default is MISSING:
            return f"field {field.name} has no default"
        default = field.default.item() if isinstance(field.default, np.generic) else field.default
        if problem := _misfit(field, hints[field.name], default):
            return f"has a default that does not fit: {problem}"
    return None


def make_arguments(declared: type[Any], given: Mapping[str, Any]) -> Any:
    """Return an instance of `declared` with the given values in place of defaults.

    Raises:
        BadArgument: unknown name, wrong type, out of range, or refused by the class itself.
    """
    known = {field.name: field for field in fields(declared)}
    hints = get_type_hints(declared)
    values: dict[str, Any] = {}
    for name, each in given.items():
        # a parameter sweep may give numpy's scalars; `item` makes them Python's numbers
        value = each.item() if isinstance(each, np.generic) else each
        if name not in known:
            raise BadArgument(f"unknown argument {name!r}{_nearest(name, list(known))}")
        if problem := _misfit(known[name], hints[name], value):
            raise BadArgument(problem)
        values[name] = _converted(hints[name], value)
    try:
        return declared(**values)
    except (ValueError, TypeError) as error:
        raise BadArgument(f"arguments do not go together: {error}") from error


def _misfit(field: Field[Any], wanted: type[Any], value: object) -> str | None:
    if not _fits(wanted, value):
        return f"argument {field.name!r} must be {wanted.__name__}, not {value!r}"
    low, high = field.metadata.get("min"), field.metadata.get("max")
    number = _converted(wanted, value)
    if (low is not None and number < low) or (high is not None and number > high):
        allowed = (
            f"from {low} to {high}"
            if None not in (low, high)
            else f"at least {low}"
            if high is None
            else f"at most {high}"
        )
        return f"argument {field.name!r} must be {allowed}, not {value!r}"
    return None


def _fits(wanted: type[Any], value: object) -> bool:
    if wanted is bool or isinstance(value, bool):
        return wanted is bool and isinstance(value, bool)
    if wanted is float:
        return isinstance(value, int | float) and isfinite(value)
    if wanted is Decimal:
        return isinstance(value, int | float | str | Decimal) and _decimal(value) is not None
    return isinstance(value, wanted)


def _decimal(value: int | float | str | Decimal) -> Decimal | None:
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _converted(wanted: type[Any], value: Any) -> Any:
    if wanted is Decimal:
        return _decimal(value)
    return float(value) if wanted is float else value


def _nearest(name: str, known: list[str]) -> str:
    from difflib import get_close_matches  # only here: it is needed when a name is wrong

    if close := get_close_matches(name, known, n=1, cutoff=0.5):
        return f"; the nearest is {close[0]!r}"
    return f"; there are {', '.join(known)}" if known else "; it has none"

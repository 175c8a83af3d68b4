"""Values from plain tables (TOML, JSON), read by the types of the dataclass's fields; nothing is guessed.

A table is read into a frozen dataclass. Unknown keys, missing keys and wrong types are refused with one line that
names the key, its value, what is allowed, and for an unknown key the nearest known one. Ranges are checked in the
dataclass's `__post_init__`, which raises `BadValue`.
"""

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from enum import Enum
from typing import Any, TypeVar

from tradeproc.domain.texts import is_storable, storable
from tradeproc.errors import Refusal

T = TypeVar("T")
NOTHING: Mapping[str, object] = types.MappingProxyType({})


class BadValue(Refusal):
    """A key whose value is not allowed; `__post_init__` raises it and the reader adds the section."""

    def __init__(self, key: str, problem: str) -> None:
        self.key, self.problem = key, problem
        super().__init__(f"{key}: {problem}")


class BadRecord(Refusal):
    """A table that cannot be read; caught where the table came in (a file, a message)."""

    def __init__(self, section: str, problem: str) -> None:
        self.section, self.problem = section, problem
        super().__init__(f"[{section}] {problem}" if section else problem)


def nearest(name: str, known: list[str]) -> str:
    """Return a hint for a misspelt name: the nearest known one, or all of them."""
    import difflib  # only here: it is needed when a word is wrong, and takes 0.1 MB of every process

    close = difflib.get_close_matches(name, known, 1, 0.5)
    return f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known) or 'nothing'}"


def read_record(kind: type[T], table: object, section: str = "", given: Mapping[str, object] = NOTHING) -> T:
    """Return the dataclass that a table describes; `section` is only for messages, as `logins.paper`.

    `given` are fields that the reader knows already; the table may not name them.

    Raises:
        BadRecord: the table does not fit; the text names the first key that does not.
    """
    if not isinstance(table, Mapping):
        inline = getattr(kind, "INLINE", None)
        raise BadRecord(section, inline or f"expected a table, found {_shown(table)}")
    known = {field.name: field for field in fields(kind) if field.init and field.name not in given}  # type: ignore[arg-type]
    for name in table:
        if name not in known:
            raise BadRecord(section, f"{name}: unknown key; {nearest(str(name), list(known))}")
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name in table:
            values[name] = _read(hints[name], table[name], section, name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise BadRecord(section, f"{name}: missing; {_described(hints[name])} is required and has no default")
    try:
        return kind(**values, **given)
    except BadValue as bad:
        raise BadRecord(section, str(bad)) from None


def _read(hint: Any, value: object, section: str, name: str) -> Any:
    """Return `value` as the type that `hint` asks for."""
    _check_storable(value, section, name)
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _read_union(hint, value, section, name)
    if is_dataclass(hint):
        return read_record(typing.cast("type[Any]", hint), value, f"{section}.{name}" if section else name)
    if origin is typing.Literal and value in typing.get_args(hint):
        return value
    if isinstance(hint, type) and issubclass(hint, Enum) and (member := _member(hint, value)) is not None:
        return member
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_read(typing.get_args(hint)[0], item, section, name) for item in value)
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        inner = f"{section}.{name}" if section else name
        return {str(key): _read(typing.get_args(hint)[1], item, inner, str(key)) for key, item in value.items()}
    if hint is str and type(value) is date:
        return value.isoformat()  # TOML has dates without quotation marks
    if _is_plain(hint, value):
        return float(typing.cast(float, value)) if hint is float else value
    raise BadRecord(section, f"{name}: expected {_described(hint)}, found {_shown(value)}")


def _member(kind: type[Enum], value: object) -> Enum | None:
    """Return the member that a value names, also by a word of earlier versions; None when it names none."""
    try:
        return kind(value)
    except ValueError:
        return None


def _check_storable(value: object, section: str, name: str) -> None:
    for text in (value, name):
        if isinstance(text, str) and not is_storable(text):
            # the text is not shown, because it may be a secret
            why = "holds a NUL or half a character, which no database stores"
            raise BadRecord(section, f"{storable(name)}: {why}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise BadRecord(section, f"{name}: expected a number of 64 bits, found {_shown(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no such number, so it could not be read back
        raise BadRecord(section, f"{name}: expected a finite number, found {_shown(value)}")


def _read_union(hint: Any, value: object, section: str, name: str) -> Any:
    options = typing.get_args(hint)
    if value is None and type(None) in options:
        return None
    chosen = [option for option in options if option is not type(None)]
    if len(chosen) == 1:
        return _read(chosen[0], value, section, name)
    if isinstance(value, tuple(chosen)):
        return value
    raise BadRecord(section, f"{name}: expected {_described(hint)}, found {_shown(value)}")


def _is_plain(hint: Any, value: object) -> bool:
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return hint in (str, bool) and isinstance(value, hint)


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _described(hint: Any) -> str:
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(repr(member.value) for member in hint)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return "one of " + ", ".join(repr(option) for option in typing.get_args(hint))
    if origin is tuple:
        return f"a list, each {_described(typing.get_args(hint)[0])}"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_described(option) for option in typing.get_args(hint) if option is not type(None))
    return _WORDS.get(hint, "a table")


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a table"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"

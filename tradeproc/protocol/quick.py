"""The quick way to read a record: by msgspec, which is four times as fast as the exact reader; pure.

It is used for records whose types msgspec all knows, and for those fields of others whose types it knows. What it
refuses is read again by the exact reader, which explains what is wrong. Decimals that are no plain texts, which
msgspec takes and we do not, are found here.
"""

import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from decimal import Decimal
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

from msgspec import NODEFAULT, ValidationError, convert, defstruct, field

from tradeproc.protocol.derived import hints, is_direct, is_optional
from tradeproc.protocol.names import GroupName, ProcessName
from tradeproc.protocol.scopes import BadScope, Scope
from tradeproc.protocol.variants import COMPLETE, MARKS

Check = Callable[[Any], bool]
Read = Callable[[Any], Any]

DECIMAL: Final = re.compile(r"-?\d{1,40}(\.\d{1,100})?", re.ASCII)
"""Allows the longest number that a broker's adapter reads: a receiver must not refuse what the sender has taken."""


_OWN: Final = (Scope, ProcessName, GroupName)
"""Texts with more to say, of which msgspec does not know how they are read."""


def is_read_at_once(kind: Any) -> bool:
    """Tell whether the quick way reads a whole record; else it leaves some fields as they stand, in a twin of it."""
    return (get_origin(kind) or kind) not in MARKS and all(map(is_direct, hints(kind).values()))


def at_once(kind: Any, exact: Read) -> Read:
    """Return a function that reads a record for which `is_read_at_once` holds; `exact` gets what it refuses."""
    # msgspec would put in what an order must never lack
    needed = tuple(hints(kind)) if kind in COMPLETE else ()
    return _converter(kind, decimals_check(kind), needed, exact)


def twin_reader(kind: Any) -> Read:
    """Return a function that reads a record's twin: it has the same fields, and those not direct are left as is.

    The function returns None when only the exact reader can judge the plain form.
    """
    make, types_of = get_origin(kind) or kind, hints(kind)
    own, mark = fields(make), MARKS.get(make)
    keys = {each.name: mark.key if mark is not None and mark.field == each.name else each.name for each in own}
    known = {name: hint if is_direct(hint) else Any for name, hint in types_of.items()}
    twin = defstruct(
        f"TwinOf{make.__name__}",
        [(each.name, known[each.name], _default(each) if is_optional(each, kind) else NODEFAULT) for each in own],
        rename=keys,
        kw_only=True,
    )
    checks = [(keys[name], check) for name in keys if (check := decimals_check(known[name])) is not None]
    return _converter(twin, _fields_of(checks) if checks else None, (), lambda _: None)


def _default(own: "Field[Any]") -> Any:
    if own.default is not MISSING:
        return own.default
    return field(default_factory=cast(Callable[[], Any], own.default_factory))


def _converter(kind: Any, check: Check | None, needed: Sequence[str], otherwise: Read) -> Read:
    to_value = _to_value(kind)

    def read(plain: Any) -> Any:
        try:
            return to_value(plain, kind)
        except (ValidationError, UnicodeError, RecursionError):
            return otherwise(plain)

    def read_and_check(plain: Any) -> Any:
        try:
            value = to_value(plain, kind)
        except (ValidationError, UnicodeError, RecursionError):
            return otherwise(plain)
        for key in needed:
            if key not in plain:
                return otherwise(plain)
        return value if check is None or check(plain) else otherwise(plain)

    return read if check is None and not needed else read_and_check


def _to_value(kind: Any) -> Callable[[Any, Any], Any]:
    # to tell of our own kinds takes msgspec as long as to read a small record
    return _convert_own if _has_own(kind) else convert


def _convert_own(plain: Any, kind: Any) -> Any:
    return convert(plain, kind, dec_hook=_read_own)


def _has_own(kind: Any) -> bool:
    if hasattr(kind, "__supertype__"):
        return _has_own(kind.__supertype__)
    if get_args(kind):
        return any(map(_has_own, (get_origin(kind), *get_args(kind))))
    if is_dataclass(kind) or hasattr(kind, "__struct_fields__"):
        return any(map(_has_own, hints(kind).values()))
    return kind in _OWN


def _read_own(kind: Any, value: Any) -> Any:
    """Return a value of one of our own kinds of texts, for msgspec."""
    if isinstance(value, str):
        if kind is Scope:
            try:
                return Scope.parse(value)
            except BadScope as bad:
                raise ValueError(str(bad)) from None
        if kind in _OWN:
            return kind(value)
    raise ValueError(f"{value!r} is no {kind.__name__}")


# --- decimals, which msgspec would also take as numbers, with an exponent, infinite or none at all


def decimals_check(kind: Any) -> Check | None:
    """Return a function that tells whether all decimals of a plain form are plain texts; None for types without."""
    if hasattr(kind, "__supertype__"):
        return decimals_check(kind.__supertype__)
    if kind is Decimal:
        return _is_plain_decimal
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return decimals_check(kind.__origin__)
    if origin in (Union, types.UnionType):
        return _any_of([check for each in arguments if (check := decimals_check(each)) is not None])
    if origin in (tuple, list, Sequence):
        return _all_of(decimals_check(arguments[0]), lambda plain: plain)
    if origin in (Mapping, dict):
        return _all_of(decimals_check(arguments[1]), lambda plain: plain.values())
    if is_dataclass(origin or kind):
        rows = [(name, check) for name, hint in hints(kind).items() if (check := decimals_check(hint)) is not None]
        return _fields_of(rows) if rows else None
    return None


def _is_plain_decimal(plain: Any) -> bool:
    return type(plain) is str and DECIMAL.fullmatch(plain) is not None


def _any_of(checks: Sequence[Check]) -> Check | None:
    # None is the other member of all unions that msgspec reads for us
    return (lambda plain: plain is None or checks[0](plain)) if checks else None


def _all_of(check: Check | None, parts: Callable[[Any], Any]) -> Check | None:
    return None if check is None else lambda plain: all(check(each) for each in parts(plain))


def _fields_of(rows: Sequence[tuple[str, Check]]) -> Check:
    def check(plain: Any) -> bool:
        for name, inner in rows:
            # where None stands, it was found to be allowed there
            value = plain.get(name)
            if value is not None and not inner(value):
                return False
        return True

    return check

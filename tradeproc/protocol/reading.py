"""How plain JSON values become typed ones, derived from the types; pure.

This exact reader says what does not fit, where, and what was expected; `quick.py` tries to read a record first.
"""

import functools
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from msgspec import Meta

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import BadContract, Contract
from tradeproc.errors import Refusal
from tradeproc.protocol.derived import hints, in_words, is_direct, is_optional
from tradeproc.protocol.names import GroupName, ProcessName
from tradeproc.protocol.quick import DECIMAL, Read, at_once, is_read_at_once, twin_reader
from tradeproc.protocol.scopes import BadScope, Scope
from tradeproc.protocol.variants import CHECKS, MARKS, TAGS

_MISSING: Final = "is missing"


class Unfit(Refusal):
    """A value that does not fit; never leaves `codec.py`, which says of what type it was to be."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(problem)
        self.problem, self.path = problem, path

    @property
    def in_words(self) -> str:
        """Return the place and what is wrong there."""
        if not self.path:
            return self.problem
        return f"{self.path} {self.problem}" if self.problem == _MISSING else f"{self.path}: {self.problem}"

    def under(self, key: str) -> "Unfit":
        """Return the same, seen from one level further out."""
        separator = "" if not self.path or self.path.startswith("[") else "."
        return Unfit(self.problem, f"{key}{separator}{self.path}")


def shown(value: object) -> str:
    """Return a short one-line picture of anything, for refusals."""
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def expected(what: str, value: object) -> Unfit:
    """Return the complaint that something else was expected."""
    return Unfit(f"expected {what}, found {shown(value)}")


@functools.cache
def reader(kind: Any) -> Read:
    """Return what reads values of a type: of a dataclass, a container or a plain type, alone or as a union.

    Raises:
        TypeError: nobody has said how values of this type travel.
    """
    if hasattr(kind, "__supertype__"):
        return reader(kind.__supertype__)
    if isinstance(kind, type) and kind in _PLAIN:
        return _PLAIN[kind]
    return _reader_of_parts(kind)


def _reader_of_parts(kind: Any) -> Read:
    origin = get_origin(kind)
    if origin is Annotated:
        return _bounded(reader(kind.__origin__), [each for each in kind.__metadata__ if isinstance(each, Meta)])
    if origin in (Union, types.UnionType):
        return _union(get_args(kind))
    if origin is Literal:
        return _one_of({word: word for word in get_args(kind)})
    if origin in (Mapping, dict):
        return _mapping(reader(get_args(kind)[1]))
    if origin in (tuple, list, Sequence):
        return _listing(reader(get_args(kind)[0]), list if origin is list else tuple)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _one_of({member.value: member for member in kind})
    if is_dataclass(origin or kind):
        return _record(kind)
    if kind is Any or kind is object:
        return lambda value: value
    raise TypeError(f"{kind!r}: nobody has said how such values travel")


# --- plain values


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise expected("a text", value)


def _whole(value: Any) -> int:
    if type(value) is int:
        return value
    raise expected("a whole number", value)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise expected("true or false", value)


def _number(value: Any) -> float:
    if type(value) in (float, int) and math.isfinite(value):
        return float(value)
    raise expected("a number", value)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, str) and DECIMAL.fullmatch(value):
        return Decimal(value)
    raise expected("a decimal number as text", value)


_parsed = functools.lru_cache(maxsize=4096)(Contract.parse)


def _contract(value: Any) -> Contract:
    try:
        return _parsed(_text(value))
    except (BadContract, Unfit):
        raise expected("a contract code, as ESH24", value) from None


def _scope(value: Any) -> Scope:
    try:
        return Scope.parse(_text(value))
    except (BadScope, Unfit):
        raise expected("host, login:<name>, portfolio:<name> or session:<number>", value) from None


_PLAIN: Final[Mapping[type[Any], Read]] = {
    str: _text,
    int: _whole,
    bool: _flag,
    float: _number,
    Decimal: _decimal,
    Contract: _contract,
    Scope: _scope,
    ProcessName: lambda value: ProcessName(_text(value)),
    GroupName: lambda value: GroupName(_text(value)),
}


def _one_of(members: Mapping[str, Any]) -> Read:
    def read(value: Any) -> Any:
        if isinstance(value, str) and value in members:
            return members[value]
        raise expected(f"one of {', '.join(members)}", value)

    return read


def _bounded(inner: Read, metas: Sequence[Meta]) -> Read:
    lowest = next((meta.ge for meta in metas if meta.ge is not None), None)
    highest = next((meta.le for meta in metas if meta.le is not None), None)
    longest = next((meta.max_length for meta in metas if meta.max_length is not None), None)
    shortest = next((meta.min_length for meta in metas if meta.min_length is not None), None)

    def read(value: Any) -> Any:
        try:
            found = inner(value)
        except Unfit as unfit:
            if lowest is None or unfit.path:
                raise
            raise expected(_range(unfit.problem, lowest, highest), value) from None
        if (lowest is not None and found < lowest) or (highest is not None and found > highest):
            raise expected(_range("a whole number" if type(found) is int else "a number", lowest, highest), found)
        if longest is not None and len(found) > longest:
            raise expected(f"{longest} or fewer of them", value)
        if shortest is not None and len(found) < shortest:
            raise expected(f"{shortest} or more of them", value)
        return found

    return read


def _range(what: str, lowest: float | None, highest: float | None) -> str:
    what = what.removeprefix("expected ").partition(", found")[0]
    if highest is None:
        return f"{what}, {lowest} or more"
    return f"{what}, {highest} or less" if lowest is None else f"{what} from {lowest} to {highest}"


# --- containers


def _is_object(value: Any) -> bool:
    # the usual kind first: whether something is a mapping is a slow question
    return type(value) is dict or isinstance(value, Mapping)


def _mapping(inner: Read) -> Read:
    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise expected("an object", value)
        found = {}
        for key, each in value.items():
            if not isinstance(key, str):
                raise expected("texts as keys", key)
            try:
                found[key] = inner(each)
            except Unfit as unfit:
                raise unfit.under(shown(key)) from None
        return found

    return read


def _listing(inner: Read, make: Callable[[list[Any]], Any]) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise expected("a list", value)
        found = []
        for number, each in enumerate(value):
            try:
                found.append(inner(each))
            except Unfit as unfit:
                raise unfit.under(f"[{number}]") from None
        return make(found)

    return read


# --- records


@dataclass(frozen=True, slots=True)
class _Row:
    """A field: its name, its key in the message, what reads it, and whether it may be missing."""

    name: str
    key: str
    read: Read
    may_be_missing: bool


def _record(kind: Any) -> Read:
    make, types_of = get_origin(kind) or kind, hints(kind)
    mark, check = MARKS.get(make), CHECKS.get(make)
    rows = [
        _Row(
            field.name,
            mark.key if mark is not None and mark.field == field.name else field.name,
            reader(types_of[field.name]),
            is_optional(field, kind),
        )
        for field in fields(make)
    ]
    exact = _exact_record(make, rows)
    read = at_once(kind, exact) if is_read_at_once(kind) else _by_twin(kind, rows, types_of, exact)

    def read_and_check(value: Any) -> Any:
        made = read(value)
        if check is not None and (problem := check(made)):
            raise Unfit(problem)
        return made

    return read if check is None else read_and_check


def _by_twin(kind: Any, rows: Sequence[_Row], types_of: Mapping[str, Any], exact: Read) -> Read:
    """Make the record of its twin, in which fields that are not direct are read by their own readers."""
    make, twin_of, names = get_origin(kind) or kind, twin_reader(kind), [row.name for row in rows]
    others = [(row.name, row.key, row.read) for row in rows if not is_direct(types_of[row.name])]
    # a getter of one name returns no tuple
    values_of = attrgetter(*names) if len(names) > 1 and not any(each.kw_only for each in fields(make)) else None

    def read(value: Any) -> Any:
        twin = twin_of(value)
        if twin is None:
            return exact(value)
        for name, key, inner in others:
            if key in value:
                try:
                    setattr(twin, name, inner(value[key]))
                except Unfit as unfit:
                    raise unfit.under(key) from None
        if values_of is None:
            return make(**{name: getattr(twin, name) for name in names})
        return make(*values_of(twin))

    return read


def _exact_record(make: Any, rows: Sequence[_Row]) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise expected("an object", value)
        found = {}
        for row in rows:
            if row.key not in value:
                if row.may_be_missing:
                    continue
                raise Unfit(_MISSING, row.key)
            try:
                found[row.name] = row.read(value[row.key])
            except Unfit as unfit:
                raise unfit.under(row.key) from None
        return make(**found)

    return read


def _union(members: Sequence[Any]) -> Read:
    inner = [each for each in members if each is not types.NoneType]
    records = [each for each in inner if is_dataclass(get_origin(each) or each)]
    if len(records) > 1 and len(records) < len(inner):
        raise TypeError(f"{members!r}: records and other values cannot share a place")
    if len(inner) == 1:
        read = reader(inner[0])
    elif records:
        read = _variants(records)
    else:
        read = _first_fit(inner)
    if len(inner) == len(members):
        return read
    return lambda value: None if value is None else read(value)


def _first_fit(members: Sequence[Any]) -> Read:
    inner = [reader(each) for each in members]

    def read(value: Any) -> Any:
        problems = []
        for each in inner:
            try:
                return each(value)
            except Unfit as unfit:
                problems.append(unfit.problem.removeprefix("expected ").partition(", found")[0])
        raise expected(" or ".join(problems), value)

    return read


def _variants(members: Sequence[Any]) -> Read:
    """Tell records apart by their tag, or by the mark that one of them has and the others have not."""
    origins = [get_origin(each) or each for each in members]
    if all(each in TAGS for each in origins):
        return _tagged(members, origins)
    pairs = list(zip(origins, members, strict=True))
    marked = [(MARKS[origin].key, reader(each)) for origin, each in pairs if origin in MARKS]
    plain = [reader(each) for origin, each in pairs if origin not in MARKS]
    if len(plain) > 1:
        raise TypeError(f"{members!r}: nothing tells these records apart")

    def read(value: Any) -> Any:
        if not _is_object(value):
            raise expected("an object", value)
        fitting = [inner for key, inner in marked if key in value] or plain
        if len(fitting) != 1:
            raise Unfit(f"expected either {' or '.join(key for key, _ in marked)}")
        return fitting[0](value)

    return read


def _tagged(members: Sequence[Any], origins: Sequence[Any]) -> Read:
    key = TAGS[origins[0]].key
    by_word = {
        TAGS[origin].word: (in_words(origin), reader(each)) for origin, each in zip(origins, members, strict=True)
    }
    *first, last = by_word
    words = f"{', '.join(first)} or {last}"

    def read(value: Any) -> Any:
        if not _is_object(value):
            raise expected("an object", value)
        word = value.get(key)
        found = by_word.get(word) if isinstance(word, str) else None
        if found is None:
            raise expected(words, word).under(key)
        try:
            return found[1](value)
        except Unfit as unfit:
            raise WithinVariant(unfit, found[0]) from None

    return read


class WithinVariant(Unfit):
    """A value that does not fit as the kind that its tag says."""

    def __init__(self, unfit: Unfit, name: str) -> None:
        super().__init__(unfit.problem, unfit.path)
        self.name = name

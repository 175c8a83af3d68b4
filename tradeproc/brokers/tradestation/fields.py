"""Reads single fields of what TradeStation sent; whatever the bytes are, the answer is a value or None.

Numbers come as strings, now and then as JSON numbers; blank fields are null or absent. Absurd exponents, NaN and
infinities are no numbers here: a Decimal of a billion digits would hang us long before it hurt anybody.

Source: TradeStation API v3, "HTTP Requests" and "HTTP Streaming" (field conventions).
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from tradeproc.domain.units import Nanos, from_iso

Json = Mapping[str, Any]

_LONGEST_NUMBER = 64
_LARGEST_EXPONENT = 18
_LARGEST_QUANTITY = 10_000_000
# the year 2200; what lies outside 64 bits, or near their end, breaks the bus, the database and arithmetic
_LATEST = 7_258_118_400_000_000_000


def parse_json(raw: bytes) -> object:
    """Return what the bytes say, or None when they are no JSON (JSON's own null is of no use to us either)."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def parse_object(raw: bytes) -> Json | None:
    """Return the JSON object in the bytes, or None when they hold anything else."""
    found = parse_json(raw)
    return found if isinstance(found, dict) else None


def objects(value: object) -> list[Json] | None:
    """Return a list of JSON objects, or None when it is not one."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        return None
    return value


def text(record: Json, key: str) -> str:
    """Return a string field, empty when blank; numbers are written out, a NUL is replaced: no database takes one."""
    value = record.get(key)
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").strip()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def decimal(record: Json, key: str) -> Decimal | None:
    """Return a number, or None when the field is blank or no sane number."""
    written = text(record, key)
    if not written or len(written) > _LONGEST_NUMBER:
        return None
    try:
        value = Decimal(written)
    except InvalidOperation:
        return None
    if not value.is_finite() or (value and abs(value.adjusted()) > _LARGEST_EXPONENT):
        return None
    return value if value else Decimal(0)


def whole(record: Json, key: str) -> int | None:
    """Return a whole number (`"2"`, `"2.0"`, 2), or None."""
    value = decimal(record, key)
    if value is None or value != value.to_integral_value() or abs(value) > _LARGEST_QUANTITY:
        return None
    return int(value)


def count(record: Json, key: str) -> int:
    """Return a count such as a volume, 0 when it is blank; may be larger than any order's quantity."""
    value = decimal(record, key)
    return max(int(value), 0) if value is not None else 0


def moment(record: Json, key: str) -> Nanos | None:
    """Return a time, or None when the field is blank, no time, or one that cannot be (year 1, year 9999)."""
    written = record.get(key)
    if not isinstance(written, str):
        return None
    try:
        found = from_iso(written.strip())
    except (ValueError, OverflowError):
        return None
    return found if 0 <= found < _LATEST else None


def trouble(record: Json) -> str | None:
    """Return the error that an object tells of itself (`Error`, `Message`, or the sign-in host's forms), if any."""
    title = text(record, "Error") or text(record, "error")
    if not title:
        return None
    message = text(record, "Message") or text(record, "error_description")
    return f"{title}: {message}" if message else title

"""Reads single fields of TradeStation's objects; whatever the bytes are, the result is a value or None.

Numbers are strings, sometimes JSON numbers; blank fields are null, absent or empty. Absurd exponents, NaN and
infinities are refused, because computing with a Decimal of a billion digits would hang the process. Times that no
order or bar can have (year 1, year 9999, without a zone) are refused. `nonsense` finds the fields that have a value
and cannot be read, so that these are never taken for blank.

Source: TradeStation API v3, "HTTP Requests" and "HTTP Streaming" (field conventions).
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import orjson

from tradeproc.domain.units import SECOND, Nanos, from_iso

Json = Mapping[str, Any]

_LONGEST_NUMBER = 64
_LARGEST_EXPONENT = 18
_LONGEST_FRACTION = Decimal(1).scaleb(-20)
_LARGEST_PRICE = 10**9
_LARGEST_QUANTITY = 10_000_000
_LARGEST_COUNT = 10**12
_LONGEST_TEXT = 500
_LATEST = 7_258_118_400 * SECOND  # the year 2200; 64 bits of nanoseconds end in 2262
_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+|(?=\.\d))(\.\d*)?(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
# characters that neither a database nor a log line can hold
_CONTROLS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def parse_json(raw: bytes) -> object:
    """Return the JSON value of the bytes, or None when they are no JSON (and for JSON's null)."""
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
    """Return a string field, empty when blank and bounded; numbers are written out, control characters replaced."""
    value = record.get(key)
    if isinstance(value, str):
        return _CONTROLS.sub("\ufffd", value.strip()[:_LONGEST_TEXT])
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def decimal(record: Json, key: str) -> Decimal | None:
    """Return a number (`"5300.25"`, `"5,300.25"`), or None when the field is blank or no plausible number."""
    written = text(record, key)
    if len(written) > _LONGEST_NUMBER or not _NUMBER.fullmatch(written):
        return None
    value = Decimal(written.replace(",", ""))
    if not value:
        return Decimal(0)
    if abs(value.adjusted()) > _LARGEST_EXPONENT:
        return None
    return value.quantize(_LONGEST_FRACTION) if abs(value) < 1 else +value


def price(record: Json, key: str) -> Decimal | None:
    """Return a price, which may be zero or negative, or None when the field is blank or no plausible price."""
    value = decimal(record, key)
    return value if value is not None and abs(value) <= _LARGEST_PRICE else None


def whole(record: Json, key: str) -> int | None:
    """Return a whole number (`"2"`, `"2.0"`, 2), or None."""
    value = decimal(record, key)
    if value is None or value != value.to_integral_value() or abs(value) > _LARGEST_QUANTITY:
        return None
    return int(value)


def count(record: Json, key: str) -> int | None:
    """Return a count such as a volume, 0 when it is blank and None when it is no count."""
    value = decimal(record, key)
    if value is None:
        return 0 if is_blank(record, key) else None
    return int(value) if 0 <= value <= _LARGEST_COUNT else None


def moment(record: Json, key: str) -> Nanos | None:
    """Return a time, or None when the field is blank, has no zone or is no plausible time."""
    written = record.get(key)
    if not isinstance(written, str):
        return None
    try:
        at = from_iso(written.strip())
    except (ValueError, OverflowError):
        return None
    return at if 0 < at < _LATEST else None


def is_blank(record: Json, key: str) -> bool:
    """Tell whether a field is absent, null or an empty text."""
    value = record.get(key)
    return value is None or (isinstance(value, str) and not value.strip())


def nonsense(record: Json, read: Callable[[Json, str], object | None], *keys: str) -> str:
    """Return a text for people that names the fields with a value that `read` cannot read; empty if there is none."""
    bad = [key for key in keys if read(record, key) is None and not is_blank(record, key)]
    return ", ".join(f"{key} {_shown(record[key])} makes no sense" for key in bad)


def _shown(value: object) -> str:
    return ascii(value)[:60]


def trouble(record: Json) -> str | None:
    """Return the error that an object reports, or None, in any of the forms that were seen.

    `Error` and `Message`; the sign-in host's `error` and `error_description`; the older `StatusCode` and `Message`.
    """
    title = next((found for key in ("Error", "error") if (found := _title(record, key))), "")
    if not title:
        status = text(record, "StatusCode") or text(record, "statusCode")
        title = "" if status.lower() in ("", "ok", "200", "201") else status
    if not title:
        return None
    message = said_message(record)
    return f"{title}: {message}" if message else title


def said_message(record: Json) -> str:
    """Return the message of an object, with or without an error beside it, under any of its known keys."""
    names = ("Message", "message", "error_description", "ErrorDescription", "detail")
    return next((found for name in names if (found := text(record, name))), "")


def _title(record: Json, key: str) -> str:
    # an error that is no text is an error too
    return text(record, key) or (_shown(record[key]) if record.get(key) else "")

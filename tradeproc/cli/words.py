"""Pure: the fields of a message for people: times instead of nanoseconds, words instead of True and False."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tradeproc.cli import tables
from tradeproc.domain.units import SECOND

_TIMES = frozenset({"at", "as_of", "since", "until"})
# what a value that is true or false means to somebody who does not know our names
_LABELS = {
    "warm": ("history", "loaded", "still being fetched"),
    "reconciled": ("orders and position", "as the broker has them", "not confirmed by the broker"),
    "closing": ("being closed", "yes, until the broker tells it as flat", "no"),
    "lease": ("the right to trade", "held", "lost: another trader may have the session"),
    "rolling": ("rolling", "yes, its strategy rests meanwhile", "no"),
    "is_due": ("should run now", "yes", "no"),
}
_NAMES = {
    "desired": "wanted", "next_change_at": "next start or stop", "market_at": "market time", "created_at": "created",
    "changed_at": "changed", "removed_at": "removed", "fence": "lease number", "trading_state": "trading",
    "realized": "realized profit", "unrealized": "open profit", "bars": "bars in memory", "last": "last price",
    "stop_policy": "when a stop is missing",
}  # fmt: skip


def label(key: str) -> str:
    """Return what a field is called."""
    return _LABELS[key][0] if key in _LABELS else _NAMES.get(key, key.removesuffix("_ns").replace("_", " "))


def said(key: str, value: Any) -> str:
    """Return the value of a field, whole."""
    if isinstance(value, bool):
        _, yes, no = _LABELS.get(key, ("", "yes", "no"))
        return yes if value else no
    if is_time(key, value):
        return tables.when(value)
    if _is_duration(key, value):
        return _duration(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {said(str(name), each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(said("", each) for each in value) or "none"
    return str(value)


def pair(key: str, value: Any) -> str:
    """Return a field as `key=value` for a line of many: a list by its length, times as one word."""
    if isinstance(value, list):
        return f"{key}={len(value)} {'item' if len(value) == 1 else 'items'}" if value else f"{key}=[]"
    if isinstance(value, Mapping):
        return f"{key}={{…}}"
    if isinstance(value, bool):
        return f"{key}={'yes' if value else 'no'}"
    if is_time(key, value):
        return f"{key}={_one_word(value)}"
    if _is_duration(key, value):
        return f"{key.removesuffix('_ns')}={_duration(value)}".replace(" ", "")
    return f"{key}={value}"


def is_time(key: str, value: Any) -> bool:
    """Tell whether a field is a moment in nanoseconds."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and (key in _TIMES or key.endswith("_at"))


def _is_duration(key: str, value: Any) -> bool:
    return isinstance(value, int | float) and key.endswith("_ns")


def _duration(nanos: float) -> str:
    return f"{nanos / SECOND:.1f} s" if abs(nanos) >= SECOND else f"{nanos / 1e6:.2f} ms"


def _one_word(nanos: int) -> str:
    if nanos <= 0:
        return "never"
    told = datetime.fromtimestamp(nanos // SECOND, UTC)
    return f"{told:%H:%M:%S}" if tables.moment(nanos) == tables.clock(nanos) else f"{told:%Y-%m-%dT%H:%M:%S}"

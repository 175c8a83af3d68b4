"""Local times into UTC, across changes of the clock: in spring an hour is skipped, in autumn one comes twice."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from tradeproc.domain.units import MINUTE, SECOND
from tradeproc.market.tape_files.cells import Integers
from tradeproc.market.tape_files.lines import UnreadableTape

_STEP = timedelta(days=7)
# in the hour that comes twice, a row this much earlier than the row before begins the second pass
_FALLS_BACK = 30 * MINUTE


@dataclass(frozen=True, slots=True)
class Converted:
    """Times in UTC; `skipped` rows had a local time that did not exist, `repeated` rows one that came twice."""

    at: Integers
    skipped: int = 0
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of the clock: when (UTC ns), and the offsets from UTC before and after it (ns)."""

    at: int
    before: int
    after: int


def zone_of(name: str) -> ZoneInfo:
    """Return a zone by name.

    Raises:
        UnreadableTape: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise UnreadableTape(
            None, f"zone {name!r} is not known; name one as America/Chicago, America/New_York or UTC"
        ) from None


def to_utc(local: Integers, zone: ZoneInfo) -> Converted:
    """Return local times as UTC, in the order in which they stand in the file.

    A time that was skipped is read as if the clock had not been changed. A time that comes twice is read as the first
    one, until the times in the file fall back: from that row on it is the second one.
    """
    if not len(local):
        return Converted(local)
    changes = _changes(zone, int(local.min()), int(local.max()))
    offsets = np.full(len(local), _offset(zone, int(local.min()) - 86_400 * SECOND), np.int64)
    skipped = repeated = 0
    for change in changes:
        # the clock is changed when local time is `at + before`; from then on the new offset holds
        after = local >= change.at + change.before
        if change.after > change.before:
            is_skipped = after & (local < change.at + change.after)
            skipped += int(is_skipped.sum())
            after &= ~is_skipped
        else:
            twice = np.flatnonzero(~after & (local >= change.at + change.after))
            if len(twice):
                repeated += len(twice)
                after[twice[_second_round(local[twice])]] = True
        offsets[after] = change.after
    return Converted(local - offsets, skipped, repeated)


def _second_round(local: Integers) -> np.ndarray:
    falls = np.diff(local, prepend=local[:1]) < -_FALLS_BACK
    return np.asarray(np.cumsum(falls) > 0)


def _changes(zone: ZoneInfo, first: int, last: int) -> list[_Change]:
    moment = datetime.fromtimestamp(first // SECOND, UTC) - timedelta(days=2)
    end = datetime.fromtimestamp(last // SECOND, UTC) + timedelta(days=2)
    found = []
    while moment < end:
        after = moment + _STEP
        if moment.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            found.append(_change(zone, int(moment.timestamp()), int(after.timestamp())))
        moment = after
    return found


def _change(zone: ZoneInfo, low: int, high: int) -> _Change:
    before, after = _offset(zone, low * SECOND), _offset(zone, high * SECOND)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle * SECOND) == before else (low, middle)
    return _Change(high * SECOND, before, after)


def _offset(zone: ZoneInfo, at: int) -> int:
    offset = datetime.fromtimestamp(at // SECOND, zone).utcoffset()
    return int((offset or timedelta()).total_seconds()) * SECOND

"""What stands, according to each of those that know alarms: traders, warden, portfolio and the keeper; pure.

A message on the bus may be lost, so whoever tells its whole list now and then (a trader in its state, the warden in
its heartbeat, the keeper from the database) corrects what was heard. An alarm stands while anybody says so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.texts import one_line
from tradeproc.domain.units import Nanos
from tradeproc.protocol.alarms import Alarm, Severity
from tradeproc.protocol.book_messages import AlarmListed

KEPT = "the database"


@dataclass(frozen=True, slots=True)
class StandingAlarm:
    """An alarm that stands: what it is about, as `session:7`, its name, since when; `is_seen`: a person said so."""

    scope: str
    name: str
    severity: Severity
    since: Nanos
    detail: str
    is_seen: bool = False

    @property
    def key(self) -> str:
        """What tells it from all others that stand."""
        return f"{self.scope} {self.name}"


def standing_of(alarm: Alarm, *, is_seen: bool = False) -> StandingAlarm:
    """Return an alarm that somebody told as standing."""
    scope, detail = str(alarm.scope), one_line(alarm.detail)
    return StandingAlarm(scope, one_line(alarm.name), alarm.severity, alarm.since, detail, is_seen)


class AlarmSources:
    """The lists of all that know alarms.

    `is_complete` once the database was read in this life: before that an alarm that nobody names may still stand.
    """

    def __init__(self) -> None:
        self.is_complete = False
        self._lists: dict[str, dict[str, StandingAlarm]] = {}
        self._cleared: dict[str, Nanos] = {}
        self._ended: set[str] = set()
        self._were_kept: set[str] = set()

    def hear(self, source: str, alarm: Alarm, now: Nanos) -> None:
        """Take what was said on the bus; what is over there is over in the database too, which may lag."""
        heard = standing_of(alarm)
        if not alarm.cleared:
            self._lists.setdefault(source, {})[heard.key] = heard
            self._ended.discard(heard.key)
            return
        self._ended.add(heard.key)
        self._cleared[heard.key] = now
        for each in (source, KEPT):
            self._lists.get(each, {}).pop(heard.key, None)

    def take_all(self, source: str, alarms: Iterable[StandingAlarm], *, is_young: bool = False) -> None:
        """Take all that stands according to a process; since when is kept where it was heard before.

        A process that has just started (`is_young`) may not have found out yet what stands, so what it does not name
        stands on: nobody may read that a position is covered because its trader was killed.
        """
        before = self._lists.get(source, {})
        kept = {**(before if is_young else {}), **{each.key: each for each in alarms}}
        self._ended = (self._ended | (before.keys() - kept.keys())) - kept.keys()
        self._lists[source] = {
            key: replace(each, since=before[key].since, detail=each.detail or before[key].detail)
            if key in before
            else each
            for key, each in kept.items()
        }

    def take_kept(self, rows: Iterable[AlarmListed], *, is_cut: bool) -> None:
        """Take the rows of the database; what is missing in a list that was cut stands as before."""
        listed = {each.key: each for each in (standing_of(row, is_seen=row.acknowledged_at is not None)
                                              for row in rows if not row.cleared)}  # fmt: skip
        found = {
            key: each for key, each in listed.items() if key not in self._cleared or each.since > self._cleared[key]
        }
        self._lists[KEPT] = {**(self._lists.get(KEPT, {}) if is_cut else {}), **found}
        self._were_kept = (self._were_kept & self._named()) | found.keys()
        self._ended -= found.keys()
        self._cleared = {key: at for key, at in self._cleared.items() if key in listed}
        self.is_complete = self.is_complete or not is_cut

    def forget(self, source: str) -> None:
        """Forget what a process that is gone has left in the database, whose rows say from now on whether it stands.

        What never came to the database stands until the process is back and says otherwise: its row may still lie in
        the journal.
        """
        left = {key: each for key, each in self._lists.pop(source, {}).items() if key not in self._were_kept}
        if left:
            self._lists[source] = left

    def _named(self) -> set[str]:
        return {key for alarms in self._lists.values() for key in alarms}

    def ended(self) -> frozenset[str]:
        """Return the keys that were said to be over in this life, or are gone from a list that had them."""
        return frozenset(self._ended)

    def standing(self) -> Mapping[str, StandingAlarm]:
        """Return all that stands by key; the oldest word for since when, and seen when anybody knows so."""
        found: dict[str, StandingAlarm] = {}
        for each in (alarm for alarms in self._lists.values() for alarm in alarms.values()):
            other = found.get(each.key, each)
            is_seen, detail = each.is_seen or other.is_seen, other.detail or each.detail
            since = min(each.since, other.since)
            found[each.key] = replace(each, since=since, detail=detail, is_seen=is_seen)
        return found

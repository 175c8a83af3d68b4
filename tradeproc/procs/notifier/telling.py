"""What each target is to be told next: `(rule, state, book, now) -> message`; pure.

Nothing is queued: what is due is found anew from what stands and what was told, so that no queue can overflow, and
what was not delivered is still due. A message counts as told when its target has taken it; a notifier that is killed
in between tells it once more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.procs.notifier.alarm_sources import StandingAlarm
from tradeproc.protocol.alarms import Severity

HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
# beyond the hourly cap all that is due is one message, at most this often
SUMMARY_EVERY = 300 * SECOND
URGENT_EVERY = 60 * SECOND
_MOST_BACK_OFF = 900 * SECOND


class Telling(StrEnum):
    """What a message says of an alarm."""

    RAISED = "raised"
    REPEATED = "still stands"
    OVER = "over"
    PASSED = "was raised and is over"


@dataclass(frozen=True, slots=True)
class Case:
    """An alarm that was heard of; `over_at` is when it ended, None while it stands."""

    alarm: StandingAlarm
    over_at: Nanos | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a target has taken of the alarm raised at `since`: how often, when last, and whether that it is over."""

    since: Nanos
    times: int
    at: Nanos
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class TargetState:
    """What a target was told, when within the last hour, and since when and why it takes nothing."""

    told: Mapping[str, Told] = field(default_factory=dict)
    sent_at: tuple[Nanos, ...] = ()
    failures: int = 0
    retry_at: Nanos = Nanos(0)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TellingRule:
    """How a target is told: the least severity, quiet hours of warnings, pauses of repeats, most messages an hour."""

    least: Severity = Severity.WARNING
    quiet: tuple[time, time] | None = None
    zone: ZoneInfo | None = None
    repeats: tuple[Nanos, ...] = (Nanos(300 * SECOND), Nanos(900 * SECOND), Nanos(3600 * SECOND))
    hourly_most: int = 30
    first_back_off: Nanos = Nanos(10 * SECOND)


@dataclass(frozen=True, slots=True)
class Due:
    """One thing that a target is to be told."""

    telling: Telling
    case: Case


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent at once: one thing, or several as a summary."""

    parts: tuple[Due, ...]


Book = Mapping[str, Case]


def observe(
    book: Book, standing: Mapping[str, StandingAlarm], ended: frozenset[str], now: Nanos, *, is_complete: bool
) -> Book:
    """Return the book after a look at what stands.

    What nobody names any more is over, once the lists are complete, or it was said to be over. What stands again was
    raised anew.
    """
    found = dict(book)
    for key, case in book.items():
        if key not in standing and case.over_at is None and (is_complete or key in ended):
            found[key] = replace(case, over_at=now)
    for key, alarm in standing.items():
        known = book.get(key)
        if known is None:
            found[key] = Case(alarm)
        elif known.over_at is None:
            found[key] = Case(replace(alarm, since=known.alarm.since, detail=alarm.detail or known.alarm.detail))
        else:
            # raised anew; whoever keeps telling of the time before must not make it the alarm that is over
            found[key] = Case(alarm if alarm.since > known.over_at else replace(alarm, since=now))
    return found


def is_quiet(rule: TellingRule, now: Nanos) -> bool:
    """Tell whether it is within the quiet hours, which may span midnight."""
    if rule.quiet is None or rule.quiet[0] == rule.quiet[1]:
        return False
    moment = datetime.fromtimestamp(now // SECOND, rule.zone or UTC).time()
    begin, end = rule.quiet
    return begin <= moment < end if begin < end else moment >= begin or moment < end


def due(rule: TellingRule, state: TargetState, book: Book, now: Nanos) -> list[Due]:
    """Return all that a target should be told now, the worst first."""
    found = []
    quiet = is_quiet(rule, now)
    for key, case in book.items():
        is_critical = case.alarm.severity is Severity.CRITICAL
        if not is_critical and (quiet or rule.least is Severity.CRITICAL):
            continue
        telling = _telling(rule, state.told.get(key), case, now)
        if telling is not None:
            found.append(Due(telling, case))
    return sorted(found, key=_urgency)


def _telling(rule: TellingRule, told: Told | None, case: Case, now: Nanos) -> Telling | None:
    if told is None or told.since != case.alarm.since:
        return Telling.RAISED if case.over_at is None else Telling.PASSED
    if case.over_at is not None:
        return None if told.is_over else Telling.OVER
    pause = rule.repeats[told.times - 1] if told.times <= len(rule.repeats) else DAY
    # a message from the future was told before the clock was set back; it is repeated rather than kept silent
    is_time = now - told.at >= pause or told.at > now
    return Telling.REPEATED if is_time and not case.alarm.is_seen else None


_ORDER = tuple(Telling)


def _urgency(each: Due) -> tuple[bool, int, Nanos, str]:
    alarm = each.case.alarm
    return alarm.severity is not Severity.CRITICAL, _ORDER.index(each.telling), alarm.since, alarm.key


def next_message(rule: TellingRule, state: TargetState, book: Book, now: Nanos) -> Message | None:
    """Return what to send now, or None.

    The last message within the hourly most, and each beyond it, is a summary of all that is due; beyond it there is
    one in five minutes, and one in a minute while a critical alarm has not been told at all: chatter of warnings must
    not hold up the one that costs money.
    """
    if now < state.retry_at <= now + _MOST_BACK_OFF:
        return None
    parts = due(rule, state, book, now)
    if not parts:
        return None
    sent = _recent(state.sent_at, now)
    if len(sent) < rule.hourly_most - 1:
        return Message((parts[0],))
    pause = URGENT_EVERY if any(map(_is_urgent, parts)) else SUMMARY_EVERY
    if len(sent) >= rule.hourly_most and now - max(sent) < pause:
        return None
    return Message(tuple(parts))


def _is_urgent(part: Due) -> bool:
    return part.telling is Telling.RAISED and part.case.alarm.severity is Severity.CRITICAL


def _recent(sent_at: Sequence[Nanos], now: Nanos) -> tuple[Nanos, ...]:
    return tuple(at for at in sent_at if now - HOUR < at <= now)


def delivered(state: TargetState, message: Message, now: Nanos) -> TargetState:
    """Return the state after a target has taken a message."""
    told = dict(state.told)
    for part in message.parts:
        alarm, before = part.case.alarm, state.told.get(part.case.alarm.key)
        times = before.times + 1 if before is not None and before.since == alarm.since else 1
        told[alarm.key] = Told(alarm.since, times, now, part.telling in (Telling.OVER, Telling.PASSED))
    return TargetState(told, (*_recent(state.sent_at, now), now))


def failed(rule: TellingRule, state: TargetState, reason: str, now: Nanos) -> TargetState:
    """Return the state after a target has not taken a message: it is tried again with a growing pause."""
    pause = min(rule.first_back_off << min(state.failures, 20), _MOST_BACK_OFF)
    return replace(state, failures=state.failures + 1, retry_at=Nanos(now + pause), reason=reason)


def forget_finished(
    rules: Sequence[TellingRule], states: Sequence[TargetState], book: Book
) -> tuple[Book, list[TargetState]]:
    """Drop what is over and was told to all whom it concerns."""
    kept = {
        key: case
        for key, case in book.items()
        if case.over_at is None or any(map(lambda rule, state: _owes(rule, state, case), rules, states))
    }
    return kept, [
        replace(each, told={key: told for key, told in each.told.items() if key in kept}) for each in states
    ]


def _owes(rule: TellingRule, state: TargetState, case: Case) -> bool:
    if case.alarm.severity is not Severity.CRITICAL and rule.least is Severity.CRITICAL:
        return False
    told = state.told.get(case.alarm.key)
    return told is None or told.since != case.alarm.since or not told.is_over

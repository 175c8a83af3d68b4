"""What a target is told next: tables for each rule, and properties over any course of alarms."""

from dataclasses import replace
from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.domain.units import SECOND, Nanos
from tradeproc.procs.notifier.alarm_sources import StandingAlarm
from tradeproc.procs.notifier.telling import (
    HOUR,
    SUMMARY_EVERY,
    URGENT_EVERY,
    Book,
    Case,
    Message,
    TargetState,
    Telling,
    TellingRule,
    delivered,
    failed,
    forget_finished,
    is_quiet,
    next_message,
    observe,
)
from tradeproc.protocol.alarms import Severity

NOW = Nanos(1_700_000_000 * SECOND)  # 2023-11-14 22:13:20 UTC
MINUTE = 60 * SECOND
RULE = TellingRule()


def alarm(name: str = "disk_full", severity: Severity = Severity.CRITICAL, since: int = NOW) -> StandingAlarm:
    return StandingAlarm("session:1", name, severity, Nanos(since), "why")


WARNING = alarm("disk_low", Severity.WARNING)


def book_of(*alarms: StandingAlarm, over_at: Nanos | None = None) -> Book:
    return {each.key: Case(each, over_at) for each in alarms}


def tellings(message: Message | None) -> list[str]:
    return [] if message is None else [part.telling.value for part in message.parts]


def told(book: Book, state: TargetState = TargetState(), at: int = NOW, rule: TellingRule = RULE) -> TargetState:  # noqa: B008
    message = next_message(rule, state, book, Nanos(at))
    assert message is not None
    return delivered(state, message, Nanos(at))


def test_a_standing_alarm_is_told_then_repeated_after_5_15_60_minutes_and_daily() -> None:
    book, state, at, heard = book_of(alarm()), TargetState(), NOW, []
    for minute in range(3 * 24 * 60):
        message = next_message(RULE, state, book, Nanos(at + minute * MINUTE))
        if message is not None:
            heard.append((minute, tellings(message)))
            state = delivered(state, message, Nanos(at + minute * MINUTE))

    first, *repeats = heard
    assert first == (0, ["raised"])
    assert [minute for minute, _ in repeats] == [5, 20, 80, 80 + 1440, 80 + 2880]
    assert {words[0] for _, words in repeats} == {"still stands"}


def test_the_end_is_told_once_and_then_forgotten() -> None:
    state = told(book_of(alarm()))
    over = book_of(alarm(), over_at=Nanos(NOW + 1))

    message = next_message(RULE, state, over, Nanos(NOW + 2))
    assert tellings(message) == ["over"]
    state = delivered(state, message or Message(()), Nanos(NOW + 2))

    assert next_message(RULE, state, over, Nanos(NOW + HOUR)) is None
    assert forget_finished([RULE], [state], over) == ({}, [replace(state, told={})])


def test_what_came_and_went_while_the_target_was_away_is_told_in_one_message() -> None:
    over = book_of(alarm(), over_at=Nanos(NOW + 1))

    assert tellings(next_message(RULE, TargetState(), over, NOW)) == ["was raised and is over"]
    assert forget_finished([RULE], [TargetState()], over)[0] == over


def test_an_acknowledged_alarm_is_not_repeated_and_its_end_is_told() -> None:
    state, seen = told(book_of(alarm())), replace(alarm(), is_seen=True)

    assert next_message(RULE, state, book_of(seen), Nanos(NOW + 10 * HOUR)) is None
    assert tellings(next_message(RULE, state, book_of(seen, over_at=Nanos(NOW + 1)), NOW)) == ["over"]


def test_a_target_of_critical_alarms_hears_no_warnings_and_owes_none() -> None:
    rule = TellingRule(least=Severity.CRITICAL)

    assert next_message(rule, TargetState(), book_of(WARNING), NOW) is None
    assert tellings(next_message(rule, TargetState(), book_of(WARNING, alarm()), NOW)) == ["raised"]
    assert forget_finished([rule], [TargetState()], book_of(WARNING, over_at=NOW))[0] == {}


def test_warnings_wait_for_the_end_of_quiet_hours_and_critical_alarms_do_not() -> None:
    rule = TellingRule(quiet=(time(22), time(7)), zone=ZoneInfo("UTC"))

    assert next_message(rule, TargetState(), book_of(WARNING), NOW) is None
    assert tellings(next_message(rule, TargetState(), book_of(WARNING, alarm()), NOW)) == ["raised"]
    assert tellings(next_message(rule, TargetState(), book_of(WARNING), Nanos(NOW + 9 * HOUR))) == ["raised"]


@pytest.mark.parametrize(
    ("hours", "zone", "quiet"),
    [
        ((time(22), time(7)), "UTC", True),
        ((time(22), time(7)), "America/New_York", False),
        ((time(17), time(18)), "America/New_York", True),
        ((time(9), time(17)), "UTC", False),
        ((time(8), time(8)), "UTC", False),
    ],
)
def test_quiet_hours_are_those_of_their_zone_and_may_span_midnight(
    hours: tuple[time, time], zone: str, quiet: bool
) -> None:
    assert is_quiet(TellingRule(quiet=hours, zone=ZoneInfo(zone)), NOW) is quiet


def test_the_last_message_of_the_hour_tells_all_and_then_there_is_one_in_five_minutes() -> None:
    rule = TellingRule(hourly_most=2)
    many = [alarm(f"a{number}", Severity.WARNING) for number in range(5)]
    state = told(book_of(*many[:3]), rule=rule)
    summary = next_message(rule, state, book_of(*many[:3]), NOW)
    assert tellings(summary) == ["raised", "raised"]
    state = delivered(state, summary or Message(()), NOW)

    assert next_message(rule, state, book_of(*many), Nanos(NOW + SUMMARY_EVERY - 1)) is None
    late = next_message(rule, state, book_of(*many[:2], *many[3:]), Nanos(NOW + SUMMARY_EVERY))
    assert {part.case.alarm.name for part in (late or Message(())).parts} >= {"a3", "a4"}


def test_a_target_that_fails_is_tried_again_with_growing_pauses_and_loses_nothing() -> None:
    book, state = book_of(alarm()), TargetState()
    for pause in (10, 20, 40, 80):
        state = failed(RULE, state, "no answer", NOW)
        assert next_message(RULE, state, book, Nanos(NOW + pause * SECOND - 1)) is None
        assert tellings(next_message(RULE, state, book, Nanos(NOW + pause * SECOND))) == ["raised"]
    for _ in range(100):
        state = failed(RULE, state, "no answer", NOW)
    assert state.retry_at == NOW + 900 * SECOND
    # the clock was set back by an hour meanwhile
    assert tellings(next_message(RULE, state, book, Nanos(NOW - HOUR))) == ["raised"]


def test_an_alarm_ends_only_when_the_lists_are_complete_or_it_was_said() -> None:
    book, key = book_of(alarm()), alarm().key

    assert observe(book, {}, frozenset(), NOW, is_complete=False) == book
    assert observe(book, {}, frozenset({key}), NOW, is_complete=False)[key].over_at == NOW
    assert observe(book, {}, frozenset(), NOW, is_complete=True)[key].over_at == NOW


def test_what_is_raised_anew_is_another_alarm_even_when_told_with_the_old_time() -> None:
    state, key = told(book_of(alarm())), alarm().key
    over = book_of(alarm(), over_at=Nanos(NOW + 1))
    state = told(over, state, NOW + 2)

    again = observe(over, {key: alarm()}, frozenset(), Nanos(NOW + 3), is_complete=True)

    assert tellings(next_message(RULE, state, again, Nanos(NOW + 3))) == ["raised"]


def test_chatter_of_warnings_holds_up_a_critical_alarm_for_a_minute_at_most() -> None:
    rule = TellingRule(hourly_most=2)
    state = TargetState(sent_at=(Nanos(NOW - 1), NOW))
    chatter = [alarm(f"w{number}", Severity.WARNING) for number in range(3)]

    quiet = next_message(rule, state, book_of(*chatter), Nanos(NOW + URGENT_EVERY))
    urgent = next_message(rule, state, book_of(*chatter, alarm()), Nanos(NOW + URGENT_EVERY))

    assert quiet is None
    assert urgent is not None
    assert (urgent.parts[0].case.alarm.name, len(urgent.parts)) == ("disk_full", 4)
    assert next_message(rule, state, book_of(alarm()), Nanos(NOW + URGENT_EVERY - 1)) is None


@pytest.mark.parametrize(
    ("utc", "quiet"),
    # in the night of 2023-10-29 clocks in Berlin show 02:00 to 03:00 twice; on 2024-03-31 they leave it out
    [
        ("2023-10-29T00:30:00", True),
        ("2023-10-29T01:30:00", True),
        ("2023-10-29T02:00:00", False),
        ("2024-03-31T00:59:59", False),
        ("2024-03-31T01:00:00", False),
    ],
)
def test_quiet_hours_follow_the_clocks_of_their_zone_over_both_changes(utc: str, quiet: bool) -> None:
    rule = TellingRule(quiet=(time(2), time(3)), zone=ZoneInfo("Europe/Berlin"))

    assert is_quiet(rule, Nanos(int(datetime.fromisoformat(f"{utc}+00:00").timestamp()) * SECOND)) is quiet


NAMES = ("a", "b", "c", "d")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("raise", "clear", "wait", "fail", "take", "take", "die")),
        st.sampled_from(NAMES),
        st.integers(1, 40),
    ),
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(2, 6), st.booleans())
def test_no_alarm_is_lost_each_end_is_told_once_and_the_cap_holds(  # noqa: C901 - one course of events
    steps: list[tuple[str, str, int]], most: int, quiet: bool
) -> None:
    hours = (time(22), time(7)) if quiet else None
    rule = TellingRule(hourly_most=most, quiet=hours, zone=ZoneInfo("UTC"))
    now, standing, raised, ended = NOW, {}, set(), set()
    book: Book = {}
    state = TargetState()
    heard: list[tuple[Telling, str, int]] = []
    single, summaries = [], []

    def take() -> None:
        nonlocal state, book
        message = next_message(rule, state, book, now)
        if message is None:
            return
        for part in message.parts:
            is_warning = part.case.alarm.severity is Severity.WARNING
            assert not (is_warning and is_quiet(rule, now))
            heard.append((part.telling, part.case.alarm.key, part.case.alarm.since))
        (single if len(state.sent_at) < most else summaries).append(now)
        state = delivered(state, message, now)
        book, (state,) = forget_finished([rule], [state], book)

    for word, name, minutes in steps:
        now = Nanos(now + 1 + (minutes * MINUTE if word == "wait" else 0))
        severity = Severity.CRITICAL if name in "ab" else Severity.WARNING
        one = alarm(name, severity, now)
        if word == "raise" and one.key not in standing:
            standing[one.key] = one
            raised.add((one.key, now))
        elif word == "clear" and one.key in standing:
            ended.add((one.key, standing.pop(one.key).since))
        elif word == "fail":
            state = failed(rule, state, "away", now)
        book = observe(book, standing, frozenset(), now, is_complete=True)
        if word == "take":
            take()
    for _ in range(3000):
        now = Nanos(now + MINUTE)
        book = observe(book, standing, frozenset(), now, is_complete=True)
        take()

    newest = {key: max(since for one, since in raised if one == key) for key, _ in raised}
    first = {(key, since) for telling, key, since in heard if telling in (Telling.RAISED, Telling.PASSED)}
    ends = [(key, since) for telling, key, since in heard if telling in (Telling.OVER, Telling.PASSED)]
    # one that was raised again before its end was told is told as the newer one
    assert first >= set(newest.items())
    assert len(first) == len([1 for telling, _, _ in heard if telling in (Telling.RAISED, Telling.PASSED)])
    assert len(ends) == len(set(ends))
    assert set(ends) <= ended
    assert {key for key, since in newest.items() if key not in standing} <= {key for key, _ in ends}
    for at in single + summaries:
        within = [each for each in single + summaries if at - HOUR < each <= at]
        assert len(within) <= most + HOUR // URGENT_EVERY

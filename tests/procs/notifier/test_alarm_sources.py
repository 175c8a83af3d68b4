"""What stands when several tell it, messages are lost, and the database lags or is away."""

from dataclasses import replace

from tradeproc.domain.units import Nanos
from tradeproc.procs.notifier.alarm_sources import AlarmSources, standing_of
from tradeproc.protocol import names, scopes
from tradeproc.protocol.alarms import Alarm, severity_of
from tradeproc.protocol.book_messages import AlarmListed

TRADER = names.trader(1)


def alarm(name: str = "close_stuck", since: int = 10, *, cleared: bool = False, detail: str = "why") -> Alarm:
    return Alarm(TRADER, name, scopes.of_session(1), severity_of(name), Nanos(since), detail, cleared)


def row(since: int = 10, *, seen: bool = False) -> AlarmListed:
    told = alarm(since=since)
    at = Nanos(50) if seen else None
    return AlarmListed(
        told.who, told.name, told.scope, told.severity, told.since, told.detail, False, 1, told.since, None, at
    )


def test_an_alarm_stands_while_anybody_says_so() -> None:
    sources = AlarmSources()
    sources.hear(TRADER, alarm(), Nanos(10))
    sources.take_kept([row()], is_cut=False)

    sources.take_all(TRADER, [])
    assert list(sources.standing()) == ["session:1 close_stuck"]
    sources.take_kept([], is_cut=False)
    assert sources.standing() == {}


def test_what_is_said_to_be_over_is_over_though_the_database_lags() -> None:
    sources = AlarmSources()
    sources.take_kept([row()], is_cut=False)
    sources.hear(TRADER, alarm(cleared=True), Nanos(20))

    sources.take_kept([row()], is_cut=False)
    assert sources.standing() == {}
    assert sources.ended() == {"session:1 close_stuck"}
    sources.take_kept([row(since=30)], is_cut=False)
    assert list(sources.standing()) == ["session:1 close_stuck"]


def test_a_lost_message_is_made_good_by_the_list_of_the_process() -> None:
    sources = AlarmSources()
    sources.hear(TRADER, alarm("close_stuck"), Nanos(10))

    sources.take_all(TRADER, [standing_of(alarm("lease_lost", 40)), standing_of(alarm("close_stuck", 40, detail=""))])

    stands = sources.standing()
    assert sorted(stands) == ["session:1 close_stuck", "session:1 lease_lost"]
    assert (stands["session:1 close_stuck"].since, stands["session:1 close_stuck"].detail) == (10, "why")


def test_a_list_that_was_cut_ends_nothing_and_is_not_complete() -> None:
    sources = AlarmSources()
    sources.take_kept([row()], is_cut=True)
    assert not sources.is_complete

    sources.take_kept([], is_cut=True)

    assert list(sources.standing()) == ["session:1 close_stuck"]
    sources.take_kept([], is_cut=False)
    assert sources.is_complete


def test_an_acknowledged_row_is_seen_and_a_cleared_one_does_not_stand() -> None:
    sources = AlarmSources()
    sources.hear(TRADER, alarm(), Nanos(10))

    sources.take_kept([row(seen=True)], is_cut=False)
    assert sources.standing()["session:1 close_stuck"].is_seen
    sources.forget(TRADER)
    sources.take_kept([replace(row(), cleared=True)], is_cut=False)
    assert sources.standing() == {}


def test_a_text_with_nul_and_line_breaks_becomes_one_line() -> None:
    assert standing_of(alarm(detail="a\x00b\nc")).detail == "a\N{REPLACEMENT CHARACTER}b c"


def test_what_a_dead_process_could_not_write_down_stands_and_what_it_could_is_the_databases_affair() -> None:
    sources = AlarmSources()
    sources.hear(TRADER, alarm("position_uncovered"), Nanos(10))
    sources.hear(TRADER, alarm("close_stuck"), Nanos(10))
    sources.take_kept([row()], is_cut=False)
    sources.forget(TRADER)

    sources.take_kept([], is_cut=False)

    assert list(sources.standing()) == ["session:1 position_uncovered"]
    sources.take_all(TRADER, [])
    assert sources.standing() == {}


def test_a_process_that_has_just_started_ends_nothing_by_not_naming_it() -> None:
    sources = AlarmSources()
    sources.hear(TRADER, alarm("position_uncovered"), Nanos(10))

    sources.take_all(TRADER, [standing_of(alarm("lease_lost"))], is_young=True)

    assert sorted(sources.standing()) == ["session:1 lease_lost", "session:1 position_uncovered"]
    assert sources.ended() == frozenset()
    sources.hear(TRADER, alarm("position_uncovered", cleared=True), Nanos(20))
    assert list(sources.standing()) == ["session:1 lease_lost"]

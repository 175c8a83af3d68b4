"""Each alarm has words: what tradeproc did and what a person must do."""

import re
from pathlib import Path

import pytest

import tradeproc
from tradeproc.domain.units import Nanos
from tradeproc.engine.alarms import AlarmName
from tradeproc.procs.keeper import aside_watch, schedule, unstored
from tradeproc.procs.keeper.main import CONFLICT
from tradeproc.procs.notifier.alarm_sources import StandingAlarm
from tradeproc.procs.notifier.telling import Case, Due, Message, Telling
from tradeproc.procs.notifier.wording import GUIDE, UNDELIVERED, body_of, guide, title_of
from tradeproc.procs.warden import alarms as wardens
from tradeproc.protocol.alarms import PORTFOLIO_ALARMS, Severity, severity_of
from tradeproc.store import journal

OTHERS = {
    *wardens._OURS,
    *PORTFOLIO_ALARMS,
    *(aside_watch.ALARM, schedule.ALARM, unstored.UNREAD_ALARM, unstored.REFUSED_ALARM, CONFLICT),
    *(journal.DAMAGED_ALARM, journal.REFUSED_ALARM),
    UNDELIVERED,
}
ROOT = Path(tradeproc.__file__).parents[1]


def test_each_name_of_an_alarm_has_words_and_no_others_have() -> None:
    assert set(GUIDE) == {name.value for name in AlarmName} | OTHERS


def test_each_critical_name_is_one_that_has_words() -> None:
    from tradeproc.protocol.alarms import _CRITICAL

    assert set(GUIDE) >= _CRITICAL


def test_whatever_is_saved_as_an_alarm_is_named_by_a_constant() -> None:
    calls = [
        f"{path.name}: {found}"
        for path in (ROOT / "tradeproc").rglob("*.py")
        for found in re.findall(r"save_alarm\([^,]+, \"[^)]*\)", path.read_text())
    ]

    assert calls == [], "name it by a constant, and give it words in procs/notifier/wording.py"


@pytest.mark.parametrize("name", sorted(GUIDE))
def test_commands_that_are_recommended_exist(name: str) -> None:
    known = {"alarms", "session", "resume", "flatten", "logins", "roll", "status", "portfolio"}

    assert set(re.findall(r"scripts/tradectl (\w+)", GUIDE[name][1])) <= known
    assert all(text.strip() for text in GUIDE[name])


def message(name: str, scope: str, *, over_at: int | None = None, telling: Telling = Telling.RAISED) -> Message:
    alarm = StandingAlarm(scope, name, severity_of(name), Nanos(1_700_000_000_000_000_000), "2 contracts")
    return Message((Due(telling, Case(alarm, None if over_at is None else Nanos(over_at))),))


def test_a_message_says_who_what_since_when_what_was_done_and_what_to_do() -> None:
    told = message("position_uncovered", "session:7")

    assert title_of("my desk", told) == "[my desk] CRITICAL session 7: position_uncovered"
    assert body_of("my desk", told).splitlines() == [
        "Desk: my desk",
        "About: session 7",
        "What: position_uncovered (raised)",
        "2 contracts",
        "Since: 2023-11-14 22:13:20 UTC",
        "tradeproc: It did what the session's stop policy says.",
        "You: See that a stop works at the broker, or scripts/tradectl flatten --session 7",
        "All alarms: scripts/tradectl alarms",
    ]


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        ("session:7", "scripts/tradectl session show 7, then scripts/tradectl resume --session 7 --reason WHY"),
        ("portfolio:main", "scripts/tradectl portfolio show main, then scripts/tradectl resume --portfolio main"),
        ("account:SIM1", "scripts/tradectl sessions, then scripts/tradectl resume --account SIM1 --reason WHY"),
    ],
)
def test_a_loss_limit_is_lifted_where_it_was_reached(scope: str, wanted: str) -> None:
    name = "loss_limit_reached" if scope.startswith("session") else f"loss_limit_reached:{scope}"

    told = body_of("d", message(name, scope))

    assert f"You: Decide whether to go on: {wanted}" in told


def test_the_end_of_an_alarm_asks_for_nothing() -> None:
    told = message("disk_full", "host", over_at=1_700_000_060_000_000_000, telling=Telling.OVER)

    assert title_of("d", told) == "[d] OVER the desk: disk_full"
    assert body_of("d", told).splitlines()[-1] == "Over: 2023-11-14 22:14:20 UTC"


def test_a_summary_has_a_line_for_each_alarm() -> None:
    parts = (*message("disk_full", "host").parts, *message("roll_due", "session:1").parts)

    assert title_of("d", Message(parts)) == "[d] 2 alarms, the worst: CRITICAL the desk: disk_full"
    assert len(body_of("d", Message(parts)).splitlines()) == 4


def test_a_thousand_alarms_with_long_texts_are_a_message_that_services_take() -> None:
    parts = [part for number in range(1000) for part in message(f"{'x' * 400}{number}", "session:1").parts]
    one = StandingAlarm("host", "n" * 500, Severity.CRITICAL, Nanos(0), "d" * 500)

    many, single = Message(tuple(parts)), Message((Due(Telling.RAISED, Case(one)),))

    assert "and 988 more" in body_of("d", many)
    for each in (many, single):
        assert len(title_of("desk " * 100, each)) <= 120
        assert len(body_of("desk " * 100, each)) <= 1600


def test_names_with_a_program_or_a_portfolio_have_the_words_of_their_kind() -> None:
    assert guide("core:given_up:jobs") == GUIDE["given_up"]
    assert guide("host:disk_low") == GUIDE["disk_low"]
    assert guide("heat_blocked:main") == GUIDE["heat_blocked"]
    assert guide("of_another_version")[1] == "scripts/tradectl alarms"
    assert severity_of("host:disk_full") is Severity.CRITICAL

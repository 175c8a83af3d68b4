"""What is a problem and how bad it is: the table."""

from dataclasses import replace
from typing import Any

import pytest

from tradeproc.config import HealthConfig
from tradeproc.desk.health import DAY, SECOND, Level, Problem, ago, evaluate, exit_code
from tradeproc.desk.observations import (
    AlarmSeen,
    BeatSeen,
    DeathSeen,
    DivergenceSeen,
    LoginSeen,
    Observations,
    OrderWaiting,
    ProgramSeen,
    SessionSeen,
    StreamSeen,
)
from tradeproc.domain.answers import Known, Unknown

NOW = 1_790_000_000 * SECOND
LIMITS = HealthConfig()

WELL = Observations(
    programs=Known((ProgramSeen("core:keeper", "RUNNING"), ProgramSeen("session-1:trader", "RUNNING"))),
    beats=(BeatSeen("core.keeper", NOW - SECOND, "ready"), BeatSeen("link-paper.link", NOW, "ready", clock_skew=0.3)),
    streams=Known((StreamSeen("session 1 candles", True, NOW - 5 * SECOND, True),)),
    orders=Known((OrderWaiting("a", 1, "pending", NOW - SECOND),)),
    divergences=Known((DivergenceSeen(1, "ESH24", NOW - 2 * DAY),)),
    logins=Known((LoginSeen("paper", "ok", NOW + 600 * SECOND, NOW - 90 * DAY),)),
    calendars=(("cme_equity", NOW + 300 * DAY),),
    calendar_checked_at=NOW - 399 * DAY,
)


def seen(**changed: Any) -> Observations:
    return replace(WELL, **changed)


def program(state: str, name: str = "session-1:trader", exit_status: int = 0) -> Observations:
    return seen(programs=Known((ProgramSeen(name, state, "", exit_status),)))


def beat(age: float = 0.0, **fields: Any) -> Observations:
    return seen(beats=(BeatSeen("core.keeper", NOW - int(age * SECOND), **{"state": "ready", **fields}),))


def stream(is_up: bool | None, age: float | None, is_open: bool) -> Observations:
    last = None if age is None else NOW - int(age * SECOND)
    return seen(streams=Known((StreamSeen("session 1 candles", is_up, last, is_open, "cut"),)))


def login(**fields: Any) -> Observations:
    told = {"name": "paper", "state": "ok", "expires_at": NOW + SECOND, "logged_in_at": NOW, **fields}
    return seen(logins=Known((LoginSeen(**told),)))


def trader(alarms: str) -> Observations:
    return seen(beats=(BeatSeen("session-1.trader", NOW, "degraded", alarms),))


OWN = ("session-1:account", "session-1:trader", "link-paper:link")


def session(age: int = DAY // SECOND, **states: str | None) -> Observations:
    """Be two sessions that should run, and what is the state of the programs of one; None: it is not there."""
    told = {name: states.get(name.split(":")[1], "RUNNING") for name in OWN}
    others = ("session-2:account", "session-2:trader")
    programs = [ProgramSeen(name, state) for name, state in told.items() if state is not None]
    both = SessionSeen(1, "mine", NOW - age * SECOND, "paper"), SessionSeen(2, "yours", NOW - age * SECOND, "paper")
    return seen(programs=Known((*programs, *(ProgramSeen(name, "RUNNING") for name in others))), sessions=Known(both))


def alarm(name: str, session: int | None = 1, *, is_due: bool = True) -> Observations:
    return seen(alarms=Known((AlarmSeen(session, name, "why", NOW - 300 * SECOND, is_due),)))


def starting(process: str, age: int | None) -> Observations:
    since = None if age is None else NOW - age * SECOND
    return replace(session(), beats=(BeatSeen(process, NOW, "starting", "standing by: 4711", since=since),))


def idle(name: str, state: str) -> Observations:
    return replace(program(state, name), idle=frozenset({name}))


def mute(age: float | None) -> Observations:
    at = None if age is None else NOW - int(age * SECOND)
    return seen(beats=(BeatSeen("core.jobs", at, detail="no answer in 2 s"),))


CRITICAL, WARNING, UNKNOWN = Level.CRITICAL, Level.WARNING, Level.UNKNOWN
CTL = ".venv/bin/supervisorctl -c supervisord.conf"


@pytest.mark.parametrize(
    ("observations", "level", "subject", "part"),
    [
        (seen(programs=Unknown("not running")), CRITICAL, "supervisord", "scripts/tradectl up"),
        (
            seen(wardens_deaths=tuple(DeathSeen(NOW - each * SECOND, "KeyError") for each in (60, 90, 120))),
            WARNING,
            "warden.warden",
            "died 3 times within an hour, the last time 60 s ago: KeyError",
        ),
        (program("FATAL"), CRITICAL, "session-1:trader", "gave up"),
        (program("BACKOFF"), WARNING, "session-1:trader", "tried again"),
        (program("EXITED", exit_status=70), CRITICAL, "session-1:trader", "gave up"),
        (program("EXITED", exit_status=78), CRITICAL, "session-1:trader", "only a person"),
        (program("STOPPED", "core:keeper"), CRITICAL, "core:keeper", "stopped, and must run"),
        (program("EXITED", "core:keeper"), CRITICAL, "core:keeper", f"ended, and must run; {CTL} start core:keeper"),
        (program("STOPPED", "warden:warden"), CRITICAL, "warden:warden", f"{CTL} start warden:warden"),
        (program("EXITED", "warden:warden"), CRITICAL, "warden:warden", "ended, and must run"),
        (program("EXITED", "localbroker:localbroker"), CRITICAL, "localbroker:localbroker", "must run"),
        (program("EXITED", "core:postgres"), CRITICAL, "core:postgres", "must run"),
        (
            session(account="STOPPED", trader="EXITED"),
            CRITICAL,
            "session 1",
            f"mine should run and does not; {CTL} start 'session-1:*' or scripts/tradectl session stop 1",
        ),
        (session(21, account=None, trader=None), CRITICAL, "session 1", f"{CTL} restart core:keeper or"),
        (
            session(account="EXITED"),
            CRITICAL,
            "session-1:account",
            f"ended, and needed by session mine; {CTL} start session-1:account",
        ),
        (session(0, account="STOPPED", trader="STOPPED"), CRITICAL, "session 1", "mine should run and does not"),
        (session(0, link="STOPPED"), CRITICAL, "link-paper:link", "stopped, and needed by"),
        (session(trader="STOPPED"), CRITICAL, "session-1:trader", "stopped, and needed by session mine"),
        (
            session(link="STOPPED"),
            CRITICAL,
            "link-paper:link",
            f"stopped, and needed by session mine, yours; {CTL} start link-paper:link",
        ),
        (session(link="EXITED"), CRITICAL, "link-paper:link", "ended, and needed by session mine, yours"),
        (
            session(link=None),
            CRITICAL,
            "link-paper:link",
            f"does not have it, and it is needed by session mine, yours; {CTL}",
        ),
        (session(trader="FATAL"), CRITICAL, "session-1:trader", f"{CTL} start session-1:trader"),
        (session(account="STOPPED", trader="FATAL"), CRITICAL, "session-1:trader", "gave up"),
        (trader("position_diverged"), WARNING, "session-1.trader", "degraded: position_diverged"),
        (trader("position_diverged; position_uncovered"), CRITICAL, "session-1.trader", "position_uncovered"),
        (program("UNKNOWN"), UNKNOWN, "session-1:trader", "UNKNOWN"),
        (beat(6), WARNING, "core.keeper", "6 s ago"),
        (beat(31), CRITICAL, "core.keeper", f"31 s ago; it may hang: see its log, or {CTL} restart core:keeper"),
        (mute(None), CRITICAL, "core.jobs", "does not answer (no answer in 2 s); it may hang"),
        (mute(2), WARNING, "core.jobs", "last heartbeat 2 s ago, does not answer (no answer in 2 s)"),
        (mute(30), WARNING, "core.jobs", "last heartbeat 30 s ago, does not answer"),
        (mute(31), CRITICAL, "core.jobs", "last heartbeat 31 s ago, does not answer (no answer in 2 s); it may hang"),
        (beat(state="degraded", detail="database down"), WARNING, "core.keeper", "database down"),
        (beat(clock_skew=2.5), WARNING, "core.keeper", "+2.5 s"),
        (beat(clock_skew=-31.0), CRITICAL, "core.keeper", "-31.0 s"),
        (stream(False, 1, True), CRITICAL, "session 1 candles", "down while the market is open: cut"),
        (stream(True, 121, True), CRITICAL, "session 1 candles", "no data for 2 min"),
        (stream(True, None, True), CRITICAL, "session 1 candles", "no data yet"),
        (seen(streams=Unknown("keeper is silent")), UNKNOWN, "streams", "keeper is silent"),
        (seen(orders=Known((OrderWaiting("ab1", 3, "pre_sent", NOW - 11 * SECOND),))), CRITICAL, "session 3", "ab1"),
        (seen(orders=Unknown("no keeper")), UNKNOWN, "orders", "no keeper"),
        (
            seen(
                divergences=Known(
                    (DivergenceSeen(2, "ESH24", NOW - SECOND), DivergenceSeen(2, "x", NOW - 9 * SECOND))
                )
            ),
            WARNING,
            "session 2",
            "2 in the last 60 min, newest ESH24",
        ),
        (seen(divergences=Unknown("no keeper")), UNKNOWN, "divergences", "no keeper"),
        (alarm("position_uncovered"), CRITICAL, "session 1", "alarm position_uncovered for 5 min: why"),
        (alarm("order_reappeared"), CRITICAL, "session 1", "order_reappeared"),
        (alarm("close_stuck", is_due=False), CRITICAL, "session 1", "close_stuck"),
        (alarm("lease_lost"), CRITICAL, "session 1", "lease_lost"),
        (alarm("given_up:trader"), CRITICAL, "session 1", "given_up:trader"),
        (alarm("core:given_up:jobs", None), CRITICAL, "host", "core:given_up:jobs"),
        (alarm("host:disk_full", None), CRITICAL, "host", "disk_full"),
        (alarm("not_flat_at_end", is_due=False), CRITICAL, "session 1", "not_flat_at_end"),
        (alarm("strategy_overran"), WARNING, "session 1", "strategy_overran"),
        (alarm("order_unresolved", is_due=False), WARNING, "session 1", "order_unresolved"),
        (seen(alarms=Unknown("no keeper")), UNKNOWN, "alarms", "no keeper"),
        (
            starting("session-1.trader", 61),
            WARNING,
            "session-1.trader",
            "not ready 61 s after its start: standing by",
        ),
        (starting("session-1.trader", 301), CRITICAL, "session-1.trader", "not ready 5 min"),
        (starting("session-1.account", 301), CRITICAL, "session-1.account", "not ready"),
        (starting("link-paper.link", 301), CRITICAL, "link-paper.link", "not ready"),
        (starting("link-other.link", 301), WARNING, "link-other.link", "not ready"),
        (starting("core.portfolio", 301), WARNING, "core.portfolio", "not ready"),
        (seen(configuration=Unknown("x.toml: ports: unknown key")), UNKNOWN, "configuration", "x.toml: ports"),
        (seen(database=Unknown("refused")), CRITICAL, "database", "refused; entries wait"),
        (seen(disk_free_mb=Known(255)), CRITICAL, "disk", "255 MB"),
        (seen(disk_free_mb=Known(2047)), WARNING, "disk", "2047 MB"),
        (seen(disk_free_mb=Unknown("no such folder")), UNKNOWN, "disk", "no such folder"),
        (login(state="needs_login"), CRITICAL, "login paper", "a person must log in: scripts/tradectl login paper"),
        (login(state="needs_login", detail="revoked"), CRITICAL, "login paper", "revoked; a person must log in"),
        (
            login(state="needs_login", detail="x.toml: [logins.paper.client_id] file: /none cannot be read"),
            CRITICAL,
            "login paper",
            f"/none cannot be read; mend that, then {CTL} restart core:tokens",
        ),
        (
            login(
                state="needs_login", detail="[logins.paper.client_id] env: X is not set in the environment of this"
            ),
            CRITICAL,
            "login paper",
            "set it where the desk is started, then scripts/tradectl down and scripts/tradectl up",
        ),
        (login(state="error", detail="refused"), CRITICAL, "login paper", "error: refused"),
        (login(expires_at=NOW - 61 * SECOND), CRITICAL, "login paper", "ran out 61 s ago"),
        (seen(logins=Unknown("no tokens")), UNKNOWN, "logins", "no tokens"),
        (seen(calendars=(("cme_fx", NOW + 29 * DAY),)), WARNING, "calendar cme_fx", "29 days"),
        (seen(calendars=(("cme_fx", NOW - DAY),)), CRITICAL, "calendar cme_fx", "in the past"),
        (seen(calendar_checked_at=NOW - 401 * DAY), WARNING, "calendar", "exchange's schedule 401 d ago; update"),
    ],
)
def test_each_thing_that_is_wrong_is_one_problem(
    observations: Observations, level: Level, subject: str, part: str
) -> None:
    [problem] = evaluate(observations, LIMITS, NOW)

    assert (problem.level, problem.subject) == (level, subject)
    assert part in problem.text


@pytest.mark.parametrize(
    "observations",
    [
        WELL,
        program("STARTING"),
        alarm("strategy_overran", is_due=False),
        starting("session-1.trader", 60),
        starting("session-1.trader", None),
        session(),
        session(19, account=None, trader=None),
        session(19, link=None),
        session(19, link="EXITED"),
        program("STOPPED"),
        program("EXITED", exit_status=0),
        program("EXITED", "link-paper:bars-ESH24-1m"),
        idle("core:postgres", "EXITED"),
        idle("localbroker:localbroker", "STOPPED"),
        beat(5),
        beat(clock_skew=-2.0),
        stream(False, 1000, False),
        stream(None, 100_000, False),
        stream(True, 119, True),
        login(expires_at=None),
        login(expires_at=NOW - 59 * SECOND),
    ],
)
def test_a_desk_that_is_well_has_no_problems(observations: Observations) -> None:
    assert evaluate(observations, LIMITS, NOW) == []


def test_a_database_that_is_down_is_one_problem_with_all_that_follows_from_it() -> None:
    away = Unknown("connection refused")
    beats = (
        BeatSeen("core.keeper", NOW, "degraded", "database: connection refused"),
        BeatSeen("session-1.trader", NOW, "degraded", "database_down; lease_lost"),
    )

    [problem] = evaluate(
        seen(database=away, sessions=away, streams=away, orders=away, divergences=away, alarms=away, beats=beats),
        LIMITS,
        NOW,
    )

    assert problem.subject == "database"
    assert "not checked: sessions, streams, orders, divergences, alarms" in problem.text


def test_a_configuration_that_cannot_be_used_is_one_problem_with_all_that_follows_from_it() -> None:
    away = Unknown("x.toml: ports: unknown key")
    unseen = seen(configuration=away, sessions=away, streams=away, orders=away, divergences=away, alarms=away)

    [problem] = evaluate(unseen, LIMITS, NOW)
    [_, both] = evaluate(Observations(Unknown("does not answer"), configuration=away), LIMITS, NOW)

    assert (problem.level, problem.subject) == (UNKNOWN, "configuration")
    assert "unknown key; not checked: sessions, streams, orders, divergences, alarms" in problem.text
    assert both.subject == "configuration"


def test_a_link_is_not_needed_by_a_session_that_is_down_itself() -> None:
    only = replace(session(account="STOPPED", trader="STOPPED", link="STOPPED"))
    due = only.sessions.value[:1] if isinstance(only.sessions, Known) else ()

    [problem] = evaluate(replace(only, sessions=Known(due)), LIMITS, NOW)

    assert problem.subject == "session 1"


def test_what_a_trader_is_degraded_by_is_told_once_with_its_detail_and_never_milder() -> None:
    own = AlarmSeen(1, "close_stuck", "why", NOW), AlarmSeen(1, "order_unresolved", "where", NOW)
    beat = BeatSeen("session-1.trader", NOW, "degraded", "close_stuck; order_unresolved")
    mild = replace(beat, detail="order_unresolved")

    both = evaluate(seen(alarms=Known(own), beats=(beat,)), LIMITS, NOW)
    milder = evaluate(seen(alarms=Known(own[1:]), beats=(mild,)), LIMITS, NOW)

    assert [(each.level, each.subject) for each in both] == [(CRITICAL, "session 1"), (WARNING, "session 1")]
    assert [(each.level, each.subject) for each in milder] == [(CRITICAL, "session-1.trader"), (WARNING, "session 1")]


def test_what_a_person_has_acknowledged_is_told_no_more_and_explains_its_trader_still() -> None:
    seen_by = [AlarmSeen(1, name, "why", NOW, True, True) for name in ("close_stuck", "order_unresolved")]
    new = AlarmSeen(1, "position_uncovered", "look", NOW)
    beat = BeatSeen("session-1.trader", NOW, "degraded", "close_stuck; order_unresolved")
    worse = replace(beat, detail="close_stuck; order_unresolved; position_uncovered")

    assert evaluate(seen(alarms=Known(tuple(seen_by)), beats=(beat,)), LIMITS, NOW) == []
    [problem] = evaluate(seen(alarms=Known((*seen_by, new)), beats=(worse,)), LIMITS, NOW)
    assert (problem.level, problem.subject) == (CRITICAL, "session 1")
    assert problem.text.endswith("scripts/tradectl acknowledge --session 1 --reason WHY")


def test_a_bare_position_is_told_also_while_the_database_is_down() -> None:
    beats = (BeatSeen("session-1.trader", NOW, "degraded", "database_down; position_uncovered"),)

    problems = evaluate(seen(database=Unknown("refused"), beats=beats), LIMITS, NOW)

    assert {problem.subject for problem in problems} == {"database", "session-1.trader"}


def test_a_login_in_trouble_is_not_told_again_by_the_process_of_the_tokens() -> None:
    rows = (LoginSeen("live", "needs_login", None, None, "revoked"), LoginSeen("paper", "error", None, None, "cut"))
    beats = (
        BeatSeen("core.tokens", NOW, "degraded", "live: revoked; paper: cut"),
        BeatSeen("core.jobs", NOW, "degraded", "live: revoked"),
    )

    problems = evaluate(seen(logins=Known(rows), beats=beats), LIMITS, NOW)

    assert [problem.subject for problem in problems] == ["login live", "login paper", "core.jobs"]


def test_a_stream_that_is_down_is_not_told_again_by_those_who_hear_it() -> None:
    feed = "link-paper.orders-SIM1"
    streams = Known((StreamSeen(feed, False, None, True, "cut: refused"),))
    beats = (
        BeatSeen(feed, NOW, "degraded", "cut: refused"),
        BeatSeen("session-1.account", NOW, "degraded", "orders: cut: refused; positions: up"),
        BeatSeen("session-2.account", NOW, "degraded", "orders: something else"),
    )

    problems = evaluate(seen(streams=streams, beats=beats), LIMITS, NOW)

    assert [problem.subject for problem in problems] == [feed, "session-2.account"]


def test_an_old_login_is_a_warning_only_where_a_limit_is_set() -> None:
    limits = replace(LIMITS, login_age_days=7.0)

    [problem] = evaluate(login(logged_in_at=NOW - 8 * DAY), limits, NOW)

    assert problem == Problem(WARNING, "login paper", "logged in 8 d ago; log in again: scripts/tradectl login paper")


def test_the_worst_problem_comes_first_and_decides_the_exit_code() -> None:
    observations = seen(disk_free_mb=Known(2000), orders=Unknown("no keeper"), database=Unknown("refused"))

    problems = evaluate(observations, LIMITS, NOW)

    assert [problem.level for problem in problems] == [CRITICAL, UNKNOWN, WARNING]
    assert exit_code(problems) == 2


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ([], 0),
        ([WARNING], 1),
        ([CRITICAL, WARNING], 2),
        ([UNKNOWN, WARNING], 3),
        ([CRITICAL, UNKNOWN], 2),
    ],
)
def test_exit_codes(levels: list[Level], code: int) -> None:
    assert exit_code([Problem(level, "x", "y") for level in levels]) == code


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_ages_are_readable(seconds: int, text: str) -> None:
    assert ago(NOW - seconds * SECOND, NOW) == text


def test_a_problem_is_one_line() -> None:
    assert str(Problem(CRITICAL, "disk", "10 MB free")) == "CRITICAL disk: 10 MB free"


def test_a_halt_that_may_be_lost_is_critical_and_a_lost_row_is_told_also_of_a_stopped_session() -> None:
    host = evaluate(alarm("latches_unread", None), LIMITS, NOW)
    stopped = evaluate(alarm("journal_damaged", is_due=False), LIMITS, NOW)

    assert [(each.level, each.subject) for each in (*host, *stopped)] == [(CRITICAL, "host"), (WARNING, "session 1")]


def test_a_session_needs_the_link_of_its_data_login_too() -> None:
    with_both = session()
    due = with_both.sessions.value[:1] if isinstance(with_both.sessions, Known) else ()
    apart = replace(with_both, sessions=Known(tuple(replace(each, data_login="data") for each in due)))

    [problem] = evaluate(apart, LIMITS, NOW)

    assert (problem.level, problem.subject) == (CRITICAL, "link-data:link")
    assert "needed by session mine" in problem.text


def test_a_login_that_ends_soon_is_told_ahead_and_one_that_a_person_need_not_renew_is_not() -> None:
    def problems(days: float | None) -> list[str]:
        ends = None if days is None else NOW + int(days * DAY)
        login = LoginSeen("paper", "ok", NOW + DAY, NOW - DAY, person_needed_at=ends)
        return [str(each.text) for each in evaluate(seen(logins=Known((login,))), LIMITS, NOW)]

    assert problems(None) == problems(2.1) == []
    assert problems(1.6) == ["ends in 38 h; log in again before: scripts/tradectl login paper"]
    assert problems(-3) == ["ended 3 d ago; log in again before: scripts/tradectl login paper"]

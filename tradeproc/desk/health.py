"""What is wrong with a desk: pure, `evaluate(observations, thresholds, now)` gives problems.

Each rule is one function of the list `RULES`. What could not be found out is an `unknown` problem, never
silence. Rules about what must run are in must_run.py, about what stands still in standing.py; collector.py makes the
observations, healthcheck.py prints the problems.
"""

from collections.abc import Iterator, Sequence

from tradeproc.config import HealthConfig
from tradeproc.desk.exit_status import supervisorctl
from tradeproc.desk.health_problems import Level, Problem, Rule, acknowledge_way, ago
from tradeproc.desk.must_run import programs, sessions
from tradeproc.desk.observations import BeatSeen, LoginSeen, Observations
from tradeproc.desk.standing import alarms, is_in_alarms, starting, warden
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.units import SECOND
from tradeproc.engine.alarms import AlarmName
from tradeproc.protocol import names
from tradeproc.protocol.names import ProcessName

DAY = 86_400 * SECOND


_BY_RANK = tuple(Level)
_CHANGES = "conf/market_hours.toml"


def evaluate(observations: Observations, thresholds: HealthConfig, now: int) -> list[Problem]:
    """Return the problems, the worst first; `now` is UTC nanoseconds.

    When supervisord itself is not running there is one problem and no list of its consequences.
    """
    match observations.programs:
        case Unknown(reason):
            away = Problem(Level.CRITICAL, "supervisord", f"{reason}; start the desk: scripts/tradectl up")
            found = [away, *_configuration(observations, thresholds, now)]
        case Known(_):
            found = [problem for rule in RULES for problem in rule(observations, thresholds, now)]
    return sorted(found, key=lambda problem: -_BY_RANK.index(problem.level))


def exit_code(problems: Sequence[Problem]) -> int:
    """Return 0 without problems, else the code of the worst: critical 2, unknown 3, warning 1."""
    worst = max((_BY_RANK.index(problem.level) for problem in problems), default=None)
    return 0 if worst is None else _BY_RANK[worst].exit_code


def _configuration(seen: Observations, _thresholds: HealthConfig, _now: int) -> Iterator[Problem]:
    match seen.configuration:
        case Unknown(reason):
            yield Problem(Level.UNKNOWN, "configuration", f"{reason}{seen.unseen(seen.configuration)}")
        case Known(_):
            return


def _beats(seen: Observations, thresholds: HealthConfig, now: int) -> Iterator[Problem]:
    for beat in seen.beats:
        yield from _silence(beat, thresholds, now)
        if beat.state == "degraded" and not _is_told_already(beat, seen):
            text = f"degraded: {beat.detail or 'no reason given'}"
            yield Problem(_severity(beat), beat.process, text)
        yield from _skew(beat, thresholds)


def _silence(beat: BeatSeen, thresholds: HealthConfig, now: int) -> Iterator[Problem]:
    """Report processes without a heartbeat.

    One that beats and does not answer may be busy, and its state is unknown.
    """
    mute = "" if beat.state else f"does not answer ({beat.detail})"
    hangs = f"it may hang: see its log, or {supervisorctl('restart', beat.process.replace('.', ':', 1))}"
    if beat.at is None:
        yield Problem(Level.CRITICAL, beat.process, f"{mute or 'no heartbeat'}; {hangs}")
        return
    age = (now - beat.at) / SECOND
    text = ", ".join(filter(None, (f"last heartbeat {ago(beat.at, now)} ago", mute)))
    if age > thresholds.heartbeat_critical:
        yield Problem(Level.CRITICAL, beat.process, f"{text}; {hangs}")
    elif age > thresholds.heartbeat_warning or mute:
        yield Problem(Level.WARNING, beat.process, text)


def _severity(beat: BeatSeen) -> Level:
    """Return how bad a degraded process is: a trader's alarms are about money, unless they pass by themselves."""
    if not ProcessName(beat.process).is_trader:
        return Level.WARNING
    alarms = {word.strip() for word in beat.detail.split(";")}
    return Level.WARNING if alarms <= _PASSING else Level.CRITICAL


_PASSING = frozenset({AlarmName.POSITION_DIVERGED, AlarmName.DATABASE_DOWN, AlarmName.LEASE_LOST, ""})


def _is_told_already(beat: BeatSeen, seen: Observations) -> bool:
    """Tell whether a process is degraded only because of something that has a line of its own."""
    if is_in_alarms(beat, seen, _severity(beat)):
        return True
    if isinstance(seen.database, Unknown) and "database" in beat.detail:
        return _severity(beat) is Level.WARNING
    logins = seen.logins.value if isinstance(seen.logins, Known) else ()
    if beat.detail and beat.detail == "; ".join(
        f"{each.name}: {each.detail}" for each in logins if each.state != "ok"
    ):
        return True
    streams = seen.streams.value if isinstance(seen.streams, Known) else ()
    down = [stream for stream in streams if stream.is_up is False]
    return any(beat.process == stream.name or (stream.reason and stream.reason in beat.detail) for stream in down)


def _skew(beat: BeatSeen, thresholds: HealthConfig) -> Iterator[Problem]:
    if beat.clock_skew is None or abs(beat.clock_skew) <= thresholds.skew_warning:
        return
    level = Level.CRITICAL if abs(beat.clock_skew) > thresholds.skew_critical else Level.WARNING
    text = f"this machine's clock differs from the broker's by {beat.clock_skew:+.1f} s; check its time service"
    yield Problem(level, beat.process, text)


def _streams(seen: Observations, thresholds: HealthConfig, now: int) -> Iterator[Problem]:
    match seen.streams:
        case Unknown(reason):
            yield from _unknown("streams", reason, seen)
        case Known(streams):
            for stream in streams:
                if stream.is_up is False and stream.is_market_open:
                    yield Problem(
                        Level.CRITICAL, stream.name, f"stream is down while the market is open: {stream.reason}"
                    )
                elif stream.is_market_open and _is_stale(stream.last_event_at, thresholds.stale_stream, now):
                    yield Problem(
                        Level.CRITICAL, stream.name, f"no data {_since(stream.last_event_at, now)}, market is open"
                    )


def _is_stale(at: int | None, seconds: float, now: int) -> bool:
    return at is None or now - at > seconds * SECOND


def _since(at: int | None, now: int) -> str:
    return "yet" if at is None else f"for {ago(at, now)}"


def _orders(seen: Observations, thresholds: HealthConfig, now: int) -> Iterator[Problem]:
    match seen.orders:
        case Unknown(reason):
            yield from _unknown("orders", reason, seen)
        case Known(orders):
            for order in orders:
                if now - order.changed_at > thresholds.stuck_order * SECOND:
                    waiting = f"order {order.id} is {order.state} for {ago(order.changed_at, now)}"
                    text = f"{waiting}; look at the broker's own screen"
                    yield Problem(Level.CRITICAL, f"session {order.session}", text)


def _divergences(seen: Observations, thresholds: HealthConfig, now: int) -> Iterator[Problem]:
    match seen.divergences:
        case Unknown(reason):
            yield from _unknown("divergences", reason, seen)
        case Known(rows):
            recent = [row for row in rows if now - row.at <= thresholds.recent_divergence * SECOND]
            for session in sorted({row.session for row in recent}):
                own = [row for row in recent if row.session == session]
                newest = max(own, key=lambda row: row.at)
                text = f"{len(own)} in the last {thresholds.recent_divergence / 60:.0f} min, newest {newest.subject}"
                yield Problem(
                    Level.WARNING,
                    f"session {session}",
                    f"differed from the broker: {text}; scripts/tradectl divergences{acknowledge_way(session)}",
                )


def _database(seen: Observations, _thresholds: HealthConfig, _now: int) -> Iterator[Problem]:
    match seen.database:
        case Unknown(reason):
            text = f"{reason}; entries wait, exits go on{seen.unseen(seen.database)}"
            yield Problem(Level.CRITICAL, "database", text)
        case Known(_):
            return


def _unknown(subject: str, reason: str, seen: Observations) -> Iterator[Problem]:
    """Report what could not be found out, unless the problem that caused it is reported already."""
    if seen.tells(reason):
        yield Problem(Level.UNKNOWN, subject, reason)


def _disk(seen: Observations, thresholds: HealthConfig, _now: int) -> Iterator[Problem]:
    match seen.disk_free_mb:
        case Unknown(reason):
            yield Problem(Level.UNKNOWN, "disk", reason)
        case Known(free) if free < thresholds.disk_critical_mb:
            yield Problem(Level.CRITICAL, "disk", f"{free} MB free; make room now")
        case Known(free) if free < thresholds.disk_warning_mb:
            yield Problem(Level.WARNING, "disk", f"{free} MB free")
        case Known(_):
            return


def _logins(seen: Observations, thresholds: HealthConfig, now: int) -> Iterator[Problem]:
    match seen.logins:
        case Unknown(reason):
            yield Problem(Level.UNKNOWN, "logins", reason)
        case Known(logins):
            for login in logins:
                yield from _login(login, thresholds, now)


def _login(login: LoginSeen, thresholds: HealthConfig, now: int) -> Iterator[Problem]:
    subject = f"login {login.name}"
    if login.state == "needs_login":
        yield Problem(Level.CRITICAL, subject, "; ".join(filter(None, (login.detail, _way_to(login)))))
    elif login.state != "ok":
        yield Problem(Level.CRITICAL, subject, f"{login.state}: {login.detail or 'no reason given'}")
    elif login.expires_at is not None and now - login.expires_at > thresholds.token_overdue * SECOND:
        yield Problem(
            Level.CRITICAL, subject, f"its token ran out {ago(login.expires_at, now)} ago and was not renewed"
        )
    ends, ahead = login.person_needed_at, thresholds.login_ends_days
    if login.state == "ok" and ends is not None and ahead > 0 and ends - now < ahead * DAY:
        text = f"ends in {ago(now, ends)}" if ends > now else f"ended {ago(ends, now)} ago"
        yield Problem(Level.WARNING, subject, f"{text}; log in again before: scripts/tradectl login {login.name}")
    limit = thresholds.login_age_days
    if limit > 0 and login.logged_in_at is not None and now - login.logged_in_at > limit * DAY:
        text = f"logged in {ago(login.logged_in_at, now)} ago; log in again: scripts/tradectl login {login.name}"
        yield Problem(Level.WARNING, subject, text)


def _way_to(login: LoginSeen) -> str:
    """Return what helps a login that needs a person: one whose secret is not there cannot be logged in."""
    if f"[logins.{login.name}." not in login.detail:
        return f"a person must log in: scripts/tradectl login {login.name}"
    if "is not set in the environment" in login.detail:
        return "set it where the desk is started, then scripts/tradectl down and scripts/tradectl up"
    return f"mend that, then {supervisorctl('restart', names.TOKENS.at_supervisord)}"


def _calendars(seen: Observations, thresholds: HealthConfig, now: int) -> Iterator[Problem]:
    for name, horizon in seen.calendars:
        left = (horizon - now) // DAY
        if left < 0:
            yield Problem(Level.CRITICAL, f"calendar {name}", "its holidays ended in the past; update tradeproc")
        elif left < thresholds.calendar_days:
            yield Problem(Level.WARNING, f"calendar {name}", f"its holidays end in {left} days; update tradeproc")
    limit, checked = thresholds.calendar_check_days, seen.calendar_checked_at
    if seen.calendars and limit > 0 and checked is not None and now - checked > limit * DAY:
        text = f"last held against the exchange's schedule {ago(checked, now)} ago; update tradeproc"
        yield Problem(Level.WARNING, "calendar", f"{text}, or check the next holidays and correct {_CHANGES}")


RULES: tuple[Rule, ...] = (
    _configuration, programs, sessions, _beats, starting, _streams, _orders, _divergences, alarms, _database, _disk,
    _logins, _calendars, warden,
)  # fmt: skip

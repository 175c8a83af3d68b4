"""Rules of the health check about what stands: alarms, and processes that never get ready."""

from collections.abc import Iterator

from tradeproc.config import HealthConfig
from tradeproc.desk.health_problems import Level, Problem, acknowledge_way, ago
from tradeproc.desk.must_run import due, needs
from tradeproc.desk.observations import AlarmSeen, BeatSeen, Observations
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.units import SECOND
from tradeproc.engine.alarms import AlarmName
from tradeproc.protocol import names, scopes
from tradeproc.protocol.alarms import Severity, severity_of, words_of
from tradeproc.protocol.names import ProcessName

_LONG_SECONDS, _TOO_LONG_SECONDS = 60, 300
_HOUR, _MOST_DEATHS = 3600 * SECOND, 3
# what stays true when nobody of the session is there any more, at the broker or in the books
_STAYS_TRUE = frozenset(
    {AlarmName.POSITION_UNCOVERED, AlarmName.ORDER_REAPPEARED, AlarmName.CLOSE_STUCK}
    | {AlarmName.ORDER_UNRESOLVED, AlarmName.ORDER_UNKNOWN, AlarmName.POSITION_DIVERGED, "not_flat_at_end"}
    | {"journal_damaged", "journal_refused"}
)


def alarms(seen: Observations, _thresholds: HealthConfig, now: int) -> Iterator[Problem]:
    """Tell each standing alarm: of the host, of sessions that should run, and of others what is at the broker."""
    match seen.alarms:
        case Unknown(reason):
            if seen.tells(reason):
                yield Problem(Level.UNKNOWN, "alarms", reason)
        case Known(rows):
            for row in rows:
                if not row.is_acknowledged and (row.is_due or words_of(row.name) & _STAYS_TRUE):
                    subject = scopes.HOST if row.session is None else f"session {row.session}"
                    what = f"alarm {row.name} for {ago(row.at, now)}: {row.detail}"
                    text = f"{what}; scripts/tradectl alarms{acknowledge_way(row.session)}"
                    yield Problem(_level(row.name), subject, text)


def is_in_alarms(beat: BeatSeen, seen: Observations, level: Level) -> bool:
    """Tell whether all a trader is degraded by has its lines as standing alarms, one of them as bad as `level`."""
    rows: tuple[AlarmSeen, ...] = seen.alarms.value if isinstance(seen.alarms, Known) else ()
    session = ProcessName(beat.process).trader_of
    of_trader = [row for row in rows if session is not None and row.session == session]
    own = {row.name for row in of_trader if row.is_due}
    silenced = {row.name for row in of_trader if row.is_acknowledged}
    told = {word.strip() for word in beat.detail.split(";")} - silenced
    if not told:
        return True
    return told <= own and (level is Level.WARNING or any(_level(name) is level for name in told))


def _level(name: str) -> Level:
    return Level.CRITICAL if severity_of(name) is Severity.CRITICAL else Level.WARNING


def warden(seen: Observations, _thresholds: HealthConfig, now: int) -> Iterator[Problem]:
    """Tell a warden that dies again and again: it counts the deaths of all others, and nobody counts its own."""
    recent = [each for each in seen.wardens_deaths if now - each.at < _HOUR]
    if len(recent) >= _MOST_DEATHS:
        text = (
            f"died {len(recent)} times within an hour, the last time {ago(recent[0].at, now)} ago: {recent[0].reason}"
        )
        yield Problem(Level.WARNING, names.WARDEN, text)


def starting(seen: Observations, _thresholds: HealthConfig, now: int) -> Iterator[Problem]:
    """Tell who is not ready long after its start; worse when a session that should run needs it."""
    needed = {process for each in due(seen) for process in needs(each)}
    for beat in seen.beats:
        if beat.at is None or beat.state != "starting" or beat.since is None:
            continue
        age = now - beat.since
        if age > _LONG_SECONDS * SECOND:
            is_bad = beat.process in needed and age > _TOO_LONG_SECONDS * SECOND
            text = f"not ready {ago(beat.since, now)} after its start: {beat.detail or 'no reason given'}"
            yield Problem(Level.CRITICAL if is_bad else Level.WARNING, beat.process, text)

"""What the health check looks at, as values: collected by collector.py, judged by health.py."""

from dataclasses import dataclass, field

from tradeproc.domain.answers import Answer, Known, Unknown


@dataclass(frozen=True, slots=True)
class ProgramSeen:
    """A program as supervisord tells it; `name` is `group:program`, `state` its word for it."""

    name: str
    state: str
    detail: str = ""
    exit_status: int = 0


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """A session that should run now; `since` is since when, UTC nanoseconds. An empty `data_login` is `login`."""

    id: int
    name: str
    since: int
    login: str
    data_login: str = ""


@dataclass(frozen=True, slots=True)
class BeatSeen:
    """What a process that has sockets said when asked, or why it did not; times are UTC nanoseconds.

    `at` is its last heartbeat that anybody knows of, None when nobody does. One that does not answer has no state.
    `since` is when its start began; None when that is over, or nobody knows.
    """

    process: str
    at: int | None
    state: str = ""
    detail: str = ""
    clock_skew: float | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True)
class StreamSeen:
    """A stream of a running session; `last_event_at` is when we last heard anything, UTC nanoseconds.

    `is_market_open` is about the wall clock for live data and about market time for a tape.
    """

    name: str
    is_up: bool | None
    last_event_at: int | None
    is_market_open: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OrderWaiting:
    """An order in pre_sent or pending; `changed_at` is UTC nanoseconds."""

    id: str
    session: int
    state: str
    changed_at: int


@dataclass(frozen=True, slots=True)
class DivergenceSeen:
    """A divergence row that nobody has acknowledged."""

    session: int
    subject: str
    at: int


@dataclass(frozen=True, slots=True)
class AlarmSeen:
    """A standing alarm of a session, or of the host (None); `is_due`: whose it is should run now.

    `is_acknowledged`: a person has seen it; it is told no more, and still explains why its process is degraded.
    """

    session: int | None
    name: str
    detail: str
    at: int
    is_due: bool = True
    is_acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class LoginSeen:
    """A broker login as the tokens process tells it; times are UTC nanoseconds.

    `person_needed_at` is when a person must log in again at the latest, None when nobody need, or nobody knows.
    """

    name: str
    state: str
    expires_at: int | None
    logged_in_at: int | None
    detail: str = ""
    person_needed_at: int | None = None


@dataclass(frozen=True, slots=True)
class DeathSeen:
    """A death of the warden, which counts those of all others; `at` is UTC nanoseconds."""

    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Observations:
    """Everything that was found out; what was not is an `Unknown` with its reason.

    `configuration` is Unknown when it cannot be used; `idle` are the programs that it gives nothing to do.
    """

    programs: Answer[tuple[ProgramSeen, ...]]
    configuration: Answer[None] = field(default_factory=lambda: Known(None))
    idle: frozenset[str] = frozenset()
    beats: tuple[BeatSeen, ...] = ()
    sessions: Answer[tuple[SessionSeen, ...]] = field(default_factory=lambda: Known(()))
    streams: Answer[tuple[StreamSeen, ...]] = field(default_factory=lambda: Known(()))
    orders: Answer[tuple[OrderWaiting, ...]] = field(default_factory=lambda: Known(()))
    divergences: Answer[tuple[DivergenceSeen, ...]] = field(default_factory=lambda: Known(()))
    alarms: Answer[tuple[AlarmSeen, ...]] = field(default_factory=lambda: Known(()))
    database: Answer[None] = field(default_factory=lambda: Known(None))
    disk_free_mb: Answer[int] = field(default_factory=lambda: Known(1 << 20))
    logins: Answer[tuple[LoginSeen, ...]] = field(default_factory=lambda: Known(()))
    calendars: tuple[tuple[str, int], ...] = ()
    wardens_deaths: tuple[DeathSeen, ...] = ()
    calendar_checked_at: int | None = None

    def tells(self, reason: str) -> bool:
        """Tell whether a reason is worth a line: not when that about the database or the configuration has it."""
        return Unknown(reason) not in (self.database, self.configuration)

    def unseen(self, because: Answer[None]) -> str:
        """Return the end of a line that names what was not found out because of the same, empty when all was."""
        answers = ("sessions", "streams", "orders", "divergences", "alarms")
        names = [name for name in answers if getattr(self, name) == because]
        return f"; not checked: {', '.join(names)}" if names else ""

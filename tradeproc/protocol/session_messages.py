"""Trading sessions as the keeper tells them, and what it is asked and commanded about them; pure."""

from collections.abc import Mapping
from typing import Any, Final

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Nanos
from tradeproc.protocol.definitions import FollowedTopic, Method, NoBody

_KEEPER: Final = ("keeper",)


@dataclass(frozen=True, slots=True)
class SessionBody:
    """A session: its specification, what should be, what is.

    `spec` is what `SessionSpec.to_dict` writes: a newer version may know more keys. `desired` is what a person wants:
    running, flattening or stopped; `is_due` whether it should run now, and `next_change_at` when that changes.
    `programs` are supervisord's states by name; `conflict` says why it may not run, empty when it may. `fence` and
    `holder` are those of the newest lease.
    """

    id: int
    name: str
    spec: Mapping[str, Any]
    desired: str
    is_due: bool
    next_change_at: Nanos | None
    state: str
    trading_state: str
    programs: Mapping[str, str]
    conflict: str
    fence: int
    holder: str
    created_at: Nanos
    changed_at: Nanos


@dataclass(frozen=True, slots=True)
class SessionsBody:
    """Every session that is not removed."""

    sessions: tuple[SessionBody, ...]


@dataclass(frozen=True, slots=True)
class OneSession:
    """A session that was asked for."""

    session: SessionBody


@dataclass(frozen=True, slots=True)
class RemovedSession:
    """A removed session as it was kept; `spec` may be one that this version cannot read any more."""

    id: int
    name: str
    spec: Mapping[str, Any]
    fence: int
    holder: str
    created_at: Nanos
    changed_at: Nanos
    removed_at: Nanos


@dataclass(frozen=True, slots=True)
class RemovedSessions:
    """Removed sessions, oldest first."""

    sessions: tuple[RemovedSession, ...]


@dataclass(frozen=True, slots=True)
class OfSession:
    """Which session is meant, by its number."""

    session: int


@dataclass(frozen=True, slots=True)
class RemoveSession:
    """Which session is to be forgotten, by its number; `abandon` also with a position or open orders."""

    session: int
    abandon: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """Which sessions are meant: those with this number or name."""

    named: str


@dataclass(frozen=True, slots=True)
class CreateSession:
    """A specification, as `SessionSpec.to_dict` writes it; the same `key` again makes no second session."""

    spec: Mapping[str, Any]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """The new session; `unchecked` says why its account or bars could not be checked, empty when they were."""

    session: int
    unchecked: str = ""


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """A session that is to run; `starts_at` is when its schedule lets it, None when it may run now."""

    session: int
    desired: str
    starts_at: Nanos | None = None


@dataclass(frozen=True, slots=True)
class StopSession:
    """Which session is to stop, whether only when it is flat, and who wants that."""

    session: int
    flatten: bool = False
    by: str = "operator"


@dataclass(frozen=True, slots=True)
class SessionStopped:
    """A session that is not to run any more."""

    session: int
    desired: str


SESSION: Final[FollowedTopic[SessionBody, SessionsBody]] = FollowedTopic(
    "session", SessionBody, _KEEPER, SessionsBody
)
"""A session that changed; the snapshot is all of them as they were last told."""

SESSIONS: Final[Method[NoBody, SessionsBody]] = Method("sessions", NoBody, SessionsBody, _KEEPER)
ONE_SESSION: Final[Method[OfSession, OneSession]] = Method("session", OfSession, OneSession, _KEEPER)
REMOVED: Final[Method[Named, RemovedSessions]] = Method("removed", Named, RemovedSessions, _KEEPER)
CREATE: Final[Method[CreateSession, SessionCreated]] = Method("create", CreateSession, SessionCreated, _KEEPER)
START: Final[Method[OfSession, SessionStarted]] = Method("start", OfSession, SessionStarted, _KEEPER)
STOP: Final[Method[StopSession, SessionStopped]] = Method("stop", StopSession, SessionStopped, _KEEPER)
REMOVE: Final[Method[RemoveSession, OfSession]] = Method("remove", RemoveSession, OfSession, _KEEPER)

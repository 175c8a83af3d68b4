"""The input and output of the restart rules: events of one program of a group, and actions."""

from tradeproc.domain.frozen import dataclass
from tradeproc.supervision.halted_by import BY_WARDEN

# --- events: what happened to one program of the group


@dataclass(frozen=True, slots=True)
class CameUp:
    """It is up. `is_respawn`: supervisord started it by itself after a death."""

    program: str
    is_respawn: bool = False


@dataclass(frozen=True, slots=True)
class Died:
    """It ended otherwise than with 0 or 78; supervisord will start it again.

    `cause` is why in one line, empty when nobody knows; `has_worked` whether it did any work in that life.
    """

    program: str
    cause: str = ""
    has_worked: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """It was done, exit 0."""

    program: str


@dataclass(frozen=True, slots=True)
class HaltedItself:
    """Exit 78: only a person can fix it; `reason` in its own words, where it left any."""

    program: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """supervisord cannot start it and has stopped trying."""

    program: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """It was stopped, by us or by a person."""

    program: str


@dataclass(frozen=True, slots=True)
class Removed:
    """supervisord has it no more, while its group goes on: a feed that nobody needs."""

    program: str


@dataclass(frozen=True, slots=True)
class Worked:
    """It has done work in its present life."""

    program: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """Time has passed and nothing else happened."""


@dataclass(frozen=True, slots=True)
class EntriesHalted:
    """The keeper keeps the halt of the group's sessions now; a person may end it."""


Event = EntriesHalted | Worked | CameUp | Died | Ended | HaltedItself | Failed | Stopped | Removed | TimerFired

# --- actions


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask supervisord to stop a program."""

    program: str


@dataclass(frozen=True, slots=True)
class Start:
    """Ask supervisord to start a program."""

    program: str


@dataclass(frozen=True, slots=True)
class ReportTrouble:
    """Raise an alarm about a group, so that a person hears of it."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class ReportCleared:
    """Take that alarm back: its cause is gone."""

    name: str


@dataclass(frozen=True, slots=True)
class HaltEntries:
    """The group was given up: its sessions enter no more until a person resumes them."""

    reason: str
    by: str = BY_WARDEN


Action = Stop | Start | ReportTrouble | ReportCleared | HaltEntries

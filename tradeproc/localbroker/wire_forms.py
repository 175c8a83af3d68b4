"""What the server itself must know about a dialect: its errors, the lines of its streams, and who is signed in.

Everything else of a dialect is behind its routes; see `dialects.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.responses import Response

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordFields:
    """The keys of a dialect's records that faults can spoil: times and quantities."""

    times: frozenset[str]
    quantities: frozenset[str]


@dataclass(frozen=True, slots=True)
class StreamForm:
    """A stream's own lines, beside its news.

    `snapshot_end` ends what is told at first (None: nothing does); `farewell` is said when the server ends the
    stream, `taken_over` when another session of the same user does; `heartbeat` makes one of its number and time.
    """

    content_type: str
    snapshot_end: Line | None
    farewell: Line
    taken_over: Line
    heartbeat: Callable[[int, str], Line]


class SignIn(Protocol):
    """The sign-in of a dialect; `issued` counts the tokens it gave."""

    issued: int

    def is_good(self, authorization: str, now: int) -> bool:
        """Tell whether the authorization of a request is good at `now` (wall ns)."""
        ...

    def kill_access_tokens(self, now: int) -> None:
        """Make all tokens invalid that were issued until `now` (wall ns)."""
        ...


class WireForms(Protocol):
    """How a dialect writes the answers that the server itself gives."""

    @property
    def fields(self) -> RecordFields:
        """Return the keys of its records that faults can spoil."""
        ...

    def error(self, status: int, message: str) -> Response:
        """Return an error answer."""
        ...

    def too_many(self, resource: str, seconds: int) -> Response:
        """Return the answer to a request beyond the quota, which tells after how many `seconds` to try again."""
        ...

    def spell(self, path: str) -> str:
        """Return a request's path in the spelling of the routes."""
        ...


NO_OPTIONS: Mapping[str, Any] = {}

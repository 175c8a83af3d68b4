"""What the tokens process is asked about logins by people and their tools; pure."""

from dataclasses import dataclass
from typing import Final

from tradeproc.domain.units import Nanos
from tradeproc.protocol.definitions import Method, NoBody

_TOKENS: Final = ("tokens",)


@dataclass(frozen=True, slots=True)
class LoginStanding:
    """How a login stands: until when its token is good, when it was renewed, when a person is needed; no token."""

    login: str
    state: str
    detail: str
    expires_at: Nanos | None
    refreshed_at: Nanos | None
    logged_in_at: Nanos | None = None
    person_needed_at: Nanos | None = None


@dataclass(frozen=True, slots=True)
class LoginsStanding:
    """Every login of the desk."""

    logins: tuple[LoginStanding, ...]


@dataclass(frozen=True, slots=True)
class BeginLogin:
    """Which login a person wants to log in."""

    login: str


@dataclass(frozen=True, slots=True)
class LoginBegun:
    """What a login needs, by its kind of credentials: consent at `url` with `state`, or the password of `user`.

    A process of a version that knew consents only tells no `kind`.
    """

    kind: str = ""
    url: str = ""
    state: str = ""
    user: str = ""


LOGINS: Final[Method[NoBody, LoginsStanding]] = Method("logins", NoBody, LoginsStanding, _TOKENS)
AUTHORIZE: Final[Method[BeginLogin, LoginBegun]] = Method("authorize", BeginLogin, LoginBegun, _TOKENS)

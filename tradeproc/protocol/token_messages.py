"""What the tokens process is asked about logins, by people and by those who need an access token; pure."""

from dataclasses import field
from typing import Final

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Nanos
from tradeproc.protocol.definitions import FollowedTopic, Method, NoBody
from tradeproc.protocol.variants import marked

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


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """What a browser brought back from a consent that was begun with `state`."""

    login: str
    redirected_to: str = field(repr=False)
    state: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasswordGiven:
    """The password that a person gave."""

    login: str
    user: str
    password: str = field(repr=False)


marked(PasswordGiven, "password", "password")


@dataclass(frozen=True, slots=True)
class TokenQuestion:
    """A login's access token is needed; `refused` is the digest of one that the broker did not take, else empty."""

    login: str
    refused: str = ""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token and its end; the token is empty where the login proves nothing."""

    access_token: str = field(repr=False)
    expires_at: Nanos


LOGIN: Final[FollowedTopic[LoginStanding, LoginsStanding]] = FollowedTopic(
    "login", LoginStanding, _TOKENS, LoginsStanding
)
TOKEN: Final[Method[TokenQuestion, AccessToken]] = Method("token", TokenQuestion, AccessToken, _TOKENS)
COMPLETE: Final[Method[ConsentGiven | PasswordGiven, NoBody]] = Method(
    "complete", ConsentGiven | PasswordGiven, NoBody, _TOKENS
)
LOGINS: Final[Method[NoBody, LoginsStanding]] = Method("logins", NoBody, LoginsStanding, _TOKENS)
AUTHORIZE: Final[Method[BeginLogin, LoginBegun]] = Method("authorize", BeginLogin, LoginBegun, _TOKENS)

"""How a login proves who it is to its broker: the kinds of credentials, and one contract for all of them.

`acquire` trades a proof (a person's consent, a user and password) for tokens, `renew` trades what came with the
tokens for fresh ones. The `tokens` process calls both, keeps what renews, and gives access tokens out.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from tradeproc.errors import Outage


class CredentialKind(StrEnum):
    """How a login proves who it is, and so what `Authorization.acquire` is given."""

    OAUTH2_CODE = "oauth2_code"
    """A person consents in a browser (`ConsentAnswer`); a refresh token renews from then on."""
    PASSWORD = "password"  # noqa: S105
    """User and password (`UserPassword`) yield a token that ends and is renewed before that."""
    NONE = "none"
    """Nothing is proved: there is no `authorization`, and the token that brokers are given is empty."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """The application's identity towards the broker; never logged, its repr shows nothing."""

    client_id: str
    client_secret: str
    redirect_uri: str

    def __repr__(self) -> str:
        return "ClientCredentials(…)"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an authorization yields; durations are seconds from the moment it was asked.

    `renewal` is what the next `renew` is given: a refresh token, or the access token itself where that renews itself;
    None when the answer had none: keep the old one. `renewable_for` says for how long the renewal is good; None:
    until the broker says otherwise, or as told before.
    """

    access_token: str
    expires_in: float
    renewal: str | None = None
    renewable_for: float | None = None

    def __repr__(self) -> str:
        return f"Tokens(expires_in={self.expires_in}, renewable_for={self.renewable_for})"


@dataclass(frozen=True, slots=True)
class ConsentAnswer:
    """What a person's browser came back with: the address it was sent to, and the state the consent began with."""

    redirected_to: str
    state: str

    def __repr__(self) -> str:
        return "ConsentAnswer(…)"


@dataclass(frozen=True, slots=True)
class UserPassword:
    """A user's name and password, typed by a person or named by the configuration."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "UserPassword(…)"


Proof = ConsentAnswer | UserPassword
"""What a login proves itself with; a broker is given only that of the kind it declares."""


class SignInDelayed(Outage):
    """The broker answers a sign-in only after a wait, a time penalty say; tried again then and not before.

    Raised by an authorization, caught by the `tokens` process. What has to be sent with the next try, a ticket say,
    the authorization remembers itself.
    """

    def __init__(self, reason: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"{reason}; it may be asked again in {seconds:.0f} s")


class Authorization(Protocol):
    """The sign-in side of a broker, used only by the `tokens` process; `tradectl login` asks that.

    One thread at a time calls it, and neither method tries twice by itself.
    """

    def acquire(self, proof: Proof) -> Tokens:
        """Trade a proof for tokens.

        Raises:
            Outage: the sign-in host cannot be reached, or wants to be asked later (`SignInDelayed`).
            Halt: the proof is refused, or the client is not known; the same proof is not sent again.
        """

    def renew(self, renewal: str) -> Tokens:
        """Trade the renewal of earlier tokens for fresh ones; never repeated blindly when renewals rotate.

        Raises:
            Outage: the sign-in host cannot be reached, answers 5xx or 429, or wants to be asked later.
            Halt: the renewal is dead; only a new proof helps.
        """


@runtime_checkable
class ConsentAuthorization(Authorization, Protocol):
    """The sign-in side of a broker of kind `OAUTH2_CODE`."""

    def url(self, state: str) -> str:
        """Return the address a person opens in a browser to consent."""

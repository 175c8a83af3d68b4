"""How a login proves its identity to its broker: the kinds of credentials, and one contract for all of them.

`acquire` exchanges a proof (a person's consent, a user and password) for tokens. `renew` exchanges the renewal that
came with the tokens for fresh ones. The `tokens` process calls both, stores the renewal, and gives access tokens out.
"""

from enum import StrEnum
from typing import Protocol, runtime_checkable

from tradeproc.domain.frozen import dataclass
from tradeproc.errors import Outage


class Environment(StrEnum):
    """Real or simulated money. A broker chooses its host by it."""

    LIVE = "live"
    PAPER = "paper"


@dataclass(frozen=True, slots=True)
class Login:
    """One broker login as configured.

    `base_url` and `auth_url` replace the broker's own hosts when set (the local broker, a proxy); empty means the
    real host of `environment`. Secrets are not here: they come from a `TokenSource`.
    """

    name: str
    broker: str
    environment: Environment
    base_url: str = ""
    auth_url: str = ""


class CredentialKind(StrEnum):
    """How a login proves its identity, and so which proof `Authorization.acquire` gets."""

    OAUTH2_CODE = "oauth2_code"
    """A person consents in a browser (`ConsentAnswer`); a refresh token renews from then on."""
    PASSWORD = "password"  # noqa: S105
    """User and password (`UserPassword`) yield a token that is renewed before it expires."""
    NONE = "none"
    """No proof is needed: there is no `authorization`, and the access token is an empty text."""


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

    `renewal` is for the next `renew`: a refresh token, or the access token itself where that renews itself. It is
    None when the answer had none, and then the old one stays valid. `renewable_for` is how long the renewal is valid;
    None means as long as reported before, or, without such a report, until the broker refuses it.
    """

    access_token: str
    expires_in: float
    renewal: str | None = None
    renewable_for: float | None = None

    def __repr__(self) -> str:
        return f"Tokens(expires_in={self.expires_in}, renewable_for={self.renewable_for})"


@dataclass(frozen=True, slots=True)
class ConsentAnswer:
    """The address to which a person's browser was redirected, and the `state` with which the consent began."""

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
"""What a login proves its identity with; a broker gets only the kind that it declares."""


class SignInDelayed(Outage):
    """The broker accepts the next sign-in only after some seconds, as a time penalty; it is not tried before.

    An authorization raises it and the `tokens` process catches it. If something must be sent with the next try (a
    ticket, say), the authorization remembers it.
    """

    def __init__(self, reason: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"{reason}; it may be asked again in {seconds:.0f} s")


class Authorization(Protocol):
    """The sign-in side of a broker. Only the `tokens` process uses it; `tradectl login` goes through that process.

    One thread at a time calls it, and neither method tries twice by itself.
    """

    def acquire(self, proof: Proof) -> Tokens:
        """Exchange a proof for tokens.

        Raises:
            Outage: the sign-in host cannot be reached, or has to be asked later (`SignInDelayed`).
            Halt: the proof is refused, or the client is not known; the same proof is not sent again.
        """

    def renew(self, renewal: str) -> Tokens:
        """Exchange the renewal of earlier tokens for fresh ones.

        Raises:
            Outage: the sign-in host cannot be reached, answers 5xx or 429, or has to be asked later.
            Halt: the renewal is not valid any more; a new proof is needed.
        """


@runtime_checkable
class ConsentAuthorization(Authorization, Protocol):
    """The sign-in side of a broker of kind `OAUTH2_CODE`."""

    def url(self, state: str) -> str:
        """Return the address a person opens in a browser to consent."""

"""OAuth2 towards TradeStation's sign-in host: authorization code, refresh, and nothing kept.

requests-oauthlib encodes and decodes OAuth2. This module decides whether an error is an outage or needs a person.
PKCE always protects the code, so that somebody who sees it cannot use it. Only the `tokens` process loads this
module.

Source: TradeStation API v3, "Authentication" (authorization code, PKCE, refresh tokens, scopes).
"""

import base64
import hashlib
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from oauthlib.oauth2 import OAuth2Error
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError
from requests_oauthlib import OAuth2Session

from tradeproc.brokers.contract import ClientCredentials, ConsentAnswer, Proof, Tokens
from tradeproc.brokers.tradestation.http import USER_AGENT
from tradeproc.domain.hosts import is_loopback
from tradeproc.errors import Halt, Outage

AUDIENCE = "https://api.tradestation.com"
SCOPES = ("openid", "offline_access", "MarketData", "ReadAccount", "Trade")
_SECONDS = 10.0
_DEFAULT_LIFE = 1200.0
_LONGEST_LIFE = 400 * 86_400.0
_MOST_PENDING = 8
_CLIENT_ERRORS = frozenset({"invalid_client", "unauthorized_client", "access_denied", "invalid_scope"})

# both libraries log whole requests, with secrets and tokens, at level DEBUG
for _name in ("requests_oauthlib", "oauthlib"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class SignInDown(Outage):
    """The sign-in host cannot be reached, is overloaded, or its answer is no OAuth2; caught by `tokens`."""


class ConsentMissing(Halt):
    """The browser was redirected without a valid code; `tokens` catches it and tells the person."""


class RefreshTokenDead(Halt):
    """The refresh token was revoked, used up or has expired: a person must log in again; caught by `tokens`."""


class ClientRefused(Halt):
    """The sign-in host does not know this key or its secret; caught by `tokens`."""


class TradeStationAuthorization:
    """Satisfies `contract.ConsentAuthorization`; remembers only the PKCE verifiers of consents under way."""

    def __init__(self, auth_url: str, client: ClientCredentials) -> None:
        self._auth_url, self._client = auth_url, client
        self._verifiers: dict[str, str] = {}
        if is_loopback(auth_url) and auth_url.startswith("http://"):
            # oauthlib accepts plain http only with this variable; the configuration allows it on this machine only
            os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

    def url(self, state: str) -> str:
        """Return the address a person opens in a browser to consent."""
        self._verifiers[state] = verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        proof = {"code_challenge": challenge, "code_challenge_method": "S256"}
        while len(self._verifiers) > _MOST_PENDING:
            del self._verifiers[next(iter(self._verifiers))]
        with self._session(scope=SCOPES) as session:
            url, _ = session.authorization_url(f"{self._auth_url}/authorize", state=state, audience=AUDIENCE, **proof)
        return str(url)

    def acquire(self, proof: Proof) -> Tokens:
        """Exchange the address to which the browser was redirected for tokens.

        Raises:
            ConsentMissing: consent was declined, or the address does not belong to this consent.
            ClientRefused: the client is not known.
            SignInDown: the sign-in host cannot be reached.
        """
        assert isinstance(proof, ConsentAnswer), "the broker declares that it takes consents only"
        state = proof.state
        try:
            query = {key: values[0] for key, values in parse_qs(urlsplit(proof.redirected_to).query).items()}
        except ValueError:
            raise ConsentMissing("that is no address; copy all of what the browser shows") from None
        if "error" in query:
            raise ConsentMissing(f"{query['error']}: {query.get('error_description', 'no reason given')}"[:300])
        if query.get("state") != state:
            raise ConsentMissing("the address belongs to another consent; begin again")
        if not query.get("code"):
            raise ConsentMissing("the address has no code")
        # without the verifier (a restart loses it) the host refuses the code, because it was requested with a
        # challenge
        verifier = self._verifiers.pop(state, "")
        if not verifier and not self._client.client_secret:
            raise ConsentMissing("this consent was not begun here, or long ago; begin again")
        named = {"code_verifier": verifier, "client_secret": self._client.client_secret}
        sent: dict[str, Any] = {name: value for name, value in named.items() if value}
        with self._session() as session:
            return self._told(
                lambda: session.fetch_token(
                    self._token_url, code=query["code"], include_client_id=True, timeout=_SECONDS, **sent
                ),
                "",
            )

    def renew(self, renewal: str) -> Tokens:
        """Exchange a refresh token for a fresh access token; it is tried once.

        Raises:
            RefreshTokenDead: a person must log in again.
            ClientRefused: the client is not known.
            SignInDown: the sign-in host cannot be reached, or says that it cannot answer.
        """
        proof: dict[str, Any] = {"client_id": self._client.client_id}
        if self._client.client_secret:
            proof["client_secret"] = self._client.client_secret
        with self._session() as session:
            return self._told(
                lambda: session.refresh_token(self._token_url, refresh_token=renewal, timeout=_SECONDS, **proof),
                renewal,
            )

    @property
    def _token_url(self) -> str:
        return f"{self._auth_url}/oauth/token"

    def _session(self, scope: tuple[str, ...] | None = None) -> OAuth2Session:
        """Return a session for one call. Without a scope, it accepts any scopes in the answer."""
        session = OAuth2Session(self._client.client_id, redirect_uri=self._client.redirect_uri, scope=scope)
        session.trust_env = not is_loopback(self._auth_url)
        session.headers["User-Agent"] = USER_AGENT
        session.register_compliance_hook("access_token_response", _check_answer)
        session.register_compliance_hook("refresh_token_response", _check_answer)
        return session

    def _told(self, ask: Callable[[], Mapping[str, Any]], asked_with: str) -> Tokens:
        """Run one token request and return what it told; `asked_with` is the refresh token it used."""
        try:
            token = ask()
        except requests.RequestException as error:
            raise SignInDown(f"{self._token_url}: {type(error).__name__}") from error
        except OAuth2Error as error:
            raise _verdict(error) from None
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            # the library does not check the types of the fields
            raise SignInDown(f"the sign-in host answered with something else than tokens: {error}"[:300]) from None
        access, replacement = token.get("access_token"), token.get("refresh_token")
        if not isinstance(access, str) or not access:
            raise SignInDown("the sign-in host answered without an access token")
        fresh = replacement if isinstance(replacement, str) and replacement != asked_with else ""
        return Tokens(access, _life(token.get("expires_in")), fresh or None)


def _life(told: object) -> float:
    """Return for how many seconds a token is valid; 20 minutes if the value makes no sense."""
    try:
        seconds = float(str(told))
    except ValueError:
        return _DEFAULT_LIFE
    return seconds if 0 < seconds <= _LONGEST_LIFE else _DEFAULT_LIFE


def _check_answer(response: requests.Response) -> requests.Response:
    """Return the response if it may be OAuth2's, and not the page of a gateway.

    Raises:
        SignInDown: the status is 5xx or 429, or the body is no JSON object.
    """
    if response.status_code >= 500 or response.status_code == 429:
        raise SignInDown(f"the sign-in host answered {response.status_code}")
    try:
        is_object = isinstance(response.json(), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise SignInDown(f"the sign-in host answered {response.status_code} with something else than JSON")
    return response


def _verdict(error: OAuth2Error) -> Halt | Outage:
    said = f"{error.error}: {error.description}"[:300]
    if isinstance(error, InvalidGrantError):
        return RefreshTokenDead(said)
    if str(error.error) in _CLIENT_ERRORS:
        return ClientRefused(said)
    return SignInDown(said)

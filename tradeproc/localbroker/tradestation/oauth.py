"""The sign-in host of the local broker: who may ask for tokens, and which are valid. Pure, except for its two files.

Tokens are signed texts in the form of JWTs. They survive a restart although only the key and the revocations are
stored. Consent is given at once. For clients without a browser, the client's own id is a refresh token that is always
valid; this is harmless, because there is no money here.

Source: tradestation.md, "OAuth2"; RFC 6749 sections 4.1 and 6, RFC 7636.
"""

import base64
import binascii
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from tradeproc.domain.hosts import is_loopback
from tradeproc.domain.units import SECOND
from tradeproc.durable import write_durably
from tradeproc.errors import Refusal

_CODE_SECONDS = 600
_MOST_CODES = 1000
_KEY_BYTES = 32
_DEFAULT_SCOPE = "openid offline_access profile MarketData ReadAccount Trade"

Fields = Mapping[str, str]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


_HEADER = _encode(orjson.dumps({"alg": "HS256", "typ": "JWT"}))


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """The clients (id to secret) and the life of access tokens. With `rotates`, a refresh token works only once.

    A client without a secret is a public one and needs PKCE. A client with a secret must always send it.
    """

    clients: Mapping[str, str] = field(default_factory=lambda: {"local": "local"})
    token_seconds: int = 1200
    rotates: bool = False


class OAuthError(Refusal):
    """A refusal with OAuth2's error code; the route answers with it as JSON."""

    def __init__(self, status: int, error: str, description: str) -> None:
        self.status, self.error, self.description = status, error, description
        super().__init__(f"{error}: {description}")

    @property
    def body(self) -> dict[str, str]:
        """Return the answer's body, in lower case as the sign-in host writes it."""
        return {"error": self.error, "error_description": self.description}


@dataclass(frozen=True, slots=True)
class _Consent:
    client: str
    redirect_uri: str
    scope: str
    challenge: str
    expires_at: int


class TradeStationSignIn:
    """Issues and checks tokens. `now` is always wall nanoseconds, given by the caller."""

    def __init__(self, folder: Path, settings: OAuthSettings) -> None:
        self.settings = settings
        self._key = _read_key(folder / "sign_in.key")
        self._revoked_file = folder / "revoked.json"
        self._revoked = _read_revoked(self._revoked_file)
        self._codes: dict[str, _Consent] = {}
        self.issued = 0

    def authorize(self, query: Fields, now: int) -> str:
        """Return the address to send the browser to, with a code or with the reason of a refusal.

        Raises:
            OAuthError: the client is unknown or its redirect is not on this machine, so nothing is redirected.
        """
        client, redirect = query.get("client_id", ""), query.get("redirect_uri", "")
        if client not in self.settings.clients:
            raise OAuthError(403, "invalid_request", f"Unknown client: {client}")
        if not is_loopback(redirect):
            raise OAuthError(403, "unauthorized_client", "Callback URL mismatch; use a redirect on localhost.")
        state = {"state": query["state"]} if query.get("state") else {}
        refusal = _authorize_refusal(query)
        if refusal is not None:
            return _with_query(redirect, {"error": refusal[0], "error_description": refusal[1]} | state)
        code = secrets.token_urlsafe(24)
        self._forget_codes(now)
        while len(self._codes) >= _MOST_CODES:  # the oldest go, so that a client that asks for many blocks no other
            del self._codes[next(iter(self._codes))]
        self._codes[code] = _Consent(
            client,
            redirect,
            query.get("scope") or _DEFAULT_SCOPE,
            query.get("code_challenge", ""),
            now + _CODE_SECONDS * SECOND,
        )
        return _with_query(redirect, {"code": code} | state)

    def token(self, form: Fields, now: int) -> dict[str, Any]:
        """Return the token answer for a code or a refresh token.

        Raises:
            OAuthError: the request is refused.
        """
        grant = form.get("grant_type", "")
        if grant == "authorization_code":
            return self._by_code(form, now)
        if grant == "refresh_token":
            return self._by_refresh_token(form, now)
        raise OAuthError(403, "unsupported_grant_type", f"Unsupported grant type: {grant}")

    def revoke(self, form: Fields, now: int) -> None:
        """Revoke all refresh tokens that the client has, as the real host does.

        Raises:
            OAuthError: the client is unknown, or its secret is wrong.
        """
        self._check_client(form)
        self._revoked[f"client:{form['client_id']}"] = now
        self._write_revoked()

    def is_good(self, authorization: str, now: int) -> bool:
        """Tell whether an Authorization header holds a valid access token."""
        scheme, _, token = authorization.partition(" ")
        claims = self._claims(token.strip())
        return (
            scheme.lower() == "bearer"
            and claims is not None
            and claims.get("typ") == "access"
            and claims["exp"] * SECOND > now
            and claims["at"] > self._revoked.get("access", 0)
        )

    def kill_access_tokens(self, now: int) -> None:
        """Make every access token issued so far invalid; refresh tokens stay valid."""
        self._revoked["access"] = now
        self._write_revoked()

    def _by_code(self, form: Fields, now: int) -> dict[str, Any]:
        consent = self._codes.get(form.get("code", ""))
        self._check_client(form)
        consent = self._codes.pop(form.get("code", ""), None)
        if consent is not None and not consent.challenge and not self.settings.clients[consent.client]:
            raise OAuthError(401, "access_denied", "A client without a secret needs PKCE.")
        if consent is None or consent.expires_at <= now or consent.client != form["client_id"]:
            raise OAuthError(403, "invalid_grant", "Invalid authorization code")
        if consent.redirect_uri != form.get("redirect_uri", ""):
            raise OAuthError(403, "invalid_grant", "The redirect_uri does not match the one of the code.")
        if consent.challenge and _challenge(form.get("code_verifier", "")) != consent.challenge:
            raise OAuthError(403, "invalid_grant", "Failed to verify code verifier")
        answer = self._answer(consent.client, consent.scope, now)
        if "offline_access" in consent.scope.split():
            answer["refresh_token"] = self._refresh_token(consent.client, consent.scope, bool(consent.challenge), now)
        return answer

    def _by_refresh_token(self, form: Fields, now: int) -> dict[str, Any]:
        token = form.get("refresh_token", "")
        claims = self._claims(token)
        self._check_client(form)
        client = form["client_id"]
        if token == client:
            return self._answer(client, _DEFAULT_SCOPE, now)
        if claims is None or claims.get("typ") != "refresh" or claims.get("client") != client:
            raise OAuthError(403, "invalid_grant", "Unknown or invalid refresh token.")
        is_dead = claims["jti"] in self._revoked or claims["at"] <= self._revoked.get(f"client:{client}", 0)
        if is_dead:
            raise OAuthError(403, "invalid_grant", "Unknown or invalid refresh token.")
        answer = self._answer(client, claims["scope"], now)
        if self.settings.rotates:
            self._revoked[claims["jti"]] = now
            self._write_revoked()
            answer["refresh_token"] = self._refresh_token(client, claims["scope"], claims["pkce"], now)
        return answer

    def _check_client(self, form: Fields) -> None:
        client = form.get("client_id", "")
        expected = self.settings.clients.get(client)
        if expected is None:
            raise OAuthError(401, "invalid_client", f"Unknown client: {client}")
        if expected and not hmac.compare_digest(form.get("client_secret", "").encode(), expected.encode()):
            raise OAuthError(401, "access_denied", "Unauthorized")

    def _answer(self, client: str, scope: str, now: int) -> dict[str, Any]:
        self.issued += 1
        life = self.settings.token_seconds
        times = {"sub": client, "iat": now // SECOND, "exp": now // SECOND + life}
        answer: dict[str, Any] = {
            "access_token": self._sign({"typ": "access", "at": now} | times),
            "expires_in": life,
            "scope": scope,
            "token_type": "Bearer",
        }
        if "openid" in scope.split():
            answer["id_token"] = self._sign({"typ": "id", "aud": client} | times)
        return answer

    def _refresh_token(self, client: str, scope: str, pkce: bool, now: int) -> str:
        claims = {"typ": "refresh", "client": client, "scope": scope, "pkce": pkce, "at": now}
        return self._sign(claims | {"jti": secrets.token_urlsafe(9)})

    def _sign(self, claims: Mapping[str, Any]) -> str:
        text = f"{_HEADER}.{_encode(orjson.dumps(claims))}"
        return f"{text}.{self._signature(text)}"

    def _signature(self, text: str) -> str:
        return _encode(hmac.new(self._key, text.encode(), hashlib.sha256).digest())

    def _claims(self, token: str) -> dict[str, Any] | None:
        text, _, signature = token.rpartition(".")
        if not text or not hmac.compare_digest(signature.encode(), self._signature(text).encode()):
            return None
        try:
            claims: dict[str, Any] = orjson.loads(_decode(text.partition(".")[2]))
        except (binascii.Error, orjson.JSONDecodeError):
            return None
        return claims

    def _forget_codes(self, now: int) -> None:
        self._codes = {code: consent for code, consent in self._codes.items() if consent.expires_at > now}

    def _write_revoked(self) -> None:
        write_durably(self._revoked_file, orjson.dumps(self._revoked))


def _authorize_refusal(query: Fields) -> tuple[str, str] | None:
    if query.get("response_type") != "code":
        return "unsupported_response_type", "response_type must be code"
    if query.get("code_challenge") and query.get("code_challenge_method") != "S256":
        return "invalid_request", "code_challenge_method must be S256"
    return None


def _challenge(verifier: str) -> str:
    return _encode(hashlib.sha256(verifier.encode()).digest())


def _with_query(url: str, query: Fields) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _read_key(path: Path) -> bytes:
    # the key only lets its reader sign in at this simulator, so a file of mode 0600 protects it enough
    with contextlib.suppress(FileNotFoundError):
        # a key of another length is replaced: with an empty one everybody could sign tokens
        if len(key := path.read_bytes()) == _KEY_BYTES:
            return key
    key = secrets.token_bytes(_KEY_BYTES)
    write_durably(path, key)
    return key


def _read_revoked(path: Path) -> dict[str, int]:
    try:
        found = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return {key: at for key, at in found.items() if isinstance(at, int)} if isinstance(found, dict) else {}

"""Access tokens for link and feeds: asked of the `tokens` process, kept until shortly before their end."""

import hashlib
import threading

from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.requests import RequestRefused
from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.errors import Outage

TOKENS = "core.tokens"
_ASK_SECONDS = 8.0
_EARLY_SECONDS = 30.0


class NoToken(Outage):
    """The `tokens` process has no access token for this login now; caught by those who talk to the broker."""

    def __init__(self, login: str, reason: str) -> None:
        self.login, self.reason = login, reason
        super().__init__(f"login {login!r}: {reason}")


def digest_of(token: str) -> str:
    """Return what names a token without giving it away."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


class BusTokenSource:
    """Satisfies `brokers.contract.TokenSource`; thread-safe, and one question at a time however many threads ask."""

    def __init__(self, directory: Directory, login: str, seconds: float = _ASK_SECONDS) -> None:
        self._login, self._seconds = login, seconds
        self._client = Client(directory)
        self._lock = threading.Lock()
        self._token, self._good_until, self._refused = "", 0, ""

    def token(self) -> str:
        """Return an access token that is valid for some seconds more.

        Raises:
            NoToken: the login has none now.
            NoReply: the `tokens` process does not answer.
        """
        with self._lock:
            if self._token and monotonic_ns() < self._good_until:
                return self._token
            question = {"login": self._login, "refused": self._refused}
            try:
                body = self._client.call(TOKENS, "token", question, self._seconds)
                self._token, expires_at = str(body["access_token"]), int(body["expires_at"])
            except RequestRefused as refused:
                raise NoToken(self._login, str(refused)) from None
            except (KeyError, TypeError, ValueError):
                raise NoToken(self._login, "the answer cannot be read") from None
            left = max((expires_at - wall_ns()) / SECOND, 0.0)
            self._good_until = monotonic_ns() + int((left - min(_EARLY_SECONDS, left / 2)) * SECOND)
            return self._token

    def refused(self, token: str) -> None:
        """Tell that the broker answered 401 to this token: the next one is another."""
        with self._lock:
            if token == self._token:
                self._token, self._refused = "", digest_of(token)

    def close(self) -> None:
        """Close the connection to the bus; idempotent."""
        self._client.close()

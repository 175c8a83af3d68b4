"""Access tokens for link and feeds.

They come from the `tokens` process and are kept until shortly before they expire.
"""

import hashlib
import logging
import threading

from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.requests import RequestRefused
from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.errors import Outage
from tradeproc.protocol import names
from tradeproc.protocol.token_messages import TOKEN, TokenQuestion

_ASK_SECONDS = 8.0
_EARLY_SECONDS = 30.0
# After a failed attempt at a new token the old one is used for this long before the next attempt; and it is used only
# while it is valid for at least this much longer.
_AGAIN_SECONDS, _LEAST_SECONDS = 5.0, 2.0

log = logging.getLogger(__name__)


class NoToken(Outage):
    """The `tokens` process has no access token for this login now; caught by those who talk to the broker."""

    def __init__(self, login: str, reason: str) -> None:
        self.login, self.reason = login, reason
        super().__init__(f"login {login!r}: {reason}")


def digest_of(token: str) -> str:
    """Return a fingerprint that identifies a token without revealing it."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


class BusTokenSource:
    """Satisfies `brokers.contract.TokenSource`; thread-safe, and one question at a time however many threads ask."""

    def __init__(self, directory: Directory, login: str, seconds: float = _ASK_SECONDS) -> None:
        self._login, self._seconds = login, seconds
        self._client = Client(directory)
        self._lock = threading.Lock()
        self._token, self._good_until, self._refused = "", 0, ""
        self._ends_at = 0

    def token(self) -> str:
        """Return an access token that is valid for some seconds more: a new one, or the old one while it lasts.

        Raises:
            NoToken: the login has none now.
            NoReply: the `tokens` process does not answer.
        """
        with self._lock:
            if self._token and monotonic_ns() < self._good_until:
                return self._token
            is_old_good = bool(self._token) and monotonic_ns() + int(_LEAST_SECONDS * SECOND) < self._ends_at
            try:
                self._ask(min(self._seconds, _LEAST_SECONDS) if is_old_good else self._seconds)
            except Outage:
                if not is_old_good:
                    raise
                # an order must not wait for the sign-in host while the old token is still valid
                self._good_until = min(monotonic_ns() + int(_AGAIN_SECONDS * SECOND), self._ends_at)
            return self._token

    def _ask(self, seconds: float) -> None:
        try:
            given = self._client.call(names.TOKENS, TOKEN, TokenQuestion(self._login, self._refused), seconds)
        except RequestRefused as refused:
            raise NoToken(self._login, str(refused)) from None
        self._token = given.access_token
        now, left = monotonic_ns(), max((given.expires_at - wall_ns()) / SECOND, 0.0)
        self._good_until = now + int((left - min(_EARLY_SECONDS, left / 2)) * SECOND)
        self._ends_at = now + int(left * SECOND)

    def refused(self, token: str) -> None:
        """Note that the broker answered 401 to this token, so that a different one is fetched next."""
        log.warning("token_refused login=%s", self._login)
        with self._lock:
            if token == self._token:
                self._token, self._refused = "", digest_of(token)

    def close(self) -> None:
        """Close the connection to the bus; idempotent."""
        self._client.close()

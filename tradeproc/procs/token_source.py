"""Access tokens for link and feeds.

They come from the `tokens` process and are kept until shortly before they expire.
"""

import hashlib
import logging
import threading

from tradeproc.brokers.contract import TOKEN_SECONDS
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.requests import RequestRefused
from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.errors import Outage
from tradeproc.protocol import names
from tradeproc.protocol.token_messages import TOKEN, TokenQuestion

_EARLY_SECONDS = 30.0
# After a failed attempt at a new token the old one is used for _AGAIN_SECONDS before the next attempt. It is used
# only while it is valid for at least _LEAST_SECONDS more.
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

    def __init__(self, directory: Directory, login: str, seconds: float = TOKEN_SECONDS) -> None:
        self._login, self._seconds = login, seconds
        self._client = Client(directory)
        # the first guards the fields and is never held while we wait for anything; the second is held while we ask
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self._token, self._good_until, self._refused = "", 0, ""
        self._ends_at = 0

    def token(self, seconds: float = TOKEN_SECONDS, /) -> str:
        """Return an access token that is valid for some seconds more: a new one, or the old one while it lasts.

        Blocks at most `seconds`; at most three quarters of them while there is an old one, so that an order that
        needs it can still be sent.

        Raises:
            NoToken: the login has none now, or none came in that time.
            NoReply: the `tokens` process does not answer.
        """
        until = monotonic_ns() + int(min(seconds, self._seconds) * SECOND)
        token, old = self._known()
        if token:
            return token
        if not self._asking.acquire(timeout=_patience(until, old)):
            if old:
                return old
            raise NoToken(self._login, "none came in the time that was left")
        try:
            # another thread may have got one meanwhile
            token, old = self._known()
            return token or self._fetched(_patience(until, old), old)
        finally:
            self._asking.release()

    def ready_token(self) -> str:
        """Return the token if no new one is due, else an empty text; never waits for anything."""
        return self._known()[0]

    def _known(self) -> tuple[str, str]:
        """Return the token twice: if no new one is due yet, and if it can still be used; an empty text where not."""
        with self._lock:
            now = monotonic_ns()
            is_good, is_usable = now < self._good_until, now + int(_LEAST_SECONDS * SECOND) < self._ends_at
            return self._token if is_good else "", self._token if is_usable else ""

    def _fetched(self, seconds: float, old: str) -> str:
        try:
            return self._ask(seconds)
        except Outage:
            if not old:
                raise
            # an order must not wait for the sign-in host while the old token is still valid
            with self._lock:
                self._good_until = min(monotonic_ns() + int(_AGAIN_SECONDS * SECOND), self._ends_at)
            return old

    def _ask(self, seconds: float) -> str:
        with self._lock:
            question = TokenQuestion(self._login, self._refused)
        try:
            given = self._client.call(names.TOKENS, TOKEN, question, seconds)
        except RequestRefused as refused:
            raise NoToken(self._login, str(refused)) from None
        now, left = monotonic_ns(), max((given.expires_at - wall_ns()) / SECOND, 0.0)
        with self._lock:
            if digest_of(given.access_token) == self._refused:
                raise NoToken(self._login, "the broker refused the token while it was fetched")
            self._token = given.access_token
            self._good_until = now + int((left - min(_EARLY_SECONDS, left / 2)) * SECOND)
            self._ends_at = now + int(left * SECOND)
        return given.access_token

    def refused(self, token: str) -> None:
        """Note that the broker answered 401 to this token, so that a different one is fetched next; never blocks."""
        log.warning("token_refused login=%s", self._login)
        with self._lock:
            if token == self._token:
                self._token, self._refused = "", digest_of(token)

    def close(self) -> None:
        """Close the connection to the bus; idempotent."""
        self._client.close()


def _patience(until: int, old: str) -> float:
    """Return for how many seconds to wait now: all that are left, or a part of them while there is an old token."""
    left = max((until - monotonic_ns()) / SECOND, 0.0)
    return min(left / 2, _LEAST_SECONDS) if old else left

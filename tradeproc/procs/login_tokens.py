"""The tokens of one login: fetched ahead of their end, by one worker at a time, and given to whoever asks.

Everything here runs on the node's loop but the bodies of the workers (`_fetch`, `_exchange`), which talk to the
sign-in host, save a new refresh token before anybody sees the access token, and post what came of it.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from tradeproc.brokers.contract import Authorization, Tokens
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Deferred, Node
from tradeproc.bus.timers import Timer
from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.errors import Halt, Outage, Refusal, TradeprocError
from tradeproc.procs.token_source import digest_of
from tradeproc.procs.token_vault import NotSaved, Stored, Vault

log = logging.getLogger(__name__)

_AHEAD_SECONDS = 120.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
# a no that only a person can mend is still tried again now and then: hosts err too
_SLOW_PAUSE = 300.0
# between two tries because somebody asks
_SHORTEST_PAUSE = 2.0
# a token that is refused as soon as it was made is not mended by making another
_FRESH_SECONDS = 1.0
_PARTING_SECONDS = 12.0


class LoginState(StrEnum):
    """How a login is: has a good access token, has none for now, or cannot get one without a person."""

    OK = "ok"
    ERROR = "error"
    NEEDS_LOGIN = "needs_login"


class NeedsLogin(Refusal):
    """A person must log in; answered as refused to those who ask for a token."""

    def __init__(self, login: str, reason: str) -> None:
        self.login = login
        super().__init__(f"login {login!r} needs a person: {reason}; run tradectl login {login}")


class NoTokenNow(Outage):
    """The sign-in host gives none for now; answered as unavailable to those who ask for a token."""


@dataclass
class Credentials:
    """Where a login's tokens come from.

    `first` is the refresh token the configuration names, if any. `consent` gets tokens without a person, which only
    a sign-in host on this machine allows.
    """

    authorization: Authorization
    vault: Vault
    first: str | None = field(default=None, repr=False)
    consent: Callable[[], Tokens] | None = None


class LoginTokens:
    """Keeps one login supplied; `on_change` is called whenever its state or detail did."""

    def __init__(self, name: str, node: Node, credentials: Credentials, on_change: Callable[[], None]) -> None:
        self.name = name
        self.state, self.detail = LoginState.ERROR, "has no token yet"
        self.expires_at: int | None = None
        self.refreshed_at: int | None = None
        self._node, self._credentials, self._on_change = node, credentials, on_change
        self._access, self._made_at = "", 0
        self._stored: Stored | None = None
        self._is_saved, self._lost = False, ""
        self._pending: tuple[Tokens, int] | None = None
        self._spares: list[str] = []
        self._waiting: list[Deferred] = []
        self._worker: threading.Thread | None = None
        self._timer: Timer | None = None
        self._pause, self._failed_at = _FIRST_PAUSE, 0

    def start(self) -> None:
        """Find the refresh token and fetch the first access token."""
        try:
            self._stored = self._credentials.vault.read(self.name)
        except Halt as halt:
            self._lost = str(halt)
            log.warning("refresh_token_lost login=%s reason=%s", self.name, halt)
        self._is_saved = self._stored is not None
        first = self._credentials.first
        if first:
            if self._stored is None:
                self._stored = Stored(first, wall_ns())
            elif first != self._stored.refresh_token:
                self._spares.append(first)
        self._fetch_soon()

    def token(self, refused: str) -> Body | Deferred:
        """Return the access token, or the promise of one; `refused` names one that the broker did not take.

        Raises:
            NeedsLogin: only a person can help.
            NoTokenNow: the sign-in host was asked and gave none; it will be asked again soon.
        """
        if self._has_good_token and refused != digest_of(self._access):
            return self._body()
        if self._worker is None:
            if self.state is LoginState.NEEDS_LOGIN:
                raise NeedsLogin(self.name, self.detail)
            now = monotonic_ns()
            if self._failed_at and now - self._failed_at < _SHORTEST_PAUSE * SECOND:
                raise NoTokenNow(self.detail)
            if self._has_good_token and now - self._made_at < _FRESH_SECONDS * SECOND:
                raise NoTokenNow("the broker refuses a token that was just made")
            self._fetch_soon()
        answer = Deferred()
        self._waiting.append(answer)
        return answer

    def complete(self, redirected_to: str, state: str) -> Deferred:
        """Trade what a person's browser came back with for tokens."""
        answer = Deferred()
        self._work(lambda: self._exchange(redirected_to, state, answer))
        return answer

    def row(self) -> Body:
        """Return what is told of this login; never a token."""
        return {
            "login": self.name,
            "state": self.state.value,
            "detail": self.detail,
            "expires_at": self.expires_at,
            "refreshed_at": self.refreshed_at,
            "logged_in_at": self._stored.logged_in_at if self._stored else None,
        }

    def wait(self) -> None:
        """Wait for the worker: a refresh token on its way must not be lost."""
        if self._worker is not None:
            self._worker.join(_PARTING_SECONDS)

    @property
    def _has_good_token(self) -> bool:
        return bool(self._access) and self.expires_at is not None and wall_ns() < self.expires_at

    @property
    def _has_refresh_token(self) -> bool:
        return self._stored is not None and bool(self._stored.refresh_token)

    def _body(self) -> Body:
        return {"access_token": self._access, "expires_at": self.expires_at}

    # --- workers --------------------------------------------------------------------------------------------------

    def _fetch_soon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._worker is None:
            self._work(self._fetch)

    def _work(self, body: Callable[[], Callable[[], None]]) -> None:
        """Run `body` beside the loop and what it returns on the loop; one after the other."""
        before = self._worker

        def run() -> None:
            if before is not None:
                before.join()
            try:
                after = body()
            except Exception as bug:  # noqa: BLE001  # raised again on the loop: the process dies, not this thread
                after = _raiser(bug)

            def finish() -> None:
                if self._worker is thread:
                    self._worker = None
                after()

            self._node.post(finish)

        thread = threading.Thread(target=run, name=f"tokens-{self.name}", daemon=True)
        self._worker = thread
        thread.start()

    def _fetch(self) -> Callable[[], None]:
        """Refresh, or consent anew where no person is needed; in a worker."""
        try:
            if self._pending is None:
                asked_at = wall_ns()
                self._pending = (self._refreshed(), asked_at)
            return self._kept()
        except TradeprocError as error:
            trouble = error
            return lambda: self._failed(trouble)

    def _refreshed(self) -> Tokens:
        credentials = self._credentials
        while self._stored is not None and self._stored.refresh_token:
            try:
                return credentials.authorization.refresh(self._stored.refresh_token)
            except Halt as halt:
                log.warning("refresh_token_dead login=%s reason=%s", self.name, halt)
                if self._spares:
                    self._stored, self._is_saved = Stored(self._spares.pop(), wall_ns()), False
                elif credentials.consent is None:
                    raise
                else:
                    self._stored, self._is_saved = None, False
        if credentials.consent is None:
            raise _NeverLoggedIn(self._lost or "nobody has logged in yet")
        tokens = credentials.consent()
        self._stored, self._is_saved = Stored(tokens.refresh_token or "", wall_ns()), False
        return tokens

    def _exchange(self, redirected_to: str, state: str, answer: Deferred) -> Callable[[], None]:
        """Trade a person's consent for tokens; in a worker."""
        asked_at = wall_ns()
        try:
            tokens = self._credentials.authorization.exchange(redirected_to, state)
        except Outage as outage:
            answer.fail(str(outage))
            return lambda: None
        except TradeprocError as error:
            answer.refuse(str(error))
            return lambda: None
        self._pending = (tokens, asked_at)
        self._stored, self._is_saved = Stored(tokens.refresh_token or "", asked_at), False
        try:
            adopt = self._kept()
        except NotSaved as error:
            trouble = error
            answer.fail(str(trouble))
            return lambda: self._failed(trouble)

        def adopt_and_answer() -> None:
            adopt()
            answer.answer({})

        return adopt_and_answer

    def _kept(self) -> Callable[[], None]:
        """Put a new refresh token on disk before anybody sees the access token that came with it; in a worker.

        Raises:
            NotSaved: both stay in memory and are saved at the next try; the old one may be worthless by now.
        """
        assert self._pending is not None and self._stored is not None
        tokens, asked_at = self._pending
        if tokens.refresh_token and tokens.refresh_token != self._stored.refresh_token:
            self._stored, self._is_saved = Stored(tokens.refresh_token, self._stored.logged_in_at), False
        if self._stored.refresh_token and not self._is_saved:
            self._credentials.vault.save(self.name, self._stored)
        self._is_saved, self._pending = True, None
        return lambda: self._adopt(tokens, asked_at)

    # --- what came of it ------------------------------------------------------------------------------------------

    def _adopt(self, tokens: Tokens, asked_at: int) -> None:
        self._access, self._made_at = tokens.access_token, monotonic_ns()
        self.expires_at, self.refreshed_at = asked_at + int(tokens.expires_in * SECOND), wall_ns()
        self._pause, self._failed_at = _FIRST_PAUSE, 0
        self._node.note_event()
        log.info("token_refreshed login=%s expires_in=%.0f", self.name, tokens.expires_in)
        self._turn(LoginState.OK, "" if self._has_refresh_token else "no refresh token came with it")
        for waiting in self._take_waiting():
            waiting.answer(self._body())
        left = (self.expires_at - wall_ns()) / SECOND
        self._again_in(max(left - min(_AHEAD_SECONDS, tokens.expires_in / 4), _FIRST_PAUSE))

    def _failed(self, error: TradeprocError) -> None:
        if isinstance(error, Halt):
            self._needs_person(str(error))
            return
        event = "refresh_token_unsaved" if isinstance(error, NotSaved) else "token_refresh_failed"
        log.warning("%s login=%s again_in=%.0f reason=%s", event, self.name, self._pause, error)
        detail = f"cannot refresh: {error}"
        self._turn(LoginState.OK if self._has_good_token else LoginState.ERROR, detail)
        for waiting in self._take_waiting():
            waiting.fail(detail)
        self._failed_at = monotonic_ns()
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
        self._again_in(pause)

    def _needs_person(self, reason: str) -> None:
        log.critical("login_needs_person login=%s reason=%s", self.name, reason)
        self._access, self.expires_at = "", None
        self._turn(LoginState.NEEDS_LOGIN, reason)
        refusal = str(NeedsLogin(self.name, reason))
        for waiting in self._take_waiting():
            waiting.refuse(refusal)
        if self._stored is not None:
            self._again_in(_SLOW_PAUSE)

    def _again_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._node.after(seconds, self._fetch_soon)

    def _take_waiting(self) -> list[Deferred]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _turn(self, state: LoginState, detail: str) -> None:
        if (state, detail) != (self.state, self.detail):
            self.state, self.detail = state, detail
            self._on_change()


class _NeverLoggedIn(Halt):
    """There is no refresh token; caught by `LoginTokens`."""


def _raiser(bug: Exception) -> Callable[[], None]:
    def raise_it() -> None:
        raise bug

    return raise_it

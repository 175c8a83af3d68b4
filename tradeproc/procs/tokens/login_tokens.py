"""The access token of one login: fetched ahead of its end, by one worker at a time, and given to whoever asks.

Everything here runs on the node's loop but the bodies of the workers (`_fetch`, `_acquire`), which use the supply
and post what came of it.
"""

import logging
import threading
from collections.abc import Callable
from enum import StrEnum

from tradeproc.brokers.contract import Proof, SignInDelayed
from tradeproc.bus.node import Deferred, Node
from tradeproc.bus.timers import Timer
from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.domain.backoff import Backoff
from tradeproc.domain.units import Nanos
from tradeproc.errors import Halt, Outage, Refusal, TradeprocError
from tradeproc.procs.token_source import digest_of
from tradeproc.procs.tokens.supply import Access, Credentials, TokenSupply
from tradeproc.procs.tokens.vault import NotSaved
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.token_messages import AccessToken, LoginStanding

log = logging.getLogger(__name__)

_AHEAD_SECONDS = 120.0
# Where the renewal expires together with the access token, it is renewed early enough that a sign-in host that is
# away for a while does not cost the login.
_FAR_AHEAD_SECONDS = 900.0
_PAUSES = Backoff(1.0, 60.0)
# a refusal that only a person can mend is still tried again now and then, because sign-in hosts make mistakes too
_SLOW_PAUSE = 300.0
# the shortest time between two tries that are made because somebody asks
_SHORTEST_PAUSE = 2.0
# when a broker refuses one fresh token after another, more fresh tokens do not help
_BETWEEN_REFUSALS = 5.0
_PARTING_SECONDS = 12.0
# when only so much time is left before a person must log in again, that is logged, once a day
_ENDS_SOON, _TOLD_AGAIN = 2 * 86_400 * SECOND, 86_400 * SECOND


class LoginState(StrEnum):
    """How a login is: has a good access token, has none for now, or cannot get one without a person."""

    OK = "ok"
    ERROR = "error"
    NEEDS_LOGIN = "needs_login"


class NeedsLogin(Refusal):
    """A person must log in; answered as refused to those who ask for a token."""

    def __init__(self, login: str, reason: str) -> None:
        self.login = login
        super().__init__(f"login {login!r} needs a person: {reason}; run scripts/tradectl login {login}")


class NoTokenNow(Outage):
    """The sign-in host gives none for now; answered as unavailable to those who ask for a token."""


class LoginTokens:
    """Keeps one login supplied; `on_change` is called whenever its state or detail did."""

    def __init__(self, name: str, node: Node, credentials: Credentials, on_change: Callable[[], None]) -> None:
        self.name = name
        self.state, self.detail = LoginState.ERROR, "has no token yet"
        self.refreshed_at: Nanos | None = None
        self._node, self._on_change = node, on_change
        self._supply = TokenSupply(name, credentials)
        self._access: Access | None = None
        self._replaced_at, self._failed_at, self._not_before = 0, 0, 0
        self._told_at: int | None = None
        self._waiting: list[Deferred[AccessToken]] = []
        self._worker: threading.Thread | None = None
        self._timer: Timer | None = None
        self._failures = 0

    def start(self) -> None:
        """Find the refresh token and fetch the first access token."""
        self._supply.begin()
        self._fetch_soon()

    def token(self, refused: str) -> AccessToken | Deferred[AccessToken]:
        """Return the access token, or a `Deferred` that will get it.

        `refused` names one that the broker did not take.

        Raises:
            NeedsLogin: only a person can help.
            NoTokenNow: the sign-in host was asked and gave none; it will be asked again soon.
        """
        good = self._good()
        if good is not None and refused != digest_of(good.token):
            return _told(good)
        if self._worker is None:
            self._check_worth_asking(good)
            self._fetch_soon()
        answer = Deferred[AccessToken]()
        self._waiting.append(answer)
        return answer

    def complete(self, proof: Proof) -> Deferred[NoBody]:
        """Trade what a person gave, a consent or a password, for tokens.

        Raises:
            NoTokenNow: the sign-in host wants to be asked later, and a try before that would lengthen its penalty.
        """
        if monotonic_ns() < self._not_before:
            raise NoTokenNow(self.detail)
        answer = Deferred[NoBody]()
        self._work(lambda: self._acquire(proof, answer))
        return answer

    def standing(self) -> LoginStanding:
        """Return what is told of this login; never a token."""
        return LoginStanding(
            self.name,
            self.state.value,
            self.detail,
            self._access.expires_at if self._access else None,
            self.refreshed_at,
            self._supply.logged_in_at,
            self._supply.person_needed_at,
        )

    def wait(self) -> None:
        """Wait for the worker: a refresh token on its way must not be lost."""
        if self._worker is not None:
            self._worker.join(_PARTING_SECONDS)

    def _good(self) -> Access | None:
        return self._access if self._access is not None and wall_ns() < self._access.expires_at else None

    def _check_worth_asking(self, good: Access | None) -> None:
        now = monotonic_ns()
        if self.state is LoginState.NEEDS_LOGIN:
            raise NeedsLogin(self.name, self.detail)
        is_soon = self._failed_at and now - self._failed_at < _SHORTEST_PAUSE * SECOND
        if is_soon or now < self._not_before:
            raise NoTokenNow(self.detail)
        if good is not None:
            if self._replaced_at and now - self._replaced_at < _BETWEEN_REFUSALS * SECOND:
                raise NoTokenNow("the broker refuses one token after the other")
            self._replaced_at = now

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
        """Get the next access token; in a worker."""
        try:
            access = self._supply.fetch()
        except TradeprocError as error:
            trouble = error
            return lambda: self._failed(trouble)
        return lambda: self._adopt(access)

    def _acquire(self, proof: Proof, answer: Deferred[NoBody]) -> Callable[[], None]:
        """Trade what a person gave for tokens; in a worker."""
        try:
            access = self._supply.acquire(proof)
        except NotSaved as error:
            unsaved = error
            answer.fail(str(unsaved))
            return lambda: self._failed(unsaved)
        except SignInDelayed as delayed:
            penalty = delayed

            def wait() -> None:
                self._failed(penalty)
                answer.fail(str(penalty))

            return wait
        except Outage as outage:
            answer.fail(str(outage))
            return lambda: None
        except TradeprocError as error:
            answer.refuse(str(error))
            return lambda: None

        def adopt() -> None:
            self._adopt(access)
            answer.answer(NoBody())

        return adopt

    # --- what came of it ------------------------------------------------------------------------------------------

    def _adopt(self, access: Access) -> None:
        self._access, self.refreshed_at = access, wall_ns()
        self._failures, self._failed_at, self._not_before = 0, 0, 0
        self._node.note_event()
        log.info("token_refreshed login=%s life=%.0f", self.name, access.life)
        self._turn(LoginState.OK, "" if self._supply.can_renew else "no refresh token came with it")
        self._tell_of_end()
        for waiting in self._take_waiting():
            waiting.answer(_told(access))
            self._node.note_work()
        left = (access.expires_at - wall_ns()) / SECOND
        ahead = _FAR_AHEAD_SECONDS if access.is_all else _AHEAD_SECONDS
        self._again_in(max(left - min(ahead, access.life / 4), _PAUSES.first))

    def _tell_of_end(self) -> None:
        """Warn while a person can still log in before the login ends for good; the health check says it too."""
        ends, now = self._supply.person_needed_at, wall_ns()
        if (
            ends is None
            or ends - now > _ENDS_SOON
            or (self._told_at is not None and now - self._told_at < _TOLD_AGAIN)
        ):
            return
        self._told_at = now
        hours = max(ends - now, 0) / SECOND / 3600
        log.warning("login_ends_soon login=%s hours=%.0f: run scripts/tradectl login %s", self.name, hours, self.name)

    def _failed(self, error: TradeprocError) -> None:
        self._failed_at = monotonic_ns()
        if isinstance(error, Halt):
            self._needs_person(str(error))
            return
        pause = _PAUSES.delay(self._failures)
        if isinstance(error, SignInDelayed):
            # a try before the end of the pause that the host demands would make it demand a longer one
            pause = max(pause, error.seconds)
            self._not_before = self._failed_at + int(error.seconds * SECOND)
        self._failures += 1
        event = "refresh_token_unsaved" if isinstance(error, NotSaved) else "token_refresh_failed"
        log.warning("%s login=%s again_in=%.0f reason=%s", event, self.name, pause, error)
        detail = f"cannot refresh: {error}"
        self._turn(LoginState.ERROR if self._good() is None else LoginState.OK, detail)
        for waiting in self._take_waiting():
            waiting.fail(detail)
        self._again_in(pause)

    def _needs_person(self, reason: str) -> None:
        log.critical("login_needs_person login=%s reason=%s", self.name, reason)
        self._access = None
        self._turn(LoginState.NEEDS_LOGIN, reason)
        refusal = str(NeedsLogin(self.name, reason))
        for waiting in self._take_waiting():
            waiting.refuse(refusal)
        self._again_in(_SLOW_PAUSE)

    def _again_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._node.after(seconds, self._fetch_soon)

    def _take_waiting(self) -> list[Deferred[AccessToken]]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _turn(self, state: LoginState, detail: str) -> None:
        if (state, detail) != (self.state, self.detail):
            self.state, self.detail = state, detail
            self._on_change()


def _told(access: Access) -> AccessToken:
    return AccessToken(access.token, access.expires_at)


def _raiser(bug: Exception) -> Callable[[], None]:
    def raise_it() -> None:
        raise bug

    return raise_it

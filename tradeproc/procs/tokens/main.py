"""`core.tokens`: the only process that refreshes tokens, and the only one that holds what renews them.

Hears: `token`, `authorize`, `complete`, `logins`. Says: topic `login` whenever a login's state changes. Its death
costs nothing for minutes: link and feeds keep their access tokens; a rotated refresh token is on disk before its
access token is given out.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from tradeproc.brokers.contract import ConsentAnswer, ConsentAuthorization, CredentialKind, UserPassword
from tradeproc.brokers.registry import broker, check_authorization
from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Deferred, Node
from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.config import Config, LoginConfig, load
from tradeproc.domain.hosts import is_loopback
from tradeproc.domain.records import nearest
from tradeproc.domain.units import Nanos
from tradeproc.errors import Halt, Refusal, TradeprocError
from tradeproc.home import Home, find_home
from tradeproc.procs.tokens.consent import consent_here
from tradeproc.procs.tokens.login_tokens import LoginState, LoginTokens
from tradeproc.procs.tokens.supply import Credentials
from tradeproc.procs.tokens.vault import Vault
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import TOKENS
from tradeproc.protocol.token_messages import (
    AUTHORIZE,
    COMPLETE,
    LOGIN,
    LOGINS,
    TOKEN,
    AccessToken,
    BeginLogin,
    ConsentGiven,
    LoginBegun,
    LoginsStanding,
    LoginStanding,
    PasswordGiven,
    TokenQuestion,
)

log = logging.getLogger(__name__)

_CONSENT_SECONDS = 900
# a login without credentials gets an empty token, which is asked for again after this long
_OPEN_SECONDS = 86_400


class UnknownLogin(Refusal):
    """A login without tokens of ours: not in the configuration, or of a broker that needs none."""

    def __init__(self, login: str, known: list[str]) -> None:
        super().__init__(f"login {login!r} has no tokens here; {nearest(login, known)}")


class OtherCredentials(Refusal):
    """A login is completed with what its broker does not take, for example a password instead of a consent."""

    def __init__(self, login: str, kind: CredentialKind) -> None:
        super().__init__(f"login {login!r} is of kind {kind.value}: run scripts/tradectl login {login} again")


class UnknownConsent(Refusal):
    """A consent that nobody began here, or too long ago."""

    def __init__(self) -> None:
        super().__init__("this consent was not begun here or has timed out; begin again")


class BadArguments(Halt):
    """Called with words it does not know; caught by the entry point."""

    def __init__(self, words: str) -> None:
        super().__init__(f"tokens takes no arguments, found {words!r}")


class UnusableLogin(Refusal):
    """A login whose secrets are not where the configuration says."""

    def __init__(self, trouble: str) -> None:
        super().__init__(trouble)


class TokensProcess:
    """All logins of the desk and the methods that others call.

    `reread` reads the configuration again: a login that was added to it, or whose secret has come, gets its tokens
    when somebody asks for it.
    """

    def __init__(self, node: Node, config: Config, vault: Vault, reread: Callable[[], Config] | None = None) -> None:
        self._node, self._vault, self._reread = node, vault, reread
        self._logins: dict[str, LoginTokens] = {}
        self._unusable: dict[str, str] = {}
        self._credentials: dict[str, Credentials] = {}
        self._kinds: dict[str, CredentialKind] = {}
        self._users: dict[str, str] = {}
        self._consents: dict[tuple[str, str], int] = {}
        for name, login in config.logins.items():
            self._add(name, login)
        node.handle(TOKEN, self._token)
        node.handle(AUTHORIZE, self._authorize)
        node.handle(COMPLETE, self._complete)
        node.handle(LOGINS, lambda _: self._logins_now())
        node.snapshot(LOGIN, lambda: LoginsStanding(self._rows()))
        node.add_statistics(lambda: {"logins": {row.login: row.state for row in self._rows()}})
        node.on_stop(self._wait)

    def start(self) -> None:
        """Fetch the first tokens."""
        self._say_how_we_are()
        for login in self._logins.values():
            login.start()

    def _add(self, name: str, login: LoginConfig) -> None:
        """Take a login; one that cannot be used is noted, and the others get their tokens all the same."""
        try:
            self._take(name, login)
        except TradeprocError as error:
            log.warning("login_unusable login=%s reason=%s", name, error)
            self._unusable[name] = str(error)

    def _take(self, name: str, login: LoginConfig) -> None:
        its_broker = broker(login.broker)
        self._kinds[name], self._users[name] = its_broker.credential_kind, login.user
        if its_broker.credential_kind is CredentialKind.NONE:
            return
        if trouble := login.trouble():
            raise UnusableLogin(trouble)
        client = login.client()
        authorization = check_authorization(its_broker, its_broker.authorization(login.login(), client))
        consent = None
        if isinstance(authorization, ConsentAuthorization) and _consents_by_itself(login):
            consent = partial(consent_here, authorization, login.redirect_uri)
        is_password = its_broker.credential_kind is CredentialKind.PASSWORD
        credentials = Credentials(
            authorization,
            client,
            self._vault,
            first=login.first_refresh_token(),
            consent=None if is_password else consent,
            password=login.user_password() if is_password else None,
        )
        self._credentials[name] = credentials
        self._logins[name] = LoginTokens(name, self._node, credentials, partial(self._tell, name))

    def _token(self, question: TokenQuestion) -> AccessToken | Deferred[AccessToken]:
        if self._is_open(question.login):
            return AccessToken("", Nanos(wall_ns() + _OPEN_SECONDS * SECOND))
        token = self._login(question.login).token(question.refused)
        if not isinstance(token, Deferred):
            self._node.note_work()
        return token

    def _is_open(self, name: str) -> bool:
        """Tell whether a login needs no credentials, so that there is nothing to fetch."""
        return self._kinds.get(name) is CredentialKind.NONE

    def _authorize(self, question: BeginLogin) -> LoginBegun:
        """Begin a person's login and say what it needs: an address to consent at, a password, or nothing."""
        if self._is_open(question.login):
            return LoginBegun(CredentialKind.NONE.value)
        name = self._login(question.login).name
        authorization, kind = self._credentials[name].authorization, self._kinds[name]
        if kind is CredentialKind.PASSWORD or not isinstance(authorization, ConsentAuthorization):
            return LoginBegun(kind.value, user=self._users[name])
        state = secrets.token_urlsafe(24)
        now = monotonic_ns()
        self._consents = {key: until for key, until in self._consents.items() if until > now}
        self._consents[name, state] = now + _CONSENT_SECONDS * SECOND
        return LoginBegun(kind.value, authorization.url(state), state)

    def _complete(self, given: ConsentGiven | PasswordGiven) -> Deferred[NoBody]:
        login = self._login(given.login)
        kind = self._kinds[login.name]
        if isinstance(given, PasswordGiven) is not (kind is CredentialKind.PASSWORD):
            raise OtherCredentials(login.name, kind)
        if isinstance(given, PasswordGiven):
            return login.complete(UserPassword(given.user, given.password))
        if self._consents.pop((login.name, given.state), 0) < monotonic_ns():
            raise UnknownConsent
        return login.complete(ConsentAnswer(given.redirected_to, given.state))

    def _logins_now(self) -> LoginsStanding:
        with suppress(Refusal):
            self._add_new()
        return LoginsStanding(self._rows())

    def _add_new(self) -> None:
        """Take over what the configuration has now and had not, or not usably, when we last looked.

        Raises:
            UnusableLogin: the configuration cannot be read.
        """
        if self._reread is None:
            return
        try:
            logins = self._reread().logins
        except Halt as halt:
            raise UnusableLogin(str(halt)) from None
        for name, login in logins.items():
            if (
                name in self._logins
                or self._kinds.get(name) is CredentialKind.NONE
                or login.trouble() == self._unusable.get(name)
            ):
                continue
            self._unusable.pop(name, None)
            self._add(name, login)
            if name in self._logins:
                log.info("login_added login=%s", name)
                self._logins[name].start()
            self._say_how_we_are()

    def _login(self, name: str) -> LoginTokens:
        if name not in self._logins:
            self._add_new()
        if name in self._unusable:
            raise UnusableLogin(self._unusable[name])
        if name not in self._logins:
            raise UnknownLogin(name, list(self._logins))
        return self._logins[name]

    def _rows(self) -> tuple[LoginStanding, ...]:
        unusable = [
            LoginStanding(name, LoginState.ERROR.value, reason, None, None) for name, reason in self._unusable.items()
        ]
        is_open = [
            LoginStanding(name, LoginState.OK.value, "needs no login", None, None)
            for name, kind in self._kinds.items()
            if kind is CredentialKind.NONE
        ]
        return (*(login.standing() for login in self._logins.values()), *is_open, *unusable)

    def _tell(self, name: str) -> None:
        self._node.publish(LOGIN, self._logins[name].standing())
        self._say_how_we_are()

    def _say_how_we_are(self) -> None:
        troubled = [f"{row.login}: {row.detail}" for row in self._rows() if row.state != LoginState.OK.value]
        self._node.set_state("degraded" if troubled else "ready", "; ".join(troubled))

    def _wait(self) -> None:
        for login in self._logins.values():
            login.wait()


def _consents_by_itself(login: LoginConfig) -> bool:
    """Tell whether no person is needed: a public client of a sign-in host on this machine."""
    return bool(login.client_id and login.client_id.public and is_loopback(login.auth_url))


def run(home: Home) -> int:
    """Serve until stopped."""
    home.make_folders()
    node = Node(TOKENS, Directory(home.sockets))
    try:
        TokensProcess(node, load(home), Vault(home.secrets), lambda: load(home)).start()
        node.run()
    finally:
        node.close()
    return node.exit_status


def main(arguments: Sequence[str]) -> int:
    """Run the process; takes no arguments."""
    if arguments:
        raise BadArguments(" ".join(arguments))
    return run(find_home())

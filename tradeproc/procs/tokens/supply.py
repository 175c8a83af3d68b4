"""Where one login's access tokens come from: a renewal, or a proof that needs no person; blocking, run in workers.

The renewal that came with an access token is on disk before the access token leaves this module. If it cannot be
written, both are kept here until the next try, because the old renewal may be worthless by now.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import field, replace

from tradeproc.brokers.contract import Authorization, ClientCredentials, Proof, Tokens, UserPassword
from tradeproc.clock import SECOND, wall_ns
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Nanos
from tradeproc.errors import Halt, Outage
from tradeproc.procs.tokens.vault import NotSaved, Stored, Vault

log = logging.getLogger(__name__)

_LONGEST_SECONDS = 10 * 366 * 86_400.0


class NeverLoggedIn(Halt):
    """There is nothing to renew and no proof without a person; caught by `LoginTokens`."""


class BadLife(Outage):
    """A broker's sign-in side told a life that is no number of seconds; tried again, caught by `LoginTokens`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the broker's sign-in told a life of {seconds!r}, which is no number of seconds")


@dataclass(frozen=True)
class Credentials:
    """Where a login's tokens come from.

    `first` is the renewal that the configuration names, if any. `consent` gets a person's consent without a person,
    which only a sign-in host on this machine allows. `password` is what the configuration names to sign in with.
    """

    authorization: Authorization
    client: ClientCredentials
    vault: Vault
    first: str | None = field(default=None, repr=False)
    consent: Callable[[], Proof] | None = None
    password: UserPassword | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """An access token and its end, in wall ns, counted from before it was asked for.

    `is_all` says that what renews it ends no later than itself, so that a late renewal needs a new sign-in.
    """

    token: str = field(repr=False)
    expires_at: Nanos
    life: float
    is_all: bool = False


class TokenSupply:
    """Holds what renews one login, and gets access tokens with it; used by one thread at a time."""

    def __init__(self, login: str, credentials: Credentials) -> None:
        self._login, self._credentials = login, credentials
        self._spares: list[str] = []
        self._lost = ""
        self._pending: Access | None = None
        self._stored: Stored | None = None
        self._is_saved = False

    def begin(self) -> None:
        """Read what is stored; the renewal of the configuration is used where there is none, else as a spare."""
        try:
            self._stored = self._credentials.vault.read(self._login)
        except Halt as halt:
            self._lost = str(halt)
            log.warning("refresh_token_lost login=%s reason=%s", self._login, halt)
        self._is_saved = self._stored is not None
        first = self._credentials.first
        if first and self._stored is None:
            self._hold(first)
        elif first and self._stored and first != self._stored.renewal:
            self._spares.append(first)

    @property
    def can_renew(self) -> bool:
        """Tell whether the next access token can be fetched without a person."""
        return (self._stored is not None and bool(self._stored.renewal)) or self._has_proof

    @property
    def logged_in_at(self) -> Nanos | None:
        """Return when somebody logged in, None if that is not known."""
        stored = self._stored
        return stored.logged_in_at if stored and (stored.renewal or stored.password) else None

    @property
    def person_needed_at(self) -> Nanos | None:
        """Return when a person must log in again at the latest; None when nobody must or the time is unknown."""
        return None if self._stored is None or self._has_proof else self._stored.renewable_until

    def fetch(self) -> Access:
        """Renew, or acquire anew where no person is needed.

        Raises:
            Outage: the sign-in host cannot be had, or what renews the login cannot be saved.
            Halt: a person must log in.
        """
        if self._pending is None:
            asked_at = wall_ns()
            self._take(self._renewed(), asked_at)
        return self._saved()

    def acquire(self, proof: Proof) -> Access:
        """Trade what a person gave for tokens; a good password is kept for the time when nothing can be renewed.

        Raises:
            Outage: the sign-in host cannot be had, or what renews the login cannot be saved.
            Halt: the proof was refused, or the client is not known.
        """
        asked_at = wall_ns()
        self._take_new(proof, self._credentials.authorization.acquire(proof), asked_at)
        return self._saved()

    # --- pieces

    def _renewed(self) -> Tokens:
        credentials = self._credentials
        while self._stored is not None and self._stored.renewal:
            try:
                return credentials.authorization.renew(self._stored.renewal)
            except Halt as halt:
                log.warning("refresh_token_dead login=%s reason=%s", self._login, halt)
                if self._spares:
                    self._hold(self._spares.pop())
                elif not self._has_proof:
                    raise
                else:
                    self._stored = replace(self._stored, renewal="", renewable_until=None)
        if credentials.consent is not None:
            tokens = credentials.authorization.acquire(credentials.consent())
            self._hold(tokens.renewal or "")
            return tokens
        return self._signed_in()

    def _signed_in(self) -> Tokens:
        """Sign in with the password that is kept or configured; one that was refused is never sent again."""
        password = self._password()
        if password is None:
            refused = "the password was refused" if self._stored and self._stored.refused else ""
            raise NeverLoggedIn(self._lost or refused or "nobody has logged in yet")
        try:
            tokens = self._credentials.authorization.acquire(password)
        except Halt:
            self._refuse(password)
            raise
        self._hold_password(password, tokens)
        return tokens

    @property
    def _has_proof(self) -> bool:
        return self._credentials.consent is not None or self._password() is not None

    def _password(self) -> UserPassword | None:
        stored = self._stored
        if stored is not None and stored.password:
            return UserPassword(stored.user, stored.password)
        configured = self._credentials.password
        is_refused = configured is not None and stored is not None and stored.refused == self._digest(configured)
        return None if is_refused else configured

    def _refuse(self, password: UserPassword) -> None:
        """Forget a password and keep on disk that it was refused: a broker may lock a login that tries it again."""
        at = self._stored.logged_in_at if self._stored else wall_ns()
        self._stored, self._is_saved = Stored("", at, refused=self._digest(password)), False
        try:
            self._save()
        except NotSaved as error:
            log.warning("refused_password_unsaved login=%s reason=%s", self._login, error)

    def _digest(self, given: UserPassword) -> str:
        """Return a digest of a password with its user and client: with another client it is another password."""
        client = self._credentials.client
        whole = "\0".join((given.user, given.password, client.client_id, client.client_secret))
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    def _take_new(self, proof: Proof, tokens: Tokens, asked_at: Nanos) -> None:
        if isinstance(proof, UserPassword):
            self._hold_password(proof, tokens)
        else:
            self._hold(tokens.renewal or "")
        self._take(tokens, asked_at)

    def _hold(self, renewal: str) -> None:
        """Make this what renews the login, as of now."""
        self._stored, self._is_saved = Stored(renewal, wall_ns()), False

    def _hold_password(self, given: UserPassword, tokens: Tokens) -> None:
        stored = Stored(tokens.renewal or "", wall_ns(), user=given.user, password=given.password)
        self._stored, self._is_saved = stored, False

    def _take(self, tokens: Tokens, asked_at: Nanos) -> None:
        assert self._stored is not None
        stored = self._stored
        if tokens.renewal:
            stored = replace(stored, renewal=tokens.renewal)
        if tokens.renewable_for is not None and abs(tokens.renewable_for) <= _LONGEST_SECONDS:
            stored = replace(stored, renewable_until=Nanos(asked_at + int(tokens.renewable_for * SECOND)))
        self._is_saved = self._is_saved and stored == self._stored
        self._stored = stored
        if not 0 < tokens.expires_in <= _LONGEST_SECONDS:
            # the renewal that came with it may be the only one that is good now
            self._save()
            raise BadLife(tokens.expires_in)
        end = Nanos(asked_at + int(tokens.expires_in * SECOND))
        is_all = stored.renewable_until is not None and stored.renewable_until <= end
        self._pending = Access(tokens.access_token, end, tokens.expires_in, is_all)

    def _saved(self) -> Access:
        assert self._pending is not None
        self._save()
        access, self._pending = self._pending, None
        return access

    def _save(self) -> None:
        """Keep the login on disk, if there is anything to keep.

        Raises:
            NotSaved: it could not be written.
        """
        stored = self._stored
        if stored is not None and (stored.renewal or stored.password or stored.refused) and not self._is_saved:
            self._credentials.vault.save(self._login, stored)
            self._is_saved = True

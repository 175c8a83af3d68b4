"""Where one login's access tokens come from: its refresh token, or a consent; blocking, run in workers.

A refresh token that came with an access token is on disk before the access token leaves this module. If it cannot
be written both are kept here and written at the next try: the old one may be worthless by now.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from tradeproc.brokers.contract import Authorization, Tokens
from tradeproc.clock import SECOND, wall_ns
from tradeproc.domain.units import Nanos
from tradeproc.errors import Halt
from tradeproc.procs.tokens.vault import Stored, Vault

log = logging.getLogger(__name__)


class NeverLoggedIn(Halt):
    """There is no refresh token and no consent without a person; caught by `LoginTokens`."""


@dataclass(frozen=True)
class Credentials:
    """Where a login's tokens come from.

    `first` is the refresh token the configuration names, if any. `consent` gets tokens without a person, which only
    a sign-in host on this machine allows.
    """

    authorization: Authorization
    vault: Vault
    first: str | None = field(default=None, repr=False)
    consent: Callable[[], Tokens] | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """An access token and its end, in wall ns, counted from before it was asked for."""

    token: str = field(repr=False)
    expires_at: Nanos
    life: float


class TokenSupply:
    """The refresh token of one login and what is done with it; used by one thread at a time."""

    def __init__(self, login: str, credentials: Credentials) -> None:
        self._login, self._credentials = login, credentials
        self._spares: list[str] = []
        self._lost = ""
        self._pending: Access | None = None
        self._stored: Stored | None = None
        self._is_saved = False

    def begin(self) -> None:
        """Read what is stored; what the configuration names is the spare, or the first."""
        try:
            self._stored = self._credentials.vault.read(self._login)
        except Halt as halt:
            self._lost = str(halt)
            log.warning("refresh_token_lost login=%s reason=%s", self._login, halt)
        self._is_saved = self._stored is not None
        first = self._credentials.first
        if first and self._stored is None:
            self._hold(first)
        elif first and self._stored and first != self._stored.refresh_token:
            self._spares.append(first)

    @property
    def has_refresh_token(self) -> bool:
        """Tell whether a next access token can be had without a new consent."""
        return self._stored is not None and bool(self._stored.refresh_token)

    @property
    def logged_in_at(self) -> Nanos | None:
        """Return when somebody consented, None if that is not known."""
        return self._stored.logged_in_at if self._stored else None

    def fetch(self) -> Access:
        """Refresh, or consent anew where no person is needed.

        Raises:
            Outage: the sign-in host cannot be had, or the new refresh token cannot be saved.
            Halt: a person must log in.
        """
        if self._pending is None:
            asked_at = wall_ns()
            self._take(self._refreshed(), asked_at)
        return self._saved()

    def exchange(self, redirected_to: str, state: str) -> Access:
        """Trade a person's consent for tokens.

        Raises:
            Outage: the sign-in host cannot be had, or the new refresh token cannot be saved.
            Halt: consent was declined, or the client is not known.
        """
        asked_at = wall_ns()
        tokens = self._credentials.authorization.exchange(redirected_to, state)
        self._hold(tokens.refresh_token or "")
        self._take(tokens, asked_at)
        return self._saved()

    def _refreshed(self) -> Tokens:
        credentials = self._credentials
        while self._stored is not None and self._stored.refresh_token:
            try:
                return credentials.authorization.refresh(self._stored.refresh_token)
            except Halt as halt:
                log.warning("refresh_token_dead login=%s reason=%s", self._login, halt)
                if self._spares:
                    self._hold(self._spares.pop())
                elif credentials.consent is None:
                    raise
                else:
                    self._stored = None
        if credentials.consent is None:
            raise NeverLoggedIn(self._lost or "nobody has logged in yet")
        tokens = credentials.consent()
        self._hold(tokens.refresh_token or "")
        return tokens

    def _hold(self, refresh_token: str) -> None:
        """Make this the login's refresh token, as of now."""
        self._stored, self._is_saved = Stored(refresh_token, wall_ns()), False

    def _take(self, tokens: Tokens, asked_at: Nanos) -> None:
        assert self._stored is not None
        if tokens.refresh_token and tokens.refresh_token != self._stored.refresh_token:
            self._stored, self._is_saved = Stored(tokens.refresh_token, self._stored.logged_in_at), False
        end = Nanos(asked_at + int(tokens.expires_in * SECOND))
        self._pending = Access(tokens.access_token, end, tokens.expires_in)

    def _saved(self) -> Access:
        assert self._pending is not None and self._stored is not None
        if self._stored.refresh_token and not self._is_saved:
            self._credentials.vault.save(self._login, self._stored)
            self._is_saved = True
        access, self._pending = self._pending, None
        return access

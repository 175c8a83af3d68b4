"""What a latch or an alarm is about, as one text.

host    login:<name>    account:<id>    portfolio:<name>    session:<number>

An account is not a login: several logins may reach the same account, and one login may reach several accounts.
Limits on the money of an account therefore latch the account.
"""

import re
from collections.abc import Collection
from typing import Final

from tradeproc.errors import Refusal

_SCOPE = re.compile(
    r"host|login:\S{1,64}|account:\S{1,64}|portfolio:\S{1,64}|session:(?:0|[1-9][0-9]{0,18})", re.ASCII
)


_SESSION = re.compile(r"session:(0|[1-9][0-9]{0,18})", re.ASCII)


class BadScope(Refusal):
    """A text that is no scope; caught where it came in."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"scope: {text!r} is none of host, login:<name>, account:<id>, portfolio:<name>, session:<number>"
        )


class Scope(str):
    """A scope; made by the functions of this module or read by `parse`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Return the scope that a text names.

        Raises:
            BadScope: it names none.
        """
        if not _SCOPE.fullmatch(text):
            raise BadScope(text)
        return cls(text)

    @property
    def kind(self) -> str:
        """Return host, login, account, portfolio or session."""
        return self.partition(":")[0]

    @property
    def name(self) -> str:
        """Return the login, account, portfolio or number that it names; empty for the host."""
        return self.partition(":")[2]

    @property
    def session(self) -> int | None:
        """Return the session's number, None for every other scope."""
        found = _SESSION.fullmatch(self)
        return int(found[1]) if found else None

    @property
    def login(self) -> str | None:
        """Return the login's name, None for every other scope."""
        return self.name if self.kind == "login" else None

    @property
    def portfolio(self) -> str | None:
        """Return the portfolio's name, None for every other scope."""
        return self.name if self.kind == "portfolio" else None

    @property
    def account(self) -> str | None:
        """Return the account's id, None for every other scope."""
        return self.name if self.kind == "account" else None

    def concerns(
        self, session: int, logins: Collection[str] = (), portfolio: str = "", account: str | None = None
    ) -> bool:
        """Tell whether a latch of this scope counts for a session with these logins, this portfolio and this account.

        Its own, its portfolio's, its account's, the host's, and those of its logins for orders and for data do. An
        empty portfolio is none.
        """
        if self.account is not None:
            return self.account == account
        if self.login is not None:
            return self.login in logins
        if self.portfolio is not None:
            return self.portfolio == portfolio
        return self in (HOST, of_session(session))

    @property
    def in_words(self) -> str:
        """Return it for people, as `session 7`; the host is `the desk`."""
        return "the desk" if self.kind == "host" else f"{self.kind} {self.name}"


HOST: Final = Scope("host")


def of_session(session: int) -> Scope:
    """Return the scope of one trading session."""
    return Scope(f"session:{session}")


def of_login(login: str) -> Scope:
    """Return the scope of all that trades by one broker login."""
    return Scope(f"login:{login}")


def of_portfolio(name: str) -> Scope:
    """Return the scope of a portfolio's sessions."""
    return Scope(f"portfolio:{name}")


def of_account(account: str) -> Scope:
    """Return the scope of all sessions that trade in one account."""
    return Scope(f"account:{account}")

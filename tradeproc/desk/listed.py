"""A session as commands see it: as the keeper tells it, or for want of that as its trader does."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from tradeproc.protocol.session_messages import RemovedSession, SessionBody


@dataclass(frozen=True, slots=True)
class SessionListed:
    """What of a session commands act on; `shown` is all that is known of it, for tables and programs.

    `desired` is "running" for one whose trader tells of itself. What a removed session or an older process does not
    tell is empty.
    """

    id: int
    name: str
    login: str = ""
    account: str = ""
    contract: str = ""
    minutes: int = 0
    strategy: str = ""
    environment: str = ""
    data_login: str = ""
    market_hours: str = ""
    desired: str = "running"
    state: str = ""
    trading_state: str = ""
    is_due: bool = False
    conflict: str = ""
    removed_at: int | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def logins(self) -> tuple[str, str]:
        """Return the login that takes its orders and the one that serves its bars, which may be the same."""
        return self.login, self.data_login or self.login

    @classmethod
    def of(cls, shown: Mapping[str, Any]) -> "SessionListed":
        """Return the session whose fields these are."""
        known = {each.name: shown[each.name] for each in fields(cls) if each.name in shown}
        return cls(**known, shown=shown)


def listed(told: SessionBody | RemovedSession) -> SessionListed:
    """Return a session with its specification's fields beside its own, its data login, and its bar as `1m`."""
    own = {each.name: getattr(told, each.name) for each in fields(told) if each.name != "spec"}
    shown = {**told.spec, **own}
    shown["data_login"] = shown.get("data_login") or shown.get("login")
    return SessionListed.of({**shown, "bar": f"{shown.get('minutes')}m"})

"""Halt, reduce, resume and flatten, as a person or the warden throws them at the keeper; pure."""

from collections.abc import Mapping
from typing import Any, Final

from tradeproc.domain.frozen import dataclass
from tradeproc.protocol.definitions import Method
from tradeproc.protocol.scopes import Scope

_KEEPER: Final = ("keeper",)


@dataclass(frozen=True, slots=True)
class ThrowSwitch:
    """Which session is meant, None for the host; who throws the switch, and why.

    `by` and `reason` may be values of any type, because an odd one must not hold up a halt.
    """

    session: int | None = None
    by: Any = ""
    reason: Any = ""


@dataclass(frozen=True, slots=True)
class ThrowLoginSwitch:
    """Which login is meant: the switch counts for the sessions that need it; who throws the switch, and why."""

    login: str
    by: Any = ""
    reason: Any = ""


@dataclass(frozen=True, slots=True)
class ThrowScopeSwitch:
    """Which portfolio or account is meant: the switch counts for its sessions; who throws the switch, and why."""

    scope: Scope
    by: Any = ""
    reason: Any = ""


@dataclass(frozen=True, slots=True)
class TraderHeard:
    """What became of a switch at one trader: it is in `trading_state` now, or did not hear or do it for a reason."""

    session: int
    ok: bool
    trading_state: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StandingLatch:
    """A latch other than active; its scope is the stored text, because a bad one must not hide the others."""

    scope: str
    state: str


@dataclass(frozen=True, slots=True)
class SwitchThrown:
    """Where the latch is kept, who heard it, and which latches stand; `standing` None: nobody knows."""

    scope: Scope
    latch: str
    standing: tuple[StandingLatch, ...] | None
    sessions: tuple[TraderHeard, ...]


SWITCHES: Final[Mapping[str, Method[ThrowSwitch, SwitchThrown]]] = {
    name: Method(name, ThrowSwitch, SwitchThrown, _KEEPER) for name in ("halt", "reduce", "resume", "flatten")
}
# Methods of their own: a keeper of a version that knows no switch of a login refuses them. A login beside the session
# would be a word that it ignores, so a resume of the login would lift the halt of the host.
LOGIN_SWITCHES: Final[Mapping[str, Method[ThrowLoginSwitch, SwitchThrown]]] = {
    name: Method(f"{name}_login", ThrowLoginSwitch, SwitchThrown, _KEEPER) for name in ("halt", "reduce", "resume")
}
# Of a portfolio or an account. They are methods of their own for the same reason.
SCOPE_SWITCHES: Final[Mapping[str, Method[ThrowScopeSwitch, SwitchThrown]]] = {
    name: Method(f"{name}_scope", ThrowScopeSwitch, SwitchThrown, _KEEPER) for name in ("halt", "reduce", "resume")
}

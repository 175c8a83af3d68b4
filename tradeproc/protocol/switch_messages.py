"""Halt, reduce, resume and flatten, as a person or the warden throws them at the keeper; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tradeproc.protocol.definitions import Method
from tradeproc.protocol.scopes import Scope

_KEEPER: Final = ("keeper",)


@dataclass(frozen=True, slots=True)
class ThrowSwitch:
    """Which session or which login is meant (without both the host), who throws the switch, and why.

    `by` and `reason` may be values of any type, because an odd one must not hold up a halt.
    """

    session: int | None = None
    by: Any = ""
    reason: Any = ""
    login: str | None = None


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

"""What a campaign plays on: the desk, its sessions, and the names of the processes that it is configured to have."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.drills.desk import Desk
from tradeproc.protocol import names

CORE = ("postgres", "tokens", "portfolio", "keeper", "jobs")


class Missed(Exception):
    """A fault that met nothing; it counts for none. Caught by the campaign."""


@dataclass(frozen=True)
class Scene:
    """A desk and its sessions by account; `is_spared` says which processes a fault may not choose."""

    desk: Desk
    sessions: dict[str, int]
    is_spared: Callable[[str], bool] = field(default=lambda name: False)

    @property
    def processes(self) -> list[names.ProcessName]:
        """Return the names of all processes that a fault may choose, whether they live now or not."""
        return [name for name in self.everybody if not self.is_spared(name)]

    @property
    def everybody(self) -> list[names.ProcessName]:
        """Return the names of all processes."""
        found = [names.CORE.process(name) for name in CORE]
        found += [
            names.WARDEN,
            names.NOTIFIER,
            names.LOCAL_BROKER,
            names.link("paper"),
            names.bars_feed("paper", "ESH24", 1),
        ]
        for account, session in self.sessions.items():
            found += [names.account(session), names.trader(session)]
            found += [names.account_feed("paper", kind, account) for kind in ("orders", "positions")]
        return sorted(found)

    def sparing(self, is_spared: Callable[[str], bool]) -> "Scene":
        """Return this scene for a fault that must not choose some."""
        return replace(self, is_spared=is_spared)

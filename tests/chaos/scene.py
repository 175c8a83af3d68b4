"""What a campaign plays on: the desk, its sessions, and the names of the processes that it is configured to have."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.drills.desk import Desk

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
    def processes(self) -> list[str]:
        """Return the names of all processes that a fault may choose, whether they live now or not."""
        return [name for name in self.everybody if not self.is_spared(name)]

    @property
    def everybody(self) -> list[str]:
        """Return the names of all processes."""
        names = [f"core.{name}" for name in CORE]
        names += ["warden.warden", "localbroker.localbroker", "link-paper.link", "link-paper.bars-ESH24-1m"]
        for account, session in self.sessions.items():
            names += [f"session-{session}.account", f"session-{session}.trader"]
            names += [f"link-paper.orders-{account}", f"link-paper.positions-{account}"]
        return sorted(names)

    def sparing(self, is_spared: Callable[[str], bool]) -> "Scene":
        """Return this scene for a fault that must not choose some."""
        return replace(self, is_spared=is_spared)

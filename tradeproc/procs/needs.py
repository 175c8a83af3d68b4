"""Who needs which feed of a link, and since when nobody needs any; pure.

A need is renewed every 15 s, or thrice in `need_seconds` where that is shorter, and forgotten after `need_seconds`.
A feed that nobody needs is stale, whether it is up or has ended; a link that nobody has needed for `idle_seconds`
may end. Times are monotonic seconds.
"""

from collections.abc import Callable, Iterable

from tradeproc.domain.frozen import dataclass
from tradeproc.protocol import names

RENEW_SECONDS = 15.0


@dataclass(frozen=True, slots=True, order=True)
class FeedKey:
    """One stream of a login: `kind` is bars, orders or positions; `subject` its further arguments."""

    kind: str
    subject: tuple[str, ...]

    @property
    def program(self) -> str:
        """Return the program's name inside the link's group, as `bars-ESH24-1m` or `orders-SIM1`."""
        return names.feed("any", self.kind, self.subject).program


class Needs:
    """The needs of one link."""

    def __init__(self, need_seconds: float, idle_seconds: float, now: float) -> None:
        self.need_seconds, self.idle_seconds = need_seconds, idle_seconds
        self.renew_seconds = min(RENEW_SECONDS, need_seconds / 3)
        self.started_at = now
        self._renewed: dict[FeedKey, dict[str, float]] = {}
        self._last_wanted = now

    def renew(self, key: FeedKey, who: str, now: float) -> None:
        """Note that `who` needs the feed now."""
        self._renewed.setdefault(key, {})[who] = now
        self._last_wanted = now

    def wanted(self, now: float) -> dict[FeedKey, list[str]]:
        """Return the feeds that somebody needs and who does, after forgetting what was not renewed."""
        for key, users in list(self._renewed.items()):
            for who in [who for who, at in users.items() if now - at > self.need_seconds]:
                del users[who]
            if not users:
                del self._renewed[key]
        return {key: sorted(users) for key, users in self._renewed.items()}

    def stale(self, now: float) -> Callable[[Iterable[str]], list[str]]:
        """Return a function that finds, among the programs of feeds, those that nobody needs any more.

        A fresh link does not know yet who needs the feeds that a crashed one left behind: unless it is idle, it calls
        none stale before `need_seconds` have passed, in which every need is renewed.
        """
        if now - self.started_at <= self.need_seconds and not self.is_idle(now):
            return lambda _programs: []
        kept = {key.program for key in self.wanted(now)}
        return lambda programs: sorted(set(programs) - kept)

    def is_idle(self, now: float) -> bool:
        """Tell whether nobody has needed anything for long enough."""
        return not self.wanted(now) and now - self._last_wanted > self.idle_seconds

"""Deaths that repeat with the same cause, however slowly: pure.

How often is too often a group's intensity says, by rate. What dies once an hour never reaches it, and yet never
works. So each death is compared with those before:

    the same cause 3 times, and no work done in any of these lives      it fails: alarm
    any cause, or none that is known, 5 times, and no work done         it fails: alarm
    the same told cause 5 times within a day, whatever was done         it fails: alarm
    a trader or an account manager that fails so for 2 minutes          its session enters no more

Work is what the kind of process is there for, see `WORK`; a heartbeat tells how much of it a life has done. The alarm
ends with the first work after it, with a life twice as long as those before it (not a trader's: its market may be
closed), with a person who stops the program, and that of the third line when a day has passed.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from tradeproc.domain.frozen import dataclass

ALIKE, UNTOLD, IN_A_DAY = 3, 5, 5
DAY = 86_400.0
# faster ones are held down, given up and told by the rate
LASTING = 120.0
_KEPT = 10
_LONGEST = 300

HUNG = "it hung and was killed"
UNSAID = "it left no word: killed (kill -9, out of memory), crashed in native code, or ended by os._exit"
"""What a person is told of a process that stood still, and of a death that nobody explained."""

WORK: Mapping[str, str] = {
    "trader": "a bar was decided",
    "account": "a message of a feed or an answer of the link was passed on",
    "link": "the broker answered",
    "bars": "a bar was published",
    "orders": "the snapshot of the orders was complete",
    "positions": "the snapshot of the positions was complete",
    "keeper": "the sessions were compared with what runs",
    "tokens": "a token was handed out",
    "portfolio": "a session's report was taken",
    "jobs": "a job was done",
    "postgres": "the server was seen alive",
    "localbroker": "its event loop was seen turning",
    "notifier": "a target took a message",
}
"""What counts as work, by the kind of process."""

_VARIABLE = re.compile(r"0x[0-9a-fA-F]+|\d+(?:[.,:]\d+)*")


@dataclass(frozen=True, slots=True)
class RepeatedDeaths:
    """Deaths of one program: the newest cause, and when it was so of late, seconds of a clock that never jumps.

    `alike` counts those in a row with this cause and without work, `fruitless` those without work whatever the cause,
    since `first`; `gap` is the longest time between two of these. `since` is the last death, or the start after it.
    `is_told`: the alarm stands.
    """

    cause: str
    alike: int = 0
    fruitless: int = 0
    first: float = 0.0
    times: tuple[float, ...] = ()
    gap: float = 0.0
    since: float = 0.0
    is_told: bool = False


def after_death(known: RepeatedDeaths | None, cause: str, now: float, *, has_worked: bool) -> RepeatedDeaths:
    """Return what is known of a program after a death; `cause` is empty when nobody knows it."""
    cause = cause[:_LONGEST]
    known = known or RepeatedDeaths(cause)
    is_same = _key(known.cause) == _key(cause)
    times = (*(at for at in known.times if is_same and now - at < DAY), now)[-_KEPT:]
    fresh = replace(known, cause=cause, times=times, since=now)
    if has_worked or not known.fruitless:
        return replace(fresh, alike=1, fruitless=1, first=now, gap=0.0)
    alike, gap = known.alike + 1 if is_same else 1, max(known.gap, now - known.since)
    return replace(fresh, alike=alike, fruitless=known.fruitless + 1, gap=gap)


def after_start(known: RepeatedDeaths, now: float) -> RepeatedDeaths:
    """Return what is known of a program that is up again.

    A life that is long enough ends its series of deaths, and begins now.
    """
    return replace(known, since=now)


def has_outlived(known: RepeatedDeaths, kind: str, now: float, calm: float) -> bool:
    """Tell whether the present life lasts so long that the deaths do not repeat any more; `calm` is the least.

    Never of a trader: while its market is closed it lives for ever, and dies at the next bar.
    """
    return kind != "trader" and bool(known.fruitless) and now - known.since > max(2 * known.gap, calm)


def after_work(known: RepeatedDeaths) -> RepeatedDeaths:
    """Return what is known of a program that has done work in its present life."""
    return replace(known, alike=0, fruitless=0)


def is_failing(known: RepeatedDeaths, now: float) -> bool:
    """Tell whether its deaths are a failure."""
    recent = [at for at in known.times if now - at < DAY]
    return is_fruitless(known) or (bool(known.cause) and len(recent) >= IN_A_DAY)


def wants_halt(known: RepeatedDeaths, kind: str, now: float) -> bool:
    """Tell whether the session of a program that fails may enter no more."""
    return kind in ("trader", "account") and is_fruitless(known) and now - known.first >= LASTING


def is_over(known: RepeatedDeaths, now: float) -> bool:
    """Tell whether nothing needs to be known of it any more."""
    is_past = not known.cause or all(now - at >= DAY for at in known.times)
    return not known.fruitless and not known.is_told and is_past


def told(program: str, kind: str, known: RepeatedDeaths) -> str:
    """Return the alarm's text: how often, why, and what was never done."""
    cause = known.cause or UNSAID
    if not is_fruitless(known):
        return f"{program} died {len(known.times)} times within a day of the same cause: {cause}"
    work = WORK.get(kind, "its work was done")
    often = f"{known.alike} times of the same cause" if known.alike > 1 else f"{known.fruitless} times"
    return f"{program} died {often}, and in none of these lives {work}: {cause}"


def is_fruitless(known: RepeatedDeaths) -> bool:
    """Tell whether it died too often in a row without any work."""
    return (bool(known.cause) and known.alike >= ALIKE) or known.fruitless >= UNTOLD


def _key(cause: str) -> str:
    """Return what makes two causes the same: their words, whatever numbers and addresses are in them."""
    return _VARIABLE.sub("#", cause)

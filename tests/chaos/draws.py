"""Which fault comes under which number: first one of each kind, in an order that the seed says, then at random."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.scene import Scene
from tests.chaos.troubles import MAKERS, Trouble
from tradeproc.protocol import names
from tradeproc.protocol.names import ProcessName

DOUBLE_SHARE = 0.1
# kinds whose effect lasts, so that a second fault can hit meanwhile; and what may hit then
LASTING = ("freeze", "freeze_warden", "stall", "drop_order_frames", "database_gone", "full_disk", "clock_step")
SECOND = ("kill", "kill_warden", "freeze", "freeze_warden")
# those whose end ends a fault of streams as well; the link is not among them
STREAMS_END = ("localbroker.", "session-", "link-paper.bars-", "link-paper.orders-", "link-paper.positions-")
WATCHERS = (names.KEEPER, names.WARDEN)


@dataclass(frozen=True)
class Draw:
    """The kinds of one fault, two for a double one, and the chance that decides the rest of it."""

    kinds: tuple[str, ...]
    chance: random.Random

    @property
    def is_double(self) -> bool:
        """Tell whether a second fault hits while the first one is in effect."""
        return len(self.kinds) > 1


def draw(seed: int, number: int, kinds: Sequence[str]) -> Draw:
    """Return the fault of a seed and a number: always the same, whatever came before it."""
    chance = random.Random(f"{seed}-{number}")
    if number <= len(kinds):
        opening = list(kinds)
        random.Random(seed).shuffle(opening)
        return Draw((opening[number - 1],), chance)
    lasting = [kind for kind in LASTING if kind in kinds]
    second = [kind for kind in SECOND if kind in kinds]
    if chance.random() < DOUBLE_SHARE and lasting and second:
        first = _choose(chance, lasting)
        return Draw((first, _choose(chance, [kind for kind in second if is_apart(first, kind)] or ["kill"])), chance)
    return Draw((_choose(chance, kinds),), chance)


def is_apart(first: str, second: str) -> bool:
    """Tell whether the second kind leaves the first one in effect."""
    return first != "freeze_warden" or second not in ("kill_warden", "freeze_warden")


def spared(first: Trouble, first_kind: str, second_kind: str) -> Callable[[str], bool]:
    """Return which processes a second fault must not choose.

    It must not undo the first one: by restarting its group, or, where frames get lost, the feed that loses them or
    the session that misses them, because a start asks the broker. While frames get lost it must not stop the link:
    nobody could ask then, and the stream itself would tell the order's next change before anybody can. And it must
    not stop the other one of the two that watch each other: with both stopped, only systemd's watchdog helps, which a
    desk has not.
    """
    gone = {"database_gone": names.POSTGRES, "full_disk": names.POSTGRES}.get(first_kind, first.subject)
    group = ProcessName(gone).group if first_kind.startswith("freeze") else gone

    def is_spared(name: str) -> bool:
        if second_kind.startswith("freeze") and gone in WATCHERS and name in WATCHERS:
            return True
        if first_kind in ("stall", "drop_order_frames") and name.startswith(STREAMS_END):
            return True
        if (
            first_kind == "drop_order_frames"
            and second_kind.startswith("freeze")
            and ProcessName(name).kind == "link"
        ):
            return True
        return name == gone or ProcessName(name).group == group

    return is_spared


def second_scene(scene: Scene, first: Trouble, drawn: Draw) -> Scene:
    """Return the scene as a second fault may see it."""
    return scene.sparing(spared(first, *drawn.kinds))


def second_kind(first: Trouble, drawn: Draw) -> str:
    """Return the second kind; not one that stops the warden while the keeper stands still."""
    kind = drawn.kinds[1]
    return "kill_warden" if kind == "freeze_warden" and first.subject in WATCHERS else kind


def make(kind: str, scene: Scene, chance: random.Random) -> Trouble:
    """Make a fault of a kind."""
    return MAKERS[kind][1](scene, chance)


def _choose(chance: random.Random, kinds: Sequence[str]) -> str:
    return chance.choices(kinds, [MAKERS[kind][0] for kind in kinds])[0]

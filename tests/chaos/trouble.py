"""A fault under way, and how one of the broker's is set and seen to hit something."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.scene import Missed, Scene
from tests.drills.desk import Desk
from tradeproc.errors import TradeprocError
from tradeproc.protocol import names

DETECT_SECONDS = 40.0
HIT_SECONDS = 30.0
LIVE_SPEED = 20.0


def nothing() -> None:
    """End nothing."""


@dataclass(frozen=True)
class Trouble:
    """A fault under way: what it was done to, the log line that must show it and by when, and how to end it.

    `pattern` empty: the fault must pass unnoticed because it harms nothing (a repeated frame). `end` is called after
    `lasts` seconds. `since`, on the monotonic clock, is the instant from which it did harm.
    """

    kind: str
    subject: str
    pattern: str
    lasts: float = 0.0
    end: Callable[[], None] = field(default=nothing)
    since: float = field(default_factory=time.monotonic)
    within: float = DETECT_SECONDS


Maker = Callable[[Scene, random.Random], Trouble]


def hit(scene: Scene, name: str, target: str, patience: float = HIT_SECONDS, **options: object) -> float:
    """Set a fault of the broker, see to it that something runs into it, and return when it had not yet.

    Raises:
        Missed: nothing did in time; the fault is off again.
    """
    desk = scene.desk
    unhit = time.monotonic()
    deadline = unhit + patience
    fault = desk.broker.fault(name, target=target, **options)["id"]
    asked = 0.0
    while (now := time.monotonic()) < deadline:
        if any(each["hits"] for each in desk.broker.status()["faults"] if each["id"] == fault):
            return unhit
        unhit = now
        if now - asked > 2.0:
            asked = now
            ask_now(scene)
        time.sleep(0.05)
    clear(desk)
    raise Missed(f"{name} met no {target}")


def ask_now(scene: Scene) -> None:
    """Let every trader ask the broker at once, so that a fault of requests meets some."""
    for session in scene.sessions.values():
        try:
            scene.desk.ask(names.trader(session), "reconcile", {}, 1.0)
        except TradeprocError:
            continue  # it is busy with the fault itself


def clear(desk: Desk) -> None:
    """End all faults of the broker."""
    desk.broker.clear_faults()

"""What the notifier is asked: to try its targets."""

from typing import Final

from tradeproc.domain.frozen import dataclass
from tradeproc.protocol.definitions import Method


@dataclass(frozen=True, slots=True)
class TryTargets:
    """Try one target by its number in the configuration, from 1, or all of them."""

    target: int | None = None


@dataclass(frozen=True, slots=True)
class TargetTested:
    """What became of a test message: `name` tells number and service, `reason` why it was not delivered."""

    target: int
    name: str
    is_delivered: bool
    reason: str


@dataclass(frozen=True, slots=True)
class TargetsTested:
    """One entry a target that was tried."""

    targets: tuple[TargetTested, ...]


TEST_TARGETS: Final[Method[TryTargets, TargetsTested]] = Method(
    "test_targets", TryTargets, TargetsTested, ("notifier",)
)

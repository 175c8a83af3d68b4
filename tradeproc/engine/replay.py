"""A recorded life, run through the engine again: the same events at the same moments must have the same effects."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tradeproc.engine.effects import Effect
from tradeproc.engine.recording import BadRecording, Recorded, digest_of
from tradeproc.engine.state import State
from tradeproc.engine.trader import step


@dataclass(frozen=True, slots=True)
class Replayed:
    """One event, run again; `is_same` tells whether it had the effects that it had when it was recorded."""

    recorded: Recorded
    effects: tuple[Effect, ...]
    is_same: bool


def replay(state: State, recorded: Iterable[Recorded]) -> Iterator[Replayed]:
    """Run events through the engine from the state that the header describes; `state` is updated in place.

    Raises:
        BadRecording: events were lost when it was recorded, so the state after them is unknown.
        StrategyFailed: the strategy raised, as it may have done when it was recorded.
    """
    for each in recorded:
        if each.event is None:
            raise BadRecording(f"events are missing at {each.now}: they could not be recorded")
        effects = step(state, each.event, each.now).effects
        yield Replayed(each, effects, digest_of(effects) == each.digest)

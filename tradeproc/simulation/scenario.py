"""One simulated life as it is drawn from its seed: the session, the broker's manners, the troubles, the end."""

import random
from dataclasses import dataclass
from enum import StrEnum

from tradeproc.domain.session import ExternalPolicy, SessionLimits, SessionSpec, StopPolicy
from tradeproc.domain.units import MINUTE, Contracts
from tradeproc.simulation.troubles import Blow, draw

CONTRACT = "ESH24"
_MOST_TROUBLES = 24


class Ending(StrEnum):
    """How a life ends, after the troubles."""

    HALT = "halted"
    FLATTEN = "flattened"
    STOP = "stopped and flat"
    GO_ON = "trading on"


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that makes a life what it is; equal scenarios live equal lives.

    `length` is how long there may be trouble, in nanoseconds; `slowest` the slowest usual message and `pace` the mean
    pause between trades, in seconds; `poll` how often the account manager asks while a stream is quiet.
    """

    seed: int
    length: int
    sessions: int
    blows: tuple[Blow, ...]
    ending: Ending
    policies: tuple[StopPolicy, ...]
    ignores_others: bool
    largest: int
    echoes: bool
    largest_fill: int
    slowest: float
    pace: float
    poll: float

    def spec(self, number: int) -> SessionSpec:
        """Return the specification of a session."""
        return SessionSpec(
            name=f"sim-{number}",
            login="paper",
            account=f"SIM{number}",
            contract=CONTRACT,
            minutes=1,
            strategy="erratic",
            quantity=Contracts(1),
            environment="paper",
            limits=SessionLimits(Contracts(self.largest), Contracts(self.largest)),
            stop_policy=self.policies[number],
            external_policy=ExternalPolicy.IGNORE if self.ignores_others else ExternalPolicy.PAUSE,
        )


def scenario(seed: int, *, minutes: float | None = None, sessions: int = 1) -> Scenario:
    """Return the life that a seed draws; `minutes` of trouble, else 6 to 24."""
    chance = random.Random(seed)
    length = int((chance.uniform(6, 24) if minutes is None else minutes) * MINUTE)
    most = _MOST_TROUBLES if minutes is None else max(_MOST_TROUBLES, int(minutes * 0.8))
    return Scenario(
        seed=seed,
        length=length,
        sessions=sessions,
        blows=draw(random.Random(seed + (1 << 40)), length, sessions, most * sessions),
        ending=chance.choice(list(Ending)),
        policies=tuple(chance.choice(list(StopPolicy)) for _ in range(sessions)),
        ignores_others=chance.random() < 0.3,
        largest=chance.choice((1, 2, 3, 5)),
        echoes=chance.random() < 0.4,
        largest_fill=chance.choice((1, 2, 1000, 1000)),
        slowest=chance.choice((0.02, 0.1, 0.6)),
        pace=chance.choice((2.0, 4.0, 8.0)),
        poll=chance.choice((5.0, 5.0, 15.0)),
    )

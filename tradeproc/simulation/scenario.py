"""One simulated life as it is drawn from its seed: the session, the broker's manners, the troubles, the end."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from tradeproc.domain.session import ExternalPolicy, SessionLimits, SessionSpec, StopPolicy
from tradeproc.domain.units import MINUTE, Contracts, Ticks
from tradeproc.simulation.troubles import Blow, draw, draw_of_heat, draw_of_rolls

CONTRACT, NEXT = "ESH24", "ESM24"
_MOST_TROUBLES = 24
_LONG, _SHORT = (6.0, 24.0), (2.5, 9.0)
_LONG_LIVES = 0.1
_BEATS = (0.25, *[1.0] * 7)
# of all lives
_IN_PORTFOLIO, _WITH_LIMITS, _ADOPTING, _ROLLING = 0.2, 0.35, 0.2, 0.15


class Ending(StrEnum):
    """How a life ends, after the troubles."""

    HALT = "halted"
    FLATTEN = "flattened"
    STOP = "stopped and flat"
    GO_ON = "trading on"


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that makes a life what it is; equal scenarios live equal lives.

    `length` is how long there may be trouble, in nanoseconds; `slowest` the slowest usual message and `pace` the
    mean pause between trades, in seconds; `poll` how often the account manager asks while a stream is quiet.
    `contracts` is how many the sessions' portfolio lets in, 0 without a portfolio; `losses` are the loss limits.
    `adopts` says that what others did is taken over, with a stop so many ticks away where `adopt_ticks` is not 0.
    If it `rolls`, sessions have a next contract to be rolled into. A `patient` life is looked at for minutes after
    all seems settled; another one ends when it does. A trader in which deadlines run is told the time every `beat`
    seconds.
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
    contracts: int = 0
    losses: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    adopts: bool = False
    adopt_ticks: int = 0
    rolls: bool = False
    patient: bool = True
    beat: float = 1.0

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
            limits=SessionLimits(Contracts(self.largest), Contracts(self.largest), **self.losses),  # type: ignore[arg-type]
            stop_policy=self.policies[number],
            external_policy=self._external_policy,
            adopt_stop_ticks=Ticks(self.adopt_ticks) if self.adopts and self.adopt_ticks else None,
        )

    @property
    def _external_policy(self) -> ExternalPolicy:
        if self.adopts:
            return ExternalPolicy.ADOPT
        return ExternalPolicy.IGNORE if self.ignores_others else ExternalPolicy.PAUSE


def scenario(seed: int, *, minutes: float | None = None, sessions: int = 1) -> Scenario:
    """Return the life that a seed draws; `minutes` of trouble, else 2.5 to 9, and 6 to 24 in one life of ten."""
    chance = random.Random(seed)
    is_long = chance.random() < _LONG_LIVES
    length = int((chance.uniform(*(_LONG if is_long else _SHORT)) if minutes is None else minutes) * MINUTE)
    most = _MOST_TROUBLES if minutes is None else max(_MOST_TROUBLES, int(minutes * 0.8))
    drawn = Scenario(
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
        patient=is_long or minutes is not None,
        beat=chance.choice(_BEATS),
    )
    return _with_nets(drawn, random.Random(seed + (1 << 41)), most)


def _with_nets(drawn: Scenario, chance: random.Random, most: int) -> Scenario:
    """Add what some sessions have and others do not: a portfolio, loss limits, the policy to adopt.

    The chance is one of its own, so that lives without these stay what they are.
    """
    if chance.random() < _IN_PORTFOLIO:
        contracts = chance.randint(1, max(2, drawn.largest * drawn.sessions))
        drawn = in_portfolio(drawn, contracts, chance, most)
    if chance.random() < _WITH_LIMITS:
        drawn = replace(drawn, losses=MappingProxyType(_loss_limits(chance)))
    if chance.random() < _ADOPTING:
        drawn = replace(drawn, adopts=True, adopt_ticks=chance.choice((0, 20, 60)))
    return rolling(drawn, chance, most) if chance.random() < _ROLLING else drawn


def rolling(drawn: Scenario, chance: random.Random, most: int) -> Scenario:
    """Return a life whose sessions are rolled into the next contract, with the troubles of that."""
    more = draw_of_rolls(chance, drawn.length, drawn.sessions, max(3, most // 3))
    blows = tuple(sorted((*drawn.blows, *more), key=lambda blow: blow.at))
    return replace(drawn, rolls=True, blows=blows)


def in_portfolio(drawn: Scenario, contracts: int, chance: random.Random, most: int) -> Scenario:
    """Return a life whose sessions are in a portfolio that lets so many contracts in, with its troubles."""
    more = draw_of_heat(chance, drawn.length, drawn.sessions, most)
    blows = tuple(sorted((*drawn.blows, *more), key=lambda blow: blow.at))
    return replace(drawn, contracts=contracts, blows=blows)


def _loss_limits(chance: random.Random) -> dict[str, int]:
    wanted = {
        "max_daily_loss": chance.choice((None, 200, 600, 1500)),
        "max_drawdown": chance.choice((None, 400, 1200)),
        "max_losses_in_row": chance.choice((None, 2, 3)),
    }
    if wanted["max_losses_in_row"] is not None:
        wanted["cool_down_minutes"] = chance.choice((None, 3))
    return {key: value for key, value in wanted.items() if value is not None}

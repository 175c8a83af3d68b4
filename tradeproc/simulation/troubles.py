"""What goes wrong in a simulated life, drawn before it begins: a list that can be cut down to what matters."""

import random
from dataclasses import dataclass
from enum import StrEnum

from tradeproc.domain.units import SECOND


class Mishap(StrEnum):
    """One kind of trouble; the table below says how long it lasts or how many messages it takes."""

    # messages: the next `count` of them
    REQUEST_LOST = "request lost"
    REQUEST_LATE = "request late"
    REQUEST_DOUBLED = "request doubled"
    REPLY_LOST = "reply lost"
    REPLY_LATE = "reply late"
    QUESTION_LOST = "question lost"
    QUESTION_LATE = "answer late"
    ORDER_DROPPED = "order frame dropped by the broker"
    ORDER_DOUBLED = "order frame doubled"
    ORDER_LATE = "order frame late"
    ORDER_MISSED = "order message lost on the bus"
    POSITION_DROPPED = "position frame dropped by the broker"
    POSITION_LATE = "position frame late"
    CANDLE_LOST = "candle lost"
    COMMIT_LOST = "commit done, its answer lost"
    HEAT_LOST = "question for heat lost"
    HEAT_LATE = "question for heat late"
    HEAT_DOUBLED = "question for heat doubled"
    GRANT_LOST = "answer for heat lost"
    GRANT_LATE = "answer for heat late"
    REPORT_LOST = "report of heat lost"
    REPORT_LATE = "report of heat late"
    # windows: for `seconds`
    BROKER_AWAY = "broker away"
    ORDERS_DOWN = "order stream down"
    POSITIONS_DOWN = "position stream down"
    MARKET_DOWN = "bar stream down"
    DATABASE_AWAY = "database away"
    LIST_CUT = "lists of orders cut"
    LIST_OLD = "lists of orders are old"
    POSITION_OLD = "answers about the position are old"
    UNPRICED = "fills told without a price"
    SMALL_FILLS = "one contract at a time"
    INERT_STOPS = "stops do nothing"
    PAUSED = "trader paused"
    # moments
    TRADER_KILLED = "trader killed"
    LINK_KILLED = "link killed"
    PORTFOLIO_KILLED = "portfolio server killed"
    LEASE_LOST = "lease lost"
    LATE_REJECT = "order rejected late"
    STOP_CANCELLED = "stop cancelled by somebody else"
    STOP_MOVED = "stop moved by somebody else"
    TRADED_BY_HAND = "traded by hand"
    RESTED_BY_HAND = "order of a stranger"
    CLOCK_STEPPED = "clock set"
    GAP = "price gap"
    HALTED = "halted by a person"
    RESUMED = "resumed by a person"
    FLATTENED = "flattened by a person"
    RECONCILED = "reconciliation by a person"
    ROLLED = "rolled by a person"


@dataclass(frozen=True, slots=True)
class Blow:
    """One trouble at its moment, in nanoseconds of the life; `session` counts from 0, `amount` is the kind's own."""

    at: int
    what: Mishap
    session: int = 0
    seconds: float = 0.0
    count: int = 1
    amount: int = 0

    def __str__(self) -> str:
        parts = [f"{self.what.value}"]
        parts += [f"for {self.seconds:g} s"] if self.seconds else []
        parts += [f"x{self.count}"] if self.count > 1 else []
        parts += [f"({self.amount:+d})"] if self.amount else []
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class _Shape:
    weight: int
    seconds: tuple[float, float] = (0.0, 0.0)
    count: int = 1
    amount: tuple[int, int] = (0, 0)


_SHAPES: dict[Mishap, _Shape] = {
    Mishap.REQUEST_LOST: _Shape(4, count=3),
    Mishap.REQUEST_LATE: _Shape(4, (0.5, 25.0), count=2),
    Mishap.REQUEST_DOUBLED: _Shape(2, count=2),
    Mishap.REPLY_LOST: _Shape(6, count=3),
    Mishap.REPLY_LATE: _Shape(4, (0.5, 20.0), count=2),
    Mishap.QUESTION_LOST: _Shape(4, count=4),
    Mishap.QUESTION_LATE: _Shape(4, (0.5, 20.0), count=3),
    Mishap.ORDER_DROPPED: _Shape(8, count=6),
    Mishap.ORDER_DOUBLED: _Shape(3, count=6),
    Mishap.ORDER_LATE: _Shape(5, (0.1, 15.0), count=3),
    Mishap.ORDER_MISSED: _Shape(3, count=4),
    Mishap.POSITION_DROPPED: _Shape(4, count=4),
    Mishap.POSITION_LATE: _Shape(4, (0.1, 15.0), count=3),
    Mishap.CANDLE_LOST: _Shape(2, count=3),
    Mishap.COMMIT_LOST: _Shape(3, count=2),
    Mishap.BROKER_AWAY: _Shape(5, (1.0, 90.0)),
    Mishap.ORDERS_DOWN: _Shape(4, (0.5, 60.0)),
    Mishap.POSITIONS_DOWN: _Shape(3, (0.5, 60.0)),
    Mishap.MARKET_DOWN: _Shape(2, (1.0, 120.0)),
    Mishap.DATABASE_AWAY: _Shape(5, (0.5, 90.0)),
    Mishap.LIST_CUT: _Shape(2, (1.0, 40.0)),
    Mishap.LIST_OLD: _Shape(4, (5.0, 60.0), amount=(100, 3000)),
    Mishap.POSITION_OLD: _Shape(4, (5.0, 60.0), amount=(100, 1500)),
    Mishap.UNPRICED: _Shape(2, (1.0, 20.0)),
    Mishap.SMALL_FILLS: _Shape(4, (10.0, 200.0)),
    Mishap.INERT_STOPS: _Shape(2, (10.0, 200.0)),
    Mishap.PAUSED: _Shape(4, (0.5, 40.0)),
    Mishap.TRADER_KILLED: _Shape(12, (0.3, 8.0), amount=(0, 12)),
    Mishap.LINK_KILLED: _Shape(4, (0.3, 4.0)),
    Mishap.LEASE_LOST: _Shape(2),
    Mishap.LATE_REJECT: _Shape(3),
    Mishap.STOP_CANCELLED: _Shape(2),
    Mishap.STOP_MOVED: _Shape(1, amount=(-20, 20)),
    Mishap.TRADED_BY_HAND: _Shape(2, amount=(-2, 2)),
    Mishap.RESTED_BY_HAND: _Shape(1, amount=(-2, 2)),
    Mishap.CLOCK_STEPPED: _Shape(3, (2.0, 50.0), amount=(-7200, 7200)),
    Mishap.GAP: _Shape(5, amount=(-60, 60)),
    Mishap.HALTED: _Shape(1),
    Mishap.RESUMED: _Shape(3),
    Mishap.FLATTENED: _Shape(3),
    Mishap.RECONCILED: _Shape(1),
}
BY_OTHERS = frozenset({Mishap.TRADED_BY_HAND, Mishap.RESTED_BY_HAND, Mishap.STOP_CANCELLED, Mishap.STOP_MOVED})
"""What somebody else does to the account: rows of the books then need not be all ours."""

_OF_HEAT: dict[Mishap, _Shape] = {
    Mishap.HEAT_LOST: _Shape(3, count=3),
    Mishap.HEAT_LATE: _Shape(3, (0.1, 12.0), count=3),
    Mishap.HEAT_DOUBLED: _Shape(2, count=3),
    Mishap.GRANT_LOST: _Shape(4, count=3),
    Mishap.GRANT_LATE: _Shape(4, (0.1, 12.0), count=3),
    Mishap.REPORT_LOST: _Shape(3, count=12),
    Mishap.REPORT_LATE: _Shape(4, (0.1, 12.0), count=5),
    Mishap.PORTFOLIO_KILLED: _Shape(5, (0.1, 12.0)),
    Mishap.TRADER_KILLED: _Shape(4, (0.3, 8.0), amount=(0, 12)),
}
"""What else goes wrong where sessions are in a portfolio."""

_OF_ROLLS: dict[Mishap, _Shape] = {
    Mishap.ROLLED: _Shape(6),
    Mishap.TRADER_KILLED: _Shape(6, (0.3, 8.0), amount=(0, 8)),
    Mishap.COMMIT_LOST: _Shape(2, count=2),
    Mishap.DATABASE_AWAY: _Shape(1, (0.5, 20.0)),
    Mishap.LEASE_LOST: _Shape(1),
    Mishap.FLATTENED: _Shape(1),
}
"""What else happens where a session can roll."""


def draw(chance: random.Random, length: int, sessions: int, most: int) -> tuple[Blow, ...]:
    """Return up to `most` troubles within `length` nanoseconds, by their time; some come close together."""
    return _drawn(_SHAPES, chance, length, sessions, most)


def draw_of_heat(chance: random.Random, length: int, sessions: int, most: int) -> tuple[Blow, ...]:
    """Return the troubles of a portfolio in the same way."""
    return _drawn(_OF_HEAT, chance, length, sessions, most)


def draw_of_rolls(chance: random.Random, length: int, sessions: int, most: int) -> tuple[Blow, ...]:
    """Return the troubles of a roll in the same way."""
    return _drawn(_OF_ROLLS, chance, length, sessions, most)


def _drawn(
    shapes: dict[Mishap, _Shape], chance: random.Random, length: int, sessions: int, most: int
) -> tuple[Blow, ...]:
    kinds, weights = list(shapes), [shape.weight for shape in shapes.values()]
    blows: list[Blow] = []
    for _ in range(chance.randint(0, most)):
        what = chance.choices(kinds, weights)[0]
        shape = shapes[what]
        is_close = bool(blows) and chance.random() < 0.5
        at = blows[-1].at + int(chance.expovariate(0.2) * SECOND) if is_close else chance.randrange(length)
        seconds = round(shape.seconds[0] + (shape.seconds[1] - shape.seconds[0]) * chance.random() ** 2, 3)
        amount = chance.randint(*shape.amount)
        count = chance.randint(1, shape.count)
        blows.append(Blow(min(at, length), what, chance.randrange(sessions), seconds, count, amount))
    return tuple(sorted(blows, key=lambda blow: blow.at))

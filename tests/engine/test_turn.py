"""No turn leaves an effect behind, whatever it does beside it; what is written down stands before what is sent."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.desk import START, Desk
from tests.store.book import EVENT, FILL, ORDER
from tradeproc.domain.broker_orders import OrderRequest
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.units import Contracts, Money, Nanos
from tradeproc.engine import effects as do
from tradeproc.engine.turn import Turn

REQUEST = OrderRequest("o1", Contract.parse("ESH24"), Side.BUY, Contracts(1), OrderType.MARKET, OrderRole.ENTRY)
SEND, MODIFY, CANCEL = do.Send("o1", REQUEST), do.Modify("o1", "b1", REQUEST), do.Cancel("o1", "b1")
RESERVE = do.ReserveHeat("o1", 1, "life", "main", Money(Decimal(5)), "USD", Nanos(0))
OTHER = replace(ORDER, id="o2")
_NOBODY, _TICKS, _TIMES = (Contracts(1), Contracts(1)), (None, None, None, None), (Nanos(1), Nanos(1), Nanos(1))
ROLL = Roll("r1", 1, "ESH24", "ESM24", RollStep.FLAT, "anna", "", *_NOBODY, *_TICKS, "", "", *_TIMES)


@dataclass(frozen=True)
class Way:
    """One thing that a handler can do to a turn, and how its effect is known among those that come out."""

    take: Callable[[Turn], object]
    is_it: Callable[[do.Effect], bool]


def kind(which: type) -> Callable[[do.Effect], bool]:
    return lambda effect: isinstance(effect, which)


WAYS = {
    "keep": Way(
        lambda turn: turn.keep(ORDER, EVENT), lambda each: isinstance(each, do.Persist) and bool(each.events)
    ),
    "keep, without an event": Way(
        lambda turn: turn.keep(ORDER, None), lambda each: isinstance(each, do.Persist) and ORDER in each.orders
    ),
    "book": Way(lambda turn: turn.book(FILL), lambda each: isinstance(each, do.Persist) and FILL in each.fills),
    "save_position": Way(
        lambda turn: turn.save_position(), lambda each: isinstance(each, do.Persist) and each.position is not None
    ),
    "gate": Way(
        lambda turn: turn.gate((OTHER,), (), SEND),
        lambda each: isinstance(each, do.Persist) and each.ticket is not None,
    ),
    "latch": Way(lambda turn: turn.latch("rule", "why"), kind(do.KeepLatch)),
    "keep_roll": Way(lambda turn: turn.keep_roll(ROLL), kind(do.SaveRoll)),
    "reserve": Way(lambda turn: turn.reserve(RESERVE), kind(do.ReserveHeat)),
    "send": Way(lambda turn: turn.send(SEND), kind(do.Send)),
    "modify": Way(lambda turn: turn.send(MODIFY), kind(do.Modify)),
    "cancel": Way(lambda turn: turn.send(CANCEL), kind(do.Cancel)),
    "ask_orders": Way(lambda turn: turn.ask_orders("why"), kind(do.AskOrders)),
    "ask_position": Way(lambda turn: turn.ask_position("why"), kind(do.AskPosition)),
    "do": Way(lambda turn: turn.do(do.Finished("done")), kind(do.Finished)),
}


def new_turn() -> Turn:
    return Turn(Desk().state, Nanos(START))


def rank(effect: do.Effect) -> int:
    """Return where an effect has to stand: written down, heat asked for, entries, to the broker, everything else."""
    match effect:
        case do.SaveRoll() | do.KeepLatch():
            return 0
        case do.Persist(ticket=None):
            return 1
        case do.ReserveHeat():
            return 2
        case do.Persist():
            return 3
        case do.Send() | do.Modify() | do.Cancel():
            return 4
        case _:
            return 5


@pytest.mark.parametrize("name", WAYS)
def test_what_a_turn_does_alone_comes_out(name: str) -> None:
    turn = new_turn()

    WAYS[name].take(turn)

    assert any(WAYS[name].is_it(each) for each in turn.effects())


@given(st.lists(st.sampled_from(sorted(WAYS)), unique=True))
def test_whatever_a_turn_does_all_of_it_comes_out_in_the_order_that_safety_wants(names: list[str]) -> None:
    turn = new_turn()

    for name in names:
        WAYS[name].take(turn)

    found = turn.effects()
    assert [name for name in names if not any(WAYS[name].is_it(each) for each in found)] == []
    assert bool(found) is bool(names)
    assert [rank(each) for each in found] == sorted(map(rank, found))


@pytest.mark.parametrize("which", get_args(do.Effect))
def test_every_kind_of_effect_comes_out_when_it_is_all_that_a_turn_does(which: type) -> None:
    turn = new_turn()
    effect: do.Effect = object.__new__(which)

    turn.do(effect)

    assert [each for each in turn.effects() if each is effect] == [effect]


def test_the_ways_above_use_every_place_in_which_a_turn_collects() -> None:
    """Twice a place was added that the short way out did not look at."""
    turn = new_turn()
    for way in WAYS.values():
        way.take(turn)

    unused = [name for name in Turn.__slots__ if name.startswith("_") and not getattr(turn, name)]

    assert unused == []

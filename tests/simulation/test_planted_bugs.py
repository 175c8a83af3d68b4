"""Bugs that are put into the engine on purpose: the simulation finds each, and tells it with few troubles."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.orders import OrderSource
from tradeproc.domain.roll_steps import Roll
from tradeproc.domain.units import MINUTE, SECOND, Contracts
from tradeproc.engine import (
    broker_events,
    closing,
    inert_stops,
    limits,
    outcomes,
    positions,
    protection,
    reopening,
    trader,
)
from tradeproc.engine.effects import Effect, Send
from tradeproc.engine.events import Event, TradingState
from tradeproc.engine.orders import Applied, Move, moved
from tradeproc.engine.sending import request_of
from tradeproc.engine.state import Closing, State
from tradeproc.engine.trader import Step
from tradeproc.engine.turn import Turn
from tradeproc.simulation.scenario import Scenario, rolling, scenario
from tradeproc.simulation.shrinking import shrunk
from tradeproc.simulation.story import Story
from tradeproc.simulation.troubles import Blow, Mishap
from tradeproc.simulation.world import World

Patch = pytest.MonkeyPatch
MOST_LIVES = 150


def send_again_when_a_reply_is_lost(patch: Patch) -> None:
    lost = outcomes.lost

    def again(turn: Turn, order_id: str, reason: str) -> None:
        order = turn.state.engine.orders[order_id]
        lost(turn, order_id, reason)
        if order.parent is None and not outcomes.group(turn.state, order_id)[1:]:
            turn.send(Send(order_id, request_of(turn.state.setup, order)))

    patch.setattr(outcomes, "lost", again)


def take_a_lost_reply_for_a_refusal(patch: Patch) -> None:
    def refused(turn: Turn, order_id: str, reason: str) -> None:
        for order in outcomes.group(turn.state, order_id):
            turn.state.engine.pending.pop(order.id, None)
            turn.apply(moved(order, Move.REFUSED, OrderSource.BROKER_REPLY, turn.now, reason))

    patch.setattr(outcomes, "lost", refused)


def count_messages_as_fills(patch: Patch) -> None:
    told = broker_events.told

    def counted(order: object, picture: object, *rest: object) -> Applied:
        blank = replace(order, filled=0, average=None)  # type: ignore[type-var]
        fresh = told(blank, picture, *rest)  # type: ignore[arg-type]
        return fresh if fresh.fill is not None else told(order, picture, *rest)  # type: ignore[arg-type]

    patch.setattr(broker_events, "told", counted)


def forget_the_limits(patch: Patch) -> None:
    patch.setattr(limits, "_too_large", lambda *_: None)


def read_an_unknown_position_as_flat(patch: Patch) -> None:
    answered = positions.position_answered

    def flat(turn: Turn, number: int, answer: Answer[Position]) -> None:
        spec = turn.state.setup.spec
        nothing = Position(spec.account, spec.contract, Contracts(0), None)
        answered(turn, number, Known(nothing) if isinstance(answer, Unknown) else answer)

    patch.setattr(positions, "position_answered", flat)


def watch_no_stop(patch: Patch) -> None:
    patch.setattr(protection, "on_time", lambda turn: None)


def let_a_halt_block_an_exit(patch: Patch) -> None:
    leave = closing._exit

    def blocked(turn: Turn, under_way: Closing, held: int) -> bool:
        return turn.state.engine.trading is not TradingState.HALTED and leave(turn, under_way, held)

    patch.setattr(closing, "_exit", blocked)


def send_before_writing(patch: Patch) -> None:
    step = trader.step

    def hasty(state: State, event: Event, now: int) -> Step:
        found = step(state, event, now)  # type: ignore[arg-type]
        first: list[Effect] = [effect for effect in found.effects if isinstance(effect, Send)]
        return Step(state, (*first, *(effect for effect in found.effects if not isinstance(effect, Send))))

    patch.setattr("tradeproc.simulation.trader_life.step", hasty)


def deaf(seed: int) -> Scenario:
    """Return a life in which questions and frames about the position are lost every two minutes."""
    drawn = scenario(seed)
    lost = [
        Blow(at, what, count=4)
        for at in range(2 * MINUTE, drawn.length, 2 * MINUTE)
        for what in (Mishap.QUESTION_LOST, Mishap.POSITION_DROPPED)
    ]
    return replace(drawn, blows=tuple(sorted((*drawn.blows, *lost), key=lambda blow: blow.at)))


BUGS: list[tuple[Callable[[Patch], None], str]] = [
    (send_again_when_a_reply_is_lost, "never twice"),
    (take_a_lost_reply_for_a_refusal, "nothing left"),
    (count_messages_as_fills, "nothing left"),
    (forget_the_limits, "never above"),
    (read_an_unknown_position_as_flat, "nothing left"),
    (watch_no_stop, "never naked"),
    (let_a_halt_block_an_exit, "never trapped"),
    (send_before_writing, "written first"),
]


@pytest.mark.parametrize(("plant", "invariant"), BUGS, ids=lambda value: getattr(value, "__name__", None))
def test_a_planted_bug_is_found_and_told_with_few_troubles(
    plant: Callable[[Patch], None], invariant: str, monkeypatch: Patch
) -> None:
    plant(monkeypatch)

    def breaks(tried: Scenario) -> bool:
        return World(tried).run().invariant == invariant

    lives = deaf if plant is read_an_unknown_position_as_flat else scenario
    found = next((lives(seed) for seed in range(1, MOST_LIVES) if breaks(lives(seed))), None)

    assert found is not None, "not found"
    small = shrunk(found, breaks)
    assert breaks(small)
    assert len(small.blows) <= 4
    story = Story(small)
    story.live()
    assert f"## {invariant}" in story.table()


def test_a_trader_that_believes_every_stop_is_found_where_stops_do_nothing(monkeypatch: Patch) -> None:
    def lived(seed: int) -> str:
        nothing_works = Blow(30 * SECOND, Mishap.INERT_STOPS, seconds=1_500.0)
        return World(replace(scenario(seed, minutes=25), blows=(nothing_works,))).run().invariant

    assert {lived(seed) for seed in range(1, 13)} == {""}

    monkeypatch.setattr(inert_stops, "on_time", lambda turn: None)

    assert "never bribed" in {lived(seed) for seed in range(1, 13)}


def test_a_roll_that_forgets_its_entry_and_enters_again_is_found(monkeypatch: Patch) -> None:
    def lived(seed: int) -> tuple[str, str]:
        life = World(rolling(scenario(seed), random.Random(seed), 24)).run()
        return life.invariant, life.detail

    assert {lived(seed) for seed in range(1, 9)} == {("", "")}

    reopen = reopening.reopen

    def forgetful(turn: Turn, roll: Roll) -> None:
        reopen(turn, replace(roll, entry_orders=""))

    monkeypatch.setattr(reopening, "reopen", forgetful)
    monkeypatch.setattr(reopening, "_went_wrong", lambda *_: "")

    found = {lived(seed) for seed in range(1, 31)}
    assert any(invariant == "never twice" and "a roll closed" in detail for invariant, detail in found)

"""What all steps of a roll share: how it waits, asks and ends."""

from collections.abc import Callable
from dataclasses import replace

from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.units import SECOND
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import AskOldPosition, AskSpread
from tradeproc.engine.latched_by import ROLL
from tradeproc.engine.state import State
from tradeproc.engine.turn import Turn

"""Who latched a session whose roll did not end as it should; a person resumes it."""
AGAIN = 2 * SECOND
STUCK_AFTER = 60 * SECOND


def end(turn: Turn, roll: Roll, step: RollStep, reason: str) -> None:
    """Write down that a roll is over, and how."""
    turn.keep_roll(replace(roll, step=step, reason=reason, at=turn.now))
    go_on(turn)
    turn.log("warning", "roll_ended", step=step.value, contract=roll.next_contract, reason=reason)


def give_up(turn: Turn, roll: Roll, reason: str, *, is_odd: bool = True) -> None:
    """End without opening all: an alarm says so, and if it `is_odd` a person must look and resume."""
    end(turn, roll, RollStep.GIVEN_UP, reason)
    turn.alarm(AlarmName.ROLL_INCOMPLETE, f"rolled from {roll.contract} into {roll.next_contract}: {reason}")
    if is_odd:
        turn.latch(ROLL, reason)


def filled(state: State, order_ids: str) -> int:
    """Return how many contracts orders have filled together."""
    found = (state.engine.orders.get(each) for each in order_ids.split())
    return sum(order.filled for order in found if order is not None)


def with_order(order_ids: str, order_id: str) -> str:
    """Return the ids of a row with one more."""
    return f"{order_ids} {order_id}".strip()


def ask(turn: Turn, question: Callable[[int], AskSpread | AskOldPosition], every: int = AGAIN) -> None:
    """Ask anew, at most `every` so many ns; only the answer to the newest question counts."""
    desk = turn.state.engine.roll
    if desk.asked_at is not None and turn.now - desk.asked_at < every:
        return
    desk.number += 1
    desk.asked_at = turn.now
    turn.do(question(desk.number))


def wait(turn: Turn, why: str) -> None:
    """Note what a wish or a roll waits for; after a minute of waiting it is an alarm."""
    desk = turn.state.engine.roll
    if not desk.waits:
        desk.waits_since = turn.now
    desk.waits = why


def go_on(turn: Turn) -> None:
    """Note that it waits no more."""
    turn.state.engine.roll.waits = ""
    turn.clear(AlarmName.ROLL_STUCK)

"""What a trader's state tells of a roll, before, in each of its steps and after it, in either of its two lives."""

from tests.engine.rolling_desk import NEXT, OLD, RollingDesk
from tests.engine.test_rolls import LONG, ROLL, finished, holding
from tradeproc.domain.roll_steps import RollStep
from tradeproc.engine.effects import BeginAnew
from tradeproc.engine.events import Started
from tradeproc.procs.trader.summary import rolling


def test_before_a_roll_the_plan_is_told_and_nothing_rolls() -> None:
    desk = holding(LONG)

    assert rolling(desk.state) == {"roll": f"into {NEXT} on 2024-03-08 (last trade 2024-03-15)"}


def test_the_exit_of_a_roll_and_its_contracts_are_told_while_it_rolls_and_after_the_switch() -> None:
    desk = holding(LONG)
    desk.tell(ROLL)
    desk.run(0.006, beat=0.006)
    assert desk.newest.step is RollStep.CLOSING
    assert rolling(desk.state)["rolling"] is True

    desk.run(60)
    assert desk.all_of(BeginAnew)
    exit_id = desk.newest.close_orders
    told = {"rolling": True, "rolling_close_order": exit_id, "rolling_close_quantity": 2}
    assert {key: rolling(desk.state)[key] for key in told} == told

    after = desk.next_life()
    after.tell(Started((), None, roll=desk.newest))
    told_now = rolling(after.state)
    assert {key: told_now[key] for key in told} == told, "the next life does not have the exit itself"
    assert told_now["roll"].startswith(f"{OLD} into {NEXT}: ")

    desk = finished(after.next_life().start())
    assert "rolling" not in rolling(desk.state)


def test_a_flat_session_that_rolls_has_no_exit() -> None:
    desk = RollingDesk().start()
    desk.tell(ROLL)
    desk.run(60)

    told = rolling(desk.state)
    assert (told["rolling"], told["rolling_close_order"], told["rolling_close_quantity"]) == (True, None, None)

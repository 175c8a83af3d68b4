"""What is due when, told by a clock that the test turns."""

from tradeproc.bus.timers import MILLISECOND, Timers


def test_actions_run_when_due_in_the_order_of_their_time() -> None:
    timers, ran = Timers(), list[str]()
    timers.add(20, lambda: ran.append("later"))
    timers.add(10, lambda: ran.append("sooner"))

    timers.run_due(9)
    assert ran == []
    timers.run_due(25)
    assert ran == ["sooner", "later"]
    timers.run_due(99)
    assert ran == ["sooner", "later"]


def test_a_repeating_one_that_was_late_runs_once_and_keeps_its_pace() -> None:
    timers, ran = Timers(), list[int]()
    timers.add(10, lambda: ran.append(1), interval=10)

    timers.run_due(95)
    timers.run_due(96)

    assert len(ran) == 1
    timers.run_due(105)
    assert len(ran) == 2


def test_a_cancelled_one_never_runs_even_when_cancelled_by_its_neighbour() -> None:
    timers, ran = Timers(), list[str]()
    timers.add(10, lambda: second.cancel())
    second = timers.add(10, lambda: ran.append("second"))
    itself = timers.add(10, lambda: itself.cancel(), interval=1)

    timers.run_due(10)
    timers.run_due(50)

    assert ran == []
    assert timers.wait_ms(50, 1000) == 1000


def test_what_an_action_adds_waits_for_the_next_call() -> None:
    timers, ran = Timers(), list[str]()

    def add_child() -> None:
        timers.add(1, lambda: ran.append("child"))

    timers.add(1, add_child)

    timers.run_due(5)
    assert ran == []
    timers.run_due(5)
    assert ran == ["child"]


def test_the_wait_is_rounded_up_so_that_nothing_wakes_too_early() -> None:
    timers = Timers()
    timers.add(2 * MILLISECOND + 1, lambda: None)

    assert timers.wait_ms(0, 1000) == 3
    assert timers.wait_ms(0, 1) == 1
    assert timers.wait_ms(5 * MILLISECOND, 1000) == 0

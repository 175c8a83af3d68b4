"""Threads for calls that may hang, and the event loop of the job queue's thread: whether they are stuck."""

import threading

from tradeproc.procs.jobs.queue_worker import JobRunner, QueueWorker
from tradeproc.procs.lanes import Lanes
from tradeproc.testing.waiting import wait_until


def test_a_call_that_runs_on_long_after_its_time_is_stuck_and_others_are_not() -> None:
    lanes, gate, quick = Lanes("some", 2), threading.Event(), threading.Event()
    lanes.submit(0.3, lambda _: gate.wait() and None, lambda _: None)
    lanes.submit(60.0, lambda _: quick.set(), lambda _: None)
    wait_until("the other one", quick.is_set)
    assert not lanes.is_stuck(60.0)

    wait_until("it is late", lambda: lanes.is_stuck(0.2))

    gate.set()
    wait_until("it has ended", lambda: not lanes.is_stuck(0.2))
    assert lanes.close(20.0)


def test_what_waits_behind_others_is_given_up_in_time_once_and_never_begun() -> None:
    lanes, gate, begun, told = Lanes("some", 1), threading.Event(), threading.Event(), list[str]()
    lanes.submit(60.0, lambda _: begun.set() or (gate.wait() and None), told.append)
    wait_until("the only thread is busy", begun.is_set)
    give_up = lanes.submit(60.0, lambda _: told.append("begun"), told.append)

    give_up()
    give_up()

    assert told == ["it waited too long behind others"]
    gate.set()
    assert lanes.close(20.0)
    assert len(told) == 1


def test_what_has_begun_is_not_given_up() -> None:
    lanes, gate, begun, told = Lanes("some", 1), threading.Event(), threading.Event(), list[str]()
    give_up = lanes.submit(60.0, lambda _: begun.set() or (gate.wait() and None), told.append)
    wait_until("it has begun", begun.is_set)

    give_up()

    gate.set()
    assert lanes.close(20.0)
    assert told == []


def test_the_queues_thread_answers_when_it_is_knocked_at_unless_it_is_stuck() -> None:
    gate = threading.Event()
    worker = QueueWorker(
        "postgresql:///nowhere?host=/nonexistent",
        JobRunner(lambda _: None, lambda: None),
        lambda _: None,
        lambda _: None,
        stuck_seconds=0.3,
    )
    worker.start()
    wait_until("an answer", lambda: not worker.is_stuck() and worker._has_answered)

    worker._loop.call_soon_threadsafe(gate.wait)

    wait_until("it is stuck", worker.is_stuck)
    gate.set()
    wait_until("it turns again", lambda: not worker.is_stuck())
    worker.stop(20.0)
    assert not worker.is_stuck()

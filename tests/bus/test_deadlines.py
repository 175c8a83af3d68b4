"""One deadline a request: each process keeps time for the way back of the answer, and knows no other process."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.actor import Actor
from tests.bus.conftest import wait_until
from tradeproc.bus.codec import Body
from tradeproc.bus.deadlines import (
    LONGEST_SECONDS,
    RETURN_SECONDS,
    RETURN_SHARE,
    gives_up_at,
    is_expired,
    new_request,
    work_ends_at,
)
from tradeproc.bus.node import Answered, Deferred, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.bus.serving import seconds_left
from tradeproc.clock import SECOND, monotonic_ns

Start = Callable[..., Actor]
SECONDS = st.floats(0.001, 60.0)


@given(seconds=SECONDS, hops=st.integers(1, 6))
def test_however_many_forward_a_request_each_answers_before_its_asker_gives_up(seconds: float, hops: int) -> None:
    asked = new_request(1, "submit", {}, seconds)

    for _ in range(hops):
        given = asked.budget / SECOND
        way_back = (gives_up_at(asked) - work_ends_at(asked)) / SECOND
        assert abs(way_back - min(RETURN_SECONDS, RETURN_SHARE * given)) < 1e-6
        left = (work_ends_at(asked) - asked.sent_at) / SECOND
        # forwarded at the same instant: how long this test itself takes must not count
        forwarded = replace(new_request(1, "submit", {}, left), sent_at=asked.sent_at)
        # the next asker is the one that forwards: it gives up when its own work has to end
        assert gives_up_at(forwarded) < gives_up_at(asked)
        asked = forwarded


@given(seconds=SECONDS, late=st.floats(0.0, 120.0))
def test_the_time_in_a_queue_counts(seconds: float, late: float) -> None:
    asked = new_request(1, "submit", {}, seconds)

    waited = replace(asked, sent_at=asked.sent_at - int(late * SECOND))

    assert work_ends_at(waited) == work_ends_at(asked) - int(late * SECOND)


@given(seconds=SECONDS)
def test_a_request_from_another_machine_counts_from_its_arrival(seconds: float) -> None:
    here = new_request(1, "submit", {}, seconds)
    far = replace(here, machine=here.machine ^ 1, sent_at=here.sent_at - 3_600 * SECOND)

    before = monotonic_ns()

    assert not is_expired(far)
    assert work_ends_at(far) - before > 0.7 * here.budget
    assert work_ends_at(far) < monotonic_ns() + here.budget


def test_nobody_works_at_a_request_for_ever() -> None:
    for seconds in (1e4, 1e9):
        assert work_ends_at(new_request(1, "submit", {}, seconds)) <= monotonic_ns() + LONGEST_SECONDS * SECOND


def test_over_two_processes_the_asker_hears_that_nobody_answered_before_it_gives_up(start: Start) -> None:
    held: list[Deferred] = []
    left: dict[str, float] = {}

    def hold(params: Body) -> Deferred:
        left["far"] = seconds_left(params)
        held.append(Deferred())
        return held[-1]

    def forward_to(node: Node, process: str, name: str) -> None:
        def forward(params: Body) -> Deferred:
            deferred = Deferred()
            left[name] = seconds_left(params)

            def replied(reply: Reply) -> None:
                match reply:
                    case Answered(body):
                        deferred.answer({**body, "through": name})
                    case NoAnswer(reason) | RequestWasRefused(reason):
                        deferred.answer({"unanswered": reason, "by": name})

            node.request(process, "submit", params, seconds=left[name], on_reply=replied)
            return deferred

        node.handle("submit", forward)

    start("core.far", lambda node: node.handle("submit", hold))
    start("core.second", lambda node: forward_to(node, "core.far", "second"))
    start("core.first", lambda node: forward_to(node, "core.second", "first"))
    asker, replies = start("core.ask"), list[Reply]()

    asker.do(lambda: asker.node.request("core.first", "submit", {}, seconds=5.0, on_reply=replies.append))
    wait_until(lambda: replies)

    assert 4.0 >= left["first"] > left["second"] + 0.7
    assert left["second"] > left["far"] + 0.7
    (reply,) = replies
    assert isinstance(reply, Answered)
    # the nearest to the silent one gave up first, and its word came all the way
    assert (reply.body["by"], reply.body["through"]) == ("second", "first")

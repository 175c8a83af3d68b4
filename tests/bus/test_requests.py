"""Questions: every one is answered exactly once, and nobody does what nobody wants any more."""

import threading
from collections.abc import Callable

import zmq

from tests.actor import Actor
from tests.bus.conftest import Bare, wait_until
from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Body, ReplyStatus, Request, decode_reply, decode_request, encode_reply, encode_request
from tradeproc.bus.deadlines import machine, new_request
from tradeproc.bus.node import Answered, Deferred, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.errors import Outage, Refusal

Start = Callable[..., Actor]


def ask(running: Actor, method: str, params: Body | None = None, seconds: float = 15) -> list[Reply]:
    """Ask core.far and return the list into which replies come."""
    replies: list[Reply] = []
    running.do(
        lambda: running.node.request("core.far", method, params or {}, seconds=seconds, on_reply=replies.append)
    )
    return replies


def counts(running: Actor) -> Body:
    bus: Body = running.do(lambda: running.node._status()).statistics["bus"]
    return bus


class Far:
    """A server played by the test."""

    def __init__(self, bare: Bare, directory: Directory) -> None:
        self.socket = bare(zmq.ROUTER)
        self.socket.bind(directory.rpc("core.far"))

    def receive(self) -> tuple[bytes, Request]:
        assert self.socket.poll(15_000)
        asker, *frames = self.socket.recv_multipart()
        return asker, decode_request(frames)

    def answer(self, asker: bytes, number: int, body: Body) -> None:
        self.socket.send_multipart([asker, *encode_reply(ReplyStatus.ANSWERED, number, body)])


def test_an_answer_comes_back(start: Start) -> None:
    start("core.far", lambda node: node.handle("add", lambda params: {"sum": params["x"] + params["y"]}))
    asker = start("core.ask")

    replies = ask(asker, "add", {"x": 1, "y": 2})

    wait_until(lambda: replies)
    assert replies == [Answered({"sum": 3})]


def test_many_questions_under_way_get_each_their_own_answer(start: Start) -> None:
    held: list[tuple[int, Deferred]] = []

    def hold(params: Body) -> Deferred:
        held.append((params["n"], Deferred()))
        return held[-1][1]

    far = start("core.far", lambda node: node.handle("hold", hold))
    asker = start("core.ask")
    replies = [ask(asker, "hold", {"n": n}) for n in range(20)]
    wait_until(lambda: len(held) == 20)

    def answer_all() -> None:
        for n, deferred in reversed(held):
            deferred.answer({"n": n})

    far.do(answer_all)

    wait_until(lambda: all(replies))
    assert replies == [[Answered({"n": n})] for n in range(20)]


def test_a_refusal_is_told_in_its_own_words(start: Start) -> None:
    def refuse(_: Body) -> Body:
        raise Refusal("the market is closed")

    start("core.far", lambda node: node.handle("submit", refuse))

    replies = ask(start("core.ask"), "submit")

    wait_until(lambda: replies)
    assert replies == [RequestWasRefused("the market is closed")]


def test_unknown_methods_and_missing_parameters_are_refused(start: Start) -> None:
    start("core.far", lambda node: node.handle("need", lambda params: {"a": params["account"]}))
    asker = start("core.ask")

    unknown, missing = ask(asker, "dance"), ask(asker, "need")

    wait_until(lambda: unknown and missing)
    assert unknown == [RequestWasRefused("no method 'dance' here")]
    assert missing == [RequestWasRefused("parameter 'account' is missing")]


def test_an_outage_of_the_far_side_is_no_answer_before_the_deadline(start: Start) -> None:
    def fail(_: Body) -> Body:
        raise Outage("the broker is away")

    start("core.far", lambda node: node.handle("balances", fail))

    replies = ask(start("core.ask"), "balances", seconds=3600)

    wait_until(lambda: replies)
    assert replies == [NoAnswer("core.far: could not answer 'balances': the broker is away")]


def test_nobody_there_is_no_answer_at_the_deadline(start: Start) -> None:
    replies = ask(start("core.ask"), "ping", seconds=0.05)

    wait_until(lambda: replies)
    assert replies == [NoAnswer("core.far: no answer to 'ping' within 0.05 s")]


def test_a_reply_after_the_deadline_is_dropped(start: Start, directory: Directory, bare: Bare) -> None:
    far, asker = Far(bare, directory), start("core.ask")
    replies = ask(asker, "slow", seconds=0.05)
    identity, request = far.receive()
    wait_until(lambda: replies)

    far.answer(identity, request.id, {"too": "late"})

    wait_until(lambda: counts(asker).get("late_replies") == 1)
    assert replies == [NoAnswer("core.far: no answer to 'slow' within 0.05 s")]


def test_a_reply_that_comes_twice_is_told_once(start: Start, directory: Directory, bare: Bare) -> None:
    far, asker = Far(bare, directory), start("core.ask")
    replies = ask(asker, "twice")
    identity, request = far.receive()

    far.answer(identity, request.id, {"first": True})
    far.answer(identity, request.id, {"second": True})

    wait_until(lambda: counts(asker).get("late_replies") == 1)
    assert replies == [Answered({"first": True})]


def test_garbage_replies_are_survived(start: Start, directory: Directory, bare: Bare) -> None:
    far, asker = Far(bare, directory), start("core.ask")
    replies = ask(asker, "m")
    identity, request = far.receive()

    for frames in (
        [b""],
        [b"\x01\x09" + b"x" * 8, b"{}"],
        [encode_reply(ReplyStatus.ANSWERED, request.id, {})[0], b"["],
    ):
        far.socket.send_multipart([identity, *frames])
    far.answer(identity, request.id + 1000, {"somebody": "else's"})
    far.answer(identity, request.id, {"mine": True})

    wait_until(lambda: replies)
    assert replies == [Answered({"mine": True})]
    assert counts(asker)["garbage"] == 3


def test_garbage_requests_are_survived_on_every_kind_of_socket(
    start: Start, directory: Directory, bare: Bare
) -> None:
    far = start("core.far")
    dealer, subscriber = bare(zmq.DEALER), bare(zmq.XSUB)
    dealer.connect(directory.rpc("core.far"))
    subscriber.connect(directory.pub("core.far"))

    good = encode_request(new_request(5, "ping", {}, 15))
    for frames in ([b""], [b"", b"", b"", b""], [good[0], b"\xff", b"{}"], [good[0], b"ping", b"{"], [b"\x00" * 500]):
        dealer.send_multipart(frames)
        subscriber.send_multipart(frames)
    subscriber.send(b"\x01heartbeat")
    dealer.send_multipart(good)

    assert dealer.poll(15_000)
    assert decode_reply(dealer.recv_multipart()).id == 5
    assert subscriber.poll(15_000)
    assert counts(far)["garbage"] == 5


def test_a_request_whose_asker_gave_up_is_not_done(start: Start, directory: Directory, bare: Bare) -> None:
    done: list[Body] = []
    dealer = bare(zmq.DEALER)
    dealer.connect(directory.rpc("core.far"))
    for number, sent_before in ((1, 10_000_000_000), (2, 0)):
        stamped = new_request(number, "submit", {"n": number}, 5)
        dealer.send_multipart(
            encode_request(
                Request(number, stamped.budget, stamped.sent_at - sent_before, machine(), "submit", stamped.body)
            )
        )

    def submit(params: Body) -> Body:
        done.append(params)
        return {}

    far = start("core.far", lambda node: node.handle("submit", submit))

    assert dealer.poll(15_000)
    assert decode_reply(dealer.recv_multipart()).id == 2
    assert done == [{"n": 2}]
    assert counts(far)["expired"] == 1


def test_a_request_waits_for_a_server_that_is_about_to_come_back(start: Start) -> None:
    replies = ask(start("core.ask"), "ping")

    start("core.far")

    wait_until(lambda: replies)
    assert replies == [Answered({})]


def test_a_deferred_answer_may_come_from_a_worker_and_only_the_first_counts(start: Start) -> None:
    workers: list[threading.Thread] = []

    def serve(_: Body) -> Deferred:
        deferred = Deferred()

        def work() -> None:
            deferred.answer({"by": "worker"})
            deferred.refuse("never said")

        workers.append(threading.Thread(target=work))
        workers[-1].start()
        return deferred

    def refuse(_: Body) -> Deferred:
        deferred = Deferred()
        deferred.refuse("said before it was returned")
        return deferred

    def fail(_: Body) -> Deferred:
        deferred = Deferred()
        deferred.fail("lost")
        return deferred

    def prepare(node: Node) -> None:
        node.handle("work", serve)
        node.handle("refuse", refuse)
        node.handle("fail", fail)

    start("core.far", prepare)
    asker = start("core.ask")
    replies = [ask(asker, method) for method in ("work", "refuse", "fail")]

    wait_until(lambda: all(replies))
    for worker in workers:
        worker.join()
    assert replies == [
        [Answered({"by": "worker"})],
        [RequestWasRefused("said before it was returned")],
        [NoAnswer("core.far: could not answer 'fail': lost")],
    ]


def test_what_is_under_way_when_the_asker_stops_is_told_as_no_answer(start: Start) -> None:
    asker = start("core.ask")
    replies = ask(asker, "ping", seconds=3600)

    asker.stop()

    assert replies == [NoAnswer("core.ask: is stopping")]


def test_requests_to_somebody_long_away_are_bounded(start: Start) -> None:
    asker, replies = start("core.ask"), list[Reply]()

    def flood() -> None:
        for _ in range(3000):
            asker.node.request("core.far", "ping", {}, seconds=3600, on_reply=replies.append)

    asker.do(flood)

    wait_until(lambda: replies)
    assert "no more requests" in str(replies[0])


def test_a_blocking_question_has_a_connection_of_its_own(start: Start) -> None:
    start("core.far")
    asker = start("core.ask")

    assert asker.do(lambda: asker.node.call("core.far", "ping", {}, seconds=15)) == {}


def test_an_answer_that_cannot_be_written_is_no_answer_and_kills_nobody(start: Start) -> None:
    deferred = Deferred()
    bodies: dict[str, Body] = {"large": {"at": 2**64}, "early": {"at": -(2**63) - 1}}

    def prepare(node: Node) -> None:
        for name, body in bodies.items():
            node.handle(name, lambda _, body=body: body)  # type: ignore[misc]
        node.handle("later", lambda _: deferred)
        node.handle("fine", lambda _: {"ok": True})

    start("core.far", prepare)
    asker = start("core.ask")
    replies = [ask(asker, name, {}) for name in (*bodies, "later")]
    deferred.answer({"at": 2**64})

    wait_until(lambda: all(replies))
    for (reply,) in replies:
        assert isinstance(reply, NoAnswer)
        assert "cannot be written" in reply.reason
    fine = ask(asker, "fine", {})
    wait_until(lambda: fine)
    assert fine == [Answered({"ok": True})]


def test_a_question_that_cannot_be_written_is_refused_and_was_not_asked(start: Start) -> None:
    start("core.far", lambda node: node.handle("echo", lambda params: dict(params)))
    asker = start("core.ask")

    replies = ask(asker, "echo", {"at": 2**64})

    wait_until(lambda: replies)
    assert isinstance(replies[0], RequestWasRefused)

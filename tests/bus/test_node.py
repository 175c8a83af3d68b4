"""The node itself: what it says about itself, its loop, its end."""

import os
import socket
import threading
from collections.abc import Callable

import pytest

from tests.actor import Actor
from tests.bus.conftest import wait_until
from tradeproc.bus.addresses import BadProcessName, Directory, SocketFolderTooDeep
from tradeproc.bus.client import Client
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.bus.requests import NoReply, RequestRefused
from tradeproc.clock import wall_ns

Start = Callable[..., Actor]


def test_a_heartbeat_says_who_how_and_how_far(start: Start, directory: Directory) -> None:
    def prepare(node: Node) -> None:
        node.add_statistics(lambda: {"orders": 3})
        node.set_state("degraded", "the stream is down")
        node.note_event(market_at=17, sent_at=wall_ns() - 5_000_000_000)
        node.publish("order", {})
        node.publish("order", {})

    far = start("link-paper.bars-ESH24-5m", prepare, heartbeat_seconds=3600)

    with Client(directory) as client:
        status = client.call("link-paper.bars-ESH24-5m", "status", {}, 20)
        beat = next(iter(client.tail("link-paper.bars-ESH24-5m", "heartbeat"))).body

    assert beat.pop("topics") == {"order": 2}
    assert beat["loop"] >= status["loop"] >= 0
    for body in (beat, status):
        assert (body["process"], body["kind"], body["pid"]) == ("link-paper.bars-ESH24-5m", "bars", os.getpid())
        assert (body["state"], body["detail"]) == ("degraded", "the stream is down")
        assert body["started_at"] <= body["last_event_at"] <= body["at"] <= wall_ns()
        assert body["market_at"] == 17
        assert body["lag_ns"] >= 5_000_000_000
        assert body["statistics"]["orders"] == 3
        assert body["epoch"] == far.node.epoch


def test_an_answer_to_status_is_no_heartbeat_and_tells_when_the_last_one_was(
    start: Start, directory: Directory
) -> None:
    start("core.far", heartbeat_seconds=3600)

    with Client(directory) as client:
        first, second = (client.call("core.far", "status", {}, 20)["at"] for _ in range(2))
        beat = next(iter(client.tail("core.far", "heartbeat"))).body["at"]
        third = client.call("core.far", "status", {}, 20)["at"]

    assert first == second < beat == third


def test_the_loop_counter_moves_and_lag_is_of_the_last_second_only(start: Start, directory: Directory) -> None:
    start("core.far", lambda node: node.note_event(sent_at=0))

    with Client(directory) as client:
        beats = client.tail("core.far", "heartbeat")
        first = next(beats).body
        later = next(beat.body for beat in beats if beat.body["loop"] > first["loop"] + 2)

    assert later["lag_ns"] == 0
    assert later["last_event_at"] == first["last_event_at"]


def test_a_thread_that_is_stuck_makes_the_counter_stand_still_until_it_is_not(
    start: Start, directory: Directory
) -> None:
    stuck = [False]
    start("core.far", lambda node: node.add_thread("stream", lambda: stuck[0]))

    with Client(directory) as client:
        beats = client.tail("core.far", "heartbeat")
        first = next(beats).body
        stuck[0] = True
        standing = next(beat.body for beat in beats if beat.body["statistics"].get("stuck_threads") == ["stream"])
        assert [next(beats).body["loop"] for _ in range(3)] == 3 * [standing["loop"]]
        stuck[0] = False
        assert (
            next(beat.body for beat in beats if "stuck_threads" not in beat.body["statistics"])["loop"]
            > first["loop"]
        )


def test_a_state_is_told_when_it_changes_and_only_known_words(start: Start, directory: Directory) -> None:
    far = start("core.far", heartbeat_seconds=3600)
    with Client(directory) as client:
        beats = client.tail("core.far", "heartbeat")
        assert next(beats).body["state"] == "starting"

        far.do(lambda: far.node.set_state("ready"))

        assert next(beat for beat in beats).body["state"] == "ready"
    with pytest.raises(ValueError, match="fine"):
        far.do(lambda: far.node.set_state("fine"))


def test_a_snapshot_comes_from_the_longest_prefix_and_carries_the_numbers(start: Start, directory: Directory) -> None:
    def prepare(node: Node) -> None:
        node.snapshot("order", lambda topic: {"of": topic})
        node.snapshot("order.ES", lambda topic: {"es": topic})
        for topic in ("order.ES", "order.ES", "order.NQ", "fill"):
            node.publish(topic, {})

    far = start("core.far", prepare)

    with Client(directory) as client:
        whole = client.call("core.far", "snapshot", {"topic": "order"}, 20)
        part = client.call("core.far", "snapshot", {"topic": "order.ES"}, 20)
        with pytest.raises(RequestRefused, match="no snapshot of topic 'fill'"):
            client.call("core.far", "snapshot", {"topic": "fill"}, 20)

    assert whole == {"of": "order", "epoch": far.node.epoch, "sequences": {"order.ES": 2, "order.NQ": 1}}
    assert part == {"es": "order.ES", "epoch": far.node.epoch, "sequences": {"order.ES": 2}}


def test_silence_names_process_method_and_seconds(directory: Directory) -> None:
    with Client(directory) as client, pytest.raises(NoReply, match=r"core\.far: no answer to 'ping' within 0\.05 s"):
        client.call("core.far", "ping", {}, 0.05)


def test_a_tail_ends_when_nothing_comes_for_so_long(start: Start, directory: Directory) -> None:
    start("core.far")

    with Client(directory) as client:
        assert list(client.tail("core.far", "nothing", idle=0.05)) == []


def test_timers_run_on_the_loop_until_cancelled(start: Start) -> None:
    ran: list[str] = []
    running = start("core.far")
    timer = running.do(lambda: running.node.every(0.001, lambda: ran.append("every")))
    running.do(lambda: running.node.after(0.001, lambda: ran.append("once")))
    wait_until(lambda: ran.count("every") > 3 and "once" in ran)

    running.do(timer.cancel)
    many = ran.count("every")
    done = threading.Event()
    running.do(lambda: running.node.after(0.02, done.set))
    assert done.wait(20)

    assert ran.count("every") == many
    assert ran.count("once") == 1


def test_foreign_sockets_are_watched_until_removed(start: Start) -> None:
    ours, theirs = socket.socketpair()
    heard: list[bytes] = []
    running = start("core.far")
    with ours, theirs:
        running.do(lambda: running.node.add_socket(ours, lambda: heard.append(ours.recv(100))))
        theirs.send(b"one")
        wait_until(lambda: heard == [b"one"])

        running.do(lambda: running.node.remove_socket(ours))
        theirs.send(b"two")
        running.do(lambda: None)

    assert heard == [b"one"]


def test_actions_posted_from_many_threads_all_run_on_the_loop(start: Start) -> None:
    running = start("core.far")
    seen: list[int] = []

    def post() -> None:
        for _ in range(200):
            running.node.post(lambda: seen.append(threading.get_ident()))

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    wait_until(lambda: len(seen) == 800)
    assert len(set(seen)) == 1
    assert threading.get_ident() not in seen


def test_stopping_runs_every_action_while_the_bus_still_works_and_says_so(start: Start, directory: Directory) -> None:
    start("core.far", lambda node: node.handle("farewell", lambda params: params))
    told: list[Body] = []
    beats: list[str] = []

    def fail() -> None:
        raise RuntimeError("this one fails")

    def prepare(node: Node) -> None:
        node.on_stop(fail)
        node.on_stop(lambda: told.append(node.call("core.far", "farewell", {"n": 1}, seconds=20)))

    going = start("core.going", prepare)
    watcher = start(
        "core.watch",
        lambda node: node.subscribe("core.going", "heartbeat", lambda envelope: beats.append(envelope.body["state"])),
    )
    wait_until(lambda: beats)

    going.node.stop(3)
    going.stop()

    assert told == [{"n": 1}]
    assert going.node.exit_status == 70
    wait_until(lambda: beats[-1] == "stopping")
    assert watcher.node.exit_status == 0
    assert directory.processes() == ["core.far", "core.watch"]


def test_a_handler_that_fails_tells_its_asker_and_ends_the_process(directory: Directory) -> None:
    def fail(_: Body) -> Body:
        raise ZeroDivisionError("a bug")

    node = Node("core.far", directory)
    node.handle("fail", fail)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            node.run()
        except ZeroDivisionError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    with Client(directory) as client, pytest.raises(NoReply, match="the handler failed with"):
        client.call("core.far", "fail", {}, 20)
    thread.join(20)

    assert len(errors) == 1
    assert directory.processes() == []


@pytest.mark.parametrize("value", [object(), 2**70, {1: 2}], ids=["object", "large", "key"])
def test_an_answer_that_cannot_be_written_is_no_answer_and_ends_nobody(
    start: Start, directory: Directory, value: object
) -> None:
    start("core.far").node.handle("unspeakable", lambda _: {"it": value})

    with Client(directory) as client:
        with pytest.raises(NoReply, match="cannot be written"):
            client.call("core.far", "unspeakable", {}, 20)
        assert client.call("core.far", "ping", {}, 20) == {}


def test_a_method_has_one_handler(start: Start) -> None:
    with pytest.raises(ValueError, match="ping"):
        start("core.far").node.handle("ping", lambda params: params)


@pytest.mark.parametrize("name", ["", "core", "../x.y", "core.a/b", ".a", "core.", "a b.c"])
def test_names_that_could_leave_the_folder_are_refused(directory: Directory, name: str) -> None:
    with pytest.raises(BadProcessName):
        Node(name, directory)


def test_a_folder_too_deep_for_a_socket_is_told_in_one_line(directory: Directory) -> None:
    deep = Directory(directory.folder / ("x" * 100))

    with pytest.raises(SocketFolderTooDeep, match="longer than 107 bytes"):
        Node("core.far", deep)

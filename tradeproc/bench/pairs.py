"""The publishing and hearing processes of the bus measurement: one pair on our node, one on bare pyzmq.

Both send the same JSON body and use the same flow control: the hearer asks for a batch whenever one is complete, so
that two are always under way. Run as `python -m tradeproc.bench.pairs <kind> <folder> <messages>`; a hearer prints
its rate in messages a second.
"""

import sys
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import orjson
import zmq

from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Envelope
from tradeproc.bus.node import Node, Reply
from tradeproc.protocol.definitions import Method, NoBody, Topic

BATCH = 1_000
UNDER_WAY = 2
TALKER, HEARER = "bench.talker", "bench.hearer"
WAIT_MS = 30_000
BODY: Final = {
    "contract": "ESH24",
    "minutes": 1,
    "opened_at": 1703545200000000000,
    "closed_at": 1703545260000000000,
    "open": 4800.25,
    "high": 4801.0,
    "low": 4799.75,
    "close": 4800.5,
    "volume": 1234,
    "ticks": 321,
    "closed": False,
    "history": False,
}


# the body stays a plain object on both sides, because bare pyzmq has no types: compared is the way, not the reading
CANDLE: Topic[Any] = Topic("candle", Any, ("talker",))
MORE: Method[NoBody, NoBody] = Method("more", NoBody, NoBody, ("talker",))
STOP: Method[NoBody, NoBody] = Method("stop", NoBody, NoBody, ("talker",))


class Meter:
    """Counts messages and tells when a batch is complete; its clock starts with the second batch."""

    def __init__(self, messages: int) -> None:
        self.messages, self.count, self._began = messages, 0, 0.0

    def is_batch_whole(self) -> bool:
        """Take one message."""
        self.count += 1
        if self.count == BATCH:
            self._began = perf_counter()
        return self.count % BATCH == 0

    @property
    def is_done(self) -> bool:
        """Tell whether all have come."""
        return self.count >= self.messages

    @property
    def rate(self) -> float:
        """Return messages a second since the first batch was whole."""
        return (self.count - BATCH) / (perf_counter() - self._began)


def node_talker(folder: Path, _: int) -> None:
    """Publish a batch whenever asked, until asked to stop."""
    node = Node(TALKER, Directory(folder))

    def more(_: NoBody) -> NoBody:
        for _number in range(BATCH):
            node.publish(CANDLE, BODY)
        return NoBody()

    def stop(_: NoBody) -> NoBody:
        node.stop()
        return NoBody()

    node.handle(MORE, more)
    node.handle(STOP, stop)
    node.run()


def node_hearer(folder: Path, messages: int) -> None:
    """Ask for batches, hear them, print the rate."""
    node, meter = Node(HEARER, Directory(folder)), Meter(messages)

    def ask(method: Method[NoBody, NoBody]) -> None:
        node.request(TALKER, method, NoBody(), seconds=30, on_reply=ignore)

    def ignore(_: Reply[NoBody]) -> None:
        """Do nothing: the messages themselves are the answer."""

    def hear(_: Envelope[Any]) -> None:
        if not meter.is_batch_whole() or meter.count > messages:
            return
        if meter.count == messages:
            sys.stdout.write(f"{meter.rate}\n")
            ask(STOP)
            node.after(0.1, node.stop)
        else:
            ask(MORE)

    def begin(reason: str) -> None:
        if reason != "start":  # a message was lost: the rate would mean nothing
            node.stop(1)
            return
        for _ in range(UNDER_WAY):
            ask(MORE)

    node.subscribe(TALKER, CANDLE, hear, begin)
    node.run()
    sys.exit(node.exit_status)


def bare_talker(folder: Path, _: int) -> None:
    """Do with pyzmq alone what `node_talker` does."""
    with zmq.Context() as context:
        publisher, server = _bound(context, zmq.PUB, folder / "pub"), _bound(context, zmq.ROUTER, folder / "rpc")
        while server.poll(WAIT_MS) and (frames := server.recv_multipart())[1] != b"stop":
            if frames[1] == b"more":
                for _ in range(BATCH):
                    publisher.send_multipart([b"candle", orjson.dumps(BODY)])
            else:
                publisher.send_multipart([b"hello", b""])
        context.destroy(linger=200)


def bare_hearer(folder: Path, messages: int) -> None:
    """Do with pyzmq alone what `node_hearer` does."""
    meter = Meter(messages)
    with zmq.Context() as context:
        subscriber, asker = context.socket(zmq.SUB), context.socket(zmq.DEALER)
        subscriber.set_hwm(10_000)
        subscriber.connect(f"ipc://{folder}/pub")
        subscriber.setsockopt(zmq.SUBSCRIBE, b"")
        asker.connect(f"ipc://{folder}/rpc")
        asker.send(b"hello")
        while not subscriber.poll(50):
            asker.send(b"hello")
        for _ in range(UNDER_WAY):
            asker.send(b"more")
        while not meter.is_done and subscriber.poll(WAIT_MS):
            topic, body = subscriber.recv_multipart()
            if topic != b"candle":
                continue
            orjson.loads(body)
            if meter.is_batch_whole() and not meter.is_done:
                asker.send(b"more")
        asker.send(b"stop")
        sys.stdout.write(f"{meter.rate}\n")
        context.destroy(linger=200)


def _bound(context: "zmq.Context[Any]", kind: int, path: Path) -> "zmq.Socket[bytes]":
    socket: zmq.Socket[bytes] = context.socket(kind)
    socket.set_hwm(10_000)
    socket.bind(f"ipc://{path}")
    return socket


KINDS = {
    "node-talker": node_talker,
    "node-hearer": node_hearer,
    "bare-talker": bare_talker,
    "bare-hearer": bare_hearer,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))

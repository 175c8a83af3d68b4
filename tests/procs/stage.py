"""Real nodes on real sockets for the tests of the shells, each in a thread of its own and ended whatever happens."""

import queue
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.actor import DEADLINE, Actor
from tradeproc.brokers.contract import SnapshotEnded, Stream, StreamEnded, StreamEvent
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.codec import Body, Envelope
from tradeproc.bus.node import Node
from tradeproc.domain.broker_orders import BrokerOrder
from tradeproc.domain.orders import OrderState, OrderType, Side
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.testing.waiting import wait_until

ACCOUNT = "SIM1"


class Stage:
    """A folder of sockets and the actors on it."""

    def __init__(self, folder: Path) -> None:
        self.directory = Directory(folder)
        self.client = Client(self.directory)
        self.actors: list[Actor] = []

    def enter(self, name: str, prepare: Callable[[Node], object] = lambda node: None) -> Actor:
        """Make a node, prepare it, and let it run."""
        actor = Actor(Node(name, self.directory, heartbeat_seconds=0.1))
        self.actors.append(actor)
        prepare(actor.node)
        actor.start()
        return actor

    def ask(self, process: str, method: str, seconds: float = 10.0, **params: Any) -> Body:
        return self.client.call(process, method, params, seconds)

    def close(self) -> None:
        for actor in self.actors:
            actor.node.stop()
        for actor in self.actors:
            actor.join()
        self.client.close()


@contextmanager
def stage() -> Iterator[Stage]:
    # pytest's own temporary folders are too deep for a unix socket
    folder = Path(tempfile.mkdtemp(prefix="tp-"))
    made = Stage(folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


class Ear:
    """A node that writes down what others publish."""

    def __init__(self, stage: Stage, process: str, *topics: str) -> None:
        self.heard: list[Envelope] = []

        def listen(node: Node) -> None:
            for topic in topics:
                node.subscribe(process, topic, self.heard.append)

        self.actor = stage.enter(f"test.ear-{len(stage.actors)}", listen)
        wait_until(f"{process} is heard", lambda: self.actor.node.silent_for(process) < DEADLINE)

    def bodies(self, topic: str) -> list[Body]:
        return [envelope.body for envelope in list(self.heard) if envelope.topic == topic]


def picture(broker_id: str, state: OrderState = OrderState.SUBMITTED, **changes: Any) -> BrokerOrder:
    """Return an order as a broker would tell it."""
    values: dict[str, Any] = {
        "broker_id": broker_id,
        "account": ACCOUNT,
        "contract": "ESH24",
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "quantity": Contracts(1),
        "filled": Contracts(1 if state is OrderState.FILLED else 0),
        "state": state,
        "raw_status": state.value,
        "opened_at": Nanos(1_700_000_000_000_000_000),
    }
    return BrokerOrder(**values | changes)


class Script:
    """What a broker's stream tells: `connect` is given to a feed, `tell` is the broker's side of it."""

    def __init__(self, *events: StreamEvent) -> None:
        self.first = events or (SnapshotEnded(),)
        self.connections: list[_Connection] = []

    def connect(self) -> Stream:
        self.connections.append(_Connection(self.first))
        return self.connections[-1]

    def tell(self, *events: StreamEvent) -> None:
        for event in events:
            self.connections[-1].events.put(event)


class _Connection:
    """One connection: tells what it was given until `StreamEnded`."""

    def __init__(self, first: tuple[StreamEvent, ...]) -> None:
        self.events: queue.SimpleQueue[StreamEvent] = queue.SimpleQueue()
        for event in first:
            self.events.put(event)

    def __iter__(self) -> Iterator[StreamEvent]:
        while True:
            event = self.events.get()
            yield event
            if isinstance(event, StreamEnded):
                return

    def close(self) -> None:
        self.events.put(StreamEnded("closed by us"))

"""Real nodes on real sockets: each in a thread of its own, ended whatever happens."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import zmq

from tests.actor import Actor
from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Node
from tradeproc.testing import waiting

T = TypeVar("T")
Bare = Callable[[int], "zmq.Socket[bytes]"]
DEADLINE = 20.0


def wait_until(condition: Callable[[], object], what: str = "condition") -> None:
    """Return as soon as `condition` holds; fail when it does not within a generous deadline."""
    waiting.wait_until(what, condition, DEADLINE, every=0.002, not_yet=())


@pytest.fixture
def directory() -> Iterator[Directory]:
    # pytest's own temporary folders are too deep for a unix socket
    folder = Path(tempfile.mkdtemp(prefix="tp-"))
    yield Directory(folder)
    shutil.rmtree(folder)


@pytest.fixture
def start(directory: Directory) -> Iterator[Callable[..., Actor]]:
    """Start a node: prepare it first with `prepare(node)`, then run it in its thread."""
    running: list[Actor] = []

    def begin(
        name: str,
        prepare: Callable[[Node], object] = lambda node: None,
        heartbeat_seconds: float = 0.05,
        directory: Directory = directory,
    ) -> Actor:
        node = Node(name, directory, heartbeat_seconds=heartbeat_seconds)
        prepare(node)
        running.append(Actor(node))
        running[-1].start()
        return running[-1]

    yield begin
    for one in running:
        one.stop()


@pytest.fixture
def bare() -> Iterator[Bare]:
    """Make bare sockets for the far side that a test plays itself."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made: list[zmq.Socket[bytes]] = []

    def make(kind: int) -> "zmq.Socket[bytes]":
        made.append(context.socket(kind))
        return made[-1]

    yield make
    for socket in made:
        socket.close(0)
    context.term()

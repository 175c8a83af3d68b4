"""Real processes: killed, stopped, started twice."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.actor import Actor
from tests.bus.conftest import DEADLINE, wait_until
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.codec import Body, Envelope
from tradeproc.bus.follow import Follow
from tradeproc.bus.name_lock import NameTaken
from tradeproc.bus.node import Node

Spawn = Callable[[str], "subprocess.Popen[bytes]"]
PROGRAM = Path(__file__).with_name("desk_process.py")


@pytest.fixture
def spawn(directory: Directory) -> Iterator[Spawn]:
    children: list[subprocess.Popen[bytes]] = []

    def begin(name: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, str(PROGRAM), str(directory.folder), name]
        children.append(subprocess.Popen(command, stderr=subprocess.PIPE))
        return children[-1]

    yield begin
    for child in children:
        child.kill()
        child.wait()
        if child.stderr is not None:
            child.stderr.close()


def is_up(directory: Directory, name: str) -> bool:
    with Client(directory) as client:
        return bool(client.call(name, "status", {}, DEADLINE)["state"] == "ready")


def test_sigterm_ends_a_process_in_order_and_leaves_no_files(spawn: Spawn, directory: Directory) -> None:
    child = spawn("core.far")
    assert is_up(directory, "core.far")
    assert directory.processes() == ["core.far"]

    child.send_signal(signal.SIGTERM)

    assert child.wait(DEADLINE) == 0
    assert [path.name for path in directory.folder.iterdir()] == ["stopped"]


def test_a_killed_process_leaves_its_files_and_its_successor_takes_them_over(
    spawn: Spawn, directory: Directory
) -> None:
    first = spawn("core.far")
    assert is_up(directory, "core.far")
    first.kill()
    first.wait()
    assert directory.path("core.far", "pub").exists()
    assert directory.path("core.far", "rpc").exists()

    second = spawn("core.far")

    assert is_up(directory, "core.far")
    second.terminate()
    assert second.wait(DEADLINE) == 0
    assert directory.processes() == []


def test_two_processes_cannot_have_one_name_and_the_first_goes_on(spawn: Spawn, directory: Directory) -> None:
    first = spawn("core.far")
    assert is_up(directory, "core.far")

    second = spawn("core.far")

    assert second.wait(DEADLINE) != 0
    assert second.stderr is not None
    assert b"NameTaken" in second.stderr.read()
    assert is_up(directory, "core.far")
    assert first.poll() is None
    with pytest.raises(NameTaken, match=r"core\.far"):
        Node("core.far", directory, patience=0)


@pytest.fixture
def orphan(directory: Directory) -> Iterator[psutil.Process]:
    """A process whose parent was killed."""
    command = shlex.join([sys.executable, str(PROGRAM), str(directory.folder), "core.far"])
    parent = subprocess.Popen(["sh", "-c", f"{command} & wait"])
    assert is_up(directory, "core.far")
    (child,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    yield child
    with contextlib.suppress(psutil.NoSuchProcess):
        child.kill()


@pytest.mark.parametrize("is_frozen", [False, True])
def test_an_orphan_that_does_not_end_is_killed_by_its_successor(
    orphan: psutil.Process, spawn: Spawn, directory: Directory, is_frozen: bool
) -> None:
    if is_frozen:
        orphan.suspend()

    second = spawn("core.far")

    wait_until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE)
    assert is_up(directory, "core.far")
    assert second.poll() is None


def test_a_copy_survives_the_death_of_the_original_and_has_every_message_after_it(
    spawn: Spawn, directory: Directory, start: Callable[..., Actor]
) -> None:
    told: list[tuple[str, int]] = []

    def snapshot(body: Body) -> None:
        told.append(("snapshot", body["n"]))

    def message(envelope: Envelope) -> None:
        told.append(("message", envelope.body["n"]))

    spawn("core.far")
    subscriber = start(
        "core.sub",
        lambda node: Follow(node, "core.far", "count", on_snapshot=snapshot, on_message=message),
    )
    wait_until(lambda: len(told) > 10)
    pid = subscriber.do(lambda: subscriber.node.call("core.far", "status", {}, seconds=DEADLINE))["pid"]

    os.kill(pid, signal.SIGKILL)
    spawn("core.far")

    wait_until(lambda: [kind for kind, _ in told].count("snapshot") >= 2)
    after = len(told)
    wait_until(lambda: len(told) > after + 10)
    kinds = [kind for kind, _ in told]
    second = len(kinds) - 1 - kinds[::-1].index("snapshot")
    for life in (told[:second], told[second:]):
        numbers = [number for _, number in life]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert told[second][1] < told[second - 1][1] or told[second][1] < 1000

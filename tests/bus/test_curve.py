"""Other hosts, played on loopback: known keys come in, nobody else, and nothing goes over plain tcp."""

import contextlib
import socket
from collections.abc import Callable

import pytest
import zmq

from tests.actor import Actor
from tests.bus.conftest import Bare, wait_until
from tradeproc.bus.addresses import Directory, NoKeys
from tradeproc.bus.client import Client
from tradeproc.bus.codec import encode_request
from tradeproc.bus.curve import CurveKeys, RemoteAccess, TcpPeer
from tradeproc.bus.deadlines import new_request
from tradeproc.bus.node import Node
from tradeproc.bus.requests import NoReply
from tradeproc.testing.running import free_port

Start = Callable[..., Actor]

SERVER, FRIEND, STRANGER = CurveKeys.fresh(), CurveKeys.fresh(), CurveKeys.fresh()


@pytest.fixture
def peer(start: Start, directory: Directory) -> TcpPeer:
    """A process that may be reached over tcp by our friend."""
    listener = RemoteAccess("127.0.0.1", free_port(), free_port(), SERVER, admitted=[FRIEND.public])

    def prepare(node: Node) -> None:
        node.every(0.01, lambda: node.publish("t", {}))

    start("core.far", prepare, directory=Directory(directory.folder, listeners={"core.far": listener}))
    return TcpPeer("127.0.0.1", listener.pub_port, listener.rpc_port, SERVER.public)


def seen_from(peer: TcpPeer, keys: CurveKeys, directory: Directory) -> Directory:
    return Directory(directory.folder, hosts={"core.far": peer}, keys=keys)


def refused(directory: Directory) -> int:
    with Client(directory) as client:
        count: int = client.call("core.far", "status", {}, 20)["statistics"]["refused_keys"]
        return count


def test_a_known_key_asks_and_listens(start: Start, directory: Directory, peer: TcpPeer) -> None:
    heard: list[str] = []
    start(
        "core.sub",
        lambda node: node.subscribe("core.far", "t", lambda envelope: heard.append(envelope.topic), heard.append),
        directory=seen_from(peer, FRIEND, directory),
    )

    with Client(seen_from(peer, FRIEND, directory)) as client:
        assert client.call("core.far", "ping", {}, 20) == {}

    wait_until(lambda: "t" in heard)
    assert heard[0] == "start"
    assert refused(directory) == 0


def test_an_unknown_key_hears_nothing_and_is_counted(directory: Directory, peer: TcpPeer) -> None:
    with Client(seen_from(peer, STRANGER, directory)) as client:
        with pytest.raises(NoReply):
            client.call("core.far", "ping", {}, 0.5)
        assert list(client.tail("core.far", "t", idle=0.5)) == []

    wait_until(lambda: refused(directory) >= 2)


def test_somebody_who_pretends_to_be_the_peer_is_not_asked(start: Start, directory: Directory, peer: TcpPeer) -> None:
    pretended = TcpPeer(peer.host, peer.pub_port, peer.rpc_port, STRANGER.public)

    with Client(seen_from(pretended, FRIEND, directory)) as client, pytest.raises(NoReply):
        client.call("core.far", "ping", {}, 0.5)


def test_plain_tcp_gets_no_answer(directory: Directory, peer: TcpPeer, bare: Bare) -> None:
    plain = bare(zmq.DEALER)
    plain.connect(f"tcp://127.0.0.1:{peer.rpc_port}")
    plain.send_multipart(encode_request(new_request(1, "ping", {}, 20)))

    with Client(seen_from(peer, FRIEND, directory)) as client:
        assert client.call("core.far", "ping", {}, 20) == {}

    assert not plain.poll(200)


def test_a_peer_without_keys_of_our_own_is_refused_at_once(directory: Directory) -> None:
    with pytest.raises(NoKeys, match=r"core\.far"):
        Directory(directory.folder, hosts={"core.far": TcpPeer("desk2", 1, 2, SERVER.public)})


def test_a_secret_is_never_shown() -> None:
    assert FRIEND.secret not in repr(FRIEND)


GREETING = b"\xff" + 8 * b"\0" + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + 32 * b"\0"


def knock(port: int, words: bytes) -> socket.socket:
    stranger = socket.create_connection(("127.0.0.1", port), timeout=60)
    stranger.sendall(words)
    return stranger


def is_shown_out(stranger: socket.socket) -> bool:
    """Wait until the other side closes, reading what it says before."""
    try:
        while stranger.recv(4096):
            pass
    except ConnectionError:
        return True
    return True


def test_a_stranger_without_a_key_cannot_fill_our_memory(directory: Directory, peer: TcpPeer) -> None:
    size = 60 * 1024 * 1024
    with knock(peer.rpc_port, GREETING + b"\x06" + size.to_bytes(8)) as stranger:
        sent = 0
        with contextlib.suppress(OSError):
            while sent < size:
                stranger.sendall(bytes(64 * 1024))
                sent += 64 * 1024

    assert sent < 16 * 1024 * 1024
    with Client(seen_from(peer, FRIEND, directory)) as client:
        assert client.call("core.far", "ping", {}, 20) == {}


def test_hundreds_of_strangers_without_a_key_are_shown_out_and_a_friend_comes_in(
    directory: Directory, peer: TcpPeer
) -> None:
    with contextlib.ExitStack() as crowd:
        silent = [crowd.enter_context(knock(peer.rpc_port, words)) for words in (b"", GREETING) for _ in range(200)]

        with Client(seen_from(peer, FRIEND, directory)) as client:
            assert client.call("core.far", "ping", {}, 60) == {}
        assert all(is_shown_out(stranger) for stranger in silent)

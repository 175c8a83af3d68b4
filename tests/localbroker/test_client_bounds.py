"""Who has no key and no token takes little of the server and keeps nobody out: real sockets, a real server."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
import pytest

from tradeproc.localbroker import client_bounds
from tradeproc.localbroker.client import LocalBroker, LocalBrokerDown, LocalBrokerRefused
from tradeproc.localbroker.client_bounds import LARGEST_BODY, LARGEST_HEAD, MOST_CONNECTIONS, BoundedProtocol
from tradeproc.localbroker.control_key import HEADER, key_file, make_key
from tradeproc.localbroker.server import ServerSettings, open_context
from tradeproc.testing.brokers import RunningBroker, running_local_broker
from tradeproc.testing.waiting import wait_until


@pytest.fixture(scope="module")
def broker() -> Iterator[RunningBroker]:
    with running_local_broker(paused=True) as running:
        yield running


def control(broker: RunningBroker, headers: dict[str, str], path: str = "status") -> int:
    return httpx.get(f"{broker.url}/local/{path}", headers=headers, trust_env=False).status_code


def connect(broker: RunningBroker) -> socket.socket:
    return socket.create_connection(("127.0.0.1", broker.port), timeout=30)


# --- the control API


def test_without_its_key_the_control_does_nothing(broker: RunningBroker) -> None:
    with LocalBroker(broker.url) as stranger, pytest.raises(LocalBrokerRefused, match="wants the key"):
        stranger.shutdown()
    for path in ("status", "ledger", "accounts", "exposure"):
        assert control(broker, {}, path) == 403
        assert control(broker, {HEADER: "wrong"}, path) == 403

    assert broker.control.status()["accounts"]
    assert key_file(broker.folder).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("host", "rebound.example"),
        ("host", "127.0.0.1.rebound.example:8765"),
        ("host", "[::1"),
        ("origin", "https://elsewhere.example"),
        ("origin", "null"),
        ("origin", "http://localhost.elsewhere.example"),
    ],
)
def test_a_page_of_another_host_controls_nothing_even_with_the_key(
    broker: RunningBroker, header: str, value: str
) -> None:
    assert control(broker, {HEADER: key_file(broker.folder).read_text(), header: value}) == 403


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8765", "http://localhost:3000"])
def test_a_page_of_this_machine_with_the_key_may(broker: RunningBroker, origin: str) -> None:
    assert control(broker, {HEADER: key_file(broker.folder).read_text(), "origin": origin}) == 200


def test_a_key_outlives_a_restart(broker: RunningBroker) -> None:
    before = key_file(broker.folder).read_text()
    broker.kill()
    broker.restart()

    assert key_file(broker.folder).read_text() == before
    assert broker.control.status()["accounts"]


@pytest.mark.parametrize("found", [b"", b"a", b" \n", b"\xff\xfe", b"a\nb", "ü€".encode(), b"a" * 100_000])
def test_a_key_that_can_be_guessed_or_not_be_sent_is_made_anew(tmp_path: Path, found: bytes) -> None:
    key_file(tmp_path).write_bytes(found)

    key = make_key(tmp_path)

    assert len(key) == 43
    assert make_key(tmp_path) == key == key_file(tmp_path).read_text()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"[" * 200_000),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b"\xff"),
    ],
)
def test_what_is_no_answer_of_a_local_broker_is_told_in_one_line(answer: httpx.Response) -> None:
    with LocalBroker("http://127.0.0.1:1") as stranger:
        stranger._http = httpx.Client(base_url="http://127.0.0.1:1", transport=httpx.MockTransport(lambda _: answer))
        with pytest.raises(LocalBrokerDown, match="no local broker"):
            stranger.status()


@pytest.mark.parametrize("speed", ["1e308", "1e999", "-1", "0", "null", '"fast"', "1" + "0" * 400, "true"])
def test_no_speed_takes_the_broker_down(broker: RunningBroker, speed: str) -> None:
    headers = {HEADER: key_file(broker.folder).read_text()}
    answer = httpx.post(
        f"{broker.url}/local/speed", content=f'{{"speed": {speed}}}', headers=headers, trust_env=False
    )

    assert answer.status_code == 400
    assert broker.control.status()["accounts"]


def test_a_journal_with_a_time_beyond_reason_is_continued(tmp_path: Path) -> None:
    settings = ServerSettings(tmp_path, tape="generated:ESH24:7")
    open_context(settings).market.close()
    journal = tmp_path / "journal"
    record = json.loads(journal.read_text().splitlines()[-1])[-1]
    with journal.open("a") as file:
        file.write(json.dumps([{**record, "kind": "clock", "market_at": 1e300}]) + "\n")

    desk = open_context(settings)

    desk.advance()
    assert desk.market.is_over
    desk.market.close()


def test_a_journal_with_a_speed_beyond_reason_is_continued_at_the_configured_one() -> None:
    with running_local_broker(paused=True, speed=7.0) as broker:
        broker.stop()
        journal = broker.folder / "journal"
        lines = journal.read_text().splitlines()
        record = json.loads(lines[-1])[-1]
        journal.write_text("\n".join([*lines, json.dumps([{**record, "kind": "clock", "speed": 1e308}])]) + "\n")

        broker.restart()

        assert broker.control.status()["speed"] == 7.0


# --- bytes, time and connections


def test_a_body_without_end_is_refused_and_fills_no_memory(broker: RunningBroker) -> None:
    before = psutil.Process(broker.pid).memory_info().rss
    for path in ("/oauth/token", "/v3/orderexecution/orders", "/local/speed"):
        with connect(broker) as client:
            client.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
            sent = 0
            try:
                while sent < 100 * LARGEST_BODY:
                    client.sendall(chunk)
                    sent += len(chunk)
            except OSError:
                pass

            assert sent < 50 * LARGEST_BODY

    assert psutil.Process(broker.pid).memory_info().rss - before < 64 * 1024 * 1024
    assert broker.control.status()["accounts"]


@pytest.mark.parametrize("what", ["X-Header: {}\r\n", "{}: y\r\n"])
def test_headers_without_end_are_refused(broker: RunningBroker, what: str) -> None:
    with connect(broker) as client:
        client.sendall(b"GET /v3/brokerage/accounts HTTP/1.1\r\nHost: localhost\r\n")
        sent = 0
        try:
            while sent < 50 * LARGEST_HEAD:
                line = what.format("a" * 1000).encode()
                client.sendall(line)
                sent += len(line)
        except OSError:
            pass

    assert sent < 50 * LARGEST_HEAD
    assert broker.control.status()["accounts"]


CHUNKED = b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Header: ", id="value"),
        pytest.param(b"GET / HTTP/1.1\r\n", id="name"),
        pytest.param(CHUNKED + b"5;", id="remark of a chunk"),
        pytest.param(CHUNKED + b"0\r\nX-Trailer: ", id="trailer"),
    ],
)
def test_one_line_without_end_is_refused_and_fills_no_memory(broker: RunningBroker, begin: bytes) -> None:
    most = 32 * 1024 * 1024
    with connect(broker) as client:
        client.sendall(begin)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < most:
                client.sendall(b"a" * 0x10000)
                sent += 0x10000

    assert sent < most
    assert broker.control.status()["accounts"]


def test_who_asks_ahead_of_the_answers_and_reads_none_keeps_nobody_out(broker: RunningBroker) -> None:
    ask = b"GET /v3/brokerage/accounts HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as crowd:
        strangers = [crowd.enter_context(connect(broker)) for _ in range(MOST_CONNECTIONS + 20)]
        for stranger in strangers:
            with contextlib.suppress(OSError):
                stranger.sendall(ask * 2000)

        assert broker.control.status()["accounts"]
        assert len(psutil.Process(broker.pid).net_connections()) <= MOST_CONNECTIONS + 20


class _Wire(asyncio.Transport):
    """A connection whose loop has not got round yet to say that it was aborted."""

    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def close(self) -> None:
        """Do nothing: it is lost already."""

    def write(self, data: object) -> None:
        """Take the answer; nobody reads it."""


def test_connections_that_were_aborted_keep_nobody_out_until_they_are_gone() -> None:
    ask = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

    async def crowd_out() -> tuple[list[bool], bool, int]:
        connections: set[Any] = set()
        strangers = [_protocol(connections) for _ in range(MOST_CONNECTIONS)]
        for stranger in strangers:
            stranger.connection_made(_Wire())
            stranger.data_received(ask * 2)
        friend = _protocol(connections)
        friend.connection_made(_Wire())
        found = [each.transport.is_aborted for each in strangers], friend.transport.is_aborted, len(connections)
        for each in (*strangers, friend):
            each.connection_lost(None)
        return found

    assert asyncio.run(crowd_out()) == ([True] * MOST_CONNECTIONS, False, MOST_CONNECTIONS)


def test_a_connection_that_ends_anyway_makes_room_before_an_older_one() -> None:
    async def crowd_out() -> list[bool]:
        connections: set[Any] = set()
        clients = [_protocol(connections) for _ in range(MOST_CONNECTIONS + 1)]
        for client in clients[:-1]:
            client.connection_made(_Wire())
        clients[5].data_received(b"GET / HTTP/1.1\r\n\r\n" * 2)
        clients[-1].connection_made(_Wire())
        aborted = [each.transport.is_aborted for each in clients]
        for client in clients:
            client.connection_lost(None)
        return aborted

    assert asyncio.run(crowd_out()) == [number == 5 for number in range(MOST_CONNECTIONS + 1)]


def test_a_connection_whose_client_does_not_read_makes_room() -> None:
    async def read_and_stop() -> tuple[bool, bool]:
        protocol = _protocol()
        protocol.transport = _Wire()
        protocol.flow, protocol.cycle = SimpleNamespace(write_paused=False), SimpleNamespace(response_complete=False)
        reads = protocol.is_at_work
        protocol.flow.write_paused = True
        return reads, protocol.is_at_work

    assert asyncio.run(read_and_stop()) == (True, False)


def test_an_address_without_end_is_refused(broker: RunningBroker) -> None:
    with connect(broker) as client:
        client.sendall(b"GET /" + b"a" * (2 * LARGEST_HEAD) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")

        assert client.recv(100).startswith(b"HTTP/1.1 431 ")


def test_a_thousand_half_requests_keep_nobody_out(broker: RunningBroker) -> None:
    # a client of its own, for the sockets of a thousand connections
    flood = (
        "import resource,socket,sys,time\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE,(2000,resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "held=[]\n"
        "for _ in range(1000):\n"
        "    s=socket.create_connection(('127.0.0.1',int(sys.argv[1])),timeout=30)\n"
        "    s.sendall(b'POST /oauth/token HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: 10\\r\\n\\r\\nx')\n"
        "    held.append(s)\n"
        "print('held',flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = ["python3", "-c", flood, str(broker.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ) as strangers:
        try:
            assert strangers.stdout is not None and strangers.stdout.readline() == b"held\n"

            assert httpx.get(f"{broker.url}/v3/brokerage/accounts", headers=broker.headers()).status_code == 200
            assert len(psutil.Process(broker.pid).net_connections()) <= MOST_CONNECTIONS + 20
        finally:
            strangers.kill()


def test_a_request_that_stays_unfinished_ends_with_its_time() -> None:
    async def dribble() -> bytes:
        server = await asyncio.get_running_loop().create_server(_protocol, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: ")
            try:
                return await asyncio.wait_for(reader.read(), 30)
            except ConnectionResetError:
                return b""
            finally:
                writer.close()

    assert asyncio.run(dribble()) == b""


def _protocol(connections: set[Any] | None = None) -> Any:
    from uvicorn import Config
    from uvicorn.server import ServerState

    async def app(scope: object, receive: object, send: Any) -> None:
        assert connections is not None, "the request never came"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    state = ServerState()
    if connections is not None:
        state.connections = connections
    found = BoundedProtocol(Config(app), state, {})
    found.request_seconds = 0.2
    return found


def test_a_silent_client_of_a_stream_is_not_taken_for_one_that_dribbles(broker: RunningBroker) -> None:
    assert client_bounds.REQUEST_SECONDS >= 5
    account = broker.control.status()["accounts"][0]
    path = f"{broker.url}/v3/brokerage/stream/accounts/{account}/orders"
    with httpx.stream("GET", path, headers=broker.headers(), trust_env=False, timeout=60) as stream:
        lines = stream.iter_lines()
        next(lines)
        strangers = [connect(broker) for _ in range(MOST_CONNECTIONS + 20)]
        wait_until("the stream is open", lambda: len(broker.control.status()["streams"]) == 1)
        for stranger in strangers:
            stranger.close()
        assert "Heartbeat" in next(lines)
